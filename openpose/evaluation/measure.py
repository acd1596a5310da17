"""What a model is worth: the four losses, COCO AP, errors and speed on a whole validation split."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import tensorflow as tf

from openpose import model_files, networks, progress, storage
from openpose.codec.decode import People
from openpose.codec.parameters import TargetParameters
from openpose.errors import InputError
from openpose.evaluation import keypoint_errors, score
from openpose.evaluation.gallery import Example, Gallery
from openpose.evaluation.keypoint_errors import Comparison, ErrorCounts, PictureTruth
from openpose.evaluation.truth import labelled_people
from openpose.input import batches
from openpose.input.parameters import InputParameters
from openpose.model_files import keras_file
from openpose.networks import loss
from openpose.predict.predictor import Predictor
from openpose.predict.results import coco_results
from openpose.records import read
from openpose.skeleton import Skeleton

LOSS_BATCH = 4
DEFAULT_SIZE = 368
Batch = dict[str, tf.Tensor]


@dataclass(frozen=True)
class Measured:
    """A model on a validation split.

    Attributes:
        figures: COCO's by the names of `score.METRICS`, and the losses by the logs' names (`valid_losses`). None:
            undefined (nobody is labelled), or no number.
        images_per_second: network and decoder, one picture after the other.
        parts: AP of each keypoint, by name.
        errors: what becomes of the labelled keypoints.
        detections: COCO results of all pictures.
        best: the pictures in which the model is best, the best first.
        worst: those in which it is worst, the worst first.
        no_numbers: names of pictures whose maps have NaN or infinite values; nobody is found in them.
    """

    figures: dict[str, float | None]
    images_per_second: float
    parts: dict[str, float | None]
    errors: ErrorCounts
    detections: list[dict[str, Any]]
    best: list[Example]
    worst: list[Example]
    no_numbers: list[str]


def loss_inputs(split: dict[str, Any], stride: int) -> InputParameters:
    """The input for the losses of a model of which only its stride is known: that of the records' dense targets."""
    stored = dict(split.get("targets") or {})
    size = tuple(stored.pop("size", (DEFAULT_SIZE, DEFAULT_SIZE)))
    return InputParameters(size, replace(TargetParameters(**stored), stride=stride))


def measure(
    model: model_files.Model,
    split: dict[str, Any],
    inputs: InputParameters,
    height: int,
    skeleton: Skeleton,
    shown: int,
) -> Measured:
    """Measures a model on all pictures of a split.

    Args:
        model: the network.
        split: manifest of the records.
        inputs: the network's input for the losses.
        height: pixels to which pictures are resized for AP.
        skeleton: of records and model.
        shown: how many of the best, and of the worst, pictures to keep.

    Raises:
        InputError: the model takes no pictures of these sizes.
    """
    try:
        losses = valid_losses(model, split, inputs, skeleton)
        run = _detect(Predictor(model, height), split, skeleton, shown)
    except tf.errors.InvalidArgumentError as error:
        raise InputError(
            f"{model.path}: the network does not take all pictures of height {inputs.size[0]} or {height} "
            f"({str(error).splitlines()[0]}); export it with free height and width"
        ) from error
    truth = read.ground_truth(split, skeleton)
    figures = score.average_precision(truth, run.detections, skeleton) | losses
    best, worst = run.gallery.chosen()
    return Measured(
        figures,
        run.images_per_second,
        score.part_precision(truth, run.detections, skeleton),
        keypoint_errors.total(run.counts, skeleton),
        run.detections,
        best,
        worst,
        run.no_numbers,
    )


def valid_losses(
    model: model_files.Model, split: dict[str, Any], inputs: InputParameters, skeleton: Skeleton
) -> dict[str, float | None]:
    """The four validation losses, as the training loop computes them.

    `valid_loss` is over all stages, whose maps only a Keras model gives; of all others it is not there, but the three
    losses of the last stage are. A loss that is no number is None.
    """
    step, names = _all_stages(model, skeleton) if has_all_stages(model.path) else _last_stage(model, skeleton)
    total = dict.fromkeys(names, 0.0)
    count = split["counts"]["images"]
    with progress.bar(count, "valid loss", "image") as bar:
        for batch in batches.validation(split, skeleton, inputs, LOSS_BATCH):
            for name, value in step(batch).items():
                total[name] += float(value)
            bar.update(len(batch["id"]))
    means = {name: value / count for name, value in total.items()}
    return {f"valid_{name}": mean if np.isfinite(mean) else None for name, mean in means.items()}


def has_all_stages(path: storage.StoragePath) -> bool:
    """Whether the maps of all stages can be had from a model's file: from a Keras model."""
    return path.suffix == ".keras"


Step = Callable[[Batch], dict[str, tf.Tensor]]


def _all_stages(model: model_files.Model, skeleton: Skeleton) -> tuple[Step, tuple[str, ...]]:
    with storage.local_copy(model.path) as file:
        network = keras_file.read(file, model.path)

    @tf.function(reduce_retracing=True)
    def step(batch: Batch) -> dict[str, tf.Tensor]:
        pixels = tf.cast(batch["image"], tf.float32)
        outputs = networks.stage_outputs(network, pixels[..., ::-1] if model.pixels == "bgr" else pixels, False)
        return loss.losses(outputs, batch["maps"], batch["mask"], 1, skeleton)

    return step, loss.NAMES


def _last_stage(model: model_files.Model, skeleton: Skeleton) -> tuple[Step, tuple[str, ...]]:
    names = tuple(name for name in loss.NAMES if name != "loss")

    watched = _Watched(model)

    def step(batch: Batch) -> dict[str, tf.Tensor]:
        output = tf.concat(watched.model.maps(batch["image"].numpy()), -1)
        values = loss.losses([output], batch["maps"], batch["mask"], 1, skeleton)
        return {name: tf.constant(np.nan) if watched.had_no_numbers() else values[name] for name in names}

    return step, names


class _Watched:
    """A model whose maps are numbers: what is none is 0, and remembered.

    Attributes:
        model: that model.
    """

    def __init__(self, model: model_files.Model) -> None:
        self._run, self._noticed = model.run, False
        self.model = replace(model, run=self._numbers)

    def had_no_numbers(self) -> bool:
        """Whether the maps of the last pictures had NaN or infinite values."""
        return self._noticed

    def _numbers(self, images: tf.Tensor) -> tf.Tensor:
        maps = np.asarray(self._run(images))
        finite = np.isfinite(maps)
        self._noticed = not finite.all()
        return tf.constant(np.where(finite, maps, 0))


@dataclass
class _Detected:
    """What all pictures of a split gave, so far."""

    gallery: Gallery
    detections: list[dict[str, Any]] = field(default_factory=list)
    counts: list[ErrorCounts] = field(default_factory=list)
    no_numbers: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    @property
    def images_per_second(self) -> float:
        """Without the first one, in which TensorFlow gets ready, when there are more."""
        timed = self.seconds[1:] or self.seconds
        return len(timed) / sum(timed)


def _detect(predictor: Predictor, split: dict[str, Any], skeleton: Skeleton, shown: int) -> _Detected:
    run, watched = _Detected(Gallery(shown)), _Watched(predictor.model)
    predictor = replace(predictor, model=watched.model)
    with progress.bar(split["counts"]["images"], "evaluate", "image") as bar:
        for record in read.examples(split, skeleton).as_numpy_iterator():
            image, name = read.decode_picture(record), record["filename"].decode()
            start = time.perf_counter()
            maps = predictor.maps(image)
            found = predictor.people_in(maps)
            run.seconds.append(time.perf_counter() - start)
            if watched.had_no_numbers():
                run.no_numbers.append(name)
                found = People(found.keypoints[:0], found.scores[:0])
            run.detections += coco_results(int(record["id"]), found, skeleton)
            compared = keypoint_errors.compare(
                _truth(record), skeleton.to_source_keypoints(found.keypoints).astype(float), skeleton
            )
            run.counts.append(compared.counts)
            true = labelled_people(record["keypoints"], record["visibility"], record["crowd"], skeleton)
            note = _note(compared, len(true))
            run.gallery.add(Example(name, image, true, found, maps.heatmap, maps.vectmap, maps.cell, note), compared)
            bar.update(1)
    return run


def _truth(record: dict[str, np.ndarray]) -> PictureTruth:
    counted = (record["visibility"] >= 1).any(1) & ~record["crowd"]
    return PictureTruth(
        record["keypoints"][counted].astype(float),
        record["visibility"][counted] >= 1,
        record["area"][counted].astype(float),
        record["bbox"][~counted].astype(float),
    )


def _note(compared: Comparison, labelled: int) -> str:
    parts = [f"{labelled} labelled"]
    if compared.missed:
        parts.append(f"{compared.missed} missed")
    if compared.false_positives:
        parts.append(f"{compared.false_positives} found who {'is' if compared.false_positives == 1 else 'are'} nobody")
    if compared.quality is not None:
        parts.append(f"mean OKS {compared.quality:.2f}")
    return ", ".join(parts)
