"""COCO keypoint average precision, computed by pycocotools.

    python -m openpose.score --truth person_keypoints_val2017.json --detections detections.json

prints the figures of any detections in COCO's result format.
"""

import argparse
import contextlib
import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from openpose import skeleton as skeletons
from openpose import storage
from openpose.codec.decode import People
from openpose.errors import InputError
from openpose.records.picture import Picture
from openpose.skeleton import Skeleton

#: COCO's ten figures for keypoints, in the order of COCOeval.stats.
METRICS = ("AP", "AP50", "AP75", "APm", "APl", "AR", "AR50", "AR75", "ARm", "ARl")

_PERSON = 1  # COCO's category id


def true_people(picture: Picture, skeleton: Skeleton) -> People:
    """The labelled people of a picture, in its pixels, all with score 1."""
    return labelled_people(picture.keypoints, picture.visibility, picture.crowd, skeleton)


def labelled_people(keypoints: np.ndarray, visibility: np.ndarray, crowd: np.ndarray, skeleton: Skeleton) -> People:
    """Those of a picture's annotated people of whom a part is labelled, all with score 1.

    Args:
        keypoints: float [P, S, 2], of the data set, in pixels.
        visibility: [P, S], COCO's v.
        crowd: bool [P], regions of people who were not labelled one by one.
        skeleton: of the parts.
    """
    xy, labelled = skeleton.part_keypoints(keypoints, visibility)
    people = np.concatenate([xy, labelled[..., None].astype(np.float32)], -1)[labelled.any(1) & ~crowd]
    return People(people, np.ones(len(people), np.float32))


def average_precision(
    ground_truth: dict[str, Any] | str | Path,
    detections: list[dict[str, Any]],
    image_ids: Sequence[int] | None = None,
) -> dict[str, float | None]:
    """COCO's keypoint figures over all pictures of the set, also those without people or detections.

    Args:
        ground_truth: annotations in COCO's format, or the path of their JSON file.
        detections: COCO results of any number of pictures (`openpose.predict.results.coco_results`).
        image_ids: the pictures that count; all of the annotations' when None.

    Returns:
        The figures of `METRICS`, each within 0…1, or None where one is undefined: the set has no person (of
        that size) with labelled keypoints.

    Raises:
        InputError: the file cannot be read, or a picture of `image_ids` or of `detections` is not in it.
    """
    truth = _read(ground_truth)
    known = set(truth.getImgIds())
    chosen = known if image_ids is None else {int(i) for i in image_ids}
    _check_ids(chosen, known, "image_ids")
    _check_ids({int(d["image_id"]) for d in detections}, known, "detections")
    evaluation = COCOeval(truth, _loaded(truth, detections), "keypoints")
    evaluation.params.imgIds = sorted(chosen)
    evaluation.params.catIds = [_PERSON]
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return {name: None if value < 0 else float(value) for name, value in zip(METRICS, evaluation.stats, strict=True)}


def part_precision(
    ground_truth: dict[str, Any] | str | Path, detections: list[dict[str, Any]], skeleton: Skeleton
) -> dict[str, float | None]:
    """AP of each keypoint by itself: OKS of that one alone, over the people of whom it is labelled.

    A found person who lacks the keypoint is no detection of it, and one whose keypoint lies on somebody of whom it is
    not labelled does not count, as with COCO's own figures for people without any.

    Args:
        ground_truth: as for `average_precision`.
        detections: COCO results of pictures of the annotations.
        skeleton: its `source_parts` are the keypoints.

    Returns:
        By the keypoints' names; None where a keypoint is labelled of nobody.
    """
    truth = _read(ground_truth)
    return {
        name: _one_part_precision(truth, detections, part, np.array(skeleton.source_sigmas))
        for part, name in enumerate(skeleton.source_parts)
    }


def _one_part_precision(truth: COCO, detections: list[dict[str, Any]], part: int, sigmas: np.ndarray) -> float | None:
    labelled = []
    for annotation in truth.dataset["annotations"]:
        keypoints = np.array(annotation["keypoints"], float).reshape(-1, 3)
        keypoints[np.arange(len(keypoints)) != part, 2] = 0
        # COCOeval decides by this number whom it leaves out, and lets a detection near such a person pass.
        labelled.append(
            {**annotation, "keypoints": keypoints.ravel().tolist(), "num_keypoints": int(keypoints[part, 2] > 0)}
        )
    one = _indexed({**truth.dataset, "annotations": labelled})
    found = []
    for detection in detections:
        keypoints = np.array(detection["keypoints"], float).reshape(-1, 3)
        if keypoints[part, 2] > 0:
            # Where COCOeval compares all of a detection with a box, this one keypoint is all that there is.
            found.append({**detection, "keypoints": np.tile(keypoints[part], len(keypoints)).tolist()})
    evaluation = COCOeval(one, _loaded(one, found), "keypoints")
    evaluation.params.kpt_oks_sigmas = np.full_like(sigmas, sigmas[part])
    evaluation.params.catIds = [_PERSON]
    evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, 1e10]], ["all"]
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation.evaluate()
        evaluation.accumulate()
    precision = evaluation.eval["precision"]
    return float(precision.mean()) if (precision > -1).any() else None


def read_results(path: str | Path, skeleton: Skeleton) -> list[dict[str, Any]]:
    """Detections from a file in COCO's result format.

    Raises:
        InputError: it is none; the message names the file, the entry and the field.
    """
    entries = storage.read_json(str(path))
    if not isinstance(entries, list):
        raise InputError(f"{path}: must be a list of detections in COCO's result format, one for each found person")
    numbers = 3 * len(skeleton.source_parts)
    for index, entry in enumerate(entries):
        for name, fits, what in (
            ("image_id", lambda value: isinstance(value, int), "the number of a picture"),
            ("category_id", lambda value: value == _PERSON, f"{_PERSON} (person)"),
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


def _read(ground_truth: dict[str, Any] | str | Path) -> COCO:
    if isinstance(ground_truth, dict):
        return _indexed(ground_truth)
    dataset = storage.read_json(str(ground_truth))
    for field in ("images", "annotations", "categories"):
        if not isinstance(dataset, dict) or not isinstance(dataset.get(field), list):
            raise InputError(f"{ground_truth}: no list `{field}`; give COCO's person_keypoints file of the pictures")
    return _indexed(dataset)


def _indexed(dataset: dict[str, Any]) -> COCO:
    truth = COCO()
    # COCOeval writes into the annotations, so it gets copies.
    truth.dataset = {**dataset, "annotations": [dict(annotation) for annotation in dataset["annotations"]]}
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
    return truth


def _loaded(truth: COCO, detections: list[dict[str, Any]]) -> COCO:
    """`COCO.loadRes`, which raises IndexError on an empty list, for any list."""
    with contextlib.redirect_stdout(io.StringIO()):
        if detections:
            return truth.loadRes([dict(d) for d in detections])
        empty = COCO()
        empty.dataset = {**truth.dataset, "annotations": []}
        empty.createIndex()
    return empty


def _check_ids(ids: set[int], known: set[int], name: str) -> None:
    unknown = sorted(ids - known)
    if unknown:
        raise InputError(
            f"{name}: {len(unknown)} pictures are not in the annotations, such as {unknown[:5]}; "
            "give those of the same split"
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m openpose.score", description="COCO AP of detections in COCO's result format."
    )
    parser.add_argument("--truth", required=True, help="COCO's person_keypoints file of all pictures that count")
    parser.add_argument("--detections", required=True, help="JSON file: image_id, category_id, keypoints, score")
    values = parser.parse_args(arguments)
    person = skeletons.OPENPOSE18
    try:
        detections = read_results(values.detections, person)
        _check_ids({d["image_id"] for d in detections}, set(_read(values.truth).getImgIds()), values.detections)
        figures = average_precision(values.truth, detections)
        parts = part_precision(values.truth, detections, person)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for name, value in (*figures.items(), *((f"AP {part}", value) for part, value in parts.items())):
        print(f"{name:<18}{'undefined' if value is None else f'{value:.3f}':>9}")
    return 0
