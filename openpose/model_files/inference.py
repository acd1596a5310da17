"""The network that is exported: the last stage with batch norm folded in, as one graph of constants.

Every format except Keras's own is made from such a graph.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from openpose import networks
from openpose.model_files.facts import HEIGHT, Facts
from openpose.networks.layers import Norm

GRAPH_INPUT = "image"
GRAPH_OUTPUT = "Openpose/concat_stage7"
PICTURES = tf.TensorSpec([None, None, None, 3], tf.float32, GRAPH_INPUT)
MOST_TAPS = 25  # of a depthwise convolution's kernel, height × width, for which TensorFlow Lite has fast code


@dataclass(frozen=True)
class Source:
    """A network to be exported, and what its files say about it.

    Attributes:
        model: takes RGB.
        pixels: the channel order that the files take. BGR is what tf-pose-estimation's clients feed.
        skeleton: of the maps, as `Skeleton.text` gives it.
        stride: input pixels per cell.
        height: of the pictures that it was trained on, pixels.
        calibration: typical pictures RGB [N, H, W, 3], 0–255, from which int8 files take the ranges of their tensors.
        max_people: that files return for a picture; 0 takes `graph_decode.max_people` of the skeleton.
        max_peaks: of each part that these files join to people; 0 takes `decode.max_peaks` of the skeleton.
    """

    model: keras.Model
    pixels: str = "bgr"
    skeleton: str = ""
    stride: int = 8
    height: int = HEIGHT
    calibration: Sequence[np.ndarray] = ()
    max_people: int = 0
    max_peaks: int = 0

    @property
    def facts(self) -> Facts:
        """What the files say."""
        return Facts(self.pixels, self.skeleton, self.height)

    @cached_property
    def graph(self) -> tf.compat.v1.GraphDef:
        """The last stage as a graph from `image` to `Openpose/concat_stage7`, for runtimes other than TensorFlow."""
        return _graph(self._frozen, dilated=True)

    @cached_property
    def graph_for_tensorflow(self) -> tf.compat.v1.GraphDef:
        """Likewise for TensorFlow 1 and 2."""
        return _graph(self._frozen, dilated=False)

    @cached_property
    def graph_for_lite(self) -> tf.compat.v1.GraphDef:
        """Likewise for TensorFlow Lite, with depthwise convolutions for which it has fast code."""
        if not any(map(_is_large, self.model.layers)):
            return self.graph
        return _graph(_freeze(_in_rows(self._folded())), dilated=True)

    @cached_property
    def graph_for_integers(self) -> tf.compat.v1.GraphDef:
        """Likewise for TensorFlow Lite in int8: with weights that lose less when they are rounded to integers."""
        folded = self._folded()
        _equalize(folded)
        return _graph(_freeze(_in_rows(folded)), dilated=True)

    @cached_property
    def _frozen(self) -> Any:
        return _freeze(self._folded())

    def _folded(self) -> keras.Model:
        """The network for inference, which takes `pixels`."""
        folded = fold_batch_norm(self.model)
        if self.pixels == "bgr":
            _swap_colours(folded)
        return folded


def last_stage(model: keras.Model) -> Callable[[tf.Tensor], tf.Tensor]:
    """A function from pictures to the maps of the last stage."""
    return lambda image: networks.stage_outputs(model, image, training=False)[-1]


def _freeze(folded: keras.Model) -> Any:
    """A concrete function from `image` to the maps of the last stage, with constants instead of variables."""
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    traced = tf.function(last_stage(folded), input_signature=[PICTURES], autograph=False).get_concrete_function()
    return convert_variables_to_constants_v2(traced)


def _graph(frozen: Any, *, dilated: bool) -> tf.compat.v1.GraphDef:
    """The graph of a frozen function.

    Args:
        frozen: from `image` to the maps.
        dilated: make each dilated convolution one operation, as other runtimes have it.
    """
    graph_def = _fold_constants(frozen, _dilated(frozen.graph.as_graph_def()) if dilated else None)
    output = graph_def.node.add(name=GRAPH_OUTPUT, op="Identity", input=[frozen.outputs[0].name])
    output.attr["T"].type = tf.float32.as_datatype_enum
    return graph_def


def _swap_colours(model: keras.Model) -> None:
    """Makes an RGB network take BGR by reversing the input channels of its first convolution.

    All layers before that convolution must treat the channels alike. A network that itself turns RGB into BGR stops
    doing so instead.
    """
    for layer in model.layers:
        if getattr(layer, "bgr", False):
            layer.bgr = False
            return
    first = next(layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D))
    kernel, *bias = first.get_weights()
    first.set_weights([kernel[:, :, ::-1], *bias])


def _fold_constants(frozen: Any, graph_def: tf.compat.v1.GraphDef | None) -> tf.compat.v1.GraphDef:
    """Folds constant expressions: Keras reshapes every bias at run time, which OpenCV's importer cannot read.

    Args:
        frozen: the function.
        graph_def: its graph, if that was changed.
    """
    from tensorflow.core.protobuf import config_pb2
    from tensorflow.python.grappler import tf_optimizer

    graph_def = graph_def or frozen.graph.as_graph_def()
    meta_graph = tf.compat.v1.train.export_meta_graph(graph_def=graph_def, graph=frozen.graph)
    ends = meta_graph.collection_def["train_op"].node_list.value
    ends.extend([frozen.inputs[0].name, frozen.outputs[0].name])
    config = config_pb2.ConfigProto()
    config.graph_options.rewrite_options.optimizers.extend(["pruning", "constfold", "dependency"])
    config.graph_options.rewrite_options.min_graph_nodes = -1
    return tf_optimizer.OptimizeGraph(config, meta_graph)


def _dilated(graph_def: tf.compat.v1.GraphDef) -> tf.compat.v1.GraphDef:
    """Makes each dilated convolution a single operation.

    TensorFlow expresses one as three: SpaceToBatch, a convolution, BatchToSpace. Other runtimes execute these
    literally, which takes half of their time. All convolutions here have "same" padding.
    """
    nodes = {node.name: node for node in graph_def.node}
    for joined in graph_def.node:
        if joined.op != "BatchToSpaceND":
            continue
        convolution = nodes[joined.input[0]]
        cut = nodes[convolution.input[0]]
        dilation = tf.make_ndarray(nodes[cut.input[1]].attr["value"].tensor).tolist()
        name = joined.name
        joined.CopyFrom(convolution)
        joined.name = name
        joined.input[0] = cut.input[0]
        joined.attr["dilations"].list.i[:] = [1, *dilation, 1]
        joined.attr["padding"].s = b"SAME"
    return graph_def


def fold_batch_norm(model: keras.Model) -> keras.Model:
    """The same network for inference, with each batch norm folded into the convolution before it.

    Batch norms that use the statistics of their batch cannot be folded; they become plain arithmetic.
    """
    norms = {_source(layer).name: layer for layer in model.layers if _can_fold(layer)}

    def clone(layer: keras.Layer) -> keras.Layer:
        if _can_fold(layer):
            return _Identity(name=layer.name)
        config = layer.get_config()
        if layer.name in norms:
            config["use_bias"] = True
        return (_PlainNorm if isinstance(layer, Norm) else layer.__class__).from_config(config)

    folded = keras.models.clone_model(model, clone_function=clone)
    for layer in model.layers:
        if layer.name in norms:
            folded.get_layer(layer.name).set_weights(_folded_weights(layer, norms[layer.name]))
        elif not _can_fold(layer):
            folded.get_layer(layer.name).set_weights(layer.get_weights())
    return folded


def _can_fold(layer: keras.Layer) -> bool:
    return isinstance(layer, keras.layers.BatchNormalization) and not getattr(layer, "batch_statistics", False)


class _Identity(keras.layers.Layer):
    """Replaces a folded batch norm and accepts the same arguments."""

    def call(self, inputs: tf.Tensor, training: bool | None = None, mask: tf.Tensor | None = None) -> tf.Tensor:
        return inputs


class _PlainNorm(Norm):
    """A batch norm that uses the statistics of its batch, without TensorFlow's own operation."""

    def call(self, inputs: tf.Tensor, training: bool | None = None, mask: tf.Tensor | None = None) -> tf.Tensor:
        centred = inputs - tf.reduce_mean(inputs, [0, 1, 2], keepdims=True)
        variance = tf.reduce_mean(centred * centred, [0, 1, 2], keepdims=True)
        return centred * (tf.math.rsqrt(variance + self.epsilon) * self.gamma) + self.beta


def _in_rows(model: keras.Model) -> keras.Model:
    """The same network with large depthwise convolutions as sums, see `_InRows`."""

    def clone(layer: keras.Layer) -> keras.Layer:
        return (_InRows if _is_large(layer) else layer.__class__).from_config(layer.get_config())

    cloned = keras.models.clone_model(model, clone_function=clone)
    cloned.set_weights(model.get_weights())
    return cloned


def _is_large(layer: keras.Layer) -> bool:
    return isinstance(layer, keras.layers.DepthwiseConv2D) and math.prod(layer.kernel_size) > MOST_TAPS


class _InRows(keras.layers.DepthwiseConv2D):
    """A depthwise convolution as a sum of convolutions with a few rows of its kernel each.

    It must have stride 1, no dilation and "same" padding, as all large ones here have.
    """

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        height, width = self.kernel_size
        margins = [[0, 0], *([(side - 1) // 2, side // 2] for side in (height, width)), [0, 0]]
        padded, parts = tf.pad(inputs, margins), []
        for first in range(0, height, MOST_TAPS // width):
            last = min(first + MOST_TAPS // width, height)
            # The slice's end is constant; TensorFlow Lite's fast code cannot take one that depends on the height.
            rows = padded[:, first : (last - height) or None]
            parts.append(tf.nn.depthwise_conv2d(rows, self.kernel[first:last], [1, 1, 1, 1], "VALID"))
        total = tf.add_n(parts)
        return self.activation(total + self.bias if self.use_bias else total)


def _equalize(model: keras.Model) -> None:
    """Equalizes the channels between two convolutions: scales the first one's output, and the second one undoes it.

    In int8, all channels of a tensor share one scale, so small channels would lose their precision. Only a linear
    function or a ReLU may lie between the two, so that the network's output does not change. After Nagel et al.,
    Data-Free Quantization (arXiv:1906.04721), but only half way, because the weights of each output channel have their
    own scale.
    """
    for first in model.layers:
        second = _only_successor(first)
        if not isinstance(second, keras.layers.Conv2D) or isinstance(second, keras.layers.DepthwiseConv2D):
            continue
        kernel, *bias = second.get_weights()
        largest = np.abs(kernel).max((0, 1, 3))
        if not largest.all():
            continue  # a channel is unused
        factor = np.sqrt(largest / np.exp(np.log(largest).mean()))
        second.set_weights([kernel / factor[:, None], *bias])
        kernel, *bias = first.get_weights()
        kernel = kernel * (factor[:, None] if isinstance(first, keras.layers.DepthwiseConv2D) else factor)
        first.set_weights([kernel, *(values * factor for values in bias)])


def _only_successor(layer: keras.Layer) -> keras.Layer | None:
    """The only layer that takes a convolution's output, directly or through a ReLU; None if that is not so."""
    if not isinstance(layer, keras.layers.Conv2D | keras.layers.DepthwiseConv2D):
        return None
    if layer.activation not in (keras.activations.linear, keras.activations.relu):
        return None
    while True:
        nodes = layer._outbound_nodes
        if len(nodes) != 1:
            return None
        layer = nodes[0].operation
        if not isinstance(layer, _Identity) and not (isinstance(layer, keras.layers.ReLU) and layer.max_value is None):
            return layer


def _source(layer: keras.Layer) -> keras.Layer:
    """The layer whose output this layer takes."""
    return layer.input._keras_history.operation


def _folded_weights(conv: keras.Layer, norm: keras.layers.BatchNormalization) -> list[np.ndarray]:
    """Kernel and bias equal to the convolution followed by its batch norm."""
    gamma, beta, mean, variance = norm.get_weights()
    factor = gamma / np.sqrt(variance + norm.epsilon)
    kernel = conv.get_weights()[0]
    # A depthwise kernel is [h, w, channels, 1]; others are [h, w, in, out].
    scaled = kernel * (factor[:, None] if isinstance(conv, keras.layers.DepthwiseConv2D) else factor)
    return [scaled, beta - mean * factor]
