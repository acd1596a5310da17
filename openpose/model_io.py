"""Models from files and to files: our Keras checkpoints, and frozen graphs of ours and of tf-pose-estimation."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError

from openpose import networks, storage
from openpose.errors import InputError
from openpose.skeleton import Skeleton

GRAPH_INPUT = "image"
GRAPH_OUTPUT = "Openpose/concat_stage7"
# A constant in our graphs that says which order of the pixels they take; older clients pass it over.
GRAPH_PIXELS = "Openpose/pixels"
PIXELS = ("rgb", "bgr")


@dataclass(frozen=True)
class Model:
    """A network that can be asked for maps, wherever it came from.

    Attributes:
        path: its place.
        pixels: the order of the channels that the file's network takes; `maps` takes RGB whatever it is.
        skeleton: of its maps.
        stride: input pixels per cell.
    """

    path: storage.Place
    pixels: str
    skeleton: Skeleton
    run: Callable[[tf.Tensor], tf.Tensor]
    stride: int

    def maps(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Heatmap float32 [N, h, w, parts + 1] and vectmap float32 [N, h, w, 2 limbs] of images [N, H, W, 3].

        The images are RGB, 0–255; H and W must be multiples of the stride.
        """
        pixels = np.asarray(images, np.float32)
        output = self.run(tf.constant(pixels[..., ::-1] if self.pixels == "bgr" else pixels)).numpy()
        heatmaps = self.skeleton.num_heatmaps
        return output[..., :heatmaps], output[..., heatmaps:]


def load(path: str | storage.Place, skeleton: Skeleton, pixels: str | None = None) -> Model:
    """Loads a network: `.keras` of ours, or a frozen graph (`.pb`) of ours or of tf-pose-estimation.

    Args:
        path: the file, here or in a bucket.
        skeleton: the one that the network was trained for.
        pixels: `rgb` or `bgr`; by default what the file says, and BGR for a graph that says nothing (tf-pose's).

    Raises:
        InputError: no such file, not a model, or not a network of this skeleton.
    """
    place = storage.path(path)
    if storage.size(place) is None:
        raise InputError(f"{place}: no such model file")
    if place.suffix not in (".keras", ".pb"):
        raise InputError(f"{place}: a model is a Keras file (.keras) or a frozen graph (.pb)")
    with storage.local_copy(place) as file:
        own_pixels, run, maps = (_load_keras if place.suffix == ".keras" else _load_graph)(file, place)
    if maps != skeleton.num_maps:
        raise InputError(f"{place}: its output has {maps} maps, the skeleton {skeleton.name} has {skeleton.num_maps}")
    pixels = pixels or own_pixels
    if pixels not in PIXELS:
        raise InputError(f"pixels are {pixels!r}; choose one of: {', '.join(PIXELS)}")
    return Model(place, pixels, skeleton, run, _stride(run))


def _stride(run: Callable[[tf.Tensor], tf.Tensor]) -> int:
    """Input pixels per cell, from what a network makes of a small picture."""
    side = 64
    try:
        return side // int(run(tf.zeros([1, side, side, 3])).shape[1])
    except (tf.errors.InvalidArgumentError, ValueError):
        return 8  # it takes pictures of one size only; all such graphs that were published have this stride


def read_keras(file: Path, place: storage.Place) -> keras.Model:
    """A Keras model; `file` is the local copy of `place`.

    Raises:
        InputError: it is none.
    """
    try:
        return keras.models.load_model(file, compile=False)
    except (ValueError, OSError, KeyError) as error:
        raise InputError(f"{place}: not a Keras model ({str(error).splitlines()[0]})") from error


def _load_keras(file: Path, place: storage.Place) -> tuple[str, Callable[[tf.Tensor], tf.Tensor], int]:
    model = read_keras(file, place)
    return (
        "rgb",
        tf.function(_last_stage(model), input_signature=[_PICTURES]),
        int(model.outputs[-1].shape[-1]),
    )


_PICTURES = tf.TensorSpec([None, None, None, 3], tf.float32, GRAPH_INPUT)


def _last_stage(model: keras.Model) -> Callable[[tf.Tensor], tf.Tensor]:
    return lambda image: networks.stage_outputs(model, image, training=False)[-1]


def read_graph(file: Path, place: storage.Place) -> tf.compat.v1.GraphDef:
    """A frozen graph; `file` is the local copy of `place`.

    Raises:
        InputError: it is none.
    """
    graph_def = tf.compat.v1.GraphDef()
    try:
        graph_def.ParseFromString(file.read_bytes())
    except DecodeError as error:
        raise InputError(f"{place}: not a frozen TensorFlow graph ({error})") from error
    return graph_def


def _load_graph(file: Path, place: storage.Place) -> tuple[str, Callable[[tf.Tensor], tf.Tensor], int]:
    graph_def = read_graph(file, place)
    nodes = {node.name: node for node in graph_def.node}
    for name in (GRAPH_INPUT, GRAPH_OUTPUT):
        if name not in nodes:
            ends = [n.name for n in graph_def.node if n.op == "Placeholder"] + [n.name for n in graph_def.node[-3:]]
            raise InputError(
                f"{place}: an OpenPose graph has tensors {GRAPH_INPUT}:0 and {GRAPH_OUTPUT}:0, this one has no "
                f"{name!r}; its inputs and last nodes are: {', '.join(ends)}"
            )

    def imported() -> None:
        tf.graph_util.import_graph_def(graph_def, name="")

    wrapped = tf.compat.v1.wrap_function(imported, [])
    run = wrapped.prune(f"{GRAPH_INPUT}:0", f"{GRAPH_OUTPUT}:0")
    own_pixels = "bgr"
    if GRAPH_PIXELS in nodes:
        own_pixels = tf.make_ndarray(nodes[GRAPH_PIXELS].attr["value"].tensor).item().decode()
    return own_pixels, run, run.structured_outputs.shape[-1]


def freeze(model: keras.Model, path: Path, pixels: str = "bgr") -> None:
    """Writes the network's last stage as a frozen graph that clients of tf-pose-estimation load.

    Input `image:0` [N, H, W, 3], 0–255; output `Openpose/concat_stage7:0` [N, H / stride, W / stride, maps]; batch,
    height and width are free, batch norm is folded into the convolutions.

    Args:
        model: takes RGB.
        path: the file.
        pixels: the order of the channels that the graph takes. BGR is what tf-pose's clients feed.
    """
    if pixels not in PIXELS:
        raise InputError(f"pixels are {pixels!r}; choose one of: {', '.join(PIXELS)}")
    folded = fold_batch_norm(model)
    if pixels == "bgr":
        _swap_colours(folded)

    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    graph = tf.function(_last_stage(folded), input_signature=[_PICTURES])
    frozen = convert_variables_to_constants_v2(graph.get_concrete_function())
    graph_def = _for_old_clients(_fold_constants(frozen))
    output = graph_def.node.add(name=GRAPH_OUTPUT, op="Identity", input=[frozen.outputs[0].name])
    output.attr["T"].type = tf.float32.as_datatype_enum
    constant = graph_def.node.add(name=GRAPH_PIXELS, op="Const")
    constant.attr["dtype"].type = tf.string.as_datatype_enum
    constant.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(pixels))
    storage.write_bytes(path, graph_def.SerializeToString(deterministic=True))


def _swap_colours(model: keras.Model) -> None:
    """Lets a network of RGB take BGR: reverses the input channels of its first convolution.

    What lies before that convolution must treat all channels alike. A network that turns them itself no longer does.
    """
    for layer in model.layers:
        if getattr(layer, "bgr", False):
            layer.bgr = False
            return
    first = next(layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D))
    kernel, *bias = first.get_weights()
    first.set_weights([kernel[:, :, ::-1], *bias])


def _fold_constants(frozen: Any) -> tf.compat.v1.GraphDef:
    """The graph with what can be computed beforehand computed: Keras reshapes every bias when it is used.

    OpenCV's importer knows no such reshapes, and it is one of the field's clients too.
    """
    from tensorflow.core.protobuf import config_pb2
    from tensorflow.python.grappler import tf_optimizer

    graph_def = frozen.graph.as_graph_def()
    meta_graph = tf.compat.v1.train.export_meta_graph(graph_def=graph_def, graph=frozen.graph)
    ends = meta_graph.collection_def["train_op"].node_list.value
    ends.extend([frozen.inputs[0].name, frozen.outputs[0].name])
    config = config_pb2.ConfigProto()
    config.graph_options.rewrite_options.optimizers.extend(["constfold", "dependency"])
    config.graph_options.rewrite_options.min_graph_nodes = -1
    return tf_optimizer.OptimizeGraph(config, meta_graph)


def _for_old_clients(graph_def: tf.compat.v1.GraphDef) -> tf.compat.v1.GraphDef:
    """The same graph in the words of TensorFlow 1.4, the oldest that tf-pose-estimation's clients run on.

    It refuses an operation with an attribute that it does not know, such as `explicit_paddings`, so those that have
    their default values are left out; and it knows `AddV2` as `Add`.
    """
    from tensorflow.python.framework.meta_graph import strip_graph_default_valued_attrs

    meta_graph = tf.compat.v1.MetaGraphDef(graph_def=graph_def)
    strip_graph_default_valued_attrs(meta_graph)
    for node in meta_graph.graph_def.node:
        node.op = "Add" if node.op == "AddV2" else node.op
    return meta_graph.graph_def


def fold_batch_norm(model: keras.Model) -> keras.Model:
    """The same function for inference, without batch norm: each is folded into the convolution before it.

    Those that have no moving statistics stay as they are.
    """
    norms = {_source(layer).name: layer for layer in model.layers if _can_fold(layer)}

    def clone(layer: keras.Layer) -> keras.Layer:
        if _can_fold(layer):
            return _Nothing(name=layer.name)
        config = layer.get_config()
        if layer.name in norms:
            config["use_bias"] = True
        return layer.__class__.from_config(config)

    folded = keras.models.clone_model(model, clone_function=clone)
    for layer in model.layers:
        if layer.name in norms:
            folded.get_layer(layer.name).set_weights(_folded_weights(layer, norms[layer.name]))
        elif not _can_fold(layer):
            folded.get_layer(layer.name).set_weights(layer.get_weights())
    return folded


def _can_fold(layer: keras.Layer) -> bool:
    return isinstance(layer, keras.layers.BatchNormalization) and not getattr(layer, "batch_statistics", False)


class _Nothing(keras.layers.Layer):
    """Stands where a batch norm was, and takes the arguments that it was called with."""

    def call(self, inputs: tf.Tensor, training: bool | None = None, mask: tf.Tensor | None = None) -> tf.Tensor:
        return inputs


def _source(layer: keras.Layer) -> keras.Layer:
    """The layer whose output this layer takes."""
    return layer.input._keras_history.operation


def _folded_weights(conv: keras.Layer, norm: keras.layers.BatchNormalization) -> list[np.ndarray]:
    """Kernel and bias that do what the convolution and its batch norm do together."""
    gamma, beta, mean, variance = norm.get_weights()
    factor = gamma / np.sqrt(variance + norm.epsilon)
    kernel = conv.get_weights()[0]
    # A depthwise kernel is [h, w, channels, 1], others are [h, w, in, out].
    scaled = kernel * (factor[:, None] if isinstance(conv, keras.layers.DepthwiseConv2D) else factor)
    return [scaled, beta - mean * factor]
