"""Building blocks that the networks share. Convolutions pad "same"; those before a batch norm have no bias."""

from typing import Any

import keras
import tensorflow as tf
from keras import layers


@keras.saving.register_keras_serializable("openpose")
class Norm(layers.BatchNormalization):
    """Batch norm in one operation, which takes a fourth of the time of Keras's ten; and without moving statistics.

    Args:
        batch_statistics: inference normalises by the statistics of its batch too. That is for weights that came
            without moving ones; `openpose.training.initial_weights.calibrate` ends it.
        momentum: share of the moving statistics that a step keeps. PyTorch's default, which Lightweight OpenPose was
            trained with; with Keras's 0.99 they lag hundreds of steps behind, which a short training is made of.

    Attributes:
        frozen: training too normalises by the moving statistics, and leaves them; scale and offset still learn.
    """

    def __init__(self, batch_statistics: bool = False, momentum: float = 0.9, **others: Any) -> None:
        super().__init__(momentum=momentum, **others)
        self.batch_statistics = batch_statistics
        self.frozen = False

    def call(self, inputs: tf.Tensor, training: bool | None = None, mask: tf.Tensor | None = None) -> tf.Tensor:
        learns = training and self.trainable and not self.frozen
        # Only Keras's own sums over several devices, and the operation has no float64.
        if learns and not self.synchronized and self.compute_dtype != "float64":
            return self._normalised_by_batch(inputs)
        if learns or not self.batch_statistics:
            return super().call(inputs, training=learns, mask=mask)
        # The operation of TensorFlow 1 that the graphs with such weights have, so that rounding is the same too.
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
        """Normalises by the statistics of the batch, and moves the moving ones towards them as Keras does."""
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
        biased = made.batch_variance * (count - 1) / count  # the operation gives the unbiased one
        for moving, of_batch in ((self.moving_mean, made.batch_mean), (self.moving_variance, biased)):
            moving.assign(moving * self.momentum + of_batch * (1 - self.momentum))
        return made.y

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "batch_statistics": self.batch_statistics}


@keras.saving.register_keras_serializable("openpose")
class ResizeLike(layers.Layer):
    """Resizes the first tensor [N, h, w, C] to height and width of the second, bilinearly.

    As TensorFlow 1 did it, which the published weights were trained with: output cell i takes the input at i·h/H,
    where others take it at (i + ½)·h/H - ½.
    """

    def call(self, inputs: list[tf.Tensor]) -> tf.Tensor:
        x, like = inputs
        return tf.cast(tf.raw_ops.ResizeBilinear(images=x, size=tf.shape(like)[1:3]), x.dtype)

    def compute_output_shape(self, input_shape: list[tuple[int | None, ...]]) -> tuple[int | None, ...]:
        x, like = input_shape
        return (x[0], *like[1:3], x[3])


@keras.saving.register_keras_serializable("openpose")
class Scale(layers.Rescaling):
    """Rescaling that adds nothing: OpenCV's importer refuses a graph that adds zero.

    Args:
        scale: factor.
        bgr: turns RGB to BGR as well.
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
    """Depthwise convolution, then 1×1 convolution, batch norm, ReLU; optionally the last two also in between."""
    x = depthwise(x, f"{name}_depthwise", kernel=kernel, stride=stride, dilation=dilation)
    if inner_norm:
        x = norm_relu(x, f"{name}_depthwise")
    return conv(x, filters, 1, f"{name}_pointwise")


def norm_relu(x: keras.KerasTensor, name: str, highest: float | None = None) -> keras.KerasTensor:
    """Batch norm, and ReLU that ends at `highest`."""
    return layers.ReLU(highest, name=f"{name}_relu")(Norm(name=f"{name}_norm")(x))


def biased(x: keras.KerasTensor, filters: int, kernel: int, name: str) -> keras.KerasTensor:
    """Convolution with a bias, ReLU."""
    return layers.Conv2D(filters, kernel, padding="same", activation="relu", name=name)(x)


def output(x: keras.KerasTensor, maps: int, name: str) -> keras.KerasTensor:
    """A stage's maps: a plain 1×1 convolution. It begins near zero, where most cells of the truth are."""
    near_zero = keras.initializers.RandomNormal(stddev=0.01)
    return layers.Conv2D(maps, 1, kernel_initializer=near_zero, name=name)(x)
