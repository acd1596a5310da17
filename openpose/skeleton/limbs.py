"""Limbs that join all parts: those that are given, and others chosen from labelled animals.

A good limb joins parts that are often labelled together and whose distance varies little in proportion to the animal,
because its vectmap is then easy to learn. DeepLabCut prunes a graph by its data for the same reason (Lauer et al.,
"Multi-animal pose estimation, identification and tracking with DeepLabCut", Nature Methods 2022).
"""

from collections.abc import Iterable, Sequence

import numpy as np

_NEVER = 1e6  # cost of a pair that is never labelled together
_LENGTH = 0.1  # of two pairs that vary alike the shorter one is chosen
Limb = tuple[int, int]


class Distances:
    """How the distance between each pair of parts varies over labelled animals, in proportion to their size.

    Args:
        parts: number of parts, K.

    Attributes:
        animals: number of animals with two or more labelled parts.
    """

    def __init__(self, parts: int) -> None:
        self.animals = 0
        self._count, self._sum, self._squares = (np.zeros((parts, parts)) for _ in range(3))

    def add(self, keypoints: np.ndarray, labelled: np.ndarray) -> None:
        """Adds animals.

        Args:
            keypoints: float [P, K, 2], pixels.
            labelled: bool [P, K].
        """
        for xy, seen in zip(keypoints, labelled, strict=True):
            at = np.flatnonzero(seen)
            size = float(np.ptp(xy[at], 0).max()) if len(at) > 1 else 0.0  # longer side of the box about the parts
            if size > 0:
                distance = np.linalg.norm(xy[at, None] - xy[at], axis=-1) / size
                pairs = np.ix_(at, at)
                self.animals += 1
                self._count[pairs] += 1
                self._sum[pairs] += distance
                self._squares[pairs] += distance**2

    def costs(self) -> np.ndarray:
        """float [K, K]: the smaller, the better is a limb between two parts."""
        count = np.maximum(self._count, 1)
        mean = self._sum / count
        deviation = np.sqrt(np.maximum(self._squares / count - mean**2, 0))
        together = self._count / max(self._count.max(), 1)
        return np.where(self._count > 0, (deviation + _LENGTH * mean) / np.maximum(together, 1e-6), _NEVER)


def is_connected(limbs: Iterable[Limb], parts: int) -> bool:
    """Whether the limbs join all parts."""
    group = list(range(parts))
    for a, b in limbs:
        _join(group, a, b)
    return len(set(group)) == 1


def mirrored_too(limbs: Sequence[Limb], flip: Sequence[int]) -> list[Limb]:
    """The limbs, and the mirror image of each one that lacks it.

    Args:
        limbs: pairs of parts.
        flip: the mirror image of each part.
    """
    whole = list(limbs)
    for a, b in limbs:
        image = flip[a], flip[b]
        if image not in whole and image[::-1] not in whole:
            whole.append(image)
    return whole


def joined(limbs: Sequence[Limb], flip: Sequence[int], costs: np.ndarray) -> list[Limb]:
    """The limbs, and the cheapest others that join all parts (a minimum spanning tree), with their mirror images.

    Args:
        limbs: pairs of parts.
        flip: the mirror image of each part.
        costs: of a limb between two parts, from `Distances`.
    """
    whole, parts = mirrored_too(limbs, flip), len(flip)
    group = list(range(parts))
    for a, b in whole:
        _join(group, a, b)
    # A pair and its mirror image cost the same, whichever was labelled more often.
    costs = np.maximum(costs, costs[np.ix_(flip, flip)])
    first, second = np.triu_indices(parts, 1)
    for pair in np.lexsort((second, first, costs[first, second])):
        a, b = int(first[pair]), int(second[pair])
        if group[a] != group[b]:
            whole.append((a, b))
            _join(group, a, b)
    return mirrored_too(whole, flip)


def _join(group: list[int], a: int, b: int) -> None:
    """Makes one group of the groups of two parts."""
    kept, lost = sorted((group[a], group[b]))
    group[:] = [kept if each == lost else each for each in group]
