"""Scores a file of detections: the command `python -m openpose.score`."""

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from openpose import storage
from openpose.coco.categories import category_key
from openpose.coco.fates import Fate, as_counts
from openpose.coco.truth import Truth
from openpose.coco.truth import read as read_truth
from openpose.coco.values import LIMIT
from openpose.errors import InputError, reports_errors
from openpose.evaluation import pixel_errors, score
from openpose.skeleton import Skeleton


@dataclass(frozen=True)
class Files:
    """Prints the COCO AP and the pixel errors of detections in COCO's result format."""

    truth: str
    """COCO's person_keypoints file of all pictures to score."""
    detections: str
    """JSON list of the found people: image_id, category_id, keypoints, score."""


@reports_errors
def main(arguments: Sequence[str] | None = None, program: str = "python -m openpose.score") -> int:
    """The command line; returns the exit code."""
    files = tyro.cli(Files, prog=program, args=arguments)
    truth = read_truth(files.truth)
    truth.require_labelled(files.truth)
    document, skeleton = truth.document, truth.skeleton
    detections = read_results(files.detections, skeleton, truth.category)
    score.check_ids((d["image_id"] for d in detections), {i["id"] for i in document["images"]}, files.detections)
    figures = score.average_precision(document, detections, skeleton)
    parts = score.part_precision(document, detections, skeleton)
    apart = pixel_errors.pixel_errors(document, detections, skeleton)
    of_parts = {f"AP {part}": value for part, value in parts.items()}
    values = figures | of_parts | apart.figures()
    for name, value in values.items():
        print(f"{name:<18}{'undefined' if value is None else f'{value:.3f}':>9}")
    print("", *pixel_errors.table(apart.by_keypoint(skeleton)), sep="\n")
    for line in _note_on_repeats(detections) + _notes(truth, values):
        print(line, file=sys.stderr)
    return 0


#: What becomes of annotations in COCO's own files; anything else may be why an AP is low.
_USUAL = (Fate.LABELLED, Fate.UNLABELLED, Fate.CROWD)


def _note_on_repeats(detections: list[dict[str, Any]]) -> list[str]:
    """A line on detections that are there twice, which COCO counts as wrong ones."""
    different = {(each["image_id"], *each["keypoints"]) for each in detections}
    if not (count := len(detections) - len(different)):
        return []
    return [f"note: {count:,} detections are the same as another one of their picture: COCO counts them as wrong"]


def _notes(truth: Truth, values: dict[str, float | None]) -> list[str]:
    """Lines on what was read differently than it was written, and why figures are undefined."""
    unusual = {fate: count for fate, count in truth.tally.fates.items() if fate not in _USUAL}
    read = as_counts(truth.tally.corrections) | as_counts(Counter(unusual))
    lines = [f"note: {count:,} {words}" for words, count in read.items()]
    undefined = [name for name, value in values.items() if value is None]
    reasons = {
        "nobody of that size is labelled (medium: an area of 32² to 96² pixels, large: from 96² on)": [
            name for name in undefined if name in score.METRICS
        ],
        "nobody has a label for that keypoint": [name for name in undefined if name.startswith("AP ")],
        "no labelled keypoint was found, or no box has an extent": [
            name for name in undefined if name in pixel_errors.FIGURES
        ],
    }
    return lines + [f"undefined: {', '.join(names)}: {reason}" for reason, names in reasons.items() if names]


def read_results(path: str | Path, skeleton: Skeleton, category: Any = score.PERSON) -> list[dict[str, Any]]:
    """Reads detections in COCO's result format, of a category or of 1, as our commands write it.

    Returns:
        `image_id`, `category_id`, which is 1, `keypoints` and `score` of each; other fields are left out, because
        pycocotools reads some of them instead of the keypoints.

    Raises:
        InputError: the file has another format; the message names the file, the entry and the field.
    """
    entries = _entries(path)
    numbers = 3 * len(skeleton.source_parts)
    checked = []
    for index, entry in enumerate(entries):
        for name, fits, what in (
            ("image_id", lambda value: _are_finite([value], 1) and value == int(value), "the number of a picture"),
            ("category_id", lambda value: _is_category(value, category), f"{category} ({skeleton.category})"),
            ("score", lambda value: _are_finite([value], 1), "a finite number"),
            ("keypoints", lambda value: _are_finite(value, numbers), f"{numbers} finite numbers (x, y, v of each)"),
        ):
            if not isinstance(entry, dict) or name not in entry or not fits(entry[name]):
                raise InputError(f"{path}: `{name}` of entry {index} must be {what}, as in COCO's result format")
        checked.append(
            {
                "image_id": int(entry["image_id"]),
                "category_id": score.PERSON,
                "keypoints": entry["keypoints"],
                "score": entry["score"],
            }
        )
    return checked


def _entries(path: str | Path) -> list[Any]:
    entries = storage.read_json(str(path), "make it again, as a list of detections in COCO's result format")
    if isinstance(entries, dict) and "annotations" in entries:
        raise InputError(f"{path}: holds annotations; give the list of detections in COCO's result format here")
    if not isinstance(entries, list):
        raise InputError(f"{path}: must be a list of detections in COCO's result format, one for each found person")
    return entries


def _is_category(value: Any, category: Any) -> bool:
    key = category_key(value)
    return key is not None and key in (score.PERSON, category)


def _are_finite(values: Any, count: int) -> bool:
    if not isinstance(values, list) or len(values) != count:
        return False
    return all(type(value) in (int, float) and abs(value) < LIMIT for value in values)
