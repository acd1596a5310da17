"""Keypoints to heatmap and vectmap (PAF), the network's targets. `decode.py` is the inverse.

Letters of the shapes: B pictures, P people, K parts, L limbs, h × w cells of the output grid. Cell g stands for the
input pixel `stride * g + stride / 2 - 0.5`; both maps use these centres. Everything is computed at the grid.

Most cells are empty, so only those around the N labelled parts, and on the N limbs, are computed and then written into
the maps. Parts and limbs are listed because pictures differ in their number of people. Indices are int64, because
TensorFlow computes with int32 on the CPU, even for a GPU.
"""

import math
from functools import partial

import tensorflow as tf

from openpose.codec.parameters import TargetParameters
from openpose.skeleton import Skeleton

# Where the Gaussian's exponent exceeds this, the heatmap is 0: ln 100, as in OpenPose's own code.
MAX_EXPONENT = 4.6052

# A cell exactly on a limb's edge belongs to the limb, whichever way its distance is rounded.
_ROUNDING = 1e-5

# Vectors are added up as integers, in units of this: then the order, which a GPU does not keep, makes no difference.
_FIXED_POINT = 1 << 30


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


# Traced once in a process, not once for each data set.
@partial(tf.function, autograph=False, reduce_retracing=True)
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
    listed = tf.where(labelled)  # [N, 3]: picture, person, part
    centre = tf.gather_nd(cells, listed)
    radius = math.sqrt(2 * MAX_EXPONENT) * sigma
    # A multiple of 4: TensorFlow computes exp of several numbers at once, and may round that of a rest otherwise.
    side = 4 * math.ceil((2 * radius + 2) / 4)
    at = tf.floor(centre - radius)[..., None] + tf.range(side, dtype=tf.float32)  # [N, 2, side], cells around the part
    distance = at - centre[..., None]
    exponent = distance * distance / (2 * sigma * sigma)
    exponent = tf.where((at >= 0) & (at < tf.constant(grid[::-1], tf.float32)[:, None]), exponent, math.inf)
    exponent = exponent[:, 1, :, None] + exponent[:, 0, None, :]  # [N, side, side]
    x, y = (tf.cast(each, tf.int64) for each in tf.unstack(at, axis=1))
    batch, parts = tf.shape(cells)[0], cells.shape[2]
    picture, part = listed[:, 0, None, None], listed[:, 2, None, None]
    cell = ((picture * grid[0] + y[:, :, None]) * grid[1] + x[:, None]) * parts + part
    cell = tf.where(exponent <= MAX_EXPONENT, cell, -1)  # not written
    found = tf.math.unsorted_segment_max(tf.exp(-exponent), cell, batch * grid[0] * grid[1] * parts)
    found = tf.reshape(tf.maximum(found, 0.0), [batch, *grid, parts])
    return tf.concat([found, 1 - tf.reduce_max(found, -1, keepdims=True)], -1)


def _vectmap(
    cells: tf.Tensor, labelled: tf.Tensor, grid: tuple[int, int], skeleton: Skeleton, width: float
) -> tf.Tensor:
    """Mean of the limb's unit vectors over the people on a cell; 0 where nobody is.

    A limb is a rectangle around its middle, so on each row of cells it has one interval: where the distances from the
    middle, along the limb and across it, are at most the half sides.
    """
    batch = tf.shape(cells)[0]
    if not skeleton.limbs:
        return tf.zeros([batch, *grid, 0])
    first, second = (list(ends) for ends in zip(*skeleton.limbs, strict=True))
    lengths = tf.norm(tf.gather(cells, second, axis=2) - tf.gather(cells, first, axis=2), axis=-1)
    exists = tf.gather(labelled, first, axis=2) & tf.gather(labelled, second, axis=2) & (lengths > 0)
    listed = tf.where(exists)  # [N, 3]: picture, person, limb
    picture, person, limb = listed[:, 0], listed[:, 1], listed[:, 2]
    start, end = (
        tf.gather_nd(cells, tf.stack([picture, person, tf.gather(tf.constant(ends, tf.int64), limb)], 1))
        for ends in (first, second)
    )
    length = tf.gather_nd(lengths, listed)[:, None]
    unit = (end - start) / length
    normal = tf.stack([-unit[:, 1], unit[:, 0]], 1)

    def interval(axis: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """[N, h] each, first and last x of a row where the distance in direction `axis` is at most 1."""
        rows = tf.range(grid[0], dtype=tf.float32)
        at_zero = axis[:, 1:] * rows - tf.reduce_sum(axis * (start + end) / 2, 1, keepdims=True)
        # In a row along the limb's own direction all cells are inside, or none: -∞ to ∞, or ∞ to ∞.
        ends = [(reach - at_zero) / axis[:, :1] for reach in (-1 - _ROUNDING, 1 + _ROUNDING)]
        return tf.minimum(*ends), tf.maximum(*ends)

    (begins, stops), (begins_across, stops_across) = interval(unit / (length / 2 + width)), interval(normal / width)
    number, y, x = _cells_of_rows(tf.maximum(begins, begins_across), tf.minimum(stops, stops_across), grid[1])
    cell = ((tf.gather(picture, number) * grid[0] + y) * grid[1] + x) * skeleton.num_limbs + tf.gather(limb, number)
    total = batch * grid[0] * grid[1] * skeleton.num_limbs
    people = tf.gather(tf.math.unsorted_segment_sum(tf.ones_like(cell, tf.int32), cell, total), cell)
    share = tf.gather(unit, number) / tf.cast(people, tf.float32)[:, None]
    summed = tf.math.unsorted_segment_sum(tf.cast(share * _FIXED_POINT, tf.int32), cell, total)
    return tf.reshape(tf.cast(summed, tf.float32) / _FIXED_POINT, [batch, *grid, 2 * skeleton.num_limbs])


def _cells_of_rows(low: tf.Tensor, high: tf.Tensor, width: int) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """The cells of intervals of rows [N, h], low ≤ x ≤ high: int64 [cells] each, number in N, y and x."""
    some = low <= high  # and neither is NaN, as on a row that lies exactly on a limb's edge
    begin, end = (
        tf.reshape(tf.cast(tf.where(some, tf.clip_by_value(bound, 0, width), 0), tf.int64), [-1])
        for bound in (tf.math.ceil(low), tf.floor(high) + 1)
    )
    stops = tf.cumsum(end - begin)
    cell = tf.range(tf.reduce_sum(end - begin))
    row = tf.searchsorted(stops, cell, side="right", out_type=tf.int64)
    rows = tf.shape(low, tf.int64)[1]
    return row // rows, row % rows, cell + tf.gather(end - stops, row)
