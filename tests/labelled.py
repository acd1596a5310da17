"""COCO's annotations of labelled people in pictures of 80×60."""

from collections.abc import Sequence
from typing import Any

from openpose.coco import annotations
from openpose.coco.person import Form
from openpose.records.picture import Picture
from openpose.skeleton import OPENPOSE18

NAME = "person_keypoints_train2017.json"


def person(**changes: Any) -> dict[str, Any]:
    """A person in the first picture whose 17 keypoints are all labelled.

    Boxes of different ids differ by less than a float32 shows, so that no two people are the same.
    """
    number = changes.get("id", 7)
    return {
        "id": 7,
        "image_id": 1,
        "category_id": 1,
        "keypoints": [value for k in range(17) for value in (10 + k, 20 + k, 2)],
        "num_keypoints": 17,
        "bbox": [5, 5, 40, 50 + (number % 1000 * 1e-9 if isinstance(number, int) else 0)],
        "area": 1500,
        "iscrowd": 0,
        "segmentation": [[5, 5, 45, 5, 45, 55, 5, 55]],
    } | changes


def document(people: Sequence[dict[str, Any]], pictures: Sequence[str] = ("a.jpg",)) -> dict[str, Any]:
    """An annotation file; the pictures are numbered from 1."""
    sizes = {"width": 80, "height": 60}
    return {
        "images": [{"id": number, "file_name": name, **sizes} for number, name in enumerate(pictures, start=1)],
        "annotations": list(people),
        "categories": [{"id": 1, "name": "person", "keypoints": list(OPENPOSE18.source_parts), "skeleton": []}],
    }


def picture(*people: dict[str, Any]) -> Picture:
    """A picture as it is read from an annotation file; each person is given by what differs from `person`."""
    labelled = [person(**({"id": number} | changes)) for number, changes in enumerate(people)]
    (image,) = document(labelled)["images"]
    return annotations.make_picture(image, labelled, OPENPOSE18, Form(NAME))
