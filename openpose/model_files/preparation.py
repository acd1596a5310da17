"""Prepares pictures for a network in TensorFlow operations, as `openpose.image_file` does it.

All operations are such as TensorFlow, ONNX Runtime and TensorFlow Lite have.
"""

import tensorflow as tf

from openpose.codec.graph_decode import cubic_weights
from openpose.image_file import MAX_ASPECT, PADDING_GREY


def prepared(pictures: tf.Tensor, stride: int, height: int) -> tuple[tf.Tensor, tf.Tensor]:
    """A network's input for pictures of one size.

    Args:
        pictures: uint8 [N, H, W, 3]; H and W are free.
        stride: the result is padded at the right and at the bottom to multiples of this.
        height: of the result without padding; very wide pictures become smaller.

    Returns:
        float32 [N, h, w, 3], whole numbers 0–255, and float32 [2], y and x: its size without padding, relative to the
        pictures' size.
    """
    before = tf.shape(pictures)[1:3]
    after = _network_size(before, height)
    return _padded(_resized(pictures, after), stride), tf.cast(after, tf.float32) / tf.cast(before, tf.float32)


def _network_size(size: tf.Tensor, height: int) -> tf.Tensor:
    """Height and width of pictures after resizing, int32 [2], as `image_file.network_size` has them.

    Args:
        size: int32 [2], height and width of the pictures.
        height: wanted; pictures that are wider than `MAX_ASPECT` times their height get a smaller one.
    """
    h, w = tf.unstack(size)
    is_wide = w > MAX_ASPECT * h
    wanted, sides = tf.where(is_wide, MAX_ASPECT * height, height), tf.where(is_wide, w, h)
    return tf.maximum(tf.stack([_share(h * wanted, sides), _share(w * wanted, sides)]), 1)


def _share(product: tf.Tensor, divisor: tf.Tensor) -> tf.Tensor:
    """product / divisor, rounded; halves become even, as in Python."""
    whole = product // divisor
    twice = 2 * (product - whole * divisor)
    is_odd = whole - 2 * (whole // 2) > 0
    up = (twice > divisor) | (tf.equal(twice, divisor) & is_odd)
    return whole + tf.cast(up, tf.int32)


def _resized(pictures: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """Pictures uint8 [N, H, W, 3] in another size, float32 of whole numbers 0–255, as `image_file.resize` makes them.

    Args:
        pictures: to be resized.
        size: int32 [2], height and width.
    """
    before = tf.shape(pictures)[1:3]
    shrinks = size[0] * size[1] <= before[0] * before[1]  # pictures of the right size stay as they are
    n, channels = tf.shape(pictures)[0], pictures.shape[-1]
    # Whole rows are taken and weighed, which is quick everywhere; so the second time the columns are the rows.
    # To transpose matrices is quicker than to transpose pictures, whose pixels are only three values long.
    values = tf.reshape(tf.cast(pictures, tf.float32), [n, before[0], before[1] * channels])
    rows = _rows(values, size[0], shrinks)
    turned = tf.reshape(tf.transpose(rows, [0, 2, 1]), [n, before[1], channels * size[0]])
    columns = tf.reshape(_rows(turned, size[1], shrinks), [n, size[1] * channels, size[0]])
    both = tf.reshape(tf.transpose(columns, [0, 2, 1]), [n, size[0], size[1], channels])
    return tf.clip_by_value(tf.round(both), 0.0, 255.0)


def _rows(pictures: tf.Tensor, after: tf.Tensor, shrinks: tf.Tensor) -> tf.Tensor:
    """Another number of rows, [N, after, W], each a weighted sum of `taps` old ones; all are float32, [N, H, W]."""
    n, before, width = tf.unstack(tf.shape(pictures))
    ratio = tf.cast(before, tf.float32) / tf.cast(after, tf.float32)
    whole = before // after
    taps = tf.where(shrinks, tf.where(tf.equal(whole * after, before), whole, whole + 2), 4)
    top = tf.cast(tf.range(after), tf.float32) * ratio
    centre = top + 0.5 * ratio - 0.5
    first = tf.floor(tf.where(shrinks, top + 1e-3, centre - 1))
    cells = first[:, None] + tf.cast(tf.range(taps), tf.float32)
    overlap = tf.minimum(cells + 1, (top + ratio)[:, None]) - tf.maximum(cells, top[:, None])
    weights = tf.where(shrinks, tf.maximum(overlap, 0.0) / ratio, _cubic(centre - tf.floor(centre), taps))
    index = tf.clip_by_value(tf.cast(cells, tf.int32), 0, before - 1)
    taken = tf.gather(pictures, index, axis=1)  # [N, after, taps, W]
    return tf.reshape(tf.matmul(weights[:, None], taken), [n, after, width])


def _cubic(share: tf.Tensor, taps: tf.Tensor) -> tf.Tensor:
    """Cubic weights of four cells, [len(share), taps]; anything where `taps` is not 4."""
    weights = tf.stack(cubic_weights(share), -1)
    return tf.gather(weights, tf.minimum(tf.range(taps), 3), axis=1)


def _padded(pictures: tf.Tensor, stride: int) -> tf.Tensor:
    """Pictures with grey at the right and at the bottom, so that their sides are multiples of the stride."""
    # Not -side % stride: ONNX's remainder of a negative number is negative.
    n, h, w = tf.unstack(tf.shape(pictures)[:3])
    bottom, right = ((stride - side % stride) % stride for side in (h, w))
    grey = tf.pad(pictures, [[0, 0], [0, bottom], [0, right], [0, 0]], constant_values=float(PADDING_GREY))
    return tf.reshape(grey, [n, h + bottom, w + right, 3])  # the padding hides the number of channels
