"""Skeletons of any number of keypoints through target maps and back."""

import numpy as np
import pytest

from openpose import draw
from openpose.codec import channels, decode, encode
from openpose.codec.parameters import TargetParameters
from openpose.predict.predictor import mirrored_heatmap, mirrored_vectmap
from openpose.skeleton import OPENPOSE18, Skeleton
from tests.skeleton.made_up import skeleton

GRID = (40, 48)


def animals(of: Skeleton, count: int = 2) -> np.ndarray:
    """Parts [P, K, 2] in input pixels: each animal a spiral of its own, 8 pixels or more from point to point."""
    turns = np.sqrt(np.arange(of.num_parts) + 1) * 2.4
    spiral = 8.5 * np.sqrt(np.arange(of.num_parts) + 1)[:, None] * np.stack([np.cos(turns), np.sin(turns)], -1)
    scale = 55 / max(np.abs(spiral).max(), 55)
    return np.stack([spiral * scale + (80 + 190 * n, 90 + 110 * n) for n in range(count)]).astype(np.float32)


def maps_of(parts: np.ndarray, of: Skeleton) -> tuple[np.ndarray, np.ndarray]:
    heatmap, vectmap = encode.encode(parts, np.ones(parts.shape[:2], bool), GRID, of)
    return heatmap.numpy(), vectmap.numpy()


@pytest.mark.parametrize(("keypoints", "circle"), [(1, False), (2, False), (4, True), (24, False), (24, True)])
def test_all_animals_are_found_where_they_are(keypoints: int, circle: bool) -> None:
    made = skeleton(keypoints, circle=circle)
    parts = animals(made)
    found = decode.decode(*maps_of(parts, made), made).in_pixels(8)
    assert len(found) == 2
    order = np.argsort(found.keypoints[:, 0, 0])
    assert (found.keypoints[..., 2] > 0).all()
    assert np.abs(found.keypoints[order, :, :2] - parts).max() < 2


def test_133_keypoints_need_more_channels_than_opencv_takes() -> None:
    made = skeleton(133, 40)
    heatmap, vectmap = maps_of(animals(made, 1), made)
    assert (heatmap.shape, vectmap.shape) == ((*GRID, 134), (*GRID, 2 * made.num_limbs))
    decode.decode(heatmap, vectmap, made)
    picture = np.zeros((320, 384, 3), np.uint8)
    assert draw.vectmap(picture, vectmap).any()
    assert draw.heatmap(picture, heatmap).any()


def test_many_channels_are_resized_as_few_are() -> None:
    maps = np.random.default_rng(0).random((5, 6, 300), np.float32)
    resized = channels.resize(maps, (12, 10), 2)
    for channel in (0, 127, 128, 299):
        alone = channels.resize(maps[..., channel, None], (12, 10), 2)
        np.testing.assert_allclose(resized[..., channel, None], alone, atol=1e-6)
    assert channels.resize(maps[..., :0], (12, 10), 2).shape == (10, 12, 0)


def test_weak_peaks_beside_an_animal_are_left_out_unless_it_is_a_person() -> None:
    made = skeleton(4)
    heatmap, _ = maps_of(animals(made, 2), made)
    heatmap[:, :20] *= 0.1  # the first animal is no more than a shadow of the second
    peaks = decode.find_peaks(heatmap, made, decode.DecodeParameters())
    assert len(peaks.part) == made.num_parts
    everything = decode.find_peaks(heatmap, made, decode.DecodeParameters(peak_share=0.0))
    assert len(everything.part) == 2 * made.num_parts
    assert decode.peak_share(OPENPOSE18) == 0


def test_a_false_peak_close_by_does_not_hide_the_true_limb() -> None:
    """Three times as far as the false peak lies the true one, along the limb's own direction."""
    made = skeleton(2)
    parts = np.array([[[60, 100], [210, 100]]], np.float32)
    heatmap, vectmap = maps_of(parts, made)
    false = encode.encode(np.array([[[60, 100], [110, 100]]], np.float32), np.ones((1, 2), bool), GRID, made)[0]
    heatmap = np.maximum(heatmap, 0.7 * false.numpy())
    (found,) = decode.decode(heatmap, vectmap, made).in_pixels(8).keypoints
    assert np.abs(found[:, :2] - parts[0]).max() < 2
    assert (decode.length_ratio(made), decode.length_ratio(OPENPOSE18)) == (4, 2.5)


@pytest.mark.parametrize("stride", [2, 4])
def test_animals_are_found_below_a_pixel_at_a_finer_stride(stride: int) -> None:
    made = skeleton(6, 2)
    parts, targets = animals(made, 2), TargetParameters(stride=stride, sigma=5, limb_width=1.5)
    grid = (320 // stride, 384 // stride)
    heatmap, vectmap = encode.encode(parts, np.ones(parts.shape[:2], bool), grid, made, targets)
    found = decode.decode(heatmap.numpy(), vectmap.numpy(), made).in_pixels(stride)
    assert len(found) == 2
    order = np.argsort(found.keypoints[:, 0, 0])
    assert np.abs(found.keypoints[order, :, :2] - parts).max() < 0.5


def test_a_single_keypoint_is_an_animal_at_each_peak() -> None:
    made = skeleton(1)
    where = np.array([[[60, 60]], [[200, 100]], [[300, 250]]], np.float32)
    found = decode.decode(*maps_of(where, made), made).in_pixels(8)
    assert len(found) == 3
    assert np.abs(found.keypoints[np.argsort(found.keypoints[:, 0, 0]), :, :2] - where).max() < 1


def test_a_lone_peak_of_several_keypoints_is_no_animal() -> None:
    made = skeleton(4)
    labelled = np.array([[True, False, False, False]])
    heatmap, vectmap = encode.encode(animals(made, 1), labelled, GRID, made)
    assert heatmap.numpy().max() > 0.9
    assert len(decode.decode(heatmap.numpy(), vectmap.numpy(), made)) == 0


@pytest.mark.parametrize(("keypoints", "pairs"), [(1, 0), (2, 1), (6, 2), (24, 10)])
def test_mirrored_maps_are_those_of_the_mirrored_picture(keypoints: int, pairs: int) -> None:
    made = skeleton(keypoints, pairs)  # a chain, with limbs between left and right parts
    parts = animals(made)
    mirrored = parts.copy()
    mirrored[..., 0] = 8 * GRID[1] - 1 - parts[..., 0]
    mirrored = mirrored[:, list(made.flip_parts)]
    heatmap, vectmap = maps_of(parts, made)
    of_mirrored = maps_of(mirrored, made)
    np.testing.assert_allclose(mirrored_heatmap(of_mirrored[0], made), heatmap, atol=1e-4)
    # Where a limb's edge cuts a cell's centre, rounding decides.
    different = np.abs(mirrored_vectmap(of_mirrored[1], made) - vectmap) > 1e-4
    assert different.sum() <= 0.01 * vectmap.size


@pytest.mark.parametrize("keypoints", [1, 4, 133])
def test_animals_are_drawn(keypoints: int) -> None:
    made = skeleton(keypoints, circle=keypoints > 2)
    found = decode.People(
        np.concatenate([animals(made, 1), np.ones((1, keypoints, 1))], -1).astype(np.float32), np.ones(1)
    )
    assert draw.skeletons(np.zeros((320, 384, 3), np.uint8), found, made).any()


def test_300_animals_in_a_picture_are_found() -> None:
    made, rng = skeleton(4), np.random.default_rng(0)
    corners = 8 * 4 * np.stack(np.meshgrid(np.arange(20), np.arange(15)), -1).reshape(-1, 1, 2)
    parts = (corners + rng.uniform(4, 24, (300, 4, 2))).astype(np.float32)
    heatmap, vectmap = encode.encode(parts, np.ones((300, 4), bool), (60, 80), made, TargetParameters(sigma=4))
    found = decode.decode(heatmap.numpy(), vectmap.numpy(), made)
    assert 280 <= len(found) <= 320, "a few of them touch"
    assert decode.max_peaks(OPENPOSE18) == 100
