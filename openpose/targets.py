"""Keypoints to heatmap and vectmap (PAF), the network's targets. `decode.py` is the inverse.

Letters of the shapes: P people, K parts, L limbs, h × w cells of the output grid. Cell g stands for the input
pixel `stride * g + stride / 2 - 0.5`; both maps use these centres. Everything is computed at the grid.
"""

from dataclasses import dataclass

import tensorflow as tf

from openpose.skeleton import Skeleton

# Where the Gaussian's exponent exceeds this, the heatmap is 0: ln 100, as in OpenPose's own code.
MAX_EXPONENT = 4.6052


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
    """Mean over the people on a cell of the limb's unit vector; 0 where there is none."""
    first, second = (list(ends) for ends in zip(*skeleton.limbs, strict=True))
    start, end = tf.gather(cells, first, axis=1), tf.gather(cells, second, axis=1)  # [P, L, 2]
    length = tf.norm(end - start, axis=-1)
    exists = tf.gather(labelled, first, axis=1) & tf.gather(labelled, second, axis=1) & (length > 0)
    unit = tf.math.divide_no_nan(end - start, length[..., None])
    ux, uy = unit[..., 0, None, None], unit[..., 1, None, None]
    dx = tf.range(grid[1], dtype=tf.float32) - start[..., 0, None, None]  # [P, L, 1, w]
    dy = tf.range(grid[0], dtype=tf.float32)[:, None] - start[..., 1, None, None]  # [P, L, h, 1]
    along = dx * ux + dy * uy  # [P, L, h, w], cells from the first part towards the second
    across = tf.abs(dx * uy - dy * ux)
    on_limb = (across <= width) & (along >= -width) & (along <= length[..., None, None] + width)
    present = tf.cast(on_limb & exists[..., None, None], tf.float32)
    total = tf.einsum("plhw,plc->hwlc", present, unit)
    count = tf.transpose(tf.reduce_sum(present, 0), [1, 2, 0])[..., None]
    mean = tf.math.divide_no_nan(total, count)
    return tf.reshape(mean, [grid[0], grid[1], 2 * skeleton.num_limbs])
