"""Makes pictures with their people from the entries of a COCO keypoint file, and checks every field."""

import math
from typing import Any

import numpy as np

from openpose.errors import InputError
from openpose.records.picture import Picture, main_persons
from openpose.skeleton import Skeleton


def person_category(categories: list[dict[str, Any]], path: str, skeleton: Skeleton) -> Any:
    """The id of the category that lists the skeleton's keypoints.

    Raises:
        InputError: no category does.
    """
    with_keypoints = [category for category in categories if category.get("keypoints")]
    if not with_keypoints:
        raise InputError(
            f"{path}: no entry of `categories` has `keypoints`; use COCO's person_keypoints file "
            "(not instances or captions), or list the names of the keypoints there"
        )
    for category in with_keypoints:
        if tuple(category["keypoints"]) == skeleton.source_parts:
            return category.get("id")
    raise InputError(
        f"{path}: `categories[].keypoints` are {with_keypoints[0]['keypoints']}, "
        f"but the skeleton {skeleton.name} needs {list(skeleton.source_parts)} in this order"
    )


def make_picture(image: dict[str, Any], people: list[dict[str, Any]], path: str, skeleton: Skeleton) -> Picture:
    """Makes a picture from the JSON entries of an image and of its people.

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
    visibility = triples[..., 2].astype(np.uint8)
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
        main=main_persons((visibility >= 1).sum(1), bbox, area, crowd),
        segmentations=tuple(_segmentation(person, (height, width), path) for person in people),
    )


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
