"""Follows people through the frames of a film: who is who.

Each person is expected where the last frames' motion leads. The similarity of a found person and an expected one is
OKS, with one wide standard deviation for all keypoints, as people move more between two frames than labels scatter.
The Hungarian method pairs them, all at once, so that two people who cross keep their ids if their motion tells.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import linear_sum_assignment

from openpose.codec.decode import People

SPREAD = 0.2  # standard deviation of the place, in sizes of the person
LEAST_SIMILARITY = 0.05
LEAST_SIZE = 0.02  # of a person, in diagonals of the frame
MEMORY = 1.0  # seconds for which a person who was not found is expected
_NEW = 0.5  # weight of the newest motion


@dataclass
class _Track:
    """A person who is followed.

    Attributes:
        id: the person's number.
        keypoints: float32 [K, 3], where each keypoint was found last; score 0 if it never was.
        motion: float32 [2], pixels per frame.
        missed: frames since the person was found.
    """

    id: int
    keypoints: np.ndarray
    motion: np.ndarray
    missed: int = 0

    def expected(self) -> np.ndarray:
        """float32 [K, 3]: the keypoints in the next frame."""
        moved = self.keypoints.copy()
        moved[:, :2] += self.motion * (self.missed + 1)
        return moved

    def found(self, keypoints: np.ndarray) -> None:
        """The person was found in the next frame."""
        both = (self.keypoints[:, 2] > 0) & (keypoints[:, 2] > 0)
        if both.any():
            motion = (keypoints - self.keypoints)[both, :2].mean(0) / (self.missed + 1)
            self.motion = _NEW * motion + (1 - _NEW) * self.motion
        expected = self.expected()
        self.keypoints, self.missed = np.where(keypoints[:, 2:] > 0, keypoints, expected), 0


class Tracker:
    """Gives people the same id from frame to frame.

    Args:
        rate: frames per second.
        size: height and width of the frames, pixels.
    """

    def __init__(self, rate: float, size: tuple[int, int]) -> None:
        self._memory, self._least_size = round(MEMORY * rate), LEAST_SIZE * float(np.hypot(*size))
        self._tracks: list[_Track] = []
        self._next_id = 0

    def follow(self, people: People) -> People:
        """The people of the next frame, with `ids`; call it for each frame in order."""
        of_person: dict[int, _Track] = {}
        # Those who were found in the last frame come first: the place of others is a guess.
        for missed in (False, True):
            tracks = [track for track in self._tracks if bool(track.missed) == missed]
            free = [person for person in range(len(people)) if person not in of_person]
            similarity = self._similarity(tracks, people.keypoints[free])
            for track, person in zip(*linear_sum_assignment(-similarity), strict=True):
                if similarity[track, person] > LEAST_SIMILARITY:
                    of_person[free[person]] = tracks[track]
        ids, followed = [], {track.id for track in of_person.values()}
        for track in self._tracks:
            if track.id not in followed:
                track.missed += 1
        self._tracks = [track for track in self._tracks if track.missed <= self._memory]
        for person, keypoints in enumerate(people.keypoints):
            if person in of_person:
                of_person[person].found(keypoints)
            else:
                of_person[person] = _Track(self._next_id, keypoints, np.zeros(2, np.float32))
                self._tracks.append(of_person[person])
                self._next_id += 1
            ids.append(of_person[person].id)
        return replace(people, ids=np.array(ids, np.int64))

    def _similarity(self, tracks: list[_Track], keypoints: np.ndarray) -> np.ndarray:
        """float [tracks, P]: OKS of expected and found people; of their middles where no keypoint is common."""
        if not tracks or not len(keypoints):
            return np.zeros((len(tracks), len(keypoints)))
        expected = np.stack([track.expected() for track in tracks])
        spread = SPREAD * np.sqrt([1.0 + track.missed for track in tracks])
        sizes = np.maximum(np.array([_size(person) for person in expected]), self._least_size)
        variance = (spread * sizes)[:, None, None] ** 2
        both = (expected[:, None, :, 2] > 0) & (keypoints[None, :, :, 2] > 0)
        distance = ((expected[:, None, :, :2] - keypoints[None, :, :, :2]) ** 2).sum(-1)
        near = np.exp(-distance / (2 * variance)) * both
        middles = np.stack([_middle(person) for person in expected])[:, None] - [_middle(one) for one in keypoints]
        by_middle = np.exp(-(middles**2).sum(-1) / (2 * variance[..., 0]))
        return np.where(both.any(-1), near.sum(-1) / np.maximum(both.sum(-1), 1), by_middle)


def _size(person: np.ndarray) -> float:
    """Diagonal of a person's box, pixels."""
    found = person[person[:, 2] > 0, :2]
    return float(np.hypot(*np.ptp(found, axis=0))) if len(found) else 0.0


def _middle(person: np.ndarray) -> np.ndarray:
    found = person[person[:, 2] > 0, :2]
    return found.mean(0) if len(found) else np.zeros(2, np.float32)
