"""ONNX, `.onnx`, run by ONNX Runtime.

Our files take `image` float32 [batch, height, width, 3], 0–255, and give `maps` float32 [batch, height / stride,
width / stride, maps]. Their metadata hold the network's facts.
"""

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from openpose import storage
from openpose.errors import InputError
from openpose.model_files.facts import Facts
from openpose.model_files.formats import Example
from openpose.model_files.inference import GRAPH_INPUT, GRAPH_OUTPUT, Source
from openpose.model_files.loaded import LoadedModel, check_one_to_one, shape_text

OPSET = 18  # of 2022, so that runtimes as old as that can run our files
EXAMPLE = Example(
    "import onnxruntime",
    """\
session = onnxruntime.InferenceSession("{file}")
(maps,) = session.run(["maps"], {{"image": picture}})
""",
)


def open_file(file: Path, place: storage.StoragePath) -> LoadedModel:
    """Loads an ONNX model.

    Raises:
        InputError: the file is not an ONNX model, or the model takes or gives more than one tensor.
    """
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as errors

    failures = (errors.Fail, errors.InvalidArgument, errors.InvalidGraph, errors.InvalidProtobuf, errors.NotImplemented)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # errors are raised as exceptions too
    # Threads that busy-wait take CPU time from other processes and from our other threads.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
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


def write(source: Source, path: Path) -> None:
    """Writes a network as an ONNX model."""
    from tf2onnx import optimizer, tfonnx

    # tf2onnx's public function for graphs would freeze and fold a second time.
    network = source.graph
    with tf.Graph().as_default() as graph:
        tf.graph_util.import_graph_def(network, name="")
        converted = tfonnx.process_tf_graph(
            graph, opset=OPSET, input_names=[f"{GRAPH_INPUT}:0"], output_names=[f"{GRAPH_OUTPUT}:0"]
        )
        model = optimizer.optimize_graph(converted).make_model("OpenPose")
    _pad_explicitly(model.graph)
    _normalize(model.graph)
    for name, text in source.facts.texts().items():
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


def _normalize(graph: Any) -> None:
    """Renames and sorts nodes and tensors, so that the same network always gives the same bytes.

    The names and the order that tf2onnx gives depend on what the process did before, and on chance.

    Args:
        graph: ONNX GraphProto, changed in place.
    """
    names = {graph.input[0].name: "image", graph.output[0].name: "maps"}
    constants = {constant.name: constant for constant in graph.initializer}
    ordered = _in_order(graph)
    used = [
        constants[name] for name in dict.fromkeys(name for node in ordered for name in node.input) if name in constants
    ]
    names |= {constant.name: f"constant{number}" for number, constant in enumerate(used)}
    names |= {
        name: names.get(name, f"tensor{number}")
        for number, name in enumerate(name for node in ordered for name in node.output)
    }
    for number, node in enumerate(ordered):
        node.name = f"{node.op_type}{number}"
        node.input[:] = [names.get(name, "") for name in node.input]
        node.output[:] = [names[name] for name in node.output]
    for tensor in (graph.input[0], graph.output[0], *used):
        tensor.name = names[tensor.name]
    for tensor, sides in ((graph.input[0], ("height", "width")), (graph.output[0], ("height_cells", "width_cells"))):
        for dimension, name in zip(tensor.type.tensor_type.shape.dim, ("batch", *sides), strict=False):
            dimension.dim_param = name
    del graph.node[:], graph.initializer[:], graph.value_info[:]
    graph.node.extend(ordered)
    graph.initializer.extend(used)


def _in_order(graph: Any) -> list[Any]:
    """The nodes that the output depends on, in a fixed topological order."""
    makers = {name: node for node in graph.node for name in node.output}
    ordered: dict[str, Any] = {}  # by the name of the first output
    waiting = [(graph.output[0].name, False)]
    while waiting:
        name, is_ready = waiting.pop()
        node = makers.get(name)
        if node is None or node.output[0] in ordered:
            continue
        if is_ready:
            ordered[node.output[0]] = node
        else:
            waiting.append((name, True))
            waiting.extend((needed, False) for needed in reversed(node.input))
    return list(ordered.values())
