"""The loss mask: which pixels of a picture count in the loss, as run lengths."""

import math
from typing import Any

import numpy as np
from pycocotools import mask as rle

from openpose.records.picture import Picture


def loss_mask(picture: Picture) -> np.ndarray:
    """Where the loss counts, as run lengths.

    0 on crowds and on people without a labelled keypoint, but 1 again on the region of labelled people.

    Returns:
        int64 [R]: lengths of the runs of 1, 0, 1, … down the columns, one column after the other; the first may be
        0. Empty when the loss counts everywhere.

    Raises:
        InputError: a segmentation does not fit its picture.
    """
    labelled = picture.labelled
    if labelled.all():
        return np.zeros(0, np.int64)
    ignored = _union(picture, np.flatnonzero(~labelled))
    overlapping = labelled & _boxes_touch(picture.bbox, picture.bbox[~labelled])
    if overlapping.any():
        ignored &= ~_union(picture, np.flatnonzero(overlapping))
    changes = np.flatnonzero(np.diff(ignored)) + 1
    if not ignored.any():
        return np.zeros(0, np.int64)
    first = [0] if ignored[0] else []
    return np.diff(np.concatenate([[0], first, changes, [ignored.size]]).astype(np.int64))


def mask_image(runs: np.ndarray, height: int, width: int) -> np.ndarray:
    """Runs of `loss_mask` as uint8 [height, width]: 1 where the loss counts."""
    if not len(runs):
        return np.ones((height, width), np.uint8)
    flat = np.repeat((np.arange(len(runs)) + 1) % 2, runs).astype(np.uint8)
    return flat.reshape(width, height).T


def _union(picture: Picture, people: np.ndarray) -> np.ndarray:
    """bool [width · height], down the columns: pixels of any of these people."""
    encoded = rle.merge([_region(picture, person) for person in people])
    return rle.decode(encoded).ravel(order="F").view(bool)


def _boxes_touch(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """bool [P]: boxes [P, 4] that touch one of the others; a polygon may extend a pixel or two beyond its box."""
    low, high = boxes[:, None, :2] - 2, boxes[:, None, :2] + boxes[:, None, 2:] + 2
    return ((low <= others[:, :2] + others[:, 2:]) & (high >= others[:, :2])).all(-1).any(-1)


def _region(picture: Picture, person: int) -> dict[str, Any]:
    """Pixels of one person or crowd as compressed RLE: all its polygons, or its box when it has none."""
    size = (picture.height, picture.width)
    segmentation = picture.segmentations[person]
    if isinstance(segmentation, dict):
        return rle.frPyObjects(segmentation, *size)
    polygons = _polygons(segmentation, size)
    if polygons:
        return rle.merge(rle.frPyObjects(polygons, *size))
    return rle.frPyObjects({"size": list(size), "counts": _box_runs(picture.bbox[person], *size)}, *size)


def _polygons(segmentation: Any, size: tuple[int, int]) -> list[list[float]]:
    """The polygons that have an area, kept within a picture's size around the picture.

    Four numbers would be read as a box by pycocotools, and it needs memory in proportion to a polygon's length.
    """
    limit = np.array(size[::-1], np.float64)
    polygons = (np.array(p, np.float64).reshape(-1, 2) for p in segmentation or [] if len(p) >= 6)
    return [polygon.clip(-limit, 2 * limit).ravel().tolist() for polygon in polygons]


def _box_runs(box: np.ndarray, height: int, width: int) -> list[int]:
    """Runs of 0, 1, 0, … down the columns: the pixels that a box touches."""
    x, y, w, h = (float(value) for value in box)
    left, right = (int(min(max(side, 0), width)) for side in (math.floor(x), math.ceil(x + w)))
    top, bottom = (int(min(max(side, 0), height)) for side in (math.floor(y), math.ceil(y + h)))
    columns, rows = right - left, bottom - top
    if columns < 1 or rows < 1:
        return [height * width]
    between = [rows, height - rows] * (columns - 1)
    return [left * height + top, *between, rows, height * width - (right - 1) * height - bottom]
