"""Makes pictures with their people from the entries of a COCO keypoint file, and checks every field."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from openpose.errors import InputError
from openpose.records.picture import Picture, main_persons
from openpose.skeleton import OPENPOSE18, Skeleton


@dataclass(frozen=True)
class Labels:
    """Which annotations of a file count, and the order of their keypoints.

    Attributes:
        category: id of their category.
        order: for each keypoint of the skeleton its number in the file.
        name: of the category.
    """

    category: Any
    order: tuple[int, ...]
    name: str = ""


def category_with_keypoints(categories: list[dict[str, Any]], path: str, name: str = "") -> dict[str, Any]:
    """The entry of `categories` that is used: the one with this name, or else the only one that has keypoints.

    Raises:
        InputError: there is none, or there are several; the message lists their names.
    """
    with_keypoints = [category for category in categories if category.get("keypoints")]
    if not with_keypoints:
        raise InputError(
            f"{path}: no entry of `categories` has `keypoints`; use COCO's person_keypoints file "
            "(not instances or captions), or list the names of the keypoints there"
        )
    names = ", ".join(str(category.get("name")) for category in with_keypoints)
    if name:
        for category in with_keypoints:
            if category.get("name") == name:
                return category
        raise InputError(f"{path}: no category with keypoints is called {name!r}; there are: {names}")
    people = [each for each in with_keypoints if tuple(each["keypoints"]) == OPENPOSE18.source_parts]
    if len(with_keypoints) > 1 and len(people) != 1:
        raise InputError(f"{path}: several categories have keypoints: {names}; choose one with `category`")
    return (people or with_keypoints)[0]


def labels_of(categories: list[dict[str, Any]], path: str, skeleton: Skeleton, category: str = "") -> Labels:
    """The annotations of a file that hold the skeleton's keypoints; these are found by name.

    Args:
        categories: of the file.
        path: what messages call the file.
        skeleton: of the keypoints.
        category: name of the category; empty for the only one that has keypoints.

    Raises:
        InputError: the category is missing, or has other keypoints.
    """
    chosen = category_with_keypoints(categories, path, category)
    order = keypoint_order(chosen, path, skeleton.source_parts, f"the skeleton {skeleton.name}")
    return Labels(chosen.get("id"), order, str(chosen.get("name")))


def keypoint_order(category: dict[str, Any], path: str, wanted: Sequence[str], whose: str) -> tuple[int, ...]:
    """For each wanted keypoint its number in the category.

    Raises:
        InputError: the category has other keypoints; the message lists both.
    """
    found = list(category["keypoints"])
    if sorted(map(str, found)) == sorted(wanted):
        return tuple(found.index(name) for name in wanted)
    missing = [name for name in wanted if name not in found]
    unknown = [name for name in found if name not in wanted]
    differ = [
        f"{what} {', '.join(map(str, names))}"
        for what, names in (("missing:", missing), ("unknown:", unknown))
        if names
    ]
    raise InputError(
        f"{path}: `categories[].keypoints` are {found}, but {whose} needs {list(wanted)}, in any order"
        f" ({'; '.join(differ) or 'a name is there twice'})"
    )


def make_picture(
    image: dict[str, Any],
    people: list[dict[str, Any]],
    path: str,
    skeleton: Skeleton,
    order: Sequence[int] | None = None,
) -> Picture:
    """Makes a picture from the JSON entries of an image and of its people.

    Args:
        image: entry of `images`.
        people: entries of `annotations`.
        path: what messages call the file.
        skeleton: of the keypoints.
        order: for each keypoint of the skeleton its number in the annotations; None if the order is the same.

    Raises:
        InputError: a field is missing or wrong; the message begins with `path`.
    """
    width, height = (int(whole_number(image, field, path, f"image {image['id']}")) for field in ("width", "height"))
    if width < 1 or height < 1:
        raise InputError(
            f"{path}: image {image['id']} is {width}×{height} pixels; `width` and `height` must be positive"
        )
    if not isinstance(image.get("file_name"), str) or not image["file_name"]:
        raise InputError(f"{path}: image {image['id']} has no `file_name`")
    parts = len(skeleton.source_parts)
    triples = np.array([_keypoints(person, parts, path) for person in people], np.float64).reshape(-1, parts, 3)
    bbox = np.array([_bbox(person, path) for person in people], np.float32).reshape(-1, 4)
    area = np.array([_area(person, path) for person in people], np.float32)
    crowd = np.array([bool(person.get("iscrowd")) for person in people], bool)
    if order is not None:
        triples = triples[:, list(order)]
    visibility = triples[..., 2].astype(np.uint8)
    if not skeleton.of_people:
        area = _area_at_least(area, bbox, max(width, height))
    return Picture(
        id=image["id"],
        file_name=image["file_name"],
        width=width,
        height=height,
        ids=np.array([whole_number(person, "id", path, "annotation") for person in people], np.int64),
        keypoints=triples[..., :2].astype(np.float32),
        visibility=visibility,
        bbox=bbox,
        area=area,
        crowd=crowd,
        main=main_persons((visibility >= 1).sum(1), bbox, area, crowd, skeleton),
        segmentations=tuple(_segmentation(person, (height, width), path) for person in people),
    )


_POINT = 0.2  # of the picture's longer side: the size of an animal that has no extent


def _area_at_least(area: np.ndarray, bbox: np.ndarray, picture: int) -> np.ndarray:
    """The areas, with a substitute for 0, where OKS is undefined: of animals that are one point, or points in a line.

    A line counts as a square of half its length, a point as a square of a fifth of the picture.
    """
    length = bbox[:, 2:].max(1, initial=0) / 2
    return np.where(area > 0, area, np.where(length >= 1, length, _POINT * picture) ** 2).astype(np.float32)


def keypoint_triples(person: dict[str, Any], order: Sequence[int], path: str) -> np.ndarray:
    """x, y and v of each keypoint of the skeleton in an entry of `annotations`: float64 [S, 3].

    Raises:
        InputError: they cannot be used; the message begins with `path`.
    """
    return np.array(_keypoints(person, len(order), path), np.float64).reshape(-1, 3)[list(order)]


def whole_number(entry: dict[str, Any], field: str, path: str, what: str) -> int:
    """The value of a field that must hold a 64-bit integer.

    Raises:
        InputError: the field holds something else.
    """
    value: Any = entry.get(field)
    if isinstance(value, bool) or not _all_finite([value], 2**63) or value != int(value):
        raise InputError(f"{path}: `{field}` of an entry ({what}) must be a whole number, it is {value!r}")
    return int(value)


def _keypoints(person: dict[str, Any], parts: int, path: str) -> list[float]:
    keypoints = person.get("keypoints") or [0] * (3 * parts)
    if not isinstance(keypoints, list) or len(keypoints) != 3 * parts:
        found = f"{len(keypoints)} numbers" if isinstance(keypoints, list) else repr(keypoints)
        raise InputError(
            f"{path}: `keypoints` of annotation {person.get('id')} has {found}; "
            f"it must have {3 * parts}: x, y, v for each of the {parts} keypoints"
        )
    if not _all_finite(keypoints) or not set(keypoints[2::3]) <= {0, 1, 2}:
        raise InputError(
            f"{path}: `keypoints` of annotation {person.get('id')} must be finite numbers with v 0, 1 or 2; "
            f"they are {keypoints}"
        )
    return keypoints


def _bbox(person: dict[str, Any], path: str) -> list[float]:
    box = person.get("bbox")
    if not isinstance(box, list) or len(box) != 4 or not _all_finite(box) or box[2] < 0 or box[3] < 0:
        raise InputError(
            f"{path}: `bbox` of annotation {person.get('id')} must be four finite numbers x, y, width, height; "
            f"it is {box!r}"
        )
    return box


def _area(person: dict[str, Any], path: str) -> float:
    area = person.get("area", person["bbox"][2] * person["bbox"][3])
    if not _all_finite([area]) or area < 0:
        raise InputError(f"{path}: `area` of annotation {person.get('id')} must be a finite number, it is {area!r}")
    return area


def _segmentation(person: dict[str, Any], size: tuple[int, int], path: str) -> Any:
    """The person's segmentation, or None; raises InputError if pycocotools could not read it."""
    segmentation = person.get("segmentation")
    try:
        if isinstance(segmentation, dict):
            return _checked_rle(segmentation, size)
        if segmentation and not all(isinstance(p, list) and len(p) % 2 == 0 and _all_finite(p) for p in segmentation):
            raise ValueError("polygons are lists of finite numbers x, y, x, y, …")
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path}: `segmentation` of annotation {person.get('id')} cannot be read: {error}; "
            "correct it, or remove it so that the bounding box is used"
        ) from error
    return segmentation or None


def _checked_rle(segmentation: dict[str, Any], size: tuple[int, int]) -> dict[str, Any]:
    """The RLE with its counts as a list.

    pycocotools does not check the counts, and wrong ones make it write outside its memory.
    """
    if tuple(segmentation["size"]) != size:
        raise ValueError(f"its size is {segmentation['size']}, but the picture's is {list(size)} (height, width)")
    counts = segmentation["counts"]
    if isinstance(counts, str):
        counts = _decompress(counts)
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


_LIMIT = 1e9  # larger than every coordinate or area of a picture, and fits into a float32


def _all_finite(values: list[Any], limit: float = _LIMIT) -> bool:
    if not set(map(type, values)) <= {bool, int, float}:
        return False
    # min and max may miss a NaN, but it makes the sum NaN. Built-in functions take a tenth of a loop's time.
    return -limit < min(values, default=0) and max(values, default=0) < limit and math.isfinite(sum(values))
