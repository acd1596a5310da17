"""Skeletons: keypoints, limbs and mirror pairs as one value that travels with the data; where they come from."""

from openpose.skeleton.derive import of_categories
from openpose.skeleton.structure import DEFAULT, KNOWN, OPENPOSE18, Skeleton, get

__all__ = ["DEFAULT", "KNOWN", "OPENPOSE18", "Skeleton", "get", "of_categories"]
