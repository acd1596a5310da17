"""Image, mask and keypoints agree after the transform, and hand-made results come out when nothing is random."""

import numpy as np
import pytest
import tensorflow as tf

from openpose.input import augment
from openpose.input.parameters import AugmentParameters

SIZE = (160, 192)
SEED = [1, 2]
NO_RANDOMNESS = AugmentParameters(min_scale=1.0, max_scale=1.0, max_rotation=0.0, max_shift=0.0, flip=0.0)


def affines(
    bbox: list[float], parameters: AugmentParameters, seeds: list[list[int]], epoch: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """The transforms of a person in a picture of 640×480, for each seed."""
    x, y, width, height = bbox
    count = len(seeds)
    matrices, flips = augment.random_affine(
        centre=tf.fill([count, 1, 1], 1.0) * [[[x + width / 2 - 0.5, y + height / 2 - 0.5]]],
        person_height=tf.fill([count, 1], float(height)),
        main=tf.fill([count, 1], True),
        picture=tf.ones([count, 1], tf.int64) * [[480, 640]],
        size=SIZE,
        seed=tf.constant(seeds, tf.int64),
        epoch=tf.constant(epoch, tf.int64),
        parameters=parameters,
    )
    return matrices.numpy(), flips.numpy()


def affine(bbox: list[float], parameters: AugmentParameters, seed: list[int] = SEED) -> tuple[np.ndarray, bool]:
    matrices, flips = affines(bbox, parameters, [seed])
    return matrices[0], bool(flips[0])


def warp_points(points: tf.Tensor, matrix: tf.Tensor) -> np.ndarray:
    return augment.warp_points(points, tf.convert_to_tensor(matrix)[None]).numpy()[0]


def test_without_randomness_the_person_is_centred_at_its_share_of_the_height() -> None:
    matrix, flip = affine([20, 30, 40, 48], NO_RANDOMNESS)
    assert not flip
    scale = 0.6 * 160 / 48
    corners = warp_points(tf.constant([[19.5, 29.5], [59.5, 77.5]]), matrix)
    np.testing.assert_allclose(corners.mean(0), [95.5, 79.5], atol=1e-4)
    np.testing.assert_allclose(corners[1] - corners[0], [40 * scale, 48 * scale], rtol=1e-5)


def test_mirror_of_the_centred_person() -> None:
    straight, _ = affine([20, 30, 40, 48], NO_RANDOMNESS)
    mirrored, flip = affine(
        [20, 30, 40, 48], AugmentParameters(min_scale=1, max_scale=1, max_rotation=0, max_shift=0, flip=1)
    )
    assert flip
    points = tf.constant([[25.0, 40.0], [50.0, 31.0]])
    one, other = warp_points(points, straight), warp_points(points, mirrored)
    np.testing.assert_allclose(other[:, 0], SIZE[1] - 1 - one[:, 0], atol=1e-4)
    np.testing.assert_allclose(other[:, 1], one[:, 1], atol=1e-4)


def test_the_last_passes_keep_the_pictures_upright() -> None:
    parameters = AugmentParameters(max_rotation=180, flip=1, upright_from=3)
    seeds = [[0, number] for number in range(10)]
    (turned, mirrored), (upright, flip) = (affines([20, 30, 40, 48], parameters, seeds, epoch) for epoch in (2, 3))
    assert mirrored.all()
    assert not flip.any()
    assert (turned[:, 0, 1] != 0).all()
    np.testing.assert_array_equal(upright[:, [0, 1], [1, 0]], 0)
    np.testing.assert_array_equal(upright[:, 0, 0], upright[:, 1, 1])
    assert (upright[:, 0, 0] > 0).all()


def test_a_share_of_the_samples_is_at_any_place_but_in_the_picture() -> None:
    """The picture has 640×480 pixels, the window 240×200 of it; the animal is at the top left corner."""
    parameters = AugmentParameters(min_scale=1, max_scale=1, max_rotation=0, max_shift=0, flip=0, anywhere=0.5)
    matrices, _ = affines([10, 10, 40, 120], parameters, [[0, number] for number in range(60)])
    corners = augment.warp_points(tf.constant([[0.0, 0.0], [191, 159]]), tf.linalg.inv(matrices)).numpy()
    first, last = corners[:, 0], corners[:, 1]
    np.testing.assert_allclose(last - first, np.tile(np.array([191, 159]) / 0.8, (60, 1)), rtol=1e-4)
    assert (first >= -1).all()
    assert (last <= [640, 480]).all()
    at_the_animal = (np.abs(first) < 2).all(1)
    assert 0.3 < at_the_animal.mean() < 0.7
    assert np.ptp(first, axis=0).min() > 200


def runs_of(mask: np.ndarray) -> tf.Tensor:
    """Runs of True, False, … down the columns."""
    flat = mask.ravel(order="F")
    changes = np.flatnonzero(np.diff(flat)) + 1
    return tf.constant(np.diff([0, *([] if flat[0] else [0]), *changes, flat.size]), tf.int64)


def warp_mask(runs: tf.Tensor, height: int, width: int, matrix: tf.Tensor) -> np.ndarray:
    """[20, 24], through a matrix to the input."""
    picture = tf.constant([[height, width]], tf.int64)
    return augment.warp_masks(runs[None], picture, augment.to_cells(matrix[None], 8), (20, 24)).numpy()[0, ..., 0]


@pytest.mark.parametrize("seed", range(12))
def test_image_mask_and_points_agree(seed: int) -> None:
    """A bright disc, masked at the same place, must be found where the point goes."""
    rows, columns = np.mgrid[:100, :120]
    point = np.array([70, 45], np.float32)
    disc = ((columns - point[0]) ** 2 + (rows - point[1]) ** 2 <= 8**2).astype(np.float32)
    matrix, _ = affine([50, 20, 40, 50], AugmentParameters(), [0, seed])
    back = tf.linalg.inv(matrix[None])
    image = augment.warp_images(tf.constant(disc[None, ..., None] * 255), back, SIZE).numpy()[0, ..., 0]
    runs = runs_of(disc == 0)
    mask = warp_mask(runs, 100, 120, matrix)
    (expected,) = warp_points(tf.constant(point[None]), matrix)
    bright = np.argwhere(image > 200)[:, ::-1]
    np.testing.assert_allclose(bright.mean(0), expected, atol=0.6)
    row, column = np.round((expected[::-1] - 3.5) / 8).astype(int)
    assert mask[row, column] == 0


def test_outside_of_the_image_is_grey_and_masked() -> None:
    (matrix,) = augment.fit_affine(tf.constant([[50, 120]], tf.int64), SIZE)
    image = augment.warp_images(tf.zeros([1, 50, 120, 3]), tf.linalg.inv(matrix[None]), SIZE).numpy()[0]
    everywhere = tf.constant([], tf.int64)
    mask = warp_mask(everywhere, 50, 120, matrix)
    assert (image[81:] == 128).all()  # the last row of pixels fades into the grey
    assert (image[1:78, 1:-1] == 0).all()
    assert (mask[:10] == 1).all()
    assert (mask[10:] == 0).all()


def test_seed_decides_and_ranges_hold() -> None:
    parameters = AugmentParameters()
    matrices, flips = affines([20, 30, 40, 48], parameters, [[3, number] for number in range(200)])
    np.testing.assert_array_equal(affine([20, 30, 40, 48], parameters, [3, 7])[0], matrices[7])
    scales = np.sqrt(np.abs(np.linalg.det(matrices[:, :2, :2]))) / (0.6 * 160 / 48)
    assert 0.5 <= scales.min() < 0.55
    assert 1.05 < scales.max() <= 1.1 + 1e-6
    assert 0.35 < flips.mean() < 0.65
    angles = np.degrees(np.arctan2(matrices[:, 1, 0], matrices[:, 1, 1]))
    assert np.abs(angles).max() <= 40.001


def test_each_main_person_is_chosen_and_no_other() -> None:
    main = tf.constant([[False, True, False, True, True]] * 300)
    seeds = tf.stack([tf.zeros([300], tf.int64), tf.range(300, dtype=tf.int64)], 1)
    x = tf.tile(tf.constant([[100.0, 200, 300, 400, 500]]), [300, 1])
    matrices, _ = augment.random_affine(
        centre=tf.stack([x, 0 * x], -1),
        person_height=tf.fill([300, 5], 96.0),
        main=main,
        picture=tf.fill([300, 2], tf.constant(600, tf.int64)),
        size=SIZE,
        seed=seeds,
        epoch=tf.constant(0, tf.int64),
        parameters=NO_RANDOMNESS,
    )
    middle = tf.constant([[(SIZE[1] - 1) / 2, (SIZE[0] - 1) / 2]])
    chosen = np.round(augment.warp_points(middle, tf.linalg.inv(matrices))[:, 0, 0])
    numbers, counts = np.unique(chosen, return_counts=True)
    np.testing.assert_array_equal(numbers, [200, 400, 500])
    assert counts.min() > 70
