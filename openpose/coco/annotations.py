"""Reads COCO annotations and checks every field."""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from openpose.errors import InputError
from openpose.records.picture import Picture, main_persons, total_counts
from openpose.skeleton import Skeleton


@dataclass(frozen=True)
class Annotations:
    """A split's annotations: its pictures in the order of the file."""

    path: Path
    pictures: list[Picture]

    def counts(self) -> dict[str, int]:
        """See `records.picture.total_counts`."""
        return total_counts(self.pictures)


def load(path: str | Path, skeleton: Skeleton) -> Annotations:
    """Reads and checks a COCO keypoint file that fits in memory; `coco_index` is for those that do not.

    Raises:
        InputError: the file is missing, is no JSON, or a field is missing or wrong; the message names the
            file, the entry and what to do.
    """
    path = Path(path)
    document = _read(path)
    category = person_category(document["categories"], str(path), skeleton)
    people: dict[int, list[dict[str, Any]]] = {}
    for image in document["images"]:
        if whole_number(image, "id", str(path), "image") in people:
            raise two_images_error(str(path), image["id"])
        people[image["id"]] = []
    for annotation in document["annotations"]:
        if annotation.get("category_id", category) != category:
            continue
        if annotation.get("image_id") not in people:
            raise unknown_image_error(str(path), annotation)
        people[annotation["image_id"]].append(annotation)
    if not people:
        raise no_images_error(str(path))
    pictures = [make_picture(image, people[image["id"]], str(path), skeleton) for image in document["images"]]
    return Annotations(path, pictures)


def two_images_error(name: str, image_id: int) -> InputError:
    return InputError(f"{name}: two images have the id {image_id}; ids must be unique")


def no_images_error(name: str) -> InputError:
    return InputError(f"{name}: `images` is empty; a split needs at least one image")


def unknown_image_error(name: str, annotation: dict[str, Any]) -> InputError:
    return InputError(
        f"{name}: annotation {annotation.get('id')} has image_id {annotation.get('image_id')!r}, "
        "which is not among the images; remove it or add its image"
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such annotation file") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not valid JSON ({error}); is the file cut off? Fetch or export it again") from error
    if not isinstance(document, dict):
        raise InputError(f"{path}: a COCO file is a JSON object, this is a {type(document).__name__}")
    for field in ("images", "annotations", "categories"):
        if not isinstance(document.get(field), list) or not all(isinstance(e, dict) for e in document[field]):
            raise InputError(f"{path}: `{field}` must be a list of objects, as in COCO's person_keypoints files")
    return document


def person_category(categories: list[dict[str, Any]], path: str, skeleton: Skeleton) -> Any:
    """Id of the category whose keypoints are the skeleton's.

    Raises:
        InputError: there is none.
    """
    with_keypoints = [c for c in categories if c.get("keypoints")]
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
    """An image and its people from their entries in the JSON, checked.

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
    """A field that must be a whole number of 64 bits.

    Raises:
        InputError: it is none.
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
    """The entry's segmentation after checking that pycocotools can read it; None when it has none."""
    segmentation = person.get("segmentation")
    try:
        if isinstance(segmentation, dict):
            return _checked_rle(segmentation, size)
        if segmentation and not all(isinstance(p, list) and len(p) % 2 == 0 and _all_finite(p) for p in segmentation):
            raise ValueError("polygons are lists of finite numbers x, y, x, y, …")
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path}: `segmentation` of annotation {person.get('id')} cannot be read: {error}; "
            "mend it, or leave it out so that the box counts"
        ) from error
    return segmentation or None


def _checked_rle(segmentation: dict[str, Any], size: tuple[int, int]) -> dict[str, Any]:
    """The RLE with its counts as a list. pycocotools does not check them: wrong ones damage the process's memory."""
    if tuple(segmentation["size"]) != size:
        raise ValueError(f"its size is {segmentation['size']}, the picture's {list(size)} (height, width)")
    counts = segmentation["counts"]
    if isinstance(counts, str):
        counts = _runs_of_text(counts)
    if not isinstance(counts, list) or not all(isinstance(run, int) and run >= 0 for run in counts):
        raise ValueError("its counts must be COCO's text or a list of whole numbers")
    if sum(counts) != size[0] * size[1]:
        raise ValueError(f"its counts have the sum {sum(counts)}, the picture has {size[0] * size[1]} pixels")
    return {"size": list(size), "counts": counts}


def _runs_of_text(text: str) -> list[int]:
    """Runs of COCO's compressed RLE: numbers of 5 bits a character, lowest first, from the fourth on as differences.

    The format is that of `rleFrString` in pycocotools' maskApi.c.
    """
    runs: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64:
            raise ValueError(f"its counts hold {character!r}, which is none of COCO's characters")
        value |= (bits & 31) << shift
        shift += 5
        if not bits & 32:  # the number's last character, with its sign
            value -= (bits & 16) << (shift - 4)
            runs.append(value + (runs[-2] if len(runs) > 2 else 0))
            value = shift = 0
    if shift:
        raise ValueError("its counts are cut off")
    return runs


_LIMIT = 1e9  # no coordinate or area of a picture is larger, and all of them fit into 32 bits


def _all_finite(values: list[Any], limit: float = _LIMIT) -> bool:
    if not set(map(type, values)) <= {bool, int, float}:
        return False
    # A NaN is neither small nor large, but it makes the sum one. The built-in functions take a tenth of a loop's time.
    return -limit < min(values, default=0) and max(values, default=0) < limit and math.isfinite(sum(values))
