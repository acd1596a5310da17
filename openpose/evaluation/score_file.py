"""Scores a file of detections: the command `python -m openpose.score`."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from openpose import storage
from openpose.errors import InputError
from openpose.evaluation import pixel_errors, score
from openpose.skeleton import Skeleton, of_categories


@dataclass(frozen=True)
class Files:
    """Prints the COCO AP and the pixel errors of detections in COCO's result format."""

    truth: str
    """COCO's person_keypoints file of all pictures to score."""
    detections: str
    """JSON list of the found people: image_id, category_id, keypoints, score."""


def main(arguments: Sequence[str] | None = None, program: str = "python -m openpose.score") -> int:
    """The command line; returns the exit code."""
    files = tyro.cli(Files, prog=program, args=arguments)
    try:
        truth, category = _of_one_category(score.read_truth(files.truth))
        skeleton = of_categories(truth["categories"])
        detections = [
            {**each, "category_id": score.PERSON} for each in read_results(files.detections, skeleton, category)
        ]
        score.check_ids((d["image_id"] for d in detections), {i["id"] for i in truth["images"]}, files.detections)
        figures = score.average_precision(truth, detections, skeleton)
        parts = score.part_precision(truth, detections, skeleton)
        apart = pixel_errors.pixel_errors(truth, detections, skeleton)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    of_parts = {f"AP {part}": value for part, value in parts.items()}
    for name, value in (figures | of_parts | apart.figures()).items():
        print(f"{name:<18}{'undefined' if value is None else f'{value:.3f}':>9}")
    print("", *pixel_errors.table(apart.by_keypoint(skeleton)), sep="\n")
    return 0


def _of_one_category(truth: dict[str, Any]) -> tuple[dict[str, Any], Any]:
    """The annotations of the first category with keypoints, under COCO's id of people; and the category's own id."""
    own: dict[str, Any] = next((each for each in truth["categories"] if each.get("keypoints")), {})
    category = own.get("id", score.PERSON)
    if category == score.PERSON:
        return truth, category
    mine = [each for each in truth["annotations"] if each.get("category_id") == category]
    renamed = [{**each, "category_id": score.PERSON} for each in mine]
    return {**truth, "annotations": renamed, "categories": [{**own, "id": score.PERSON}]}, category


def read_results(path: str | Path, skeleton: Skeleton, category: Any = score.PERSON) -> list[dict[str, Any]]:
    """Reads detections in COCO's result format, of a category or of 1, as our commands write it.

    Raises:
        InputError: the file has another format; the message names the file, the entry and the field.
    """
    entries = storage.read_json(str(path))
    if not isinstance(entries, list):
        raise InputError(f"{path}: must be a list of detections in COCO's result format, one for each found person")
    numbers = 3 * len(skeleton.source_parts)
    for index, entry in enumerate(entries):
        for name, fits, what in (
            ("image_id", lambda value: isinstance(value, int), "the number of a picture"),
            ("category_id", lambda value: value in (score.PERSON, category), f"{category} ({skeleton.category})"),
            ("score", lambda value: _are_finite([value], 1), "a finite number"),
            ("keypoints", lambda value: _are_finite(value, numbers), f"{numbers} finite numbers (x, y, v of each)"),
        ):
            if not isinstance(entry, dict) or name not in entry or not fits(entry[name]):
                raise InputError(f"{path}: `{name}` of entry {index} must be {what}, as in COCO's result format")
    return entries


def _are_finite(values: Any, count: int) -> bool:
    if not isinstance(values, list) or len(values) != count:
        return False
    return all(isinstance(value, int | float) and np.isfinite(value) for value in values)
