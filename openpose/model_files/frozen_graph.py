"""Frozen graphs, `.pb`: ours and those of tf-pose-estimation, in a form that tf-pose-estimation's clients load.

Input `image:0` [N, H, W, 3], 0–255; output `Openpose/concat_stage7:0` [N, H / stride, W / stride, maps]. Batch, height
and width are free.
"""

import dataclasses
from pathlib import Path

import tensorflow as tf
from google.protobuf.message import DecodeError

from openpose import storage
from openpose.errors import InputError
from openpose.model_files.facts import Facts
from openpose.model_files.formats import Example
from openpose.model_files.inference import GRAPH_INPUT, GRAPH_OUTPUT, Source
from openpose.model_files.loaded import LoadedModel

# Our graphs hold each fact in a constant of this name; older clients ignore them.
FACT = "Openpose/{}"
EXAMPLE = Example(
    "import tensorflow.compat.v1 as tf",
    """\
graph = tf.GraphDef.FromString(open("{file}", "rb").read())
with tf.Graph().as_default(), tf.Session() as session:
    (output,) = tf.import_graph_def(graph, return_elements=["Openpose/concat_stage7:0"])
    maps = session.run(output, {{"import/image:0": picture}})
""",
)


def read(file: Path, place: storage.StoragePath) -> tf.compat.v1.GraphDef:
    """Reads a frozen graph; `file` is the local copy of `place`.

    Raises:
        InputError: the file is not a frozen graph.
    """
    graph_def = tf.compat.v1.GraphDef()
    try:
        graph_def.ParseFromString(file.read_bytes())
    except DecodeError as error:
        raise InputError(f"{place}: not a frozen TensorFlow graph ({error})") from error
    return graph_def


def open_file(file: Path, place: storage.StoragePath) -> LoadedModel:
    """Loads a frozen graph. One that does not say its channel order takes BGR, as tf-pose's do.

    Raises:
        InputError: the file is not a frozen graph, or the graph lacks the tensors of an OpenPose graph.
    """
    graph_def = read(file, place)
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
    takes, found = run.inputs[0].shape, facts(graph_def)
    return LoadedModel(
        run,
        takes.as_list() if takes.rank else [],
        run.structured_outputs.shape.as_list(),
        dataclasses.replace(found, pixels=found.pixels or "bgr"),
    )


def write(source: Source, path: Path) -> None:
    """Writes a network as a frozen graph."""
    graph_def = _for_old_clients(source.graph_for_tensorflow)
    for name, text in source.facts.texts().items():
        constant = graph_def.node.add(name=FACT.format(name), op="Const")
        constant.attr["dtype"].type = tf.string.as_datatype_enum
        constant.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(text))
    storage.write_bytes(path, graph_def.SerializeToString(deterministic=True))


def facts(graph_def: tf.compat.v1.GraphDef) -> Facts:
    """What a graph's constants say about the network."""
    names = {FACT.format(field.name): field.name for field in dataclasses.fields(Facts)}
    constants = {names[node.name]: node.attr["value"].tensor for node in graph_def.node if node.name in names}
    return Facts.read({name: tf.make_ndarray(tensor).item().decode() for name, tensor in constants.items()})


def _for_old_clients(graph_def: tf.compat.v1.GraphDef) -> tf.compat.v1.GraphDef:
    """The same graph for TensorFlow 1.4, the oldest version that tf-pose-estimation's clients run on.

    It rejects unknown attributes such as `explicit_paddings`, so attributes with default values are removed; and it
    knows `AddV2` as `Add`.
    """
    from tensorflow.python.framework.meta_graph import strip_graph_default_valued_attrs

    meta_graph = tf.compat.v1.MetaGraphDef(graph_def=graph_def)
    strip_graph_default_valued_attrs(meta_graph)
    for node in meta_graph.graph_def.node:
        node.op = "Add" if node.op == "AddV2" else node.op
    return meta_graph.graph_def
