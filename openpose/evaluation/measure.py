"""Measures a model on a whole validation split: losses, COCO AP, pixel errors, kinds of errors, and speed."""

import time
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import tensorflow as tf

from openpose import progress
from openpose.codec.decode import People
from openpose.errors import InputError
from openpose.evaluation import keypoint_errors, score
from openpose.evaluation.finite_maps import FiniteMaps
from openpose.evaluation.gallery import Example, Gallery
from openpose.evaluation.keypoint_errors import Comparison, ErrorCounts, PictureTruth
from openpose.evaluation.pixel_errors import pixel_errors
from openpose.evaluation.truth import labelled_people
from openpose.evaluation.valid_losses import valid_losses
from openpose.input.parameters import InputParameters
from openpose.model_files import Model
from openpose.predict.predictor import Predictor
from openpose.predict.results import coco_results
from openpose.records import read
from openpose.records.manifest import RecordsManifest
from openpose.skeleton import Skeleton


@dataclass(frozen=True)
class Measured:
    """A model on a validation split.

    Attributes:
        figures: COCO's by the names of `score.METRICS`, the pixel errors by those of `pixel_errors.FIGURES`, and the
            losses by the logs' names. None: the figure is undefined because nobody is labelled or nothing was found, or
            the loss is NaN or infinite.
        images_per_second: speed of network and decoder, one picture after the other.
        parts: AP of each keypoint, by name.
        keypoints: pixel errors of each keypoint, by name.
        errors: kinds of errors on the labelled keypoints.
        detections: COCO results of all pictures.
        best: the best pictures, the best first.
        worst: the worst pictures, the worst first.
        nan_pictures: names of the pictures whose maps hold NaN or infinity; nobody counts as found in them.
    """

    figures: dict[str, float | None]
    images_per_second: float
    parts: dict[str, float | None]
    keypoints: dict[str, dict[str, float | None]]
    errors: ErrorCounts
    detections: list[dict[str, Any]]
    best: list[Example]
    worst: list[Example]
    nan_pictures: list[str]


def measure(
    model: Model,
    split: RecordsManifest,
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
        shown: how many of the best pictures, and of the worst, to keep.

    Raises:
        InputError: the model does not accept pictures of these sizes.
    """
    try:
        losses = valid_losses(model, split, inputs, skeleton)
        run = _detect(Predictor(model, height), split, skeleton, shown)
    except tf.errors.InvalidArgumentError as error:
        raise InputError(
            f"{model.path}: the network does not take all pictures of height {inputs.size[0]} or {height} "
            f"({str(error).splitlines()[0]}); export it with free height and width"
        ) from error
    truth = read.ground_truth(read.examples(split, skeleton), skeleton)
    apart = pixel_errors(truth, run.detections, skeleton)
    best, worst = run.gallery.chosen()
    return Measured(
        figures=score.average_precision(truth, run.detections, skeleton) | apart.figures() | losses,
        images_per_second=run.images_per_second,
        parts=score.part_precision(truth, run.detections, skeleton),
        keypoints=apart.by_keypoint(skeleton),
        errors=keypoint_errors.total(run.counts, skeleton),
        detections=run.detections,
        best=best,
        worst=worst,
        nan_pictures=run.nan_pictures,
    )


@dataclass
class _Detected:
    """The results of all pictures so far."""

    gallery: Gallery
    detections: list[dict[str, Any]] = field(default_factory=list)
    counts: list[ErrorCounts] = field(default_factory=list)
    nan_pictures: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    @property
    def images_per_second(self) -> float:
        """Leaves out the first picture, during which TensorFlow prepares the network, unless it is the only one."""
        timed = self.seconds[1:] or self.seconds
        return len(timed) / sum(timed)


def _detect(predictor: Predictor, split: RecordsManifest, skeleton: Skeleton, shown: int) -> _Detected:
    run, finite = _Detected(Gallery(shown)), FiniteMaps(predictor.model)
    predictor = replace(predictor, model=finite.model)
    with progress.bar(split.counts["images"], "evaluate", "image") as bar:
        for record in read.examples(split, skeleton).as_numpy_iterator():
            image, name = read.decode_picture(record), record["filename"].decode()
            start = time.perf_counter()
            maps = predictor.maps(image)
            found = predictor.people_in(maps)
            run.seconds.append(time.perf_counter() - start)
            if finite.replaced:
                run.nan_pictures.append(name)
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
        parts.append(f"{compared.false_positives} false positive{'s' if compared.false_positives > 1 else ''}")
    if compared.quality is not None:
        parts.append(f"mean OKS {compared.quality:.2f}")
    return ", ".join(parts)
