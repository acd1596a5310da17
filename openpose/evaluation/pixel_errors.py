"""Distances between found keypoints and their labels: RMSE, median, 90th percentile, PCK, and the share found.

Found and labelled animals are paired one to one, the closest pair first. The closeness of a pair is the mean distance
over the labelled keypoints; a keypoint that was not found, or lies farther away than the animal's size, counts as that
size. So a fragment does not take an animal away from a complete find, and one gross error does not undo a pair.

A find belongs to an animal only if one of its keypoints lies within the animal's size of its label, so that an animal
that was missed is not paired with a false positive elsewhere. In data with at most one animal in a picture, the find is
paired wherever it lies, so that its error counts. DeepLabCut 3 draws the same line.

Shape letters: P labelled animals of a picture, F found ones, A all labelled animals, S keypoints of the data set.
"""

import textwrap
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from openpose.evaluation.score import PERSON
from openpose.skeleton import Skeleton

#: The figures, and what each one means.
FIGURES = {
    "rmse": "root of the mean squared distance, pixels",
    "median_error": "median of the distance, pixels",
    "p90_error": "90th percentile of the distance, pixels",
    "pck_5": "share of the labelled keypoints that were found within 5 % of the animal's size",
    "pck_10": "share of the labelled keypoints that were found within 10 % of the animal's size",
    "found": "share of the labelled keypoints that were found",
}
MEANING = (
    "Distances (RMSE, median, 90th percentile) are in pixels of the picture, over the keypoints that were found. PCK "
    "is the share of the labelled keypoints that were found within 5 % or 10 % of the longer side of the labelled box."
)
Figures = Mapping[str, float | None]


@dataclass(frozen=True)
class PixelErrors:
    """The distances of all keypoints of a data set.

    Attributes:
        distance: float [A, S], pixels; NaN where a keypoint is not labelled or was not found.
        labelled: bool [A, S].
        size: float [A], longer side of each animal's box, pixels.
    """

    distance: np.ndarray
    labelled: np.ndarray
    size: np.ndarray

    def figures(self) -> dict[str, float | None]:
        """The figures by the names of `FIGURES`, over all keypoints; None is undefined."""
        return self._figures(slice(None))

    def by_keypoint(self, skeleton: Skeleton) -> dict[str, dict[str, float | None]]:
        """The figures of each keypoint, by its name, and `labelled`, how often it is labelled."""
        return {
            name: {**self._figures(slice(part, part + 1)), "labelled": int(self.labelled[:, part].sum())}
            for part, name in enumerate(skeleton.source_parts)
        }

    def _figures(self, parts: slice) -> dict[str, float | None]:
        distance, labelled = self.distance[:, parts], self.labelled[:, parts]
        found = distance[np.isfinite(distance)]
        sized = labelled & (self.size > 0)[:, None]  # a box without extent gives no size to compare with
        near = [distance <= share * self.size[:, None] for share in (0.05, 0.1)]  # NaN is not near
        errors = [np.sqrt(np.square(found).mean()), *np.percentile(found, [50, 90])] if len(found) else [None] * 3
        shares = [(each & sized).sum() / sized.sum() if sized.any() else None for each in near]
        shares += [len(found) / labelled.sum() if labelled.any() else None]
        values = zip(FIGURES, (*errors, *shares), strict=True)
        return {name: None if value is None else float(value) for name, value in values}


def pixel_errors(ground_truth: dict[str, Any], detections: Iterable[dict[str, Any]], skeleton: Skeleton) -> PixelErrors:
    """Pairs the found animals of each picture with the labelled ones, and measures the distances.

    As in COCO, crowds and animals without a labelled keypoint are not looked for, and finds there are not errors.

    Args:
        ground_truth: annotations in COCO's format.
        detections: COCO results of pictures of the annotations; of two equally close ones the better scored is paired.
        skeleton: its `source_parts` are the keypoints.
    """
    labels, finds = _by_picture(ground_truth["annotations"]), _by_picture(detections)
    alone = all(len(animals) == 1 for animals in labels.values())
    parts = len(skeleton.source_parts)
    distance, labelled, size = [np.zeros((0, parts))], [np.zeros((0, parts), bool)], [np.zeros(0)]
    for picture, animals in labels.items():
        keypoints = _keypoints(animals, parts)
        shown = keypoints[..., 2] > 0
        crowd = np.array([bool(animal.get("iscrowd")) for animal in animals])
        wanted = shown.any(1) & ~crowd
        sizes = np.array([max(animal["bbox"][2:]) for animal in animals], float)
        found = _keypoints(sorted(finds[picture], key=lambda find: -find["score"]), parts)
        reach = np.where(alone, 0, sizes[wanted])
        distance.append(_paired(keypoints[wanted], found, reach))
        labelled.append(shown[wanted])
        size.append(sizes[wanted])
    return PixelErrors(np.concatenate(distance), np.concatenate(labelled), np.concatenate(size))


def beside_ap(keypoints: Mapping[str, Figures], parts: Figures) -> dict[str, dict[str, float | None]]:
    """The AP of each keypoint and its pixel errors, by its name."""
    return {name: {"AP": parts.get(name), **figures} for name, figures in keypoints.items()}


def rows(figures: Figures, keypoints: Mapping[str, Figures], parts: Figures) -> dict[str, dict[str, float | None]]:
    """The rows of a table: AP and pixel errors of all keypoints together, then of each one.

    Args:
        figures: of an evaluation.
        keypoints: pixel errors of each keypoint; empty in an older evaluation, which gives no rows.
        parts: AP of each keypoint.
    """
    if not keypoints:
        return {}
    labelled = sum(each["labelled"] or 0 for each in keypoints.values())
    everything = {name: figures[name] for name in ("AP", *FIGURES)} | {"labelled": labelled}
    return {"all keypoints": everything, **beside_ap(keypoints, parts)}


def table(rows: Mapping[str, Figures]) -> list[str]:
    """Lines for a terminal: a heading, one line for each row, and what the columns mean.

    Args:
        rows: by name, each with the same figures; without rows there are no lines.
    """
    if not rows:
        return []
    columns = list(next(iter(rows.values())))
    width = max(18, *(len(name) + 2 for name in rows))
    lines = ["".join([" " * width, *(f"{column:>13}" for column in columns)])]
    for name, figures in rows.items():
        lines.append("".join([f"{name:<{width}}", *(f"{_text(*each):>13}" for each in figures.items())]))
    return [*lines, *textwrap.wrap(MEANING, len(lines[0]))]


def _text(name: str, value: float | None) -> str:
    if value is None:
        return "undefined"
    return f"{value:.0f}" if name == "labelled" else f"{value:.3f}"


def _by_picture(entries: Iterable[dict[str, Any]]) -> defaultdict[int, list[dict[str, Any]]]:
    """The animals' annotations or detections by the number of their picture."""
    pictures = defaultdict(list)
    for entry in entries:
        if entry["category_id"] == PERSON:
            pictures[entry["image_id"]].append(entry)
    return pictures


def _keypoints(animals: list[dict[str, Any]], parts: int) -> np.ndarray:
    """float [number of animals, S, 3]: x, y and COCO's v."""
    return np.array([animal["keypoints"] for animal in animals], float).reshape(-1, parts, 3)


def _paired(truth: np.ndarray, found: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Distances of the labelled keypoints of a picture from those of the paired finds, as in `PixelErrors`.

    Args:
        truth: float [P, S, 3].
        found: float [F, S, 3], best first.
        size: float [P]: how far from its label a keypoint still belongs to the animal, pixels; 0 for any distance.
    """
    shown, seen = truth[..., 2] > 0, found[..., 2] > 0
    apart = np.hypot(*(truth[:, None, :, axis] - found[None, ..., axis] for axis in (0, 1)))
    comparable = shown[:, None] & seen
    reach = np.where(size > 0, size, apart.max(initial=0) + 1)[:, None, None]
    within = comparable & (apart <= reach)
    cost = np.where(within, apart, reach).mean(-1, where=shown[:, None])
    cost[~within.any(-1)] = np.inf
    distance = np.full(shown.shape, np.nan)
    while cost.min(initial=np.inf) < np.inf:
        animal, find = np.unravel_index(cost.argmin(), cost.shape)
        distance[animal] = np.where(comparable[animal, find], apart[animal, find], np.nan)
        cost[animal], cost[:, find] = np.inf, np.inf
    return distance
