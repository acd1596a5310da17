"""Measures a model on a share of a validation split: losses, people, kinds of errors, and speed."""

import time
from dataclasses import replace
from typing import Any

import numpy as np
import tensorflow as tf

from openpose import progress
from openpose.codec.decode import People
from openpose.errors import InputError
from openpose.evaluation import keypoint_errors
from openpose.evaluation.finite_maps import FiniteMaps
from openpose.evaluation.gallery import Example, Gallery
from openpose.evaluation.keypoint_errors import Comparison, PictureTruth
from openpose.evaluation.shares import MeasuredShare, Share
from openpose.evaluation.truth import labelled_people
from openpose.evaluation.valid_losses import valid_losses
from openpose.input.parameters import InputParameters
from openpose.model_files import Model
from openpose.predict.predictor import Predictor
from openpose.predict.results import coco_results
from openpose.records import read
from openpose.records.manifest import RecordsManifest
from openpose.skeleton import Skeleton


def measure(
    model: Model,
    split: RecordsManifest,
    inputs: InputParameters,
    height: int,
    skeleton: Skeleton,
    shown: int,
    share: Share = Share(),
) -> MeasuredShare:
    """Measures a model on a share of a split's pictures.

    Args:
        model: the network.
        split: manifest of the records.
        inputs: the network's input for the losses.
        height: pixels to which pictures are resized for AP.
        skeleton: of records and model.
        shown: how many of the best pictures, and of the worst, to keep.
        share: which share.

    Raises:
        InputError: the model does not accept pictures of these sizes.
    """
    pictures = share.pictures(split.counts["images"])
    try:
        losses = valid_losses(model, split, inputs, skeleton, pictures)
        return _detect(Predictor(model, height), split, skeleton, shown, pictures, losses)
    except tf.errors.InvalidArgumentError as error:
        raise InputError(
            f"{model.path}: the network does not take all pictures of height {inputs.size[0]} or {height} "
            f"({str(error).splitlines()[0]}); export it with free height and width"
        ) from error


def _detect(
    predictor: Predictor,
    split: RecordsManifest,
    skeleton: Skeleton,
    shown: int,
    pictures: range,
    losses: list[dict[str, float | None]],
) -> MeasuredShare:
    gallery, finite = Gallery(shown), FiniteMaps(predictor.model)
    predictor = replace(predictor, model=finite.model)
    detections: list[dict[str, Any]] = []
    counts, nan_pictures, seconds = list[keypoint_errors.ErrorCounts](), list[str](), list[float]()
    records = read.examples(split, skeleton, pictures.start, pictures.stop)
    with progress.bar(len(pictures), "evaluate", "image") as bar:
        for number, record in zip(pictures, records.as_numpy_iterator(), strict=True):
            image, name = read.decode_picture(record), record["filename"].decode()
            start = time.perf_counter()
            maps = predictor.maps(image)
            found = predictor.people_in(maps)
            seconds.append(time.perf_counter() - start)
            if finite.replaced:
                nan_pictures.append(name)
                found = People(found.keypoints[:0], found.scores[:0])
            detections += coco_results(int(record["id"]), found, skeleton)
            compared = keypoint_errors.compare(
                _truth(record), skeleton.to_source_keypoints(found.keypoints).astype(float), skeleton
            )
            counts.append(compared.counts)
            true = labelled_people(record["keypoints"], record["visibility"], record["crowd"], skeleton)
            note = _note(compared, len(true))
            example = Example(name, image, true, found, maps.heatmap, maps.vectmap, maps.cell, note)
            gallery.add(example, compared, number)
            bar.update(1)
    return MeasuredShare(
        losses=losses,
        seconds=seconds,
        detections=detections,
        truth=read.ground_truth(records, skeleton),
        errors=keypoint_errors.total(counts, skeleton),
        nan_pictures=nan_pictures,
        pictures=gallery.drawn(skeleton),
    )


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
