"""Frozen graphs, `.pb`: ours, and those of tf-pose-estimation, whose clients load ours."""

from pathlib import Path

import keras
import tensorflow as tf
from google.protobuf.message import DecodeError

from openpose import storage
from openpose.errors import InputError
from openpose.model_files import inference
from openpose.model_files.inference import GRAPH_INPUT, GRAPH_OUTPUT
from openpose.model_files.loaded import LoadedModel

# Constants in our graphs that say which order of the pixels they take, and whose maps they give; older clients pass
# them over.
GRAPH_PIXELS = "Openpose/pixels"
GRAPH_SKELETON = "Openpose/skeleton"


def read_graph(file: Path, place: storage.StoragePath) -> tf.compat.v1.GraphDef:
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


def open_file(file: Path, place: storage.StoragePath) -> LoadedModel:
    """A frozen graph that can be asked for maps. One that says no order of the pixels takes BGR, as tf-pose's do.

    Raises:
        InputError: it is none, or has not the tensors that an OpenPose graph has.
    """
    graph_def = read_graph(file, place)
    names = {node.name for node in graph_def.node}
    for name in (GRAPH_INPUT, GRAPH_OUTPUT):
        if name not in names:
            ends = [n.name for n in graph_def.node if n.op == "Placeholder"] + [n.name for n in graph_def.node[-3:]]
            raise InputError(
                f"{place}: an OpenPose graph has tensors {GRAPH_INPUT}:0 and {GRAPH_OUTPUT}:0, this one has no "
                f"{name!r}; its inputs and last nodes are: {', '.join(ends) or 'none'}"
            )

    def imported() -> None:
        tf.graph_util.import_graph_def(graph_def, name="")

    try:
        wrapped = tf.compat.v1.wrap_function(imported, [])
    except ValueError as error:
        raise InputError(f"{place}: not a graph that this TensorFlow runs ({str(error).splitlines()[0]})") from error
    run = wrapped.prune(f"{GRAPH_INPUT}:0", f"{GRAPH_OUTPUT}:0")
    takes = run.inputs[0].shape
    return LoadedModel(
        run,
        takes.as_list() if takes.rank else [],
        run.structured_outputs.shape.as_list(),
        text_of(graph_def, GRAPH_PIXELS) or "bgr",
        text_of(graph_def, GRAPH_SKELETON),
    )


def write(model: keras.Model, path: Path, pixels: str = "bgr", skeleton: str = "") -> None:
    """Writes the network's last stage as a frozen graph that clients of tf-pose-estimation load.

    Input `image:0` [N, H, W, 3], 0–255; output `Openpose/concat_stage7:0` [N, H / stride, W / stride, maps]; batch,
    height and width are free, batch norm is folded into the convolutions.

    Args:
        model: takes RGB.
        path: the file.
        pixels: the order of the channels that the graph takes. BGR is what tf-pose's clients feed.
        skeleton: name of the maps' skeleton, which the graph is to say.

    Raises:
        InputError: no such order.
    """
    graph_def = _for_old_clients(inference.graph(model, pixels, portable=False))
    add_facts(graph_def, pixels, skeleton)
    storage.write_bytes(path, graph_def.SerializeToString(deterministic=True))


def add_facts(graph_def: tf.compat.v1.GraphDef, pixels: str, skeleton: str) -> None:
    """Adds the constants that say what a graph takes and gives."""
    for name, text in ((GRAPH_PIXELS, pixels), (GRAPH_SKELETON, skeleton)):
        if text:
            constant = graph_def.node.add(name=name, op="Const")
            constant.attr["dtype"].type = tf.string.as_datatype_enum
            constant.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(text))


def text_of(graph_def: tf.compat.v1.GraphDef, name: str) -> str:
    """The text of a constant, "" when the graph has none of that name."""
    for node in graph_def.node:
        if node.name == name:
            return tf.make_ndarray(node.attr["value"].tensor).item().decode()
    return ""


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
