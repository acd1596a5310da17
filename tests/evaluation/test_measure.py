"""What a model is worth: losses, speed and pictures, of models that give all stages, the last one, or no numbers."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from openpose import model_files, networks, storage
from openpose.errors import InputError
from openpose.evaluation import measure
from openpose.evaluation.loss_inputs import loss_inputs
from openpose.evaluation.shares import BATCH, Measured, MeasuredShare, Share, merge
from openpose.evaluation.valid_losses import valid_losses
from openpose.input import batches
from openpose.input.parameters import InputParameters
from openpose.networks import loss
from openpose.records.manifest import DenseTargets, RecordsManifest
from openpose.skeleton import OPENPOSE18 as PERSON
from tests import manifests

pytestmark = pytest.mark.slow

SIZE = 64


def blind(value: float = 0.0) -> model_files.Model:
    """Gives the same value everywhere."""

    def run(images: tf.Tensor) -> tf.Tensor:
        count, height, width, _ = images.shape
        return tf.fill([count, height // 8, width // 8, PERSON.num_maps], value)

    return model_files.Model(Path("blind.pb"), "rgb", PERSON, run, 8)


def measured(model: model_files.Model, split: RecordsManifest, shown: int = 2, of: int = 1) -> Measured:
    """In shares, each through JSON, as another worker reads it."""
    inputs = replace(loss_inputs(split, model.stride), size=(SIZE, SIZE))
    parts = [measure.measure(model, split, inputs, SIZE, PERSON, shown, Share(number, of)) for number in range(of)]
    texts = [json.dumps(storage.to_json(part), allow_nan=False) for part in parts]
    return merge([storage.from_json(MeasuredShare, json.loads(text)) for text in texts], PERSON, shown)


def losses(model: model_files.Model, split: RecordsManifest, inputs: InputParameters) -> dict[str, float]:
    """The means over the split, by the logs' names."""
    images = split.counts["images"]
    found = valid_losses(model, split, inputs, PERSON, range(images))
    return {f"valid_{name}": sum(batch[name] or 0.0 for batch in found) / images for name in found[0]}


def test_losses_of_the_last_stage_are_half_the_squared_truth_of_who_sees_nothing(
    sample_records: dict[str, RecordsManifest],
) -> None:
    split = sample_records["val"]
    inputs = replace(loss_inputs(split, 8), size=(SIZE, SIZE))
    values = losses(blind(), split, inputs)
    heat, paf = 0.0, 0.0
    for sample in batches.validation(split, PERSON, inputs, 1).as_numpy_iterator():
        squares = np.square(sample["maps"][0].astype(float)) * sample["mask"][0]
        heat, paf = heat + squares[..., :19].sum() / 2, paf + squares[..., 19:].sum() / 2
    expected = {
        "valid_loss_lastlayer": (heat + paf) / 6,
        "valid_loss_lastlayer_paf": paf / 6,
        "valid_loss_lastlayer_heat": heat / 6,
    }
    assert values == pytest.approx(expected, rel=1e-4)


def test_keras_model_has_the_losses_of_all_stages(
    sample_records: dict[str, RecordsManifest], plain_model: Path
) -> None:
    network = keras.models.load_model(plain_model)
    split = sample_records["val"]
    inputs = replace(loss_inputs(split, 8), size=(SIZE, SIZE))
    total = dict.fromkeys(loss.NAMES, 0.0)
    for batch in batches.validation(split, PERSON, inputs, 6):
        outputs = networks.stage_outputs(network, tf.cast(batch["image"], tf.float32), training=False)
        for name, value in loss.losses(outputs, batch["maps"], batch["mask"], 6, PERSON).items():
            total[name] += float(value)
    model = model_files.load(plain_model, PERSON)
    values = losses(model, split, inputs)
    assert values == pytest.approx({f"valid_{name}": value for name, value in total.items()}, rel=1e-4)
    turned = losses(replace(model, pixels="bgr"), split, inputs)
    assert turned["valid_loss"] != pytest.approx(values["valid_loss"], rel=1e-4), "the order of the pixels counts"


def test_who_sees_nothing_misses_everybody(sample_records: dict[str, RecordsManifest]) -> None:
    result = measured(blind(), sample_records["val"])
    assert result.figures["AP"] == result.figures["AR"] == 0
    assert result.detections == []
    assert result.errors.kinds[:-1].sum() == 0
    assert result.errors.kinds[-1].sum() > 0
    assert result.images_per_second > 0
    assert len(result.best) == len(result.worst) == 2
    names = [example.name for example in (*result.best, *result.worst)]
    assert len(set(names)) == 4, "no picture is shown twice"
    assert " missed, mean OKS 0.00" in result.worst[0].note


def test_nan_maps(sample_records: dict[str, RecordsManifest]) -> None:
    result = measured(blind(np.nan), sample_records["val"], shown=100)
    assert len(result.nan_pictures) == 6
    assert result.detections == []
    assert result.figures["valid_loss_lastlayer"] is None
    assert len(result.best) + len(result.worst) == 5, "all with somebody labelled are drawn"


def test_shares_give_the_same_figures_to_the_last_digit(
    sample_records: dict[str, RecordsManifest], plain_model: Path
) -> None:
    model, split = model_files.load(plain_model, PERSON), sample_records["train"]
    whole, parts = (asdict(measured(model, split, of=of)) for of in (1, 7))  # there are six batches
    assert whole["detections"], "the network finds somebody, or the test says nothing"
    parts["images_per_second"] = whole["images_per_second"]
    np.testing.assert_equal(parts, whole)


@pytest.mark.parametrize(("images", "of"), [(24, 1), (24, 5), (7, 2), (1, 3), (0, 2)])
def test_shares_are_whole_batches_of_all_pictures(images: int, of: int) -> None:
    shares = [Share(number, of).pictures(images) for number in range(of)]
    assert [number for share in shares for number in share] == list(range(images))
    assert all(share.start % BATCH == 0 or not share for share in shares)


def test_network_of_one_size_only(sample_records: dict[str, RecordsManifest]) -> None:
    def run(images: tf.Tensor) -> tf.Tensor:
        raise tf.errors.InvalidArgumentError(None, None, "Incompatible shapes\nand more")

    with pytest.raises(InputError, match=r"one\.pb: the network does not take all pictures of height 64 or 64 \(Incom"):
        measured(model_files.Model(Path("one.pb"), "rgb", PERSON, run, 8), sample_records["val"])


def test_input_of_the_losses_is_that_of_the_records() -> None:
    targets = DenseTargets(size=(184, 240), stride=8, sigma=5.0, limb_width=1.0)
    inputs = loss_inputs(manifests.records(targets=targets), 4)
    assert inputs.size == (184, 240)
    assert (inputs.targets.stride, inputs.targets.sigma) == (4, 5.0)
    assert loss_inputs(manifests.records(), 8).size == (368, 368)
