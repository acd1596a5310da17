"""COCO AP on 16 real pictures that a network memorised from random weights.

This checks the whole way from a picture to a person: records, targets, loss, optimiser, batch norm, decoder, scorer.
The reference is the oracle: the true maps of the same pictures at the same height, decoded and scored by the same code.

The pictures are the first in COCO's training file with only large people (COCO's definition: an area above 96² pixels),
so that a small input suffices, and with at least five labelled keypoints per person, because the decoder cannot find
people with two. Grey borders make each picture a square. Dense targets in the records switch augmentation off. The
training split holds each picture many times, which makes an epoch long; the validation split holds it once.
"""

import json
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks import _pictures, _real, oracle
from openpose.codec.decode import decode
from openpose.image_file import PADDING_GREY
from openpose.records.picture import Picture

BOUND = 0.9
PICTURES, REPEATS = 16, 128
LARGE, KEYPOINTS = 96**2, 5  # least area of a person, pixels², and least number of keypoints
SIDE = 256
RECIPE: dict[str, Any] = {
    "model": "lightweight",
    "width": 0.5,
    "size": SIDE,
    "batch_size": 8,
    "epochs": 11,
    "learning_rate": "0.002",
    "decay": "cosine",
}


def main() -> int:
    """Trains, prints both APs; returns the exit code."""
    options = _real.parser("python -m benchmarks.overfit", __doc__, "build/overfit").parse_args()
    if why := _real.reason_to_skip(options):
        print(f"overfit: {why}")
        return 0
    choose(options.data, options.out / "coco")
    made = _real.records(options.out / "coco", options.out, dense="both", size=SIDE)
    model = _real.trained(options.out, made, **RECIPE)
    reference(options.out / "coco", SIDE)
    reached = _real.ap(model, made["val"], SIDE)
    print(f"overfit: AP {reached:.3f} (bound {BOUND:.3f})")
    return 0 if reached >= BOUND else 1


def choose(source: Path, folder: Path) -> None:
    """Writes a data set of the first suitable pictures in the source's training split."""
    name = "annotations/person_keypoints_{}2017.json"
    everything = json.loads((source / name.format("train")).read_text())
    pictures = _pictures.read(source / name.format("train"), _real.OPENPOSE)
    ids = {picture.id for picture in [picture for picture in pictures if _is_clear(picture)][:PICTURES]}
    for split, repeats in (("train", REPEATS), ("val", 1)):
        (folder / f"{split}2017").mkdir(parents=True, exist_ok=True)
        images = [
            square(image, source / "train2017", folder / f"{split}2017")
            for image in everything["images"]
            if image["id"] in ids
        ]
        people = [person for person in everything["annotations"] if person["image_id"] in ids]
        both = {
            "images": [image | {"id": _copy(image["id"], n)} for n in range(repeats) for image in images],
            "annotations": [
                person | {"id": _copy(person["id"], n), "image_id": _copy(person["image_id"], n)}
                for n in range(repeats)
                for person in people
            ],
            "categories": everything["categories"],
        }
        path = folder / name.format(split)
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(both))


def _is_clear(picture: Picture) -> bool:
    labelled = (picture.visibility >= 1).sum(1)
    return bool(picture.main.any() and (picture.area > LARGE).all() and (labelled >= KEYPOINTS).all())


def square(image: dict[str, Any], source: Path, folder: Path) -> dict[str, Any]:
    """Writes a picture with a grey border on the right or below; returns its entry with the new size."""
    picture = np.asarray(cv2.imread(str(source / image["file_name"])))
    side = max(picture.shape[:2])
    below, right = side - picture.shape[0], side - picture.shape[1]
    padded = cv2.copyMakeBorder(picture, 0, below, 0, right, cv2.BORDER_CONSTANT, value=(PADDING_GREY,) * 3)
    cv2.imwrite(str(folder / image["file_name"]), padded)
    return image | {"width": side, "height": side}


def _copy(identity: int, number: int) -> int:
    """The id of a picture's or person's copy; copy 0 keeps its own."""
    return identity + number * 10_000_000_000


def reference(folder: Path, height: int) -> None:
    """Prints the oracle's figures."""
    path = folder / "annotations/person_keypoints_val2017.json"
    scenes = [oracle.encode(picture, height=height) for picture in _pictures.read(path, oracle.OPENPOSE)]
    found = [decode(scene.heatmap, scene.vectmap, oracle.OPENPOSE, oracle.PARAMETERS) for scene in scenes]
    oracle.print_row(f"reference (true maps, {height} high)", path, scenes, found)


if __name__ == "__main__":
    sys.exit(main())
