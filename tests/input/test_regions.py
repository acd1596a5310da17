"""Regions are decoded as the whole picture is, and averaged where they are large."""

import cv2
import numpy as np
import pytest
import tensorflow as tf

from openpose import skeleton
from openpose.input import dense, regions
from openpose.input.parameters import InputParameters

OPENPOSE = skeleton.get("openpose18")


def smooth_picture(kind: str) -> tuple[tf.Tensor, np.ndarray]:
    """An encoded picture of 251 × 333, and its pixels."""
    numbers = np.random.default_rng(0)
    smooth = cv2.resize(numbers.integers(0, 255, (30, 40, 3), np.uint8), (333, 251), interpolation=cv2.INTER_CUBIC)
    encoded = tf.io.encode_jpeg(smooth, chroma_downsampling=False) if kind == "jpeg" else tf.io.encode_png(smooth)
    return encoded, tf.io.decode_image(encoded).numpy()


def decode(encoded: tf.Tensor, window: list[int], ratio: int) -> np.ndarray:
    """A window of the picture of `smooth_picture`."""
    picture = tf.constant([[251, 333]], tf.int64)
    cut = regions._cuts(encoded[None], picture, tf.constant([window]), tf.constant([ratio], tf.int64))
    return regions.decoded({name: value[0] for name, value in cut.items()} | {"filename": "a.jpg"})["pixels"].numpy()


@pytest.mark.parametrize("kind", ["jpeg", "png"])
def test_region_is_what_decoding_the_whole_picture_gives(kind: str) -> None:
    encoded, whole = smooth_picture(kind)
    for y, x, height, width in ((0, 0, 251, 333), (17, 45, 100, 200), (250, 332, 1, 1), (100, 0, 151, 9)):
        part = decode(encoded, [y, x, height, width], 1)
        expected = whole[y : y + height, x : x + width]
        assert part.shape == expected.shape
        # The region's outermost pixels may differ; no input shows them.
        np.testing.assert_array_equal(part[2:-2, 2:-2], expected[2:-2, 2:-2])


@pytest.mark.parametrize("ratio", [2, 8, 16, 64])
@pytest.mark.parametrize("kind", ["jpeg", "png"])
def test_region_of_a_large_picture_is_averaged(kind: str, ratio: int) -> None:
    encoded, whole = smooth_picture(kind)
    rows, columns = -(-251 // ratio), -(-333 // ratio)
    for y, x in ((0, 0), (rows // 2, columns // 3), (rows - 1, columns - 1)):
        part = decode(encoded, [y, x, rows - y, columns - x], ratio)
        assert part.shape == (rows - y, columns - x, 3)
        tops, lefts = np.arange(y, rows) * ratio, np.arange(x, columns) * ratio
        expected = np.array(
            [[whole[top : top + ratio, left : left + ratio].mean((0, 1)) for left in lefts] for top in tops]
        )
        if kind == "png":
            np.testing.assert_allclose(part, expected, atol=0.51)
        else:  # JPEG's decoder averages blocks that reach beyond the picture's edge
            assert np.median(np.abs(part - expected)) < (2 if min(part.shape[:2]) > 1 else 25)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["jpeg", "png"])
@pytest.mark.parametrize("height", [150, 700, 1500, 4100])
def test_training_sees_large_pictures_as_prediction_does(height: int, kind: str) -> None:
    """A large picture with fine detail is averaged, as prediction averages it, not subsampled."""
    numbers = np.random.default_rng(height)
    coarse = cv2.resize(numbers.integers(0, 255, (9, 9, 3), np.uint8), (height, height), interpolation=cv2.INTER_CUBIC)
    noisy = np.clip(coarse + numbers.normal(0, 40, coarse.shape), 0, 255).astype(np.uint8)
    encoded = tf.io.encode_jpeg(noisy, quality=100) if kind == "jpeg" else tf.io.encode_png(noisy, compression=1)
    image = tf.io.decode_image(encoded).numpy()
    side = tf.constant(height, tf.int64)
    parameters = InputParameters(size=(128, 128))
    example = {"encoded": encoded, "height": side, "width": side, "id": tf.constant(1, tf.int64)}
    example |= {"filename": tf.constant("a.jpg")}
    example |= {"keypoints": tf.zeros([0, 17, 2]), "visibility": tf.zeros([0, 17], tf.int64)}
    example |= {"crowd": tf.zeros([0], tf.bool), "mask_runs": tf.reshape(side * side, [1])}
    trained_on = dense.whole_sample(example, OPENPOSE, parameters, stored=False)["image"].numpy()
    seen = cv2.resize(image, (128, 128), interpolation=cv2.INTER_AREA)
    difference = np.abs(trained_on.astype(float) - seen)[2:-2, 2:-2].mean()
    raw = cv2.resize(image, (128, 128), interpolation=cv2.INTER_NEAREST).astype(float)
    assert difference < 0.3 * np.abs(raw - seen)[2:-2, 2:-2].mean()
