"""COCO annotations of a scene, from the pixels of each person.

A keypoint's `v` is

    2  seen,
    1  in the picture, but behind another person or another part of the same body,
    0  outside the picture, or on the side of the head that is turned away (as COCO's annotators leave it).
"""

from collections.abc import Iterator, Sequence
from typing import Any

import cv2
import numpy as np

from openpose import skeleton
from openpose.drawn_people.body import GROUPS, groups_of
from openpose.drawn_people.colours import Array
from openpose.drawn_people.doll import Person
from openpose.drawn_people.scene import Scene

SMALL_AREA = 32**2  # pixels²; COCO labels no keypoints on smaller people
SKELETON = skeleton.get("openpose18")  # its source keypoints are COCO's
_NOT_LABELLED = [0] * (3 * len(SKELETON.source_parts))


def _loops(contours: Sequence[Array], hierarchy: Array) -> Iterator[Array]:
    """Outer contours [N, 2] with their holes joined to them by a cut of no width, as COCO has no holes."""
    for index, contour in enumerate(contours):
        if hierarchy[index][3] >= 0:
            continue
        loop, hole = contour[:, 0], hierarchy[index][2]
        while hole >= 0:
            inner = contours[hole][:, 0]
            gaps = np.abs(loop[:, None] - inner[None]).sum(2)
            at, start = np.unravel_index(gaps.argmin(), gaps.shape)
            inner = np.concatenate([inner[start:], inner[: start + 1]])
            loop = np.concatenate([loop[: at + 1], inner, loop[at:]])
            hole = hierarchy[hole][0]
        yield loop


def _polygons(mask: Array) -> list[list[float]]:
    """COCO polygons around a mask: x, y, x, y, …; pixel i lies between the coordinates i and i + 1."""
    x, y, width, height = cv2.boundingRect(mask)
    # Doubled, the contour through the outer half pixels lies a quarter of a pixel inside the true edge.
    window = np.repeat(np.repeat(mask[y : y + height, x : x + width], 2, 0), 2, 1)
    contours, hierarchy = cv2.findContours(window, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    loops = [(loop + 0.5) / 2 + [x, y] for loop in _loops(contours, hierarchy[0])]
    return [np.round(loop, 2).ravel().tolist() for loop in loops if len(loop) >= 4]


def _run_lengths(mask: Array) -> dict[str, Any]:
    """COCO's uncompressed run-length code: lengths of 0s, 1s, 0s, … down the columns."""
    flat = mask.ravel(order="F")
    edges = np.flatnonzero(np.diff(flat)) + 1
    counts = np.diff(np.concatenate([[0], edges, [flat.size]])).tolist()
    return {"size": list(mask.shape), "counts": [0, *counts] if flat[0] else counts}


def _keypoints(person: Person, owner: Array, number: int) -> list[int]:
    """x, y, v of each of COCO's keypoints; the person's own pixels in `owner` tell which ones are seen."""
    height, width = owner.shape
    triples: list[int] = []
    for name in SKELETON.source_parts:
        x, y = (round(v) for v in person.points[name][:2])
        if name in person.hidden or not (0 <= x < width and 0 <= y < height):
            triples += [0, 0, 0]
            continue
        group = owner[y, x] - 8 * number
        seen = 1 <= group <= len(GROUPS) and GROUPS[group - 1] in groups_of(name)
        triples += [x, y, 2 if seen else 1]
    return triples


def _annotation(mask: Array, keypoints: list[int], crowd: bool = False) -> dict[str, Any]:
    area = int(mask.sum())
    if area < SMALL_AREA or crowd:
        keypoints = _NOT_LABELLED
    return {
        "segmentation": _run_lengths(mask) if crowd else _polygons(mask),
        "num_keypoints": int(np.count_nonzero(keypoints[2::3])),
        "area": area,
        "iscrowd": int(crowd),
        "keypoints": keypoints,
        "bbox": list(cv2.boundingRect(mask)),
        "category_id": 1,
    }


def annotate(scene: Scene) -> list[dict[str, Any]]:
    """The scene's COCO annotations, without `id` and `image_id`: the crowd first, then the people from far to near."""
    whose = (scene.owner - 1) // 8
    annotations = []
    if (whose == 0).any():
        annotations.append(_annotation((whose == 0).astype(np.uint8), [], crowd=True))
    for number, person in enumerate(scene.people, 1):
        mask = (whose == number).astype(np.uint8)
        if mask.any():
            keypoints = _keypoints(person, scene.owner, number) if person.labelled else _NOT_LABELLED
            annotations.append(_annotation(mask, keypoints))
    return annotations
