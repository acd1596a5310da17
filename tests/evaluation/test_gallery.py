"""The best and the worst pictures: which ones are kept, and at what size."""

import numpy as np
import pytest

from openpose.codec.decode import People
from openpose.evaluation import keypoint_errors
from openpose.evaluation.gallery import Example, Gallery, chosen
from openpose.evaluation.keypoint_errors import Comparison
from openpose.skeleton import OPENPOSE18


def example(name: str, height: int = 8, width: int = 8) -> Example:
    """A black picture with one person."""
    person = np.ones((1, OPENPOSE18.num_parts, 3), np.float32)
    people = People(person * np.array([width / 2, height / 3, 1], np.float32), np.ones(1, np.float32))
    heatmap, vectmap = np.zeros((1, 1, 19), np.float32), np.zeros((1, 1, 38), np.float32)
    return Example(name, np.zeros((height, width, 3), np.uint8), people, people, heatmap, vectmap, (8.0, 8.0))


def test_best_and_worst_of_many() -> None:
    counts = keypoint_errors.total([], OPENPOSE18)
    galleries = [Gallery(3), Gallery(3)]
    for number, quality in enumerate(np.random.default_rng(0).permutation(100)):
        galleries[number // 60].add(example(str(quality)), Comparison(counts, quality / 100, 0, 0), number)
    galleries[1].add(example("nobody"), Comparison(counts, None, 0, 0), 100)
    best, worst = chosen([picture for gallery in galleries for picture in gallery.drawn(OPENPOSE18)], 3)
    assert [one.name for one in best] == ["99", "98", "97"]
    assert [one.name for one in worst] == ["0", "1", "2"]


def test_few_pictures_are_shown_once() -> None:
    gallery, counts = Gallery(3), keypoint_errors.total([], OPENPOSE18)
    for number in range(3):
        gallery.add(example(str(number)), Comparison(counts, 0.5, 0, 0), number)
    best, worst = chosen(gallery.drawn(OPENPOSE18), 3)
    assert [one.name for one in (*best, *worst)] == ["0", "1", "2"], "of equal ones the first is the better"


def test_examples_are_shrunk_with_their_people_and_maps() -> None:
    large = example("large", 600, 1200)
    small = large.shrunk()
    assert small.image.shape == (250, 500, 3)
    pixel = np.array([large.truth.keypoints[0, 0, :2]]) + 0.5
    assert small.truth.keypoints[0, 0, :2] == pytest.approx(pixel[0] * 250 / 600 - 0.5, abs=1e-3)
    assert small.cell == pytest.approx((8 * 250 / 600, 8 * 250 / 600))
    assert small.shrunk() is not large
    assert small.shrunk().image.shape == small.image.shape
