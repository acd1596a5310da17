"""Skeletons of any number of keypoints, for tests."""

import itertools

from openpose.skeleton import Skeleton
from openpose.skeleton.derive import complete
from openpose.skeleton.draft import Draft
from openpose.skeleton.limbs import Distances


def skeleton(keypoints: int, pairs: int = 0, circle: bool = False) -> Skeleton:
    """A chain of keypoints, or a circle, of which the first 2 × `pairs` are left and right ones."""
    names = [f"{side}{number}" for number in range(pairs) for side in ("left_", "right_")]
    names += [f"point{number}" for number in range(len(names), keypoints)]
    limbs = list(itertools.pairwise(names)) + ([(names[-1], names[0])] if circle else [])
    made, _ = complete(Draft("", "thing", tuple(names), tuple(limbs)), lambda bare: Distances(bare.num_parts))
    return made
