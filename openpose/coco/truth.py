"""Reads a COCO keypoint file for scoring, with the checks of the data step, and numbers its entries from 1."""

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np

from openpose import storage
from openpose.coco import annotations
from openpose.coco.box_form import BoxForm
from openpose.coco.categories import Labels, category_key, labels_of, with_keypoints
from openpose.coco.fates import Fate, Tally, as_counts, why_unlabelled
from openpose.coco.json_stream import OpenFile, items
from openpose.coco.person import Form
from openpose.coco.values import all_finite, shown, whole_number
from openpose.errors import InputError
from openpose.skeleton import OPENPOSE18, Skeleton, of_categories

PERSON = 1  # COCO's category id


@dataclass(frozen=True)
class Truth:
    """The annotations of one category.

    Attributes:
        document: in COCO's format; each annotation has all fields, and the category is 1.
        skeleton: of the keypoints, in the order of the file.
        category: the category's own id, as `category_key` makes it.
        tally: what became of the annotations.
    """

    document: dict[str, Any]
    skeleton: Skeleton
    category: Any
    tally: Tally

    def require_labelled(self, path: str) -> None:
        """Refuses annotations for which every figure is undefined.

        Raises:
            InputError: nobody has a labelled keypoint; the message says why.
        """
        if not self.tally.fates[Fate.LABELLED]:
            raise InputError(
                f"{path}: nobody has a labelled keypoint that counts, so that AP is undefined; "
                f"{why_unlabelled(as_counts(self.tally.fates))}"
            )


def read(path: str) -> Truth:
    """Reads a COCO person_keypoints file, or one of another category with keypoints.

    Of several categories with keypoints that of COCO's people is read, or else the first. Without any, the
    annotations are taken for COCO's 17 keypoints.

    Raises:
        InputError: the file is missing, or a field that is needed is missing or wrong; the message names the file, the
            entry, the field and the cure.
    """
    place = storage.path(path)

    def open_file() -> Any:
        return storage.open_binary(place)

    if storage.size(place) is None:
        raise InputError(f"{path}: no such file")
    categories = list(items(open_file, "categories", path))
    skeleton, labels = _category(categories, path)
    images, boxes = _images(open_file, path)
    people: dict[int, tuple[list[dict[str, Any]], list[dict[str, Any]]]] = defaultdict(lambda: ([], []))
    tally = Tally()
    for number, entry in enumerate(items(open_file, "annotations", path), 1):
        fate = labels.fate(entry, path)
        if fate is Fate.OTHER:
            tally.fates[Fate.OTHER] += 1
            continue
        image_id = _image_of(entry, number, images, path)
        boxes.add(entry)
        people[image_id][int(fate is Fate.SAME_KIND)].append(_with_id(entry, number, path))
    entries = list[dict[str, Any]]()
    form = Form(path, labels.order, boxes.corners, regions=False)
    for image_id, (own, others) in people.items():
        size = images[image_id] or _extent(own + others)
        checked = annotations.check(own, size, skeleton, form, others, tally)
        entries += _entries(checked, image_id, len(entries))
    document = {
        "images": [{"id": image_id} for image_id in images],
        "annotations": entries,
        "categories": [skeleton.coco_category()],
    }
    return Truth(document, skeleton, labels.category, tally)


def _category(categories: list[dict[str, Any]], path: str) -> tuple[Skeleton, Labels]:
    """The skeleton, and the annotations that hold its keypoints."""
    listed = with_keypoints(categories, path)
    try:
        skeleton = of_categories(categories)
    except InputError as error:
        raise InputError(f"{path}: `categories`: {error}") from error
    if listed:
        own = next((each for each in listed if tuple(each["keypoints"]) == skeleton.source_parts), listed[0])
        # The chosen one alone has keypoints here, so that others do not make the choice unclear.
        plain = [each if each is own else {**each, "keypoints": None} for each in categories]
        return skeleton, labels_of(plain, path, skeleton)
    person = next((each for each in categories if each.get("name") == "person"), categories[0] if categories else {})
    own_id = person.get("id", PERSON)
    named = {**person, "id": own_id, "keypoints": list(OPENPOSE18.source_parts)}
    others = [each for each in categories if each is not person]
    return skeleton, labels_of([named, *others], path, skeleton)


def _images(open_file: OpenFile, path: str) -> tuple[dict[int, tuple[int, int] | None], BoxForm]:
    """The size of each image by its id, None where the file does not say it."""
    images, boxes = dict[int, tuple[int, int] | None](), BoxForm()
    for number, image in enumerate(items(open_file, "images", path), 1):
        image_id = whole_number(image, "id", path, f"number {number} of `images`")
        if image_id in images:
            raise InputError(f"{path}: two images have the id {image_id}; give each image a number of its own")
        width: Any = image.get("width")
        height: Any = image.get("height")
        known = all_finite([width, height]) and min(width, height) >= 1
        images[image_id] = (int(width), int(height)) if known else None
        boxes.add_image(image)
    return images, boxes


def _image_of(entry: dict[str, Any], number: int, images: dict[int, Any], path: str) -> int:
    what = shown(entry.get("id")) if entry.get("id") is not None else f"number {number}"
    image_id = whole_number(entry, "image_id", path, f"annotation {what}")
    if image_id not in images:
        raise InputError(
            f"{path}: annotation {what} has image_id {image_id}, which is not among the images; remove it or add its "
            "image"
        )
    return image_id


def _with_id(entry: dict[str, Any], number: int, path: str) -> dict[str, Any]:
    """The entry with its number as id where it has none; ids are for messages only."""
    if "area" in entry and entry["area"] is None:
        raise InputError(
            f"{path}: `area` of annotation {shown(entry.get('id', number))} is null, and OKS divides by it; write its "
            "pixels, or leave the field out so that the box's area is taken"
        )
    return entry if isinstance(category_key(entry.get("id")), int) else {**entry, "id": number}


def _extent(people: list[dict[str, Any]]) -> tuple[int, int]:
    """A size of picture that holds all keypoints and boxes, where the file says none."""
    largest = 1.0
    for entry in people:
        for field in ("keypoints", "bbox"):
            values = entry.get(field)
            if isinstance(values, list) and all_finite(values):
                largest = max(largest, *values, sum(values[-2:]))
    return (int(largest) + 1, int(largest) + 1)


def _entries(people: annotations.People, image_id: int, before: int) -> list[dict[str, Any]]:
    """Entries of `annotations` as COCO has them; the first one's id is one more than `before`."""
    labelled = (people.triples[..., 2] > 0).sum(1)
    return [
        {
            "id": before + number + 1,
            "image_id": image_id,
            "category_id": PERSON,
            "iscrowd": int(people.crowd[number]),
            "area": float(people.area[number]),
            "bbox": people.bbox[number].tolist(),
            "keypoints": np.ravel(people.triples[number]).tolist(),
            "num_keypoints": int(labelled[number]),
        }
        for number in range(len(people.ids))
    ]
