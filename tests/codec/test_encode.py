"""The maps are the formulas of the papers, written out by hand here."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openpose import skeleton
from openpose.codec import encode
from openpose.codec.parameters import TargetParameters

OPENPOSE = skeleton.get("openpose18")
GRID = (12, 15)


def slow_maps(keypoints: np.ndarray, labelled: np.ndarray, stride: int, sigma: float, width: float) -> np.ndarray:
    """Heatmap and vectmap, cell by cell, straight from the definition."""
    maps = np.zeros((*GRID, OPENPOSE.num_maps))
    for row in range(GRID[0]):
        for column in range(GRID[1]):
            pixel = np.array([stride * column + stride / 2 - 0.5, stride * row + stride / 2 - 0.5])
            for part in range(18):
                for person in range(len(keypoints)):
                    exponent = ((pixel - keypoints[person, part]) ** 2).sum() / (2 * sigma**2)
                    if labelled[person, part] and exponent <= 4.6052:
                        maps[row, column, part] = max(maps[row, column, part], np.exp(-exponent))
            maps[row, column, 18] = 1 - maps[row, column, :18].max()
            for limb, (first, second) in enumerate(OPENPOSE.limbs):
                vectors = []
                for person in range(len(keypoints)):
                    start, end = keypoints[person, first], keypoints[person, second]
                    length = np.linalg.norm(end - start)
                    if not (labelled[person, first] and labelled[person, second]) or length == 0:
                        continue
                    unit = (end - start) / length
                    along = (pixel - start) @ unit
                    across = abs((pixel - start) @ np.array([unit[1], -unit[0]]))
                    reach = width * stride
                    if across <= reach and -reach <= along <= length + reach:
                        vectors.append(unit)
                if vectors:
                    maps[row, column, 19 + 2 * limb : 21 + 2 * limb] = np.mean(vectors, 0)
    return maps


@pytest.mark.parametrize("people", [0, 1, 3])
def test_maps_are_the_definition(people: int) -> None:
    rng = np.random.default_rng(people)
    keypoints = rng.uniform(-10, 110, (people, 18, 2)).astype(np.float32)
    labelled = rng.random((people, 18)) < 0.8
    parameters = TargetParameters(stride=8, sigma=9.0, limb_width=1.3)
    heatmap, vectmap = encode.encode(keypoints, labelled, GRID, OPENPOSE, parameters)
    expected = slow_maps(keypoints, labelled, 8, 9.0, 1.3)
    np.testing.assert_allclose(heatmap, expected[..., :19], atol=2e-5)
    np.testing.assert_allclose(vectmap, expected[..., 19:], atol=2e-5)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 11), st.integers(0, 14))
def test_part_on_a_cell_centre_is_one_there(row: int, column: int) -> None:
    keypoints = np.tile(np.array([8 * column + 3.5, 8 * row + 3.5], np.float32), (1, 18, 1))
    heatmap, _ = encode.encode(keypoints, np.ones((1, 18)), GRID, OPENPOSE)
    assert np.all(heatmap.numpy()[row, column, :18] == 1)
    assert heatmap.numpy()[row, column, 18] == 0


def test_limb_of_no_length_and_unlabelled_nan_give_nothing() -> None:
    keypoints = np.full((2, 18, 2), 40, np.float32)
    keypoints[1] = np.nan
    labelled = np.array([[True] * 18, [False] * 18])
    heatmap, vectmap = encode.encode(keypoints, labelled, GRID, OPENPOSE)
    assert np.isfinite(heatmap).all()
    np.testing.assert_array_equal(vectmap, 0)


def test_people_keep_their_maximum_and_their_mean() -> None:
    keypoints = np.zeros((2, 18, 2), np.float32)
    keypoints[:, 8], keypoints[0, 9], keypoints[1, 9] = (20, 50), (90, 50), (20, 90)
    labelled = np.zeros((2, 18), bool)
    labelled[:, [8, 9]] = True
    heatmap, vectmap = encode.encode(keypoints, labelled, GRID, OPENPOSE)
    assert heatmap.numpy().max() <= 1
    limb = OPENPOSE.limbs.index((8, 9))
    # The cell of the shared hip has both limbs: to the right and down.
    np.testing.assert_allclose(vectmap[6, 2, 2 * limb : 2 * limb + 2], [0.5, 0.5], atol=1e-6)


@pytest.mark.parametrize("stride", [4, 8])
def test_maps_do_not_depend_on_the_rest_of_the_batch(stride: int) -> None:
    """To the last digit, also where people overlap and where their number fills up the batch's."""
    rng = np.random.default_rng(stride)
    keypoints = rng.uniform(-20, 120, (5, 9, 18, 2)).astype(np.float32)
    labelled = rng.random((5, 9, 18)) < 0.7
    for picture, people in enumerate((0, 1, 2, 5, 9)):
        labelled[picture, people:] = False
    parameters = TargetParameters(stride=stride, sigma=stride * 0.9)
    together = encode.encode_batch(keypoints, labelled, GRID, OPENPOSE, parameters)
    for picture, people in enumerate((0, 1, 2, 5, 9)):
        given = keypoints[picture, :people], labelled[picture, :people]
        for alone, batch in zip(encode.encode(*given, GRID, OPENPOSE, parameters), together, strict=True):
            np.testing.assert_array_equal(alone, batch[picture])


def test_people_far_outside_leave_no_trace() -> None:
    keypoints = np.full((2, 18, 2), 40, np.float32)
    keypoints[1] = np.array([[-3e9, 50], [7e11, 1e30]] * 9, np.float32)
    labelled = np.array([[True] * 18, [True] * 18])
    both, one = (encode.encode(keypoints[:people], labelled[:people], GRID, OPENPOSE) for people in (2, 1))
    np.testing.assert_array_equal(both[0], one[0])
    assert np.isfinite(both[1]).all()
