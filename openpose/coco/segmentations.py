"""Checks the segmentation of an annotation: polygons, or run lengths (RLE), so that pycocotools can read it."""

from typing import Any

import numpy as np

from openpose.coco.fates import Correction
from openpose.coco.values import all_finite
from openpose.errors import InputError


def checked(person: dict[str, Any], size: tuple[int, int], path: str, corrections: list[Correction]) -> Any:
    """The segmentation of an annotation: polygons, RLE, or None if there is nothing in it.

    Args:
        person: the annotation.
        size: height and width of its picture.
        path: what messages call the file.
        corrections: gets what was read differently than it was written.

    Raises:
        InputError: pycocotools could not read it.
    """
    segmentation = person.get("segmentation")
    if not segmentation:
        return None
    try:
        if isinstance(segmentation, dict):
            return _checked_rle(segmentation, size)
        return _checked_polygons(segmentation, corrections)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path}: `segmentation` of annotation {person.get('id')} cannot be read: {error}; "
            "correct it, or remove it so that the bounding box is used"
        ) from error


def area(segmentation: Any) -> float:
    """Pixels² of a checked segmentation, as COCO's `area` has them: of polygons their sum; 0 for None."""
    if isinstance(segmentation, dict):
        return float(sum(segmentation["counts"][1::2]))
    total = 0.0
    for polygon in segmentation or ():
        x, y = np.reshape(polygon, (-1, 2)).T.astype(np.float64)
        total += abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2
    return total


def _checked_polygons(segmentation: Any, corrections: list[Correction]) -> list[list[float]] | None:
    if not isinstance(segmentation, list):
        raise ValueError("it is neither a list of polygons nor RLE")
    polygons = segmentation
    if not isinstance(segmentation[0], list):  # one polygon that is not in a list
        polygons = [segmentation]
    elif all(_is_point(each) for each in segmentation):  # one polygon as a list of points
        polygons = [[value for point in segmentation for value in point]]
    elif any(isinstance(each, list) and list in set(map(type, each)) for each in segmentation):
        polygons = [[value for point in each for value in point] for each in segmentation]  # polygons of points
    if polygons is not segmentation:
        corrections.append(Correction.POINTS)
    if not all(isinstance(each, list) and len(each) % 2 == 0 and all_finite(each) for each in polygons):
        raise ValueError("polygons are lists of finite numbers x, y, x, y, …")
    usable = [each for each in polygons if len(each) >= 6]
    if any(polygons) and len(usable) < len(polygons):
        corrections.append(Correction.THIN)
    return usable or None


def _is_point(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and not isinstance(value[0], list)


def _checked_rle(segmentation: dict[str, Any], size: tuple[int, int]) -> dict[str, Any]:
    """The RLE with its counts as a list.

    pycocotools does not check the counts, and wrong ones make it write outside its memory.
    """
    given, counts = segmentation.get("size"), segmentation.get("counts")
    if not isinstance(given, list) or tuple(given) != size:
        raise ValueError(f"its size is {given}, but the picture's is {list(size)} (height, width)")
    if isinstance(counts, str):
        counts = _decompress(counts)
    if isinstance(counts, list):
        counts = [int(run) if isinstance(run, float) and run.is_integer() else run for run in counts]
    if not isinstance(counts, list) or not all(isinstance(run, int) and run >= 0 for run in counts):
        raise ValueError("its counts must be a string in COCO's compressed form or a list of integers from 0")
    if sum(counts) != size[0] * size[1]:
        raise ValueError(f"its counts add up to {sum(counts)}, but the picture has {size[0] * size[1]} pixels")
    return {"size": list(size), "counts": counts}


def _decompress(text: str) -> list[int]:
    """The run lengths in COCO's compressed RLE; see `rleFrString` in pycocotools' maskApi.c.

    Each character holds 5 bits of a number, lowest bits first; from the fourth number on it is the difference to the
    number two before it.
    """
    runs: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64:
            raise ValueError(f"its counts contain {character!r}, which COCO's compressed form does not use")
        value |= (bits & 31) << shift
        shift += 5
        if not bits & 32:  # the last character of the number; it holds the sign
            value -= (bits & 16) << (shift - 4)
            runs.append(value + (runs[-2] if len(runs) > 2 else 0))
            value = shift = 0
    if shift:
        raise ValueError("its counts are cut off")
    return runs
