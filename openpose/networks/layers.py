"""Building blocks that the networks share. Convolutions pad "same"; those before a batch norm have no bias."""

import keras
from keras import layers


def channels(count: int, width: float) -> int:
    """`count` channels times the width factor, at least 8."""
    return max(8, int(count * width))


def conv(
    x: keras.KerasTensor, filters: int, kernel: int, name: str, *, stride: int = 1, dilation: int = 1
) -> keras.KerasTensor:
    """Convolution, batch norm, ReLU."""
    x = layers.Conv2D(
        filters, kernel, strides=stride, dilation_rate=dilation, padding="same", use_bias=False, name=name
    )(x)
    return norm_relu(x, name)


def separable(
    x: keras.KerasTensor,
    filters: int,
    name: str,
    *,
    stride: int = 1,
    dilation: int = 1,
    inner_norm: bool = False,
) -> keras.KerasTensor:
    """3×3 depthwise convolution, then 1×1 convolution, batch norm, ReLU; optionally both also in between."""
    x = layers.DepthwiseConv2D(
        3, strides=stride, dilation_rate=dilation, padding="same", use_bias=False, name=f"{name}_depthwise"
    )(x)
    if inner_norm:
        x = norm_relu(x, f"{name}_depthwise")
    return conv(x, filters, 1, f"{name}_pointwise")


def norm_relu(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """Batch norm and ReLU."""
    return layers.ReLU(name=f"{name}_relu")(layers.BatchNormalization(name=f"{name}_norm")(x))


def biased(x: keras.KerasTensor, filters: int, kernel: int, name: str) -> keras.KerasTensor:
    """Convolution with a bias, ReLU."""
    return layers.Conv2D(filters, kernel, padding="same", activation="relu", name=name)(x)


def output(x: keras.KerasTensor, maps: int, name: str) -> keras.KerasTensor:
    """A stage's maps: a plain 1×1 convolution. It begins near zero, where most cells of the truth are."""
    near_zero = keras.initializers.RandomNormal(stddev=0.01)
    return layers.Conv2D(maps, 1, kernel_initializer=near_zero, name=name)(x)
