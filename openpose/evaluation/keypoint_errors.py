"""What becomes of each labelled keypoint, and what is found where nobody is labelled.

A simple form of the error analysis of Ronchi and Perona, "Benchmarking and Error Diagnosis in Multi-Instance Pose
Estimation" (arXiv:1707.05388), whose limits these are.

Letters of the shapes: P labelled people, F found people, S keypoints of the data set.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from openpose.skeleton import Skeleton

#: What can become of a labelled keypoint, and what that means.
KINDS = {
    "right": "where it is labelled, as exactly as people label it",
    "jitter": "near where it is labelled",
    "swapped sides": "where the other side's keypoint of the same person is",
    "other person": "where the same keypoint of somebody else is",
    "elsewhere": "at none of these places",
    "missed": "not found, though its person was",
    "person missed": "its whole person was not found",
}
RIGHT, NEAR = 0.85, 0.5  #: least similarity of a keypoint that is right, and of one that is near
FOUND = 0.1  #: least OKS of a found person who stands for a labelled one


@dataclass(frozen=True)
class ErrorCounts:
    """How often each kind of error was made.

    Attributes:
        kinds: int [kinds, S]: of the labelled keypoints, in the order of `KINDS`.
        background: int [S]: found keypoints of people who are no labelled person.
        found: int [S]: all found keypoints.
    """

    kinds: np.ndarray
    background: np.ndarray
    found: np.ndarray

    @property
    def labelled(self) -> np.ndarray:
        """int [S]."""
        return self.kinds.sum(0)

    def as_dict(self, skeleton: Skeleton) -> dict[str, dict[str, int]]:
        """For each keypoint's name the counts by their names."""
        rows = (*self.kinds, self.background, self.found)
        names = (*KINDS, "background", "found")
        return {
            part: {name: int(row[number]) for name, row in zip(names, rows, strict=True)}
            for number, part in enumerate(skeleton.source_parts)
        }


def total(counts: Iterable[ErrorCounts], skeleton: Skeleton) -> ErrorCounts:
    """The sum over pictures."""
    parts = len(skeleton.source_parts)
    kinds, background, found = np.zeros((len(KINDS), parts), int), np.zeros(parts, int), np.zeros(parts, int)
    for one in counts:
        kinds, background, found = kinds + one.kinds, background + one.background, found + one.found
    return ErrorCounts(kinds, background, found)


@dataclass(frozen=True)
class PictureTruth:
    """The people of a picture as they are labelled, in its pixels.

    Attributes:
        keypoints: float [P, S, 2].
        labelled: bool [P, S].
        area: float [P], pixels².
        ignored: float [I, 4], boxes (x, y, width, height) of crowds and of people without a labelled keypoint.
    """

    keypoints: np.ndarray
    labelled: np.ndarray
    area: np.ndarray
    ignored: np.ndarray


@dataclass(frozen=True)
class Comparison:
    """A picture's truth and what was found in it.

    Attributes:
        counts: of this picture.
        quality: sum of the OKS of all people / (labelled people + found people who are nobody), 0…1; None where there
            are neither.
        missed: labelled people who were not found.
        false_positives: found people who are no labelled person.
    """

    counts: ErrorCounts
    quality: float | None
    missed: int
    false_positives: int


def compare(truth: PictureTruth, found: np.ndarray, skeleton: Skeleton) -> Comparison:
    """Which labelled person each found one is, and how right each keypoint is.

    Args:
        truth: of the picture.
        found: float [F, S, 3], x, y in pixels and a score that is 0 for what was not found; best first.
        skeleton: of the data set's keypoints.
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
    """OKS of single keypoints [F, P, S]; 0 where one of the two is not there."""
    distance = np.square(found[:, None, :, :2] - keypoints[None]).sum(-1)
    width = np.square(2 * np.array(skeleton.source_sigmas)) * (area[:, None] + np.spacing(1))
    return np.exp(-distance / (2 * width)) * (seen[:, None] & labelled[None])


def _owners(oks: np.ndarray) -> np.ndarray:
    """int [F]: the labelled person of each found one, or -1; the best found one chooses first."""
    free = np.ones(oks.shape[1], bool)
    owner = np.full(len(oks), -1)
    for number, row in enumerate(oks):
        left = np.where(free, row, 0)
        if left.max(initial=0) >= FOUND:
            owner[number] = left.argmax()
            free[owner[number]] = False
    return owner


def _kinds(own: np.ndarray, mirrored: np.ndarray, others: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """int [S]: which of `KINDS` each keypoint of a person who was found is, were it labelled."""
    conditions = [~seen, own >= RIGHT, own >= NEAR, mirrored >= NEAR, others >= NEAR]
    names = ["missed", "right", "jitter", "swapped sides", "other person"]
    order = list(KINDS)
    return np.select(conditions, [order.index(name) for name in names], order.index("elsewhere"))


def _on_ignored(found: np.ndarray, seen: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """bool [F]: at least half of a person lies in boxes that do not count."""
    points = found[:, :, None, :2]
    inside = ((points >= boxes[:, :2]) & (points <= boxes[:, :2] + boxes[:, 2:])).all(-1).any(-1)
    return (inside & seen).sum(-1) >= np.maximum(seen.sum(-1) / 2, 1)
