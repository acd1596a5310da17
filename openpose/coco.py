"""COCO annotations: people, main persons and loss masks, checked before anyone trains on them."""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as rle

from openpose.errors import InputError
from openpose.skeleton import Skeleton

# A person that a training sample may be centred on, as in the recipe of Lightweight OpenPose (arXiv:1811.12004).
MAIN_MIN_KEYPOINTS = 5
MAIN_MIN_AREA = 32**2  # pixels²
MAIN_MIN_DISTANCE = 0.3  # of the other main person's longer box side


@dataclass(frozen=True)
class Picture:
    """One image of a split with its P people.

    Attributes:
        id: the image's id.
        file_name: name inside the split's folder or archive.
        width: pixels.
        height: pixels.
        ids: int64 [P], annotation ids.
        keypoints: float32 [P, S, 2], x and y in pixels; an integer is the centre of a pixel.
        visibility: uint8 [P, S], COCO's v: 0 not labelled, 1 labelled but hidden, 2 visible.
        bbox: float32 [P, 4], x, y, width, height in pixels.
        area: float32 [P], pixels².
        crowd: bool [P], a region of people that were not labelled one by one.
        main: bool [P], a training sample may be centred on this person.
        segmentations: P entries as in the JSON: polygons, RLE, or None.
    """

    id: int
    file_name: str
    width: int
    height: int
    ids: np.ndarray
    keypoints: np.ndarray
    visibility: np.ndarray
    bbox: np.ndarray
    area: np.ndarray
    crowd: np.ndarray
    main: np.ndarray
    segmentations: tuple[Any, ...]

    @property
    def labelled(self) -> np.ndarray:
        """bool [P]: people with at least one labelled keypoint."""
        return (self.visibility >= 1).any(1) & ~self.crowd


@dataclass(frozen=True)
class Annotations:
    """A split's annotations: its pictures in the order of the file."""

    path: Path
    pictures: list[Picture]

    def counts(self) -> dict[str, int]:
        """How many images, people, … there are, under the names that manifests and summaries use."""
        return {
            "images": len(self.pictures),
            "people": sum(int((~p.crowd).sum()) for p in self.pictures),
            "people_with_keypoints": sum(int(p.labelled.sum()) for p in self.pictures),
            "main_persons": sum(int(p.main.sum()) for p in self.pictures),
            "samples": sum(bool(p.main.any()) for p in self.pictures),
            "crowds": sum(int(p.crowd.sum()) for p in self.pictures),
        }

    def keypoint_counts(self) -> np.ndarray:
        """int64 [S]: how often each keypoint is labelled."""
        return sum((p.visibility >= 1).sum(0) for p in self.pictures)


def load(path: str | Path, skeleton: Skeleton) -> Annotations:
    """Reads and checks a COCO keypoint file.

    Raises:
        InputError: the file is missing, is no JSON, or a field is missing or wrong; the message names the
            file, the entry and what to do.
    """
    path = Path(path)
    document = _read(path)
    category = _keypoint_category(document, path, skeleton)
    people: dict[int, list[dict[str, Any]]] = {}
    for image in document["images"]:
        if _number(image, "id", path, "image") in people:
            raise InputError(f"{path}: two images have the id {image['id']}; ids must be unique")
        people[image["id"]] = []
    for annotation in document["annotations"]:
        if annotation.get("category_id", category) != category:
            continue
        if annotation.get("image_id") not in people:
            raise InputError(
                f"{path}: annotation {annotation.get('id')} has image_id {annotation.get('image_id')!r}, "
                "which is not among the images; remove it or add its image"
            )
        people[annotation["image_id"]].append(annotation)
    if not people:
        raise InputError(f"{path}: `images` is empty; a split needs at least one image")
    pictures = [_picture(image, people[image["id"]], path, skeleton) for image in document["images"]]
    return Annotations(path, pictures)


def loss_mask(picture: Picture) -> np.ndarray:
    """Where the loss counts: uint8 [height, width], 1 counts, 0 does not.

    0 on crowds and on people without a labelled keypoint, but 1 again on the region of labelled people.

    Raises:
        InputError: a segmentation does not fit its picture.
    """
    size = (picture.height, picture.width)
    unlabelled, labelled = np.zeros(size, bool), np.zeros(size, bool)
    if not picture.labelled.all():
        for person, is_labelled in enumerate(picture.labelled):
            (labelled if is_labelled else unlabelled)[...] |= region(picture, person)
    return (~unlabelled | labelled).astype(np.uint8)


def region(picture: Picture, person: int) -> np.ndarray:
    """Pixels of one person or crowd: bool [height, width]; all its polygons, or its box when it has none.

    Raises:
        InputError: the segmentation cannot be read or has another size than the picture.
    """
    size = (picture.height, picture.width)
    segmentation = picture.segmentations[person]
    try:
        if isinstance(segmentation, dict):
            if tuple(segmentation["size"]) != size:
                raise ValueError(f"its size is {segmentation['size']}, the picture's {list(size)}")
            encoded = segmentation
            if isinstance(segmentation["counts"], list):
                encoded = rle.frPyObjects(segmentation, *size)
            return rle.decode(encoded).astype(bool)
        # Four numbers would be read as a box by pycocotools, and less than three points have no area.
        polygons = [p for p in segmentation or [] if len(p) >= 6]
        if polygons:
            return rle.decode(rle.merge(rle.frPyObjects(polygons, *size))).astype(bool)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{picture.file_name}: `segmentation` of annotation {picture.ids[person]} cannot be read: {error}"
        ) from error
    return _box_region(picture.bbox[person], size)


def _box_region(box: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    x, y, width, height = box
    rows, columns = np.arange(size[0])[:, None], np.arange(size[1])[None, :]
    return (rows >= np.floor(y)) & (rows < y + height) & (columns >= np.floor(x)) & (columns < x + width)


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


def _keypoint_category(document: dict[str, Any], path: Path, skeleton: Skeleton) -> Any:
    with_keypoints = [c for c in document["categories"] if c.get("keypoints")]
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


def _picture(image: dict[str, Any], people: list[dict[str, Any]], path: Path, skeleton: Skeleton) -> Picture:
    width, height = (int(_number(image, field, path, f"image {image['id']}")) for field in ("width", "height"))
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
        ids=np.array([_number(person, "id", path, "annotation") for person in people], np.int64),
        keypoints=triples[..., :2].astype(np.float32),
        visibility=visibility,
        bbox=bbox,
        area=area,
        crowd=crowd,
        main=_main_persons((visibility >= 1).sum(1), bbox, area, crowd),
        segmentations=tuple(person.get("segmentation") for person in people),
    )


def _main_persons(num_keypoints: np.ndarray, bbox: np.ndarray, area: np.ndarray, crowd: np.ndarray) -> np.ndarray:
    candidate = (num_keypoints >= MAIN_MIN_KEYPOINTS) & (area >= MAIN_MIN_AREA) & ~crowd
    main = np.zeros(len(bbox), bool)
    centres = bbox[:, :2] + bbox[:, 2:] / 2
    for person in np.flatnonzero(candidate):
        distances = np.linalg.norm(centres[main] - centres[person], axis=1)
        main[person] = (distances >= MAIN_MIN_DISTANCE * bbox[main, 2:].max(1, initial=0)).all()
    return main


def _number(entry: dict[str, Any], field: str, path: Path, what: str) -> int:
    value = entry.get(field)
    if (
        not isinstance(value, (int, float))
        or isinstance(value, bool)
        or not math.isfinite(value)
        or value != int(value)
    ):
        raise InputError(f"{path}: `{field}` of an entry ({what}) must be a whole number, it is {value!r}")
    return int(value)


def _keypoints(person: dict[str, Any], parts: int, path: Path) -> list[float]:
    keypoints = person.get("keypoints") or [0] * (3 * parts)
    if not isinstance(keypoints, list) or len(keypoints) != 3 * parts:
        raise InputError(
            f"{path}: `keypoints` of annotation {person.get('id')} has {len(keypoints)} numbers; "
            f"it must have {3 * parts}: x, y, v for each of the {parts} keypoints"
        )
    if not _all_finite(keypoints) or not set(keypoints[2::3]) <= {0, 1, 2}:
        raise InputError(
            f"{path}: `keypoints` of annotation {person.get('id')} must be finite numbers with v 0, 1 or 2; "
            f"they are {keypoints}"
        )
    return keypoints


def _bbox(person: dict[str, Any], path: Path) -> list[float]:
    box = person.get("bbox")
    if not isinstance(box, list) or len(box) != 4 or not _all_finite(box) or box[2] < 0 or box[3] < 0:
        raise InputError(
            f"{path}: `bbox` of annotation {person.get('id')} must be four finite numbers x, y, width, height; "
            f"it is {box!r}"
        )
    return box


def _area(person: dict[str, Any], path: Path) -> float:
    area = person.get("area", person["bbox"][2] * person["bbox"][3])
    if not _all_finite([area]) or area < 0:
        raise InputError(f"{path}: `area` of annotation {person.get('id')} must be a finite number, it is {area!r}")
    return area


def _all_finite(values: list[Any]) -> bool:
    return all(isinstance(v, (int, float)) and math.isfinite(v) for v in values)
