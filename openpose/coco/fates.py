"""What becomes of each annotation of a file, in words: it is used, or left out for one reason; it may be corrected."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar


class Fate(StrEnum):
    """What became of an annotation. Each one has exactly one fate, so that their counts add up to all annotations."""

    LABELLED = "used: with a labelled keypoint"
    UNLABELLED = "no labelled keypoint: their regions are left out of the loss"
    ALL_V_0 = (
        "coordinates, but v = 0 in each keypoint, which means not labelled: their regions are left out of the loss"
    )
    CROWD = "crowds: their regions are left out of the loss"
    LABELLED_CROWD = "crowds with keypoints, which are not used: their regions are left out of the loss"
    SAME_KIND = "of a category of the same kind that is not trained: their regions are left out of the loss"
    OTHER = "of other categories: not used"
    REPEATED = "the same as another one of its picture (keypoints, box and area): used once"
    EMPTY = "neither labelled keypoint nor box nor polygon: not used"


class Correction(StrEnum):
    """What was read differently than it was written, or is probably wrong."""

    NO_AREA = "no area: the box's area is taken"
    AREA = "area 0 or 1 beside a larger box: the area of polygons or RLE is taken, or else of the box"
    NO_BOX = "no box: a box around the labelled keypoints is taken"
    MISFIT = "box does not hold the labelled keypoints: a box around them is taken"
    CORNERS = "box written as two corners: read as such"
    OUTSIDE = "box or labelled keypoints leave the picture: kept as they are"
    NESTED = "keypoints as lists of x, y, v: read as one list"
    POINTS = "polygon as a list of points, or not in a list: read as a polygon"
    THIN = "polygon of fewer than 3 points: not used"
    NO_SIZE = "pictures without width or height: read from their files"


class NotMain(StrEnum):
    """Why no training sample is centred on a labelled person."""

    FEW = "with too few labelled keypoints"
    SMALL = "too small (their area is below 32×32 pixels)"
    NEAR = "too near to another one"


@dataclass(frozen=True)
class Tally:
    """Counts what became of the annotations of a split.

    Attributes:
        fates: of all annotations.
        corrections: of annotations and images; one may have several.
        not_main: of labelled people who are not main persons.
    """

    fates: Counter[Fate] = field(default_factory=Counter)
    corrections: Counter[Correction] = field(default_factory=Counter)
    not_main: Counter[NotMain] = field(default_factory=Counter)

    def add(self, other: "Tally") -> None:
        """Adds the counts of another tally."""
        self.fates.update(other.fates)
        self.corrections.update(other.corrections)
        self.not_main.update(other.not_main)


Kind = TypeVar("Kind", Fate, Correction, NotMain)


def as_counts(counted: Counter[Kind]) -> dict[str, int]:
    """The counts above 0 by their words, in the order of the kinds."""
    kinds = dict.fromkeys(each for kind in counted for each in type(kind))
    return {kind.value: counted[kind] for kind in kinds if counted[kind]}


def why_unlabelled(fates: Mapping[str, int]) -> str:
    """Why a split has nobody with a labelled keypoint, and the cure.

    Args:
        fates: counts by words, as in a manifest.
    """
    if not fates:
        return "it has no annotations; label some people there, or give another file"
    listed = "; ".join(f"{count:,} {words}" for words, count in fates.items())
    cure = _CURES.get(Fate(max(fates, key=lambda words: fates[words])), "label some people there")
    return f"its annotations are {listed}; {cure}"


_CURES = {
    Fate.ALL_V_0: "write v = 2 for each keypoint that is labelled",
    Fate.LABELLED_CROWD: "write iscrowd 0 for people who are labelled one by one",
    Fate.CROWD: "label people one by one, with iscrowd 0",
    Fate.SAME_KIND: "give the name of the category that has the keypoints as `category`",
    Fate.OTHER: "correct `category_id`, or give the name of the category that has the keypoints as `category`",
}


def why_no_sample(not_main: Mapping[str, int], corrections: Mapping[str, int]) -> str:
    """Why a split has labelled people but no main person, and the cure.

    Args:
        not_main: counts by words, as in a manifest.
        corrections: what was read differently, the same way.
    """
    if count := corrections.get(Correction.OUTSIDE.value):
        return (
            f"{count:,} of its people have a box or keypoints outside the picture; compare `width` and `height` with "
            "the pictures, and write keypoints in pixels of the whole picture"
        )
    listed = "; ".join(f"{count:,} {words}" for words, count in not_main.items()) or "nobody is labelled"
    return f"its labelled people are {listed}; label more keypoints of large people, or give larger pictures"
