"""ONNX, `.onnx`, run by ONNX Runtime.

Our files take `image` float32 [batch, height, width, 3], 0–255, and give `maps` float32 [batch, height / stride,
width / stride, maps]; or they take `pictures` and give people, see `people_graph`. Their metadata hold the network's
facts.
"""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from openpose import storage
from openpose.errors import InputError
from openpose.model_files import people_graph
from openpose.model_files.facts import Facts
from openpose.model_files.formats import Example, FindPeople
from openpose.model_files.inference import GRAPH_INPUT, GRAPH_OUTPUT, Source
from openpose.model_files.loaded import LoadedModel, check_one_to_one, shape_text

OPSET = 18  # of 2022, so that runtimes as old as that can run our files
# Of tf2onnx, those that change something here; ONNX Runtime does much when it loads a file.
OPTIMIZERS = ("optimize_transpose", "fold_constants", "merge_duplication", "remove_identity", "remove_back_to_back")
EXAMPLE = Example(
    "import onnxruntime",
    """\
session = onnxruntime.InferenceSession("{file}")
(maps,) = session.run(["maps"], {{"image": picture}})
""",
)
PEOPLE_EXAMPLE = Example(
    "import onnxruntime",
    """\
session = onnxruntime.InferenceSession("{file}")
keypoints, scores, count = session.run(["keypoints", "scores", "count"], {{"pictures": pictures}})
""",
)


def open_file(file: Path, place: storage.StoragePath) -> LoadedModel:
    """Loads an ONNX model.

    Raises:
        InputError: the file is not an ONNX model, or the model takes or gives more than one tensor.
    """
    from onnxruntime.capi import onnxruntime_pybind11_state as errors

    failures = (errors.Fail, errors.InvalidArgument, errors.InvalidGraph, errors.InvalidProtobuf, errors.NotImplemented)
    try:
        session = _session(file)
    except failures as error:
        raise InputError(f"{place}: not an ONNX model that can be loaded ({str(error).splitlines()[0]})") from error
    inputs, outputs = session.get_inputs(), session.get_outputs()
    ends = [[f"{end.name} {shape_text(end.shape)}" for end in side] for side in (inputs, outputs)]
    check_one_to_one(place, *ends)

    def run(pictures: tf.Tensor) -> np.ndarray:
        try:
            return session.run(None, {inputs[0].name: np.asarray(pictures)})[0]
        except (errors.InvalidArgument, errors.RuntimeException) as error:
            raise InputError(
                f"{place}: takes {shape_text(inputs[0].shape)}, not pictures of {shape_text(pictures.shape)}"
            ) from error

    return LoadedModel(
        run,
        [side if isinstance(side, int) else None for side in inputs[0].shape],
        [side if isinstance(side, int) else None for side in outputs[0].shape],
        Facts.read(session.get_modelmeta().custom_metadata_map),
    )


def _session(file: Path) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # errors are raised as exceptions too
    # Threads that busy-wait take CPU time from other processes and from our other threads.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])


def open_people(file: Path) -> FindPeople:
    """Loads a file that returns people."""
    session = _session(file)
    return lambda pictures: tuple(session.run(people_graph.OUTPUTS, {people_graph.PICTURES.name: pictures}))


def write(source: Source, path: Path) -> None:
    """Writes a network as an ONNX model."""
    # tf2onnx's public function for graphs would freeze and fold a second time.
    network = source.graph
    with tf.Graph().as_default() as graph:
        tf.graph_util.import_graph_def(network, name="")
        model = _converted(graph, {f"{GRAPH_INPUT}:0": "image"}, {f"{GRAPH_OUTPUT}:0": "maps"}, OPTIMIZERS)
    for tensor, sides in (
        (model.graph.input[0], ("height", "width")),
        (model.graph.output[0], ("height_cells", "width_cells")),
    ):
        _name_sides(tensor, "batch", *sides)
    _write(model, source.facts, path)


def write_people(source: Source, path: Path) -> None:
    """Writes an ONNX model that returns people."""
    from tf2onnx import tf_loader

    traced = people_graph.traced(source, source.graph)
    inputs = {traced.inputs[0].name: people_graph.PICTURES.name}
    outputs = {traced.structured_outputs[name].name: name for name in people_graph.OUTPUTS}
    frozen = tf_loader.from_function(traced, list(inputs), list(outputs))
    with tf.Graph().as_default() as graph:
        tf.graph_util.import_graph_def(frozen, name="")
        # Half of the conversion would be optimizers, after which ONNX Runtime is no quicker: it has its own.
        model = _converted(graph, inputs, outputs, optimizers=())
    _name_sides(model.graph.input[0], "batch", "height", "width")
    for tensor in model.graph.output:
        _name_sides(tensor, "batch")
    _write(model, people_graph.facts(source), path)


def _converted(graph: tf.Graph, inputs: dict[str, str], outputs: dict[str, str], optimizers: tuple[str, ...]) -> Any:
    """A TensorFlow graph as an ONNX ModelProto; the inputs and outputs get the names in the values."""
    from tf2onnx import optimizer, tfonnx

    converted = tfonnx.process_tf_graph(
        graph,
        opset=OPSET,
        input_names=list(inputs),
        output_names=list(outputs),
        custom_op_handlers=dict.fromkeys(("UnsortedSegmentSum", "UnsortedSegmentMin"), (_scattered, [])),
    )
    wanted = {name: kind for name, kind in optimizer._get_optimizers().items() if name in optimizers}
    # It would copy the graph before each step to catch errors, which takes most of the time.
    model = optimizer.optimize_graph(converted, catch_errors=False, optimizers=wanted).make_model("OpenPose")
    _pad_explicitly(model.graph)
    _normalize(model.graph, inputs | outputs)
    return model


def _scattered(context: Any, node: Any, name: str, arguments: Any) -> None:
    """Converts a sum or minimum over segments, where tf2onnx needs many nodes, to one ScatterElements.

    Not ScatterND: several threads of ONNX Runtime then write the same element at once, and some values are lost.
    """
    from tf2onnx import utils

    def made(kind: str, *inputs: str, **attributes: Any) -> str:
        return context.make_node(kind, list(inputs), attr=attributes).output[0]

    def constant(*numbers: int, kind: Any = np.int64) -> str:
        return context.make_const(utils.make_name("constant"), np.array(numbers, kind)).output[0]

    data, segment, count = node.input
    kind, rank, shape = context.get_dtype(data), context.get_rank(data), context.get_shape(node.output[0])
    number = utils.map_onnx_to_numpy_type(kind)
    is_sum = node.type == "UnsortedSegmentSum"
    largest = np.finfo(number).max if np.issubdtype(number, np.floating) else np.iinfo(number).max
    whole = utils.map_numpy_to_onnx_dtype(np.int64)
    index = made("Cast", segment, to=whole)
    sides = made("Unsqueeze", made("Cast", count, to=whole), constant(0))
    if rank > 1:
        inner = made("Slice", made("Shape", data), constant(1), constant(rank))
        sides = made("Concat", sides, inner, axis=0)
        index = made("Expand", made("Unsqueeze", index, constant(*range(1, rank))), made("Shape", data))
    start = made("Expand", constant(0 if is_sum else largest, kind=number), sides)
    context.remove_node(node.name)
    context.make_node(
        "ScatterElements",
        [start, index, data],
        attr={"axis": 0, "reduction": "add" if is_sum else "min"},
        name=name,
        outputs=node.output,
        shapes=[shape],
        dtypes=[kind],
    )


def _name_sides(tensor: Any, *names: str) -> None:
    """Names those of a tensor's first sides that are free."""
    for dimension, name in zip(tensor.type.tensor_type.shape.dim, names, strict=False):
        if not dimension.HasField("dim_value"):
            dimension.dim_param = name


def _write(model: Any, facts: Facts, path: Path) -> None:
    for name, text in facts.texts().items():
        model.metadata_props.add(key=name, value=text)
    storage.write_bytes(path, model.SerializeToString(deterministic=True))


def _pad_explicitly(graph: Any) -> None:
    """Replaces `auto_pad` of convolutions by numbers where the padding does not depend on the input's size.

    ONNX Runtime refuses `auto_pad` for dilated convolutions.
    """
    for node in graph.node:
        values = {attribute.name: attribute for attribute in node.attribute}
        if node.op_type != "Conv" or "auto_pad" not in values or list(values["strides"].ints) != [1, 1]:
            continue
        beside = [
            dilation * (kernel - 1) // 2
            for kernel, dilation in zip(values["kernel_shape"].ints, values["dilations"].ints, strict=True)
        ]
        padding = values["auto_pad"]
        padding.Clear()
        padding.name, padding.type = "pads", padding.INTS
        padding.ints[:] = beside + beside


def _normalize(graph: Any, ends: dict[str, str]) -> None:
    """Renames and sorts nodes and tensors, so that the same network always gives the same bytes.

    The names and the order that tf2onnx gives depend on what the process did before, and on chance.

    Args:
        graph: ONNX GraphProto, changed in place.
        ends: new names of its inputs and outputs.
    """
    _rename(graph, dict(ends), itertools.count(), itertools.count())


def _rename(graph: Any, names: dict[str, str], tensors: Iterator[int], nodes: Iterator[int]) -> None:
    """Renames and sorts what is in a graph, and in the graphs of its loops.

    Args:
        graph: ONNX GraphProto, changed in place.
        names: new names of the tensors that it sees, by the old ones; those of its own tensors are added.
        tensors: numbers for new names.
        nodes: likewise.
    """
    for end in graph.input:
        names.setdefault(end.name, f"tensor{next(tensors)}")
    ordered = _in_order(graph)
    constants = {constant.name: constant for constant in graph.initializer}
    wanted = dict.fromkeys(name for node in ordered for name in _used(node))
    wanted |= dict.fromkeys(end.name for end in graph.output)
    used = [constants[name] for name in wanted if name in constants]
    for name in (*(constant.name for constant in used), *(name for node in ordered for name in node.output)):
        names.setdefault(name, f"tensor{next(tensors)}")
    for node in ordered:
        node.name = f"{node.op_type}{next(nodes)}"
        for inner in _graphs(node):
            inner.name = f"{node.name}_body"
            _rename(inner, dict(names), tensors, nodes)
        node.input[:] = [names[name] if name else "" for name in node.input]
        node.output[:] = [names[name] if name else "" for name in node.output]
    for tensor in (*graph.input, *graph.output, *used):
        tensor.name = names[tensor.name]
    for end in (*graph.input, *graph.output):
        _name_sides(end, *("" for _ in end.type.tensor_type.shape.dim))
    del graph.node[:], graph.initializer[:], graph.value_info[:]
    graph.node.extend(ordered)
    graph.initializer.extend(used)


def _graphs(node: Any) -> list[Any]:
    """The graphs of a node that is a loop or a branch."""
    return [attribute.g for attribute in node.attribute if attribute.HasField("g")]


def _used(node: Any) -> list[str]:
    """Names of all tensors that a node needs: its inputs, and what the graphs inside it take from outside."""
    names = [name for name in node.input if name]
    for graph in _graphs(node):
        own = {end.name for end in graph.input} | {constant.name for constant in graph.initializer}
        own |= {name for inner in graph.node for name in inner.output}
        needed = [name for inner in graph.node for name in _used(inner)] + [end.name for end in graph.output]
        names += [name for name in needed if name not in own]
    return names


def _in_order(graph: Any) -> list[Any]:
    """The nodes that the outputs depend on, in a fixed topological order."""
    makers = {name: node for node in graph.node for name in node.output if name}
    ordered: dict[str, Any] = {}  # by the name of the first output
    waiting = [(end.name, False) for end in reversed(graph.output)]
    while waiting:
        name, is_ready = waiting.pop()
        node = makers.get(name)
        if node is None or node.output[0] in ordered:
            continue
        if is_ready:
            ordered[node.output[0]] = node
        else:
            waiting.append((name, True))
            waiting.extend((needed, False) for needed in reversed(_used(node)))
    return list(ordered.values())
