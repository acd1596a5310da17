"""COCO keypoint average precision (AP), computed by pycocotools."""

import contextlib
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from openpose.coco.truth import PERSON
from openpose.coco.truth import read as read_truth
from openpose.errors import InputError
from openpose.skeleton import Skeleton

#: COCO's ten figures for keypoints, in the order of COCOeval.stats.
METRICS = ("AP", "AP50", "AP75", "APm", "APl", "AR", "AR50", "AR75", "ARm", "ARl")


def average_precision(
    ground_truth: dict[str, Any] | str | Path,
    detections: list[dict[str, Any]],
    skeleton: Skeleton,
    image_ids: Sequence[int] | None = None,
) -> dict[str, float | None]:
    """Computes COCO's keypoint figures over all pictures, including those without people or detections.

    Args:
        ground_truth: annotations in COCO's format, or the path of their JSON file.
        detections: COCO results of any number of pictures (`openpose.predict.results.coco_results`).
        skeleton: its `source_parts` are the keypoints, its `source_sigmas` their OKS standard deviations.
        image_ids: the pictures to score; None for all in the annotations.

    Returns:
        The figures of `METRICS`, each within 0…1; None where a figure is undefined, because nobody (of that size)
        has a labelled keypoint.

    Raises:
        InputError: the file cannot be read, or it lacks a picture of `image_ids` or of `detections`.
    """
    truth = _indexed(_document(ground_truth))
    known = set(truth.getImgIds())
    chosen = known if image_ids is None else {int(i) for i in image_ids}
    check_ids(chosen, known, "image_ids")
    check_ids((int(d["image_id"]) for d in detections), known, "detections")
    evaluation = _evaluation(truth, detections, skeleton.source_sigmas)
    evaluation.params.imgIds = sorted(chosen)
    if not skeleton.of_people:
        evaluation.params.maxDets = [_most_detections(truth)]
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.params.maxDets = [_DETECTIONS]  # the name under which `summarize` looks for the figures
        evaluation.summarize()
    return {name: None if value < 0 else float(value) for name, value in zip(METRICS, evaluation.stats, strict=True)}


_DETECTIONS = 20  # COCO's number of people in a picture that count, the best ones


def _most_detections(truth: COCO) -> int:
    """How many detections in a picture count: COCO's number, or as many as any picture has labelled animals."""
    return max(_DETECTIONS, *map(len, truth.imgToAnns.values()), 0)


def part_precision(
    ground_truth: dict[str, Any] | str | Path, detections: list[dict[str, Any]], skeleton: Skeleton
) -> dict[str, float | None]:
    """Computes the AP of each keypoint alone, over the people with that keypoint labelled.

    A detection without the keypoint is ignored. So is one whose keypoint lies on a person without a label for it, as
    COCO ignores detections on people without any labelled keypoint.

    Args:
        ground_truth: as for `average_precision`.
        detections: COCO results of pictures of the annotations.
        skeleton: as for `average_precision`.

    Returns:
        AP by keypoint name; None where nobody has a label for that keypoint.
    """
    document = _document(ground_truth)
    return {name: _one_part(document, detections, part, skeleton) for part, name in enumerate(skeleton.source_parts)}


def _one_part(
    document: dict[str, Any], detections: list[dict[str, Any]], part: int, skeleton: Skeleton
) -> float | None:
    labelled = []
    for annotation in document["annotations"]:
        keypoints = np.array(annotation["keypoints"], float).reshape(-1, 3)
        keypoints[np.arange(len(keypoints)) != part, 2] = 0
        # COCOeval ignores people whose num_keypoints is 0, and detections near them.
        labelled.append(
            {**annotation, "keypoints": keypoints.ravel().tolist(), "num_keypoints": int(keypoints[part, 2] > 0)}
        )
    found = []
    for detection in detections:
        keypoints = np.array(detection["keypoints"], float).reshape(-1, 3)
        if keypoints[part, 2] > 0:
            # COCOeval compares all keypoints of a detection with the box of an ignored person; only this one counts.
            found.append({**detection, "keypoints": np.tile(keypoints[part], len(keypoints)).tolist()})
    sigmas = (skeleton.source_sigmas[part],) * len(skeleton.source_sigmas)
    evaluation = _evaluation(_indexed({**document, "annotations": labelled}), found, sigmas)
    evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, 1e10]], ["all"]
    if not skeleton.of_people:
        evaluation.params.maxDets = [_most_detections(evaluation.cocoGt)]
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation.evaluate()
        evaluation.accumulate()
    precision = evaluation.eval["precision"]
    return float(precision.mean()) if (precision > -1).any() else None


def check_ids(ids: Iterable[int], known: set[int], name: str) -> None:
    """Raises InputError when pictures of `name` are not among the known ones."""
    unknown = sorted(set(ids) - known)
    if unknown:
        raise InputError(
            f"{name}: {len(unknown)} pictures are not in the annotations, such as {unknown[:5]}; "
            "give those of the same split"
        )


def _document(ground_truth: dict[str, Any] | str | Path) -> dict[str, Any]:
    return ground_truth if isinstance(ground_truth, dict) else read_truth(str(ground_truth)).document


def _evaluation(truth: COCO, detections: list[dict[str, Any]], sigmas: Sequence[float]) -> COCOeval:
    evaluation = COCOeval(truth, _loaded(truth, detections), "keypoints")
    evaluation.params.kpt_oks_sigmas = np.array(sigmas)
    evaluation.params.catIds = [PERSON]
    return evaluation


def _indexed(document: dict[str, Any]) -> COCO:
    truth = COCO()
    # COCOeval writes into the annotations, so it gets copies.
    truth.dataset = {**document, "annotations": [dict(annotation) for annotation in document["annotations"]]}
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
