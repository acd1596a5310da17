"""Checks an entry of a COCO file's `annotations`, field by field."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from openpose.coco import segmentations
from openpose.coco.fates import Correction
from openpose.coco.values import all_finite, flag, shown, whole_number
from openpose.errors import InputError


@dataclass(frozen=True)
class Person:
    """A checked annotation."""

    id: int
    keypoints: list[float]
    bbox: list[float] | None
    area: float | None
    crowd: bool
    segmentation: Any


@dataclass(frozen=True)
class Form:
    """How the entries of a file are written, and what of them is read.

    Attributes:
        path: what messages call the file.
        order: for each keypoint of the skeleton its number in the annotations; None if the order is the same.
        corners: whether boxes are x, y of two corners.
        regions: whether segmentations are needed; otherwise those that cannot be read are left out.
    """

    path: str
    order: Sequence[int] | None = None
    corners: bool = False
    regions: bool = True


def checked(
    entry: dict[str, Any], size: tuple[int, int], parts: int, form: Form, corrections: list[Correction]
) -> Person:
    """Checks an annotation.

    Args:
        entry: of `annotations`.
        size: height and width of its picture.
        parts: how many keypoints it has.
        form: how it is written.
        corrections: gets what was read differently than it was written.

    Raises:
        InputError: a field is missing or wrong; the message begins with the file's name.
    """
    path = form.path
    return Person(
        whole_number(entry, "id", path, f"annotation of image {shown(entry.get('image_id'))}"),
        _keypoints(entry, parts, path, corrections),
        _bbox(entry, path, form.corners, corrections),
        _area(entry, path),
        flag(entry, "iscrowd", path),
        _segmentation(entry, size, form, corrections),
    )


def _segmentation(entry: dict[str, Any], size: tuple[int, int], form: Form, corrections: list[Correction]) -> Any:
    try:
        return segmentations.checked(entry, size, form.path, corrections if form.regions else [])
    except InputError:
        if form.regions:
            raise
        return None


def _keypoints(person: dict[str, Any], parts: int, path: str, corrections: list[Correction]) -> list[float]:
    keypoints = person.get("keypoints") or [0] * (3 * parts)
    if isinstance(keypoints, list) and all(isinstance(each, list) and len(each) == 3 for each in keypoints):
        keypoints = [value for point in keypoints for value in point]
        corrections.append(Correction.NESTED)
    what = f"{path}: `keypoints` of annotation {shown(person.get('id'))}"
    if not isinstance(keypoints, list) or len(keypoints) != 3 * parts:
        found = f"{len(keypoints)} {_kind(keypoints)}" if isinstance(keypoints, list) else shown(keypoints)
        raise InputError(f"{what} has {found}; it must have {3 * parts}: x, y, v for each of the {parts} keypoints")
    if not all_finite(keypoints):
        raise InputError(f"{what} must be finite numbers with v 0, 1 or 2; they are {shown(keypoints)}")
    if not set(keypoints[2::3]) <= {0, 1, 2}:
        wrong = next(v for v in keypoints[2::3] if v not in (0, 1, 2))
        raise InputError(
            f"{what} must have v 0, 1 or 2, but one is {wrong:g}; write 2 for a visible keypoint, 1 for a hidden one, "
            "0 for one that is not labelled" + (" (a score is not a v)" if wrong % 1 else "")
        )
    return keypoints


def _kind(values: list[Any]) -> str:
    return "numbers" if all(isinstance(each, int | float) for each in values) else "entries"


def keypoint_triples(person: dict[str, Any], order: Sequence[int], path: str) -> np.ndarray:
    """x, y and v of each keypoint of the skeleton in an entry of `annotations`: float64 [S, 3].

    Raises:
        InputError: they cannot be used; the message begins with `path`.
    """
    return np.array(_keypoints(person, len(order), path, []), np.float64).reshape(-1, 3)[list(order)]


def _bbox(person: dict[str, Any], path: str, corners: bool, corrections: list[Correction]) -> list[float] | None:
    """x, y, width, height; None without a box."""
    given: Any = person.get("bbox")
    if given is None or given == []:
        return None
    box: list[float] = given
    if isinstance(box, list) and len(box) == 4 and all_finite(box) and corners:
        corrections.append(Correction.CORNERS)
        box = [box[0], box[1], box[2] - box[0], box[3] - box[1]]
    if not isinstance(box, list) or len(box) != 4 or not all_finite(box) or box[2] < 0 or box[3] < 0:
        raise InputError(
            f"{path}: `bbox` of annotation {shown(person.get('id'))} must be four finite numbers x, y, width, height; "
            f"it is {shown(given)}; correct it, or remove it so that a box around the keypoints is taken"
        )
    return box


def _area(person: dict[str, Any], path: str) -> float | None:
    area = person.get("area")
    if area is not None and (not all_finite([area]) or area < 0):
        raise InputError(
            f"{path}: `area` of annotation {shown(person.get('id'))} must be a finite number, it is {shown(area)}; "
            "correct it, or remove it so that the box's area is taken"
        )
    return area
