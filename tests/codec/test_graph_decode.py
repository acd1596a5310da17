"""The decoder that exported files contain finds the same people as the decoder in NumPy."""

import functools
from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from openpose.codec import decode, encode
from openpose.codec.decode import DecodeParameters
from openpose.codec.graph_decode import GraphDecoder, max_people
from openpose.codec.parameters import TargetParameters
from openpose.skeleton import Skeleton
from tests.codec.test_any_skeleton import animals
from tests.codec.test_decode import GRID, OPENPOSE, maps_of, standing
from tests.skeleton import made_up

Decode = Callable[[np.ndarray, np.ndarray], decode.People]


@functools.cache
def graph(of: Skeleton, parameters: DecodeParameters = DecodeParameters(), most: int = 0) -> Decode:
    """The graph's decoder as a function like `decode.decode`."""
    made = GraphDecoder(of, parameters.filled(of), most or max_people(of))
    specs = [tf.TensorSpec([None, None, count]) for count in (of.num_heatmaps, of.num_vectmaps)]
    run = tf.function(made.decode, input_signature=specs, autograph=False)

    def found(heatmap: np.ndarray, vectmap: np.ndarray) -> decode.People:
        keypoints, scores, count = (tensor.numpy() for tensor in run(heatmap, vectmap))
        assert keypoints.shape == (made.max_people, of.num_parts, 3)
        assert not keypoints[count:].any()
        assert not scores[count:].any()
        return decode.People(keypoints[:count], scores[:count])

    return found


def assert_alike(found: decode.People, expected: decode.People) -> None:
    """The same people in the same order; a keypoint may differ by a thousandth of a cell."""
    assert len(found) == len(expected)
    np.testing.assert_array_equal(found.keypoints[..., 2] > 0, expected.keypoints[..., 2] > 0)
    np.testing.assert_allclose(found.keypoints, expected.keypoints, atol=1e-3)
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-4)


def scene(seed: int, count: int, noise: float) -> tuple[np.ndarray, np.ndarray]:
    """Maps of people who overlap and reach beyond the picture, some parts of whom are not labelled."""
    rng = np.random.default_rng(seed)
    where = zip(rng.uniform(-20, 430, count), rng.uniform(-50, 250, count), rng.uniform(40, 300, count), strict=True)
    people = np.array([standing(*one) for one in where], np.float32).reshape(-1, OPENPOSE.num_parts, 2)
    people += rng.uniform(-4, 4, people.shape).astype(np.float32)
    heatmap, vectmap = maps_of(people, rng.random(people.shape[:2]) > 0.2)
    noises = (rng.normal(0, noise, maps.shape).astype(np.float32) for maps in (heatmap, vectmap))
    return heatmap + next(noises), vectmap + next(noises)


@pytest.mark.slow
@settings(max_examples=25, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**16), count=st.integers(0, 14), noise=st.sampled_from([0, 0, 0.03, 0.1]))
def test_same_people_in_random_scenes(seed: int, count: int, noise: float) -> None:
    maps = scene(seed, count, noise)
    assert_alike(graph(OPENPOSE)(*maps), decode.decode(*maps, OPENPOSE))


@pytest.mark.slow
def test_crowd_of_a_hundred() -> None:
    people = np.array([standing(12 + 48 * (n % 10), 2 + 36 * (n // 10), 34) for n in range(100)], np.float32)
    maps = maps_of(people + np.random.default_rng(0).uniform(-1, 1, people.shape).astype(np.float32))
    expected = decode.decode(*maps, OPENPOSE)
    assert len(expected) > 80
    assert_alike(graph(OPENPOSE)(*maps), expected)


@pytest.mark.slow
@pytest.mark.parametrize(("keypoints", "circle"), [(1, False), (2, False), (4, True), (24, False), (24, True)])
def test_same_animals(keypoints: int, circle: bool) -> None:
    made = made_up.skeleton(keypoints, circle=circle)
    for targets, grid in ((TargetParameters(), (40, 48)), (TargetParameters(stride=4), (80, 96))):
        for count in (0, 1, 2):
            parts = animals(made, count) if count else np.zeros((0, keypoints, 2), np.float32)
            made_maps = encode.encode(parts, np.ones(parts.shape[:2], bool), grid, made, targets)
            heatmap, vectmap = (maps.numpy() for maps in made_maps)
            expected = decode.decode(heatmap, vectmap, made)
            assert len(expected) == count
            assert_alike(graph(made)(heatmap, vectmap), expected)


def test_shadow_of_an_animal_is_left_out() -> None:
    made = made_up.skeleton(4)
    parts = animals(made)
    heatmap, vectmap = (maps.numpy() for maps in encode.encode(parts, np.ones(parts.shape[:2], bool), (40, 48), made))
    heatmap[:, :20] *= 0.1
    assert_alike(graph(made)(heatmap, vectmap), decode.decode(heatmap, vectmap, made))


@pytest.mark.parametrize("value", [0, np.nan, np.inf, -np.inf])
def test_maps_without_a_peak_have_no_people(value: float) -> None:
    maps = [np.full((*GRID, count), value, np.float32) for count in (OPENPOSE.num_heatmaps, OPENPOSE.num_vectmaps)]
    assert len(graph(OPENPOSE)(*maps)) == 0


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (2, 2), (5, 1)])
def test_maps_of_a_few_cells(shape: tuple[int, int]) -> None:
    numbers = np.random.default_rng(0)
    heatmap = numbers.random((*shape, OPENPOSE.num_heatmaps), np.float32)
    vectmap = numbers.uniform(-1, 1, (*shape, OPENPOSE.num_vectmaps)).astype(np.float32)
    found, expected = graph(OPENPOSE)(heatmap, vectmap), decode.decode(heatmap, vectmap, OPENPOSE)
    if 1 in shape:  # all values along an axis are equal but for rounding, which decides where the peaks are
        assert (np.abs(found.keypoints[..., :2]) <= max(shape)).all()
    else:
        assert_alike(found, expected)


@pytest.mark.slow
def test_the_strongest_stay() -> None:
    maps = scene(3, 9, 0.05)
    expected = decode.decode(*maps, OPENPOSE)
    best = graph(OPENPOSE, most=2)(*maps)
    assert_alike(best, decode.People(expected.keypoints[:2], expected.scores[:2]))
    few = DecodeParameters(max_peaks=3)
    assert_alike(graph(OPENPOSE, few)(*maps), decode.decode(*maps, OPENPOSE, few))
    assert (max_people(OPENPOSE), max_people(made_up.skeleton(1))) == (100, 1000)
