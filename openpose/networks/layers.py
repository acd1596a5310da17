"""Building blocks of all networks. Convolutions pad "same"; those before a batch norm have no bias."""

from typing import Any

import keras
import tensorflow as tf
from keras import layers


@keras.saving.register_keras_serializable("openpose")
class Norm(layers.BatchNormalization):
    """Batch norm as one fused operation, in a quarter of the time of Keras's ten.

    Args:
        batch_statistics: inference, too, normalises by the statistics of its batch. For weights that were published
            without moving statistics, until `openpose.training.initial_weights.calibrate` computes them.
        momentum: share of the moving statistics that a step keeps. 0.9 is PyTorch's default, which Lightweight
            OpenPose was trained with; with Keras's 0.99 they lag hundreds of steps behind, too far for a short
            training.

    Attributes:
        frozen: training normalises by the moving statistics and does not change them; scale and offset still learn.
    """

    def __init__(self, batch_statistics: bool = False, momentum: float = 0.9, **others: Any) -> None:
        super().__init__(momentum=momentum, **others)
        self.batch_statistics = batch_statistics
        self.frozen = False

    def call(self, inputs: tf.Tensor, training: bool | None = None, mask: tf.Tensor | None = None) -> tf.Tensor:
        learns = training and self.trainable and not self.frozen
        # The fused operation neither sums over several devices nor computes in float64; Keras's own does both.
        if learns and not self.synchronized and self.compute_dtype != "float64":
            return self._normalised_by_batch(inputs)
        if learns or not self.batch_statistics:
            return super().call(inputs, training=learns, mask=mask)
        # The graphs with such weights use this TensorFlow 1 operation; using it too gives the same rounding.
        x = tf.raw_ops.FusedBatchNorm(
            x=tf.cast(inputs, tf.float32),
            scale=self.gamma,
            offset=self.beta,
            mean=[],
            variance=[],
            epsilon=self.epsilon,
            is_training=True,
        ).y
        return tf.cast(x, inputs.dtype)

    def _normalised_by_batch(self, inputs: tf.Tensor) -> tf.Tensor:
        """Normalises by the statistics of the batch, and updates the moving ones as Keras does."""
        made = tf.raw_ops.FusedBatchNormV3(
            x=tf.cast(inputs, self.compute_dtype),
            scale=tf.convert_to_tensor(self.gamma.value),
            offset=tf.convert_to_tensor(self.beta.value),
            mean=[],
            variance=[],
            epsilon=self.epsilon,
            is_training=True,
        )
        count = tf.cast(tf.reduce_prod(tf.shape(inputs)[:-1]), tf.float32)
        biased = made.batch_variance * (count - 1) / count  # the operation returns the unbiased variance
        for moving, of_batch in ((self.moving_mean, made.batch_mean), (self.moving_variance, biased)):
            moving.assign(moving * self.momentum + of_batch * (1 - self.momentum))
        return made.y

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "batch_statistics": self.batch_statistics}


@keras.saving.register_keras_serializable("openpose")
class ResizeLike(layers.Layer):
    """Resizes the first tensor [N, h, w, C] bilinearly to height and width of the second.

    Output cell i samples the input at i·h/H, as in TensorFlow 1, with which the published weights were trained; today's
    resizing samples it at (i + ½)·h/H - ½.
    """

    def call(self, inputs: list[tf.Tensor]) -> tf.Tensor:
        x, like = inputs
        return tf.cast(tf.raw_ops.ResizeBilinear(images=x, size=tf.shape(like)[1:3]), x.dtype)

    def compute_output_shape(self, input_shape: list[tuple[int | None, ...]]) -> tuple[int | None, ...]:
        x, like = input_shape
        return (x[0], *like[1:3], x[3])


@keras.saving.register_keras_serializable("openpose")
class DoubleLike(layers.Layer):
    """Doubles height and width of the first tensor [N, h, w, C] bilinearly, and cuts it to those of the second.

    Output cell i samples the input at i / 2, whether or not the second tensor is a row or a column shorter.
    """

    def call(self, inputs: list[tf.Tensor]) -> tf.Tensor:
        x, like = inputs
        doubled = tf.raw_ops.ResizeBilinear(images=x, size=2 * tf.shape(x)[1:3])
        size = tf.shape(like)
        return tf.cast(doubled[:, : size[1], : size[2]], x.dtype)

    def compute_output_shape(self, input_shape: list[tuple[int | None, ...]]) -> tuple[int | None, ...]:
        x, like = input_shape
        return (x[0], *like[1:3], x[3])


@keras.saving.register_keras_serializable("openpose")
class Scale(layers.Rescaling):
    """Rescaling without an offset: OpenCV cannot import a graph that adds zero.

    Args:
        scale: factor.
        bgr: also reorders RGB to BGR.
    """

    def __init__(self, scale: float, bgr: bool = False, **others: Any) -> None:
        super().__init__(scale, **others)
        self.bgr = bgr

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        scaled = tf.cast(inputs, self.compute_dtype) * self.scale
        return tf.reverse(scaled, [-1]) if self.bgr else scaled

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "bgr": self.bgr}


def channels(count: int, width: float) -> int:
    """`count` channels times the width factor, at least 8."""
    return max(8, int(count * width))


def conv(
    x: keras.KerasTensor,
    filters: int,
    kernel: int,
    name: str,
    *,
    stride: int = 1,
    dilation: int = 1,
    highest: float | None = None,
) -> keras.KerasTensor:
    """Convolution, batch norm, ReLU."""
    x = layers.Conv2D(
        filters, kernel, strides=stride, dilation_rate=dilation, padding="same", use_bias=False, name=name
    )(x)
    return norm_relu(x, name, highest)


def depthwise(
    x: keras.KerasTensor, name: str, *, kernel: int = 3, stride: int = 1, dilation: int = 1
) -> keras.KerasTensor:
    """Depthwise convolution alone."""
    return layers.DepthwiseConv2D(
        kernel, strides=stride, dilation_rate=dilation, padding="same", use_bias=False, name=name
    )(x)


def separable(
    x: keras.KerasTensor,
    filters: int,
    name: str,
    *,
    kernel: int = 3,
    stride: int = 1,
    dilation: int = 1,
    inner_norm: bool = False,
) -> keras.KerasTensor:
    """Depthwise convolution, 1×1 convolution, batch norm, ReLU; with `inner_norm` norm and ReLU in between as well."""
    x = depthwise(x, f"{name}_depthwise", kernel=kernel, stride=stride, dilation=dilation)
    if inner_norm:
        x = norm_relu(x, f"{name}_depthwise")
    return conv(x, filters, 1, f"{name}_pointwise")


def norm_relu(x: keras.KerasTensor, name: str, highest: float | None = None) -> keras.KerasTensor:
    """Batch norm, and ReLU clipped at `highest`."""
    return layers.ReLU(highest, name=f"{name}_relu")(Norm(name=f"{name}_norm")(x))


def biased(x: keras.KerasTensor, filters: int, kernel: int, name: str) -> keras.KerasTensor:
    """Convolution with a bias, ReLU."""
    return layers.Conv2D(filters, kernel, padding="same", activation="relu", name=name)(x)


def output(x: keras.KerasTensor, maps: int, name: str) -> keras.KerasTensor:
    """A stage's maps: a plain 1×1 convolution. It starts near zero, the true value of most cells."""
    near_zero = keras.initializers.RandomNormal(stddev=0.01)
    return layers.Conv2D(maps, 1, kernel_initializer=near_zero, name=name)(x)
