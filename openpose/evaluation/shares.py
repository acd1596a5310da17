"""Shares of a validation split that are measured apart, and the figures of all of them. Free of TensorFlow.

A share holds whole batches of the split, and all sums are made from the values of single batches and pictures. So the
figures are the same, to the last digit, for any number of shares.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from openpose.evaluation import keypoint_errors, score
from openpose.evaluation.gallery import Shown, chosen
from openpose.evaluation.keypoint_errors import ErrorCounts
from openpose.evaluation.pixel_errors import pixel_errors
from openpose.skeleton import Skeleton

BATCH = 4  # pictures


@dataclass(frozen=True)
class Share:
    """One of several shares of a split.

    Attributes:
        number: its number, from 0.
        of: number of shares.
    """

    number: int = 0
    of: int = 1

    def pictures(self, images: int) -> range:
        """Its pictures of a split of so many, by their place in the split."""
        batches = -(-images // BATCH)
        first, end = (min(batches * number // self.of * BATCH, images) for number in (self.number, self.number + 1))
        return range(first, end)


@dataclass(frozen=True)
class MeasuredShare:
    """What a model gives on a share.

    Attributes:
        losses: of each batch, summed over its pictures, by name; None is NaN or infinite.
        seconds: for each picture, the time of network and decoder.
        detections: COCO results.
        truth: the labelled people, as a COCO document.
        errors: kinds of errors on the labelled keypoints.
        nan_pictures: names of the pictures whose maps hold NaN or infinity; nobody counts as found in them.
        pictures: the best and the worst ones.
    """

    losses: list[dict[str, float | None]]
    seconds: list[float]
    detections: list[dict[str, Any]]
    truth: dict[str, list[dict[str, Any]]]
    errors: ErrorCounts
    nan_pictures: list[str]
    pictures: list[Shown]


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
    best: list[Shown]
    worst: list[Shown]
    nan_pictures: list[str]


def merge(shares: Sequence[MeasuredShare], skeleton: Skeleton, shown: int) -> Measured:
    """The figures of a split.

    Args:
        shares: all of them, in their order.
        skeleton: of the people.
        shown: how many of the best pictures, and of the worst, to keep.
    """
    detections = [detection for share in shares for detection in share.detections]
    truth = _truth(shares, skeleton)
    apart = pixel_errors(truth, detections, skeleton)
    best, worst = chosen((picture for share in shares for picture in share.pictures), shown)
    # TensorFlow prepares the network during a share's first picture, so that one counts only where it is the only one.
    seconds = [second for share in shares for second in share.seconds[1:] or share.seconds]
    return Measured(
        figures=score.average_precision(truth, detections, skeleton) | apart.figures() | _losses(shares),
        images_per_second=len(seconds) / sum(seconds),
        parts=score.part_precision(truth, detections, skeleton),
        keypoints=apart.by_keypoint(skeleton),
        errors=keypoint_errors.total((share.errors for share in shares), skeleton),
        detections=detections,
        best=best,
        worst=worst,
        nan_pictures=[name for share in shares for name in share.nan_pictures],
    )


def _truth(shares: Sequence[MeasuredShare], skeleton: Skeleton) -> dict[str, Any]:
    images = [image for share in shares for image in share.truth["images"]]
    people = itertools.chain.from_iterable(share.truth["annotations"] for share in shares)
    annotations = [person | {"id": number} for number, person in enumerate(people, 1)]
    return {"images": images, "annotations": annotations, "categories": [skeleton.coco_category()]}


def _losses(shares: Sequence[MeasuredShare]) -> dict[str, float | None]:
    """The means over all pictures, by the logs' names."""
    batches = [batch for share in shares for batch in share.losses]
    images = sum(len(share.truth["images"]) for share in shares)
    means: dict[str, float | None] = {}
    for name in batches[0]:
        sums = [batch[name] for batch in batches]
        finite = [value for value in sums if value is not None]
        means[f"valid_{name}"] = math.fsum(finite) / images if len(finite) == len(sums) else None
    return means
