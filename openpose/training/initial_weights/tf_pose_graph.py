"""Reads weights from the frozen graphs that tf-pose-estimation published.

These graphs take BGR in raw pixels (`cmu` scales them as ours does). Their batch norms are folded into biases or still
present, and their 1×1 separable convolutions are one 1×1 convolution in our networks.
"""

from dataclasses import dataclass, field

import keras
import numpy as np
import tensorflow as tf

from openpose import networks
from openpose.training.initial_weights.layer_names import counterpart


@dataclass(frozen=True)
class Norm:
    """The norm or bias that a graph applies to the output of a convolution.

    Attributes:
        gamma: factor.
        beta: offset.
        mean: moving mean; None if the graph has none.
        variance: moving variance, including epsilon; None if the graph has none.
        of_batch: whether the graph uses mean and variance of its batch instead.
    """

    gamma: np.ndarray
    beta: np.ndarray
    mean: np.ndarray | None = None
    variance: np.ndarray | None = None
    of_batch: bool = False

    def weights(self, epsilon: float) -> list[np.ndarray]:
        """Gamma, beta, moving mean and moving variance of an equal batch norm with that epsilon."""
        mean = np.zeros_like(self.beta) if self.mean is None else self.mean
        variance = np.ones_like(self.beta) if self.variance is None else self.variance
        return [self.gamma, self.beta, mean, variance - epsilon]


@dataclass(frozen=True)
class Found:
    """A graph's weights, converted for one of our networks.

    Attributes:
        weights: by our layers' names, in the order of `get_weights`.
        uncalibrated: norms without moving statistics in the graph.
        of_batch: those of them that use the statistics of the batch.
    """

    weights: dict[str, list[np.ndarray]] = field(default_factory=dict)
    uncalibrated: list[str] = field(default_factory=list)
    of_batch: list[str] = field(default_factory=list)


class Graph:
    """A frozen graph, which records the constants that were read from it.

    Args:
        graph_def: the graph.
        pixels: name of the input node.
    """

    def __init__(self, graph_def: tf.compat.v1.GraphDef, pixels: str) -> None:
        self._pixels = pixels
        self._nodes = {node.name: node for node in graph_def.node}
        self._taken: set[str] = set()
        self._reader: dict[str, str] = {}  # for each node, one that reads its output
        for node in graph_def.node:
            self._reader.update({_plain(name): node.name for name in node.input[:1]})

    def convolution(self, layer: str) -> str | None:
        """The name of the convolution in a layer of the graph; None if there is none."""
        return next((name for op in ("Conv2D", "depthwise") if (name := f"{layer}/{op}") in self._nodes), None)

    def takes_pixels(self, convolution: str) -> bool:
        """Whether the convolution reads the raw input."""
        return _plain(self._nodes[convolution].input[0]) == self._pixels

    def kernel(self, convolution: str) -> np.ndarray:
        """The kernel [h, w, in, out]; of a depthwise convolution [h, w, channels, 1]."""
        return self._constant(self._nodes[convolution].input[1])

    def after(self, convolution: str) -> "Norm":
        """The batch norm, or the bias, that follows a convolution."""
        follower = self._nodes[self._reader[convolution]]
        values = [self._constant(name) for name in follower.input[1:]]
        if not follower.op.startswith("FusedBatchNorm"):
            return Norm(np.ones_like(values[0]), values[0])
        if follower.attr["is_training"].b:
            return Norm(values[0], values[1], of_batch=True)
        return Norm(values[0], values[1], values[2], values[3] + follower.attr["epsilon"].f)

    def untaken(self) -> list[str]:
        """Names of the constants that hold weights and were not read."""
        return [
            node.name
            for node in self._nodes.values()
            if node.op == "Const"
            and node.attr["dtype"].type == tf.float32.as_datatype_enum
            and tf.make_ndarray(node.attr["value"].tensor).size > 1
            and node.name not in self._taken
        ]

    def _constant(self, name: str) -> np.ndarray:
        node = self._nodes[_plain(name)]
        while node.op == "Identity":
            node = self._nodes[_plain(node.input[0])]
        self._taken.add(node.name)
        return tf.make_ndarray(node.attr["value"].tensor)


def _plain(name: str) -> str:
    return name.removesuffix(":0").removeprefix("^")


def read(model: keras.Model, graph: Graph) -> Found:
    """Reads the weights for one of our networks."""
    found = Found()
    kinds = keras.layers.Conv2D | keras.layers.DepthwiseConv2D
    norms = {layer.name: layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)}
    for layer in model.layers:
        parts = [graph.convolution(name) for name in _names(layer.name, model.name)]
        if not isinstance(layer, kinds) or not parts or None in parts:
            continue
        convolutions = [part for part in parts if part]
        found.weights[layer.name] = [_kernel(graph, convolutions, model)]
        if norm := norms.get(f"{layer.name}_norm"):
            _add_norm(found, norm, graph.after(convolutions[-1]))
        elif layer.use_bias:
            gamma, beta, mean, variance = graph.after(convolutions[-1]).weights(0.0)
            factor = gamma / np.sqrt(variance)
            found.weights[layer.name] = [found.weights[layer.name][0] * factor, beta - mean * factor]
    return found


def _add_norm(found: Found, norm: keras.layers.BatchNormalization, after: Norm) -> None:
    found.weights[norm.name] = after.weights(norm.epsilon)
    if after.mean is None:
        found.uncalibrated.append(norm.name)
    if after.of_batch:
        found.of_batch.append(norm.name)


def _kernel(graph: Graph, convolutions: list[str], model: keras.Model) -> np.ndarray:
    """The kernel of the last convolution, with everything before it folded in.

    That is the 1×1 depthwise convolutions, the scale of our pixels, and their order.
    """
    *before, last = convolutions
    kernel = graph.kernel(last)
    for name in before:
        kernel = kernel * graph.kernel(name)[:, :, :, 0, None]
    to_range = model.get_layer("to_range")
    if kernel.shape[2] == 3 and not getattr(to_range, "bgr", False):  # the first kernel: the graph's takes BGR
        kernel = kernel[:, :, ::-1]
    return kernel / to_range.scale if graph.takes_pixels(last) else kernel


def _names(layer: str, network: str) -> list[str]:
    """The graph's layers that make up one of ours; empty if it has no such layer."""
    names = getattr(networks.family(network), "TF_POSE_LAYERS", ())
    return (counterpart(layer.replace("vectmap", "L1").replace("heatmap", "L2"), names) or "").split()
