"""COCO keypoint average precision, computed by pycocotools."""

import contextlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from openpose import storage
from openpose.coco import Picture
from openpose.decode import People
from openpose.errors import InputError
from openpose.skeleton import Skeleton

#: COCO's ten figures for keypoints, in the order of COCOeval.stats.
METRICS = ("AP", "AP50", "AP75", "APm", "APl", "AR", "AR50", "AR75", "ARm", "ARl")

_PERSON = 1  # COCO's category id


def results(image_id: int, people: People, skeleton: Skeleton) -> list[dict[str, Any]]:
    """People of one picture, in pixels of that picture, in COCO's result format.

    Coordinates stay floating point. A keypoint that was not found is 0, 0 with visibility 0.
    """
    source = skeleton.to_source_keypoints(people.keypoints).astype(np.float64)
    source[source[..., 2] <= 0] = 0
    source[..., 2] = source[..., 2] > 0
    return [
        {
            "image_id": int(image_id),
            "category_id": _PERSON,
            "keypoints": person.ravel().tolist(),
            "score": float(score),
        }
        for person, score in zip(source, people.scores, strict=True)
    ]


def true_people(picture: Picture, skeleton: Skeleton) -> People:
    """The labelled people of a picture, in its pixels, all with score 1."""
    keypoints, labelled = skeleton.part_keypoints(picture.keypoints, picture.visibility)
    people = np.concatenate([keypoints, labelled[..., None].astype(np.float32)], -1)
    people = people[labelled.any(1) & ~picture.crowd]
    return People(people, np.ones(len(people), np.float32))


def average_precision(
    ground_truth: dict[str, Any] | str | Path,
    detections: list[dict[str, Any]],
    image_ids: Sequence[int] | None = None,
) -> dict[str, float | None]:
    """COCO's keypoint figures over all pictures of the set, also those without people or detections.

    Args:
        ground_truth: annotations in COCO's format, or the path of their JSON file.
        detections: COCO results of any number of pictures (see `results`).
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
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(truth, _loaded(truth, detections), "keypoints")
        evaluation.params.imgIds = sorted(chosen)
        evaluation.params.catIds = [_PERSON]
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return {name: None if value < 0 else float(value) for name, value in zip(METRICS, evaluation.stats, strict=True)}


def _read(ground_truth: dict[str, Any] | str | Path) -> COCO:
    dataset = ground_truth if isinstance(ground_truth, dict) else storage.read_json(ground_truth)
    truth = COCO()
    # COCOeval writes into the annotations, so it gets copies.
    truth.dataset = {**dataset, "annotations": [dict(annotation) for annotation in dataset["annotations"]]}
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
    return truth


def _loaded(truth: COCO, detections: list[dict[str, Any]]) -> COCO:
    """`COCO.loadRes`, which raises IndexError on an empty list, for any list."""
    if detections:
        return truth.loadRes([dict(d) for d in detections])
    empty = COCO()
    empty.dataset = {**truth.dataset, "annotations": []}
    empty.createIndex()
    return empty


def _check_ids(ids: set[int], known: set[int], name: str) -> None:
    unknown = sorted(ids - known)
    if unknown:
        raise InputError(f"{name}: {len(unknown)} pictures are not in the annotations, such as {unknown[:5]}")
