"""A picture with its people, as every reader of a data set makes it and the records hold it."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from openpose.skeleton import Skeleton

# A main person, on whom a training sample may be centred, as in Lightweight OpenPose (arXiv:1811.12004); the least
# number of keypoints is `Skeleton.main_keypoints`.
MAIN_MIN_AREA = 32**2  # pixels²
MAIN_MIN_DISTANCE = 0.3  # of the other main person's longer box side


@dataclass(frozen=True)
class Picture:
    """One image of a split with its P people.

    Attributes:
        id: the image's id.
        file_name: name inside the split's folder or archive.
        width: pixels.
        height: pixels.
        ids: int64 [P], annotation ids.
        keypoints: float32 [P, S, 2], x and y in pixels; an integer is the centre of a pixel.
        visibility: uint8 [P, S], COCO's v: 0 not labelled, 1 labelled but hidden, 2 visible.
        bbox: float32 [P, 4], x, y, width, height in pixels.
        area: float32 [P], pixels².
        crowd: bool [P], a region of people who are not labelled one by one.
        main: bool [P], a training sample may be centred on this person.
        segmentations: P entries as in the JSON: polygons, RLE, or None.
    """

    id: int
    file_name: str
    width: int
    height: int
    ids: np.ndarray
    keypoints: np.ndarray
    visibility: np.ndarray
    bbox: np.ndarray
    area: np.ndarray
    crowd: np.ndarray
    main: np.ndarray
    segmentations: tuple[Any, ...]

    @property
    def labelled(self) -> np.ndarray:
        """bool [P]: people with at least one labelled keypoint."""
        return (self.visibility >= 1).any(1) & ~self.crowd


def main_persons(
    num_keypoints: np.ndarray, bbox: np.ndarray, area: np.ndarray, crowd: np.ndarray, skeleton: Skeleton
) -> np.ndarray:
    """bool [P]: on whom a training sample may be centred. Others than people may be of any size."""
    candidate = (num_keypoints >= skeleton.main_keypoints) & ~crowd
    if skeleton.of_people:
        candidate &= (area >= MAIN_MIN_AREA) & (bbox[:, 2:] >= 1).all(1)
    main = np.zeros(len(bbox), bool)
    centres = bbox[:, :2] + bbox[:, 2:] / 2
    for person in np.flatnonzero(candidate):
        distances = np.linalg.norm(centres[main] - centres[person], axis=1)
        main[person] = (distances >= MAIN_MIN_DISTANCE * bbox[main, 2:].max(1, initial=0)).all()
    return main


_SHARE, _MARGIN = 0.1, 5.0  # a box is larger than its keypoints by this share of their longer side, and by these pixels


def box_around(points: np.ndarray, width: int, height: int) -> np.ndarray:
    """A box around labelled keypoints [N, 2], inside a picture: x, y, width, height; all zeros without any."""
    if not len(points):
        return np.zeros(4)
    low, high = points.min(0), points.max(0)
    margin = _SHARE * (high - low).max() + _MARGIN
    low = np.minimum(np.maximum(low - margin, 0), (width, height))
    return np.concatenate([low, np.maximum(np.minimum(high + margin, (width, height)) - low, 0)])


#: Names of the counts in manifests and summaries.
COUNTED = ("images", "people", "people_with_keypoints", "main_persons", "samples", "crowds")


def counted(name: str, category: str) -> str:
    """A count's name for readers: those of people are called instances where the data labels something else."""
    if category == "person":
        return name
    others = {"people": "instances", "people_with_keypoints": "labelled_instances", "main_persons": "main_instances"}
    return others.get(name, name)


def count_image(crowd: Sequence[bool], labelled: Sequence[bool], main: Sequence[bool]) -> Counter[str]:
    """The counts of one image; the arguments have a value for each of its people."""
    return Counter(
        images=1,
        people=len(crowd) - sum(crowd),
        people_with_keypoints=sum(labelled),
        main_persons=sum(main),
        samples=int(any(main)),
        crowds=sum(crowd),
    )


def total_counts(pictures: Iterable[Picture]) -> dict[str, int]:
    """The counts of some images."""
    total = Counter(dict.fromkeys(COUNTED, 0))
    for picture in pictures:
        total.update(count_image(picture.crowd.tolist(), picture.labelled.tolist(), picture.main.tolist()))
    return dict(total)
