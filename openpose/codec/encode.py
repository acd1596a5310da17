"""Keypoints to heatmap and vectmap (PAF), the network's targets. `decode.py` is the inverse.

Letters of the shapes: B pictures, P people, K parts, L limbs, h × w cells of the output grid. Cell g stands for the
input pixel `stride * g + stride / 2 - 0.5`; both maps use these centres. Everything is computed at the grid.
"""

import math

import tensorflow as tf

from openpose.codec.parameters import TargetParameters
from openpose.skeleton import Skeleton

# Where the Gaussian's exponent exceeds this, the heatmap is 0: ln 100, as in OpenPose's own code.
MAX_EXPONENT = 4.6052

# A cell exactly on a limb's edge belongs to the limb, whichever way its distance is rounded.
_ROUNDING = 1e-5


def encode(
    keypoints: tf.Tensor,
    labelled: tf.Tensor,
    grid: tuple[int, int],
    skeleton: Skeleton,
    parameters: TargetParameters = TargetParameters(),
) -> tuple[tf.Tensor, tf.Tensor]:
    """The target maps of one picture: `encode_batch` without its first dimension."""
    keypoints, labelled = (tf.convert_to_tensor(given)[None] for given in (keypoints, labelled))
    heatmap, vectmap = encode_batch(keypoints, labelled, grid, skeleton, parameters)
    return heatmap[0], vectmap[0]


def encode_batch(
    keypoints: tf.Tensor,
    labelled: tf.Tensor,
    grid: tuple[int, int],
    skeleton: Skeleton,
    parameters: TargetParameters = TargetParameters(),
) -> tuple[tf.Tensor, tf.Tensor]:
    """The target maps of pictures.

    Args:
        keypoints: float32 [B, P, K, 2], x and y in input pixels, anywhere (also outside the picture).
        labelled: bool [B, P, K]; people that pad P have no labelled part.
        grid: (h, w) cells.
        skeleton: parts and limbs.
        parameters: stride, sigma, limb width.

    Returns:
        heatmap float32 [B, h, w, K + 1] in 0–1, and vectmap float32 [B, h, w, 2 L], unit vectors or their means.
    """
    labelled = tf.cast(labelled, tf.bool)
    # An unlabelled part may have NaN coordinates, which must not reach the maps.
    cells = (tf.cast(keypoints, tf.float32) + 0.5) / parameters.stride - 0.5
    cells = tf.where(labelled[..., None], cells, 0.0)
    heatmap = _heatmap(cells, labelled, grid, parameters.sigma / parameters.stride)
    vectmap = _vectmap(cells, labelled, grid, skeleton, parameters.limb_width)
    return heatmap, vectmap


def _heatmap(cells: tf.Tensor, labelled: tf.Tensor, grid: tuple[int, int], sigma: float) -> tf.Tensor:
    """Maximum of the people's Gaussians exp(-d² / 2σ²) for each part; background = 1 - max over parts."""
    x = _squares(cells[..., 0], grid[1], sigma)  # [B, P, K, w]
    y = _squares(cells[..., 1], grid[0], sigma)  # [B, P, K, h]
    x = tf.where(labelled[..., None], x, MAX_EXPONENT + 1)
    # The exponent of the sum is the nearest person's: the minimum over people is the maximum of Gaussians. (Separate
    # Gaussians of x and y would be fewer, but exp's rounding would depend on the padding of P.)
    exponent = tf.reduce_min(y[..., :, None] + x[..., None, :], 1)  # [B, K, h, w]
    parts = tf.where(exponent <= MAX_EXPONENT, tf.exp(-exponent), 0.0)
    background = 1 - tf.reduce_max(parts, 1, keepdims=True)
    return tf.transpose(tf.concat([parts, background], 1), [0, 2, 3, 1])


def _squares(centres: tf.Tensor, cells: int, sigma: float) -> tf.Tensor:
    distance = tf.range(cells, dtype=tf.float32) - centres[..., None]
    return distance * distance / (2 * sigma * sigma)


def _vectmap(
    cells: tf.Tensor, labelled: tf.Tensor, grid: tuple[int, int], skeleton: Skeleton, width: float
) -> tf.Tensor:
    """Mean of the limb's unit vectors over the people on a cell; 0 where nobody is.

    A limb is a rectangle around its middle, so on each row of cells it has one interval: where the distances from the
    middle, along the limb and across it, are at most the half sides. Only the comparison with the intervals
    runs over every cell of every limb of every person, and sums over people are matrix products, which makes it fast.
    """
    if not skeleton.limbs:
        return tf.zeros([tf.shape(cells)[0], *grid, 0])
    first, second = (list(ends) for ends in zip(*skeleton.limbs, strict=True))
    cells, labelled = tf.transpose(cells, [0, 2, 1, 3]), tf.transpose(labelled, [0, 2, 1])
    start, end = tf.gather(cells, first, axis=1), tf.gather(cells, second, axis=1)  # [B, L, P, 2]
    length = tf.norm(end - start, axis=-1, keepdims=True)
    exists = (tf.gather(labelled, first, axis=1) & tf.gather(labelled, second, axis=1))[..., None] & (length > 0)
    unit = tf.math.divide_no_nan(end - start, length)
    normal = tf.stack([-unit[..., 1], unit[..., 0]], -1)

    def interval(axis: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """[B, L, P, h] each, first and last x of a row where the distance in direction `axis` is at most 1."""
        rows = tf.range(grid[0], dtype=tf.float32)
        at_zero = axis[..., 1:] * rows - tf.reduce_sum(axis * (start + end) / 2, -1, keepdims=True)
        # In a row along the limb's own direction all cells are inside, or none: -∞ to ∞, or ∞ to ∞.
        ends = [(reach - at_zero) / axis[..., :1] for reach in (-1 - _ROUNDING, 1 + _ROUNDING)]
        return tf.minimum(*ends), tf.maximum(*ends)

    (begins, stops), (begins_across, stops_across) = interval(unit / (length / 2 + width)), interval(normal / width)
    low = tf.where(exists, tf.maximum(begins, begins_across), math.inf)[..., None]
    high = tf.minimum(stops, stops_across)[..., None]
    x = tf.range(grid[1], dtype=tf.float32)
    present = tf.cast((low <= x) & (x <= high), tf.float32)
    present = tf.reshape(present, tf.concat([tf.shape(start)[:3], [grid[0] * grid[1]]], 0))
    total = tf.matmul(tf.concat([unit, tf.ones_like(length)], -1), present, transpose_a=True)  # [B, L, 3, h w]
    mean = tf.math.divide_no_nan(total[:, :, :2], total[:, :, 2:])
    return tf.transpose(tf.reshape(mean, [-1, 2 * skeleton.num_limbs, *grid]), [0, 2, 3, 1])
