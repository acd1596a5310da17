"""One affine transform per sample: scale, rotation, flip, translation and crop in a single matrix.

Image, mask and keypoints go through the same matrix; coordinates are floating point; both axes have the same scale. A
matrix is float32 [3, 3] and maps (x, y, 1) from the source image to the network's input, both in pixels; an integer is
the centre of a pixel.
"""

import math

import tensorflow as tf

from openpose.image_file import PADDING_GREY
from openpose.input.parameters import AugmentParameters

_MAX_HALVINGS = 6  # one person who fills a picture of 50 megapixels needs 5


def random_affine(
    centre: tf.Tensor,
    person_height: tf.Tensor,
    picture: tf.Tensor,
    size: tuple[int, int],
    seed: tf.Tensor,
    epoch: tf.Tensor,
    parameters: AugmentParameters,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Draws one sample's transform, centred on one of the main persons or, for a share of them, on any place.

    Args:
        centre: float32 [M, 2], x and y of each main person in the source image; at least one.
        person_height: float32 [M], pixels.
        picture: int64 [2], height and width of the source image.
        size: (height, width) of the input.
        seed: int64 [2], of all random numbers.
        epoch: int64 [], number of the pass over the data, from 0.
        parameters: the ranges.

    Returns:
        The matrix, and bool []: whether it mirrors, so that left and right parts must be swapped.
    """
    draws = tf.random.stateless_uniform([6], seed)
    count = tf.shape(person_height)[0]
    person = tf.cast(draws[0] * tf.cast(count, tf.float32), tf.int32) % count
    scale = parameters.min_scale + draws[1] * (parameters.max_scale - parameters.min_scale)
    scale *= parameters.target_height * size[0] / tf.maximum(person_height[person], 1.0)
    angle = (2 * draws[2] - 1) * (parameters.max_rotation * 3.14159265 / 180)
    shift = (2 * draws[3:5] - 1) * (parameters.max_shift * size[0])
    flip = draws[5] < parameters.flip
    if parameters.upright_from is not None:
        turned = epoch < parameters.upright_from
        angle, flip = tf.where(turned, angle, 0.0), flip & turned
    sign = tf.where(flip, -1.0, 1.0)
    cosine, sine = scale * tf.cos(angle), scale * tf.sin(angle)
    linear = tf.reshape(tf.stack([sign * cosine, -sign * sine, sine, cosine]), [2, 2])
    middle = centre[person]
    if parameters.anywhere:
        middle = _inside(_or_anywhere(middle, picture, seed, parameters.anywhere), picture, size, scale)
    offset = [(size[1] - 1) / 2, (size[0] - 1) / 2] + shift - tf.linalg.matvec(linear, middle)
    return _matrix(linear, offset), flip


def _or_anywhere(middle: tf.Tensor, picture: tf.Tensor, seed: tf.Tensor, share: float) -> tf.Tensor:
    """For a share of the samples a random place in the picture instead of the animal's: float32 [2], x and y."""
    draws = tf.random.stateless_uniform([3], seed + [0, 1 << 40])
    place = draws[:2] * tf.cast(picture[::-1] - 1, tf.float32)
    return tf.where(draws[2] < share, place, middle)


def _inside(middle: tf.Tensor, picture: tf.Tensor, size: tuple[int, int], scale: tf.Tensor) -> tf.Tensor:
    """The nearest place whose window, not rotated, lies in the picture; the middle of a smaller picture."""
    last = tf.cast(picture[::-1] - 1, tf.float32)
    reach = tf.minimum(tf.constant(size[::-1], tf.float32) / (2 * scale), last / 2)
    return tf.clip_by_value(middle, reach, last - reach)


def fit_affine(height: tf.Tensor, width: tf.Tensor, size: tuple[int, int]) -> tf.Tensor:
    """The transform for validation: the whole image at the input's top left, its aspect kept."""
    scale = tf.minimum(size[0] / tf.cast(height, tf.float32), size[1] / tf.cast(width, tf.float32))
    offset = 0.5 * scale - 0.5
    return _matrix(scale * tf.eye(2), tf.stack([offset, offset]))


def to_cells(matrix: tf.Tensor, stride: int) -> tf.Tensor:
    """The same transform [..., 3, 3], but to the cells of the grid."""
    offset = (0.5 - stride / 2) / stride
    return _matrix(tf.eye(2) / stride, tf.constant([offset, offset], tf.float32)) @ matrix


def averaged_pixels(matrix: tf.Tensor) -> tf.Tensor:
    """How many of the source image's pixels to average, in each direction, before the transform.

    Bilinear resampling looks at 2 × 2 pixels. Below half the size it skips pixels, and the network would be trained on
    aliased pictures, but used on averaged ones (`openpose/image_file.py`).

    Returns:
        int64 []: a power of two, after which the transform's scale is from 1/2 to 1.
    """
    (a, b), (c, d) = tf.unstack(matrix[0, :2]), tf.unstack(matrix[1, :2])
    halvings = -tf.math.log(tf.abs(a * d - b * c)) / (2 * math.log(2))
    # Epsilon: the log2 of exactly 1/2 may be rounded down.
    return 2 ** tf.cast(tf.clip_by_value(tf.floor(halvings + 1e-4), 0, _MAX_HALVINGS), tf.int64)


def place(window: tf.Tensor, ratio: tf.Tensor) -> tf.Tensor:
    """The place of a `region`'s first pixel.

    Returns:
        float32 [3]: x and y of its centre in the source image, and its width there, in pixels.
    """
    factor = tf.cast(ratio, tf.float32)
    return tf.concat([tf.cast(window[1::-1], tf.float32) * factor + (factor - 1) / 2, [factor]], 0)


def from_region(matrix: tf.Tensor, places: tf.Tensor) -> tf.Tensor:
    """The same transforms [..., 3, 3], but from regions of the source images at places [..., 3]."""
    linear, corner = matrix[..., :2, :2] * places[..., 2, None, None], places[..., None, :2]
    offset = warp_points(corner, matrix)[..., 0, :, None]
    return tf.concat([tf.concat([linear, offset], -1), matrix[..., 2:, :]], -2)


def region(matrix: tf.Tensor, picture: tf.Tensor, size: tuple[int, int], ratio: tf.Tensor) -> tf.Tensor:
    """The window of the source image that the input shows, with a margin of three pixels.

    Args:
        matrix: from the source image to the input.
        picture: int64 [2], height and width of the source image.
        size: (height, width) of the input.
        ratio: `averaged_pixels`; the window is in averaged pixels, of which the last ones may be cut off.

    Returns:
        int32 [4]: y, x, height and width; at least one pixel.
    """
    high, wide = size[0] - 1.0, size[1] - 1.0
    corners = tf.constant([[0, 0], [wide, 0], [0, high], [wide, high]], tf.float32)
    first = place(tf.zeros([4], tf.int32), ratio)
    shown = warp_points(corners, tf.linalg.inv(from_region(matrix, first)))  # x, y
    last = -(-picture[::-1] // ratio) - 1
    low = tf.clip_by_value(tf.cast(tf.floor(tf.reduce_min(shown, 0)), tf.int64) - 3, 0, last)
    end = tf.clip_by_value(tf.cast(tf.math.ceil(tf.reduce_max(shown, 0)), tf.int64) + 3, low, last)
    return tf.cast(tf.concat([low[::-1], (end - low + 1)[::-1]], 0), tf.int32)


def warp_images(images: tf.Tensor, matrices: tf.Tensor, size: tuple[int, int]) -> tf.Tensor:
    """Images float32 [B, H, W, C] through matrices [B, 3, 3] to [B, height, width, C]: bilinear, grey outside."""
    # The operation takes the inverse, from output to source, as the matrix's first eight numbers.
    back = tf.reshape(tf.linalg.inv(matrices), [-1, 9])[:, :8]
    warped = tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=back,
        output_shape=list(size),
        fill_value=PADDING_GREY,
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
    )
    return tf.ensure_shape(warped, [None, *size, images.shape[-1]])


def warp_masks(runs: tf.Tensor, pictures: tf.Tensor, matrices: tf.Tensor, grid: tuple[int, int]) -> tf.Tensor:
    """Loss masks through matrices of `to_cells`: the source pixel at each cell's centre, looked up in the runs.

    Args:
        runs: int64 [B, R], of `records.loss_mask`; padding of R is larger than any picture.
        pictures: int64 [B, 2], height and width of the source images.
        matrices: [B, 3, 3], from the source images to the cells.
        grid: (h, w) cells.

    Returns:
        float32 [B, h, w, 1]: 1 where the loss counts, 0 elsewhere and outside of the image.
    """
    columns, rows = tf.meshgrid(tf.range(grid[1], dtype=tf.float32), tf.range(grid[0], dtype=tf.float32))
    cells = tf.reshape(tf.stack([columns, rows], -1), [-1, 2])
    pixel = tf.cast(tf.floor(warp_points(cells, tf.linalg.inv(matrices)) + 0.5), tf.int64)
    (x, y), (height, width) = tf.unstack(pixel, axis=-1), tf.unstack(pictures[:, None], axis=-1)
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    run = tf.searchsorted(tf.cumsum(runs, axis=1), x * height + y, side="right")  # runs go down the columns
    counts = (run % 2 == 0) & inside
    return tf.reshape(tf.cast(counts, tf.float32), [-1, *grid, 1])


def warp_points(points: tf.Tensor, matrix: tf.Tensor) -> tf.Tensor:
    """Points float32 [..., N, 2] through a matrix [3, 3] or, from [N, 2] to [B, N, 2], through each of [B, 3, 3]."""
    linear, offset = matrix[..., :2, :2], matrix[..., None, :2, 2]
    # Written out, as some devices round a matrix product to fewer digits.
    return points[..., :1] * linear[..., None, :, 0] + points[..., 1:] * linear[..., None, :, 1] + offset


def _matrix(linear: tf.Tensor, offset: tf.Tensor) -> tf.Tensor:
    return tf.concat([tf.concat([linear, offset[:, None]], 1), [[0.0, 0.0, 1.0]]], 0)
