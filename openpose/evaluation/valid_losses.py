"""The validation losses of any model, as the training loop computes them."""

import math
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from openpose import networks, progress, storage
from openpose.evaluation.finite_maps import FiniteMaps
from openpose.evaluation.loss_inputs import has_all_stages
from openpose.evaluation.shares import BATCH
from openpose.input import batches
from openpose.input.parameters import InputParameters
from openpose.model_files import Model, keras_file
from openpose.networks import loss
from openpose.records.manifest import RecordsManifest
from openpose.skeleton import Skeleton

_Batch = dict[str, tf.Tensor]
_Losses = Callable[[_Batch], dict[str, tf.Tensor]]


def valid_losses(
    model: Model, split: RecordsManifest, inputs: InputParameters, skeleton: Skeleton, pictures: range
) -> list[dict[str, float | None]]:
    """Computes the losses of pictures of a split, batch by batch.

    Args:
        model: the network.
        split: manifest of the records.
        inputs: the network's input.
        skeleton: of records and model.
        pictures: which ones, by their place in the split.

    Returns:
        For each batch of `BATCH` pictures its losses, summed over its pictures, by the names of `loss.NAMES`; NaN and
        infinity become None. `loss`, which sums over all stages, is missing for files with the last stage only.
    """
    losses_of = _of_all_stages(model, skeleton) if has_all_stages(model.path) else _of_last_stage(model, skeleton)
    sums = []
    with progress.bar(len(pictures), "valid loss", "image") as bar:
        for batch in batches.validation(split, skeleton, inputs, BATCH, pictures=pictures):
            values = {name: float(value) for name, value in losses_of(batch).items()}
            sums.append(
                {name: values[name] if math.isfinite(values[name]) else None for name in loss.NAMES if name in values}
            )
            bar.update(len(batch["id"]))
    return sums


def _of_all_stages(model: Model, skeleton: Skeleton) -> _Losses:
    with storage.local_copy(model.path) as file:
        network = keras_file.read(file, model.path)

    @tf.function(reduce_retracing=True)
    def losses_of(batch: _Batch) -> dict[str, tf.Tensor]:
        pixels = tf.cast(batch["image"], tf.float32)
        outputs = networks.stage_outputs(network, pixels[..., ::-1] if model.pixels == "bgr" else pixels, False)
        return loss.losses(outputs, batch["maps"], batch["mask"], 1, skeleton)

    return losses_of


def _of_last_stage(model: Model, skeleton: Skeleton) -> _Losses:
    finite = FiniteMaps(model)

    def losses_of(batch: _Batch) -> dict[str, tf.Tensor]:
        output = tf.concat(finite.model.maps(batch["image"].numpy()), -1)
        values = loss.losses([output], batch["maps"], batch["mask"], 1, skeleton)
        del values["loss"]  # it would be that of the last stage only
        return dict.fromkeys(values, tf.constant(np.nan)) if finite.replaced else values

    return losses_of
