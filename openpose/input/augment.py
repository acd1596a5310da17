"""One affine transform per sample: scale, rotation, flip, translation and crop in a single matrix.

Image, mask and keypoints go through the same matrix; coordinates are floating point; both axes have the same scale. A
matrix is float32 [3, 3] and maps (x, y, 1) from the source image to the network's input, both in pixels; an integer is
the centre of a pixel. The functions take B samples at once, because TensorFlow's time is that of its small operations.
"""

import math

import tensorflow as tf

from openpose.image_file import PADDING_GREY
from openpose.input.parameters import AugmentParameters

_MAX_HALVINGS = 6  # one person who fills a picture of 50 megapixels needs 5


def random_affine(
    centre: tf.Tensor,
    person_height: tf.Tensor,
    main: tf.Tensor,
    picture: tf.Tensor,
    size: tuple[int, int],
    seed: tf.Tensor,
    epoch: tf.Tensor,
    parameters: AugmentParameters,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Draws each sample's transform, centred on one of the main persons or, for a share of them, on any place.

    Args:
        centre: float32 [B, P, 2], x and y of each person in the source image.
        person_height: float32 [B, P], pixels.
        main: bool [B, P]: the main persons; at least one in each sample.
        picture: int64 [B, 2], height and width of the source image.
        size: (height, width) of the input.
        seed: int64 [B, 2], of all random numbers.
        epoch: int64 [], number of the pass over the data, from 0.
        parameters: the ranges.

    Returns:
        The matrices [B, 3, 3], and bool [B]: whether it mirrors, so that left and right parts must be swapped.
    """
    draws = _uniform(6, seed)
    person = _main_person(main, draws[:, 0])
    scale = parameters.min_scale + draws[:, 1] * (parameters.max_scale - parameters.min_scale)
    scale *= parameters.target_height * size[0] / tf.maximum(tf.gather(person_height, person, batch_dims=1), 1.0)
    angle = (2 * draws[:, 2] - 1) * (parameters.max_rotation * 3.14159265 / 180)
    shift = (2 * draws[:, 3:5] - 1) * (parameters.max_shift * size[0])
    flip = draws[:, 5] < parameters.flip
    if parameters.upright_from is not None:
        turned = epoch < parameters.upright_from
        angle, flip = tf.where(turned, angle, 0.0), flip & turned
    sign = tf.where(flip, -1.0, 1.0)
    cosine, sine = scale * tf.cos(angle), scale * tf.sin(angle)
    linear = tf.reshape(tf.stack([sign * cosine, -sign * sine, sine, cosine], -1), [-1, 2, 2])
    middle = tf.gather(centre, person, batch_dims=1)
    if parameters.anywhere:
        middle = _inside(_or_anywhere(middle, picture, seed, parameters.anywhere), picture, size, scale)
    offset = [(size[1] - 1) / 2, (size[0] - 1) / 2] + shift - tf.linalg.matvec(linear, middle)
    return _matrix(linear, offset), flip


def _uniform(count: int, seed: tf.Tensor) -> tf.Tensor:
    """Random numbers of each seed: float32 [B, count] in 0–1."""
    return tf.map_fn(
        lambda one: tf.random.stateless_uniform([count], one),
        seed,
        fn_output_signature=tf.TensorSpec([count], tf.float32),
    )


def _main_person(main: tf.Tensor, draw: tf.Tensor) -> tf.Tensor:
    """The index of one of the main persons [B, P], which a number in 0–1 chooses: int64 [B]."""
    number = tf.cumsum(tf.cast(main, tf.int32), axis=1)
    count = number[:, -1]
    wanted = 1 + tf.cast(draw * tf.cast(count, tf.float32), tf.int32) % count
    return tf.argmax(number == wanted[:, None], 1)  # the first of those that have counted up to it


def _or_anywhere(middle: tf.Tensor, picture: tf.Tensor, seed: tf.Tensor, share: float) -> tf.Tensor:
    """For a share of the samples a random place in the picture instead of the animal's: float32 [B, 2], x and y."""
    draws = _uniform(3, seed + [0, 1 << 40])
    place = draws[:, :2] * tf.cast(picture[:, ::-1] - 1, tf.float32)
    return tf.where(draws[:, 2:] < share, place, middle)


def _inside(middle: tf.Tensor, picture: tf.Tensor, size: tuple[int, int], scale: tf.Tensor) -> tf.Tensor:
    """The nearest places whose windows, not rotated, lie in the picture; the middle of a smaller picture."""
    last = tf.cast(picture[:, ::-1] - 1, tf.float32)
    reach = tf.minimum(tf.constant(size[::-1], tf.float32) / (2 * scale[:, None]), last / 2)
    return tf.clip_by_value(middle, reach, last - reach)


def fit_affine(picture: tf.Tensor, size: tuple[int, int]) -> tf.Tensor:
    """The transforms for validation: the whole image at the input's top left, its aspect kept.

    Args:
        picture: int64 [B, 2], height and width of the source images.
        size: (height, width) of the input.
    """
    scale = tf.reduce_min(tf.constant(size, tf.float32) / tf.cast(picture, tf.float32), 1)[:, None]
    offset = 0.5 * scale - 0.5
    return _matrix(scale[..., None] * tf.eye(2), tf.concat([offset, offset], 1))


def to_cells(matrix: tf.Tensor, stride: int) -> tf.Tensor:
    """The same transforms [B, 3, 3], but to the cells of the grid."""
    offset = (0.5 - stride / 2) / stride
    return _matrix(tf.eye(2)[None] / stride, tf.fill([1, 2], offset)) @ matrix


def averaged_pixels(matrix: tf.Tensor) -> tf.Tensor:
    """How many of the source images' pixels to average, in each direction, before the transforms [B, 3, 3].

    Bilinear resampling looks at 2 × 2 pixels. Below half the size it skips pixels, and the network would be trained on
    aliased pictures, but used on averaged ones (`openpose/image_file.py`).

    Returns:
        int64 [B]: a power of two, after which the transform's scale is from 1/2 to 1.
    """
    (a, b), (c, d) = (tf.unstack(row, axis=-1) for row in tf.unstack(matrix[:, :2, :2], axis=1))
    halvings = -tf.math.log(tf.abs(a * d - b * c)) / (2 * math.log(2))
    # Epsilon: the log2 of exactly 1/2 may be rounded down.
    return 2 ** tf.cast(tf.clip_by_value(tf.floor(halvings + 1e-4), 0, _MAX_HALVINGS), tf.int64)


def place(window: tf.Tensor, ratio: tf.Tensor) -> tf.Tensor:
    """The places of the first pixels of windows from `region`.

    Returns:
        float32 [B, 3]: x and y of its centre in the source image, and its width there, in pixels.
    """
    factor = tf.cast(ratio, tf.float32)[:, None]
    return tf.concat([tf.cast(window[:, 1::-1], tf.float32) * factor + (factor - 1) / 2, factor], 1)


def from_region(matrix: tf.Tensor, places: tf.Tensor) -> tf.Tensor:
    """The same transforms [B, 3, 3], but from regions of the source images at places [B, 3]."""
    linear, corner = matrix[:, :2, :2] * places[:, 2, None, None], places[:, None, :2]
    offset = warp_points(corner, matrix)[:, 0, :, None]
    return tf.concat([tf.concat([linear, offset], 2), matrix[:, 2:]], 1)


def region(matrix: tf.Tensor, picture: tf.Tensor, size: tuple[int, int], ratio: tf.Tensor) -> tf.Tensor:
    """The windows of the source images that the input shows, with a margin of three pixels.

    Args:
        matrix: [B, 3, 3], from the source image to the input.
        picture: int64 [B, 2], height and width of the source image.
        size: (height, width) of the input.
        ratio: `averaged_pixels`; the window is in averaged pixels, of which the last ones may be cut off.

    Returns:
        int32 [B, 4]: y, x, height and width; at least one pixel.
    """
    high, wide = size[0] - 1.0, size[1] - 1.0
    corners = tf.constant([[0, 0], [wide, 0], [0, high], [wide, high]], tf.float32)
    first = place(tf.zeros([1, 4], tf.int32), ratio)
    shown = warp_points(corners, tf.linalg.inv(from_region(matrix, first)))  # [B, 4, 2], x and y
    last = -(-picture[:, ::-1] // ratio[:, None]) - 1
    low = tf.clip_by_value(tf.cast(tf.floor(tf.reduce_min(shown, 1)), tf.int64) - 3, 0, last)
    end = tf.clip_by_value(tf.cast(tf.math.ceil(tf.reduce_max(shown, 1)), tf.int64) + 3, low, last)
    return tf.cast(tf.concat([low[:, ::-1], (end - low + 1)[:, ::-1]], 1), tf.int32)


def warp_images(images: tf.Tensor, back: tf.Tensor, size: tuple[int, int]) -> tf.Tensor:
    """Images float32 [B, H, W, C] transformed to [B, height, width, C]: bilinear, grey outside.

    Args:
        images: the sources.
        back: [B, 3, 3], from the results to the sources.
        size: (height, width) of the results.
    """
    warped = tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=tf.reshape(back, [-1, 9])[:, :8],
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
    back = tf.linalg.inv(matrices)[:, :2]
    columns = back[:, :, 0, None] * tf.range(grid[1], dtype=tf.float32)  # [B, 2, w], x and y
    rows = back[:, :, 1, None] * tf.range(grid[0], dtype=tf.float32) + back[:, :, 2, None]
    pixel = tf.floor(rows[..., None] + columns[:, :, None] + 0.5)
    x, y = (tf.cast(each, tf.int64) for each in tf.unstack(pixel, axis=1))
    height, width = pictures[:, 0, None, None], pictures[:, 1, None, None]
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    place = tf.reshape(x * height + y, [-1, grid[0] * grid[1]])  # runs go down the columns
    run = tf.reshape(tf.searchsorted(tf.cumsum(runs, axis=1), place, side="right"), [-1, *grid])
    counts = (tf.bitwise.bitwise_and(run, 1) == 0) & inside
    return tf.cast(counts, tf.float32)[..., None]


def warp_points(points: tf.Tensor, matrix: tf.Tensor) -> tf.Tensor:
    """Points float32 [N, 2] or [B, N, 2] through each of the matrices [B, 3, 3]: float32 [B, N, 2]."""
    linear, offset = matrix[:, :2, :2], matrix[:, None, :2, 2]
    # Written out, as some devices round a matrix product to fewer digits.
    return points[..., :1] * linear[:, None, :, 0] + points[..., 1:] * linear[:, None, :, 1] + offset


def _matrix(linear: tf.Tensor, offset: tf.Tensor) -> tf.Tensor:
    """Matrices of their linear parts [B, 2, 2] and offsets [B, 2]."""
    rows = tf.concat([linear, offset[..., None]], 2)
    return tf.concat([rows, tf.broadcast_to([[[0.0, 0.0, 1.0]]], [tf.shape(rows)[0], 1, 3])], 1)
