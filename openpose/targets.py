"""Keypoints to heatmap and vectmap (PAF), the network's targets. `decode.py` is the inverse.

Letters of the shapes: P people, K parts, L limbs, h × w cells of the output grid. Cell g stands for the input
pixel `stride * g + stride / 2 - 0.5`; both maps use these centres. Everything is computed at the grid.
"""

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from openpose.skeleton import Skeleton

# Where the Gaussian's exponent exceeds this, the heatmap is 0: ln 100, as in OpenPose's own code.
MAX_EXPONENT = 4.6052

# A cell exactly on a limb's edge belongs to it, whichever way its distance was rounded.
_ROUNDING = 1e-5


@dataclass(frozen=True)
class TargetParameters:
    """How the targets look.

    Attributes:
        stride: input pixels per cell.
        sigma: standard deviation of a part's Gaussian, in input pixels.
        limb_width: a limb's PAF reaches this far from its line, and beyond its ends, in cells.
    """

    stride: int = 8
    sigma: float = 7.0
    limb_width: float = 1.0


def encode(
    keypoints: tf.Tensor,
    labelled: tf.Tensor,
    grid: tuple[int, int],
    skeleton: Skeleton,
    parameters: TargetParameters = TargetParameters(),
) -> tuple[tf.Tensor, tf.Tensor]:
    """The true maps of one picture.

    Args:
        keypoints: float32 [P, K, 2], x and y in input pixels, anywhere (also outside the picture).
        labelled: bool [P, K].
        grid: (h, w) cells.
        skeleton: parts and limbs.
        parameters: stride, sigma, limb width.

    Returns:
        heatmap float32 [h, w, K + 1] in 0–1, and vectmap float32 [h, w, 2 L], unit vectors or their means.
    """
    labelled = tf.cast(labelled, tf.bool)
    # An unlabelled part has no position: it must not bring a NaN of its coordinates into the maps.
    cells = (tf.cast(keypoints, tf.float32) + 0.5) / parameters.stride - 0.5
    cells = tf.where(labelled[..., None], cells, 0.0)
    heatmap = _heatmap(cells, labelled, grid, parameters.sigma / parameters.stride)
    vectmap = _vectmap(cells, labelled, grid, skeleton, parameters.limb_width)
    return heatmap, vectmap


def _heatmap(cells: tf.Tensor, labelled: tf.Tensor, grid: tuple[int, int], sigma: float) -> tf.Tensor:
    """Maximum of the people's Gaussians exp(-d² / 2σ²) for each part; background = 1 - max over parts."""
    x = _squares(cells[..., 0], grid[1], sigma)  # [P, K, w]
    y = _squares(cells[..., 1], grid[0], sigma)  # [P, K, h]
    x = tf.where(labelled[..., None], x, MAX_EXPONENT + 1)
    # The exponent of the sum is the nearest person's: the minimum over people is the maximum of Gaussians.
    exponent = tf.reduce_min(y[:, :, :, None] + x[:, :, None, :], 0)  # [K, h, w]
    parts = tf.where(exponent <= MAX_EXPONENT, tf.exp(-exponent), 0.0)
    background = 1 - tf.reduce_max(parts, 0, keepdims=True)
    return tf.transpose(tf.concat([parts, background], 0), [1, 2, 0])


def _squares(centres: tf.Tensor, cells: int, sigma: float) -> tf.Tensor:
    distance = tf.range(cells, dtype=tf.float32) - centres[..., None]
    return distance * distance / (2 * sigma * sigma)


def _vectmap(
    cells: tf.Tensor, labelled: tf.Tensor, grid: tuple[int, int], skeleton: Skeleton, width: float
) -> tf.Tensor:
    """Mean over the people on a cell of the limb's unit vector; 0 where there is none.

    A limb is a rectangle around its middle. Its cells are those whose distances from the middle, along the limb and
    across it, are at most 1 in units of the rectangle's half sides. Both distances are linear in x and y, and so are
    the sums over people: three matrix products do nearly all of the work.
    """
    first, second = (list(ends) for ends in zip(*skeleton.limbs, strict=True))
    cells, labelled = tf.transpose(cells, [1, 0, 2]), tf.transpose(labelled)
    start, end = tf.gather(cells, first), tf.gather(cells, second)  # [L, P, 2]
    length = tf.norm(end - start, axis=-1, keepdims=True)
    exists = (tf.gather(labelled, first) & tf.gather(labelled, second))[..., None] & (length > 0)
    unit = tf.math.divide_no_nan(end - start, length)
    normal = tf.stack([-unit[..., 1], unit[..., 0]], -1)

    def distance(axis: tf.Tensor) -> tf.Tensor:
        """[L P, h w], of each cell from a limb's middle in direction `axis`; beyond any limb where there is none."""
        offset = -tf.reduce_sum(axis * (start + end) / 2, -1, keepdims=True)
        line = tf.where(exists, tf.concat([axis, offset], -1), [0.0, 0.0, 2.0])
        return tf.abs(tf.matmul(tf.reshape(line, [-1, 3]), _positions(grid)))

    present = tf.maximum(distance(unit / (length / 2 + width)), distance(normal / width)) <= 1 + _ROUNDING
    present = tf.reshape(tf.cast(present, tf.float32), [skeleton.num_limbs, -1, grid[0] * grid[1]])
    total = tf.matmul(tf.concat([unit, tf.ones_like(length)], -1), present, transpose_a=True)  # [L, 3, h w]
    mean = tf.math.divide_no_nan(total[:, :2], total[:, 2:])
    return tf.transpose(tf.reshape(mean, [2 * skeleton.num_limbs, *grid]), [1, 2, 0])


def _positions(grid: tuple[int, int]) -> np.ndarray:
    """float32 [3, h w]: x, y and 1 of each cell."""
    y, x = np.mgrid[: grid[0], : grid[1]].reshape(2, -1)
    return np.stack([x, y, np.ones_like(x)]).astype(np.float32)
