"""Reads all pictures of an annotation file, for benchmarks that need them in memory."""

from collections import defaultdict
from pathlib import Path
from typing import Any

from openpose import storage
from openpose.coco.annotations import make_picture
from openpose.coco.person import Form
from openpose.records.picture import Picture
from openpose.skeleton import Skeleton


def read(path: Path, skeleton: Skeleton) -> list[Picture]:
    """The pictures of a COCO keypoint file with their people, in the order of the file."""
    document = storage.read_json(path)
    people: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for annotation in document["annotations"]:
        people[annotation["image_id"]].append(annotation)
    return [make_picture(image, people[image["id"]], skeleton, Form(str(path))) for image in document["images"]]
