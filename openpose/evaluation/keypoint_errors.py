"""Kinds of errors on keypoints: where each labelled keypoint was found, and false positives.

A simple form of the error analysis of Ronchi and Perona, "Benchmarking and Error Diagnosis in Multi-Instance Pose
Estimation" (arXiv:1707.05388), with the paper's thresholds.

Shape letters: P labelled people, F found people, S keypoints of the data set.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from openpose.errors import InputError
from openpose.skeleton import Skeleton

#: What can happen to a labelled keypoint, and what that means.
KINDS = {
    "right": "as close to its label as the labels of several annotators are to each other",
    "jitter": "near its label",
    "swapped sides": "near the label of the other side's keypoint of the same person",
    "other person": "near the label of the same keypoint of another person",
    "elsewhere": "near none of these labels",
    "missed": "not found, although its person was",
    "person missed": "its whole person was not found",
}
RIGHT, NEAR = 0.85, 0.5  #: smallest OKS of a keypoint that is right, and of one that is near
FOUND = 0.1  #: smallest OKS at which a found person matches a labelled one


@dataclass(frozen=True)
class ErrorCounts:
    """Counts of each kind of error.

    Attributes:
        kinds: int [kinds, S], labelled keypoints by kind, in the order of `KINDS`.
        background: int [S], found keypoints of false positives.
        found: int [S], all found keypoints.
    """

    kinds: np.ndarray
    background: np.ndarray
    found: np.ndarray

    @property
    def labelled(self) -> np.ndarray:
        """int [S], labelled keypoints."""
        return self.kinds.sum(0)

    def to_document(self) -> dict[str, Any]:
        """The counts as JSON."""
        return {"kinds": self.kinds.tolist(), "background": self.background.tolist(), "found": self.found.tolist()}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> "ErrorCounts":
        """The counts from JSON.

        Raises:
            InputError: a count is missing or no number.
        """
        try:
            return cls(*(np.array(document[name], int) for name in ("kinds", "background", "found")))
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"not counts of errors ({type(error).__name__}: {error})") from error

    def as_dict(self, skeleton: Skeleton) -> dict[str, dict[str, int]]:
        """The counts by keypoint name, then by kind."""
        rows = (*self.kinds, self.background, self.found)
        names = (*KINDS, "background", "found")
        return {
            part: {name: int(row[number]) for name, row in zip(names, rows, strict=True)}
            for number, part in enumerate(skeleton.source_parts)
        }


def total(counts: Iterable[ErrorCounts], skeleton: Skeleton) -> ErrorCounts:
    """Sums counts over pictures."""
    parts = len(skeleton.source_parts)
    kinds, background, found = np.zeros((len(KINDS), parts), int), np.zeros(parts, int), np.zeros(parts, int)
    for one in counts:
        kinds, background, found = kinds + one.kinds, background + one.background, found + one.found
    return ErrorCounts(kinds, background, found)


@dataclass(frozen=True)
class PictureTruth:
    """The labelled people of a picture, in pixels.

    Attributes:
        keypoints: float [P, S, 2].
        labelled: bool [P, S].
        area: float [P], pixels².
        ignored: float [I, 4], boxes (x, y, width, height) of crowds and of people without a labelled keypoint; people
            found in them are not false positives.
    """

    keypoints: np.ndarray
    labelled: np.ndarray
    area: np.ndarray
    ignored: np.ndarray


@dataclass(frozen=True)
class Comparison:
    """The people found in a picture against the labelled ones.

    Attributes:
        counts: kinds of errors in this picture.
        quality: sum of the matched people's OKS / (labelled people + false positives), 0…1; None without any.
        missed: number of labelled people who were not found.
        false_positives: number of found people who match no labelled person.
    """

    counts: ErrorCounts
    quality: float | None
    missed: int
    false_positives: int


def compare(truth: PictureTruth, found: np.ndarray, skeleton: Skeleton) -> Comparison:
    """Matches the found people with the labelled ones, and judges each labelled keypoint.

    Args:
        truth: the labelled people.
        found: float [F, S, 3], x, y in pixels and score of each keypoint, score 0 where it was not found; best person
            first.
        skeleton: its `source_parts` are the keypoints.
    """
    seen = found[..., 2] > 0
    own = _similarity(found, truth.keypoints, seen, truth.labelled, truth.area, skeleton)
    flip = list(skeleton.flip_source)
    mirrored = _similarity(found, truth.keypoints[:, flip], seen, truth.labelled[:, flip], truth.area, skeleton)
    oks = own.sum(-1) / np.maximum(truth.labelled.sum(-1), 1)
    owner = _owners(oks)
    kinds = np.zeros((len(KINDS), len(skeleton.source_parts)), int)
    for number, person in enumerate(owner):
        if person >= 0:
            others = np.delete(own[number], person, 0).max(0, initial=0)
            chosen = _kinds(own[number, person], mirrored[number, person], others, seen[number])
            labelled = np.flatnonzero(truth.labelled[person])
            np.add.at(kinds, (chosen[labelled], labelled), 1)
    missed = np.setdiff1d(np.arange(len(truth.area)), owner)
    kinds[list(KINDS).index("person missed")] = truth.labelled[missed].sum(0)
    false_positives = (owner < 0) & ~_on_ignored(found, seen, truth.ignored)
    people = len(truth.area) + int(false_positives.sum())
    quality = float(sum(oks[number, person] for number, person in enumerate(owner) if person >= 0)) / max(people, 1)
    counts = ErrorCounts(kinds, seen[false_positives].sum(0), seen.sum(0))
    return Comparison(counts, quality if people else None, len(missed), int(false_positives.sum()))


def _similarity(
    found: np.ndarray,
    keypoints: np.ndarray,
    seen: np.ndarray,
    labelled: np.ndarray,
    area: np.ndarray,
    skeleton: Skeleton,
) -> np.ndarray:
    """OKS of single keypoints [F, P, S]; 0 where one is not found or not labelled."""
    distance = np.square(found[:, None, :, :2] - keypoints[None]).sum(-1)
    width = np.square(2 * np.array(skeleton.source_sigmas)) * (area[:, None] + np.spacing(1))
    return np.exp(-distance / (2 * width)) * (seen[:, None] & labelled[None])


def _owners(oks: np.ndarray) -> np.ndarray:
    """int [F]: the labelled person that each found person matches, or -1; the best found person chooses first."""
    free = np.ones(oks.shape[1], bool)
    owner = np.full(len(oks), -1)
    for number, row in enumerate(oks):
        left = np.where(free, row, 0)
        if left.max(initial=0) >= FOUND:
            owner[number] = left.argmax()
            free[owner[number]] = False
    return owner


def _kinds(own: np.ndarray, mirrored: np.ndarray, others: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """int [S]: index in `KINDS` of each keypoint of a matched person; only labelled keypoints have a meaning."""
    conditions = [~seen, own >= RIGHT, own >= NEAR, mirrored >= NEAR, others >= NEAR]
    names = ["missed", "right", "jitter", "swapped sides", "other person"]
    order = list(KINDS)
    return np.select(conditions, [order.index(name) for name in names], order.index("elsewhere"))


def _on_ignored(found: np.ndarray, seen: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """bool [F]: at least half of the person's found keypoints lie in ignored boxes."""
    points = found[:, :, None, :2]
    inside = ((points >= boxes[:, :2]) & (points <= boxes[:, :2] + boxes[:, 2:])).all(-1).any(-1)
    return (inside & seen).sum(-1) >= np.maximum(seen.sum(-1) / 2, 1)
