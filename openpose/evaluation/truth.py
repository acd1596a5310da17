"""The labelled people of a picture, in the form in which a network's people are found."""

import numpy as np

from openpose.codec.decode import People
from openpose.records.picture import Picture
from openpose.skeleton import Skeleton


def true_people(picture: Picture, skeleton: Skeleton) -> People:
    """The labelled people of a picture, in pixels; every score is 1."""
    return labelled_people(picture.keypoints, picture.visibility, picture.crowd, skeleton)


def labelled_people(keypoints: np.ndarray, visibility: np.ndarray, crowd: np.ndarray, skeleton: Skeleton) -> People:
    """Selects the annotated people with at least one labelled part; every score is 1.

    Args:
        keypoints: float [P, S, 2], keypoints of the data set, in pixels.
        visibility: [P, S], COCO's v.
        crowd: bool [P], regions of people who were not labelled one by one.
        skeleton: of the parts.
    """
    xy, labelled = skeleton.part_keypoints(keypoints, visibility)
    people = np.concatenate([xy, labelled[..., None].astype(np.float32)], -1)[labelled.any(1) & ~crowd]
    return People(people, np.ones(len(people), np.float32))
