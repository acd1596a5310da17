"""Image, mask and keypoints agree after the transform, and hand-made results come out when nothing is random."""

import numpy as np
import pytest
import tensorflow as tf

from openpose.input import augment
from openpose.input.parameters import AugmentParameters

SIZE = (160, 192)
SEED = tf.constant([1, 2], tf.int64)
NO_RANDOMNESS = AugmentParameters(min_scale=1.0, max_scale=1.0, max_rotation=0.0, max_shift=0.0, flip=0.0)


def affine(
    bbox: list[float], parameters: AugmentParameters, seed: tf.Tensor = SEED, epoch: int = 0
) -> tuple[tf.Tensor, bool]:
    x, y, width, height = bbox
    matrix, flip = augment.random_affine(
        centre=tf.constant([[[x + width / 2 - 0.5, y + height / 2 - 0.5]]]),
        person_height=tf.constant([[height]], tf.float32),
        main=tf.constant([[True]]),
        picture=tf.constant([[480, 640]], tf.int64),
        size=SIZE,
        seed=seed[None],
        epoch=tf.constant(epoch, tf.int64),
        parameters=parameters,
    )
    return matrix[0], bool(flip[0])


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
    for number in range(10):
        seed = tf.constant([0, number], tf.int64)
        (turned, mirrored), (upright, flip) = (affine([20, 30, 40, 48], parameters, seed, epoch) for epoch in (2, 3))
        assert mirrored
        assert not flip
        assert turned[0, 1] != 0
        assert upright[0, 1] == upright[1, 0] == 0
        assert upright[0, 0] == upright[1, 1] > 0


def test_a_share_of_the_samples_is_at_any_place_but_in_the_picture() -> None:
    """The picture has 640×480 pixels, the window 240×200 of it; the animal is at the top left corner."""
    parameters = AugmentParameters(min_scale=1, max_scale=1, max_rotation=0, max_shift=0, flip=0, anywhere=0.5)
    seen = []
    for number in range(60):
        matrix, _ = affine([10, 10, 40, 120], parameters, tf.constant([0, number], tf.int64))
        corners = warp_points(tf.constant([[0.0, 0.0], [191, 159]]), np.linalg.inv(matrix))
        seen.append(corners[0])
        np.testing.assert_allclose(corners[1] - corners[0], np.array([191, 159]) / 0.8, rtol=1e-4)
        assert (corners[0] >= -1).all()
        assert (corners[1] <= [640, 480]).all()
    at_the_animal = (np.abs(seen) < 2).all(1)
    assert 0.3 < at_the_animal.mean() < 0.7
    assert np.ptp(seen, axis=0).min() > 200


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
    matrix, _ = affine([50, 20, 40, 50], AugmentParameters(), tf.constant([0, seed], tf.int64))
    image = augment.warp_images(tf.constant(disc[None, ..., None] * 255), matrix[None], SIZE).numpy()[0, ..., 0]
    runs = runs_of(disc == 0)
    mask = warp_mask(runs, 100, 120, matrix)
    (expected,) = warp_points(tf.constant(point[None]), matrix)
    bright = np.argwhere(image > 200)[:, ::-1]
    np.testing.assert_allclose(bright.mean(0), expected, atol=0.6)
    row, column = np.round((expected[::-1] - 3.5) / 8).astype(int)
    assert mask[row, column] == 0


def test_outside_of_the_image_is_grey_and_masked() -> None:
    (matrix,) = augment.fit_affine(tf.constant([[50, 120]], tf.int64), SIZE)
    image = augment.warp_images(tf.zeros([1, 50, 120, 3]), matrix[None], SIZE).numpy()[0]
    everywhere = tf.constant([], tf.int64)
    mask = warp_mask(everywhere, 50, 120, matrix)
    assert (image[81:] == 128).all()  # the last row of pixels fades into the grey
    assert (image[1:78, 1:-1] == 0).all()
    assert (mask[:10] == 1).all()
    assert (mask[10:] == 0).all()


@pytest.mark.slow
def test_seed_decides_and_ranges_hold() -> None:
    parameters = AugmentParameters()
    draws = [affine([20, 30, 40, 48], parameters, tf.constant([3, i], tf.int64)) for i in range(200)]
    np.testing.assert_array_equal(affine([20, 30, 40, 48], parameters, tf.constant([3, 0], tf.int64))[0], draws[0][0])
    scales = np.array([np.sqrt(abs(np.linalg.det(m[:2, :2]))) for m, _ in draws]) / (0.6 * 160 / 48)
    assert 0.5 <= scales.min() < 0.55
    assert 1.05 < scales.max() <= 1.1 + 1e-6
    assert 0.35 < np.mean([flip for _, flip in draws]) < 0.65
    angles = np.degrees([np.arctan2(m[1, 0], m[1, 1]) for m, _ in draws])
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
