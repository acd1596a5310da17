"""SavedModels: folders that TensorFlow and TensorFlow Serving load.

Ours hold constants instead of variables, so that the same network always gives the same bytes. They have three
signatures:

    serving_default  image: float32 [N, H, W, 3], 0–255; H and W multiples of the stride
                     -> maps: float32 [N, H / stride, W / stride, maps]
    jpeg             encoded: string [], the bytes of one JPEG or PNG picture
                     -> maps: float32 [1, h, w, maps]; scale: float32 [2], x and y: size of the network's input
                        without padding, relative to the picture's size
    people           pictures: uint8 [N, H, W, 3] of any size
                     -> keypoints, scores, count: see `people_graph.people`

`assets.extra/openpose.json` describes the skeleton and the people, for programs that do not read the graph.
"""

import operator
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2

from openpose import storage
from openpose.errors import InputError
from openpose.model_files import frozen_graph, people_graph, preparation
from openpose.model_files.formats import SAVED_MODEL, Example, FindPeople
from openpose.model_files.inference import GRAPH_INPUT, GRAPH_OUTPUT, PICTURES, Source
from openpose.model_files.loaded import LoadedModel, shape_text

MAPS_SIGNATURE, JPEG_SIGNATURE, PEOPLE_SIGNATURE = "serving_default", "jpeg", "people"
EXAMPLE = Example(
    "import tensorflow as tf",
    """\
model = tf.saved_model.load("{file}")
maps = model.signatures["serving_default"](image=tf.constant(picture))["maps"].numpy()
""",
)
PEOPLE_EXAMPLE = Example(
    "import tensorflow as tf",
    """\
model = tf.saved_model.load("{file}")
found = model.signatures["people"](pictures=tf.constant(pictures))
keypoints, scores, count = (found[name].numpy() for name in ("keypoints", "scores", "count"))
""",
)


def open_file(folder: Path, place: storage.StoragePath) -> LoadedModel:
    """Loads the signature `serving_default` of a SavedModel.

    Raises:
        InputError: the folder is not a SavedModel, or the signature does not map one picture to one tensor.
    """
    document = saved_model_pb2.SavedModel()
    try:
        document.ParseFromString((folder / SAVED_MODEL).read_bytes())
        with storage.without_wildcards(folder) as name:
            loaded = tf.saved_model.load(str(name))
    except (DecodeError, OSError, ValueError, tf.errors.OpError) as error:
        raise InputError(f"{place}: not a SavedModel that can be loaded ({str(error).splitlines()[0]})") from error
    signature = loaded.signatures.get(MAPS_SIGNATURE)
    takes = [] if signature is None else list(signature.structured_input_signature[1].items())
    gives = [] if signature is None else list(signature.structured_outputs.items())
    if len(takes) != 1 or len(gives) != 1:
        raise InputError(
            f"{place}: an OpenPose SavedModel has a signature {MAPS_SIGNATURE!r} from one picture to one tensor of "
            f"maps; this one has: {_described(loaded.signatures)}"
        )
    (taken, spec), (given, output) = takes[0], gives[0]
    return LoadedModel(
        # Through `loaded`, which keeps the variables of other programs' SavedModels alive.
        lambda pictures: loaded.signatures[MAPS_SIGNATURE](**{taken: pictures})[given],
        spec.shape.as_list() if spec.shape.rank else [],
        output.shape.as_list() if output.shape.rank else [],
        frozen_graph.facts(document.meta_graphs[0].graph_def),
    )


def _described(signatures: dict[str, tf.types.experimental.ConcreteFunction]) -> str:
    """Lists the signatures and their tensors, for messages."""
    texts = []
    for name, signature in signatures.items():
        ends = [
            ", ".join(
                f"{tensor} {shape_text(spec.shape.as_list() if spec.shape.rank else [])}" for tensor, spec in side
            )
            for side in (signature.structured_input_signature[1].items(), signature.structured_outputs.items())
        ]
        texts.append(f"{name} ({' -> '.join(ends)})")
    return "; ".join(texts) or "none"


def open_people(folder: Path) -> FindPeople:
    """Loads the signature `people`."""
    with storage.without_wildcards(folder) as name:
        loaded = tf.saved_model.load(str(name))

    def run(pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        found = loaded.signatures[PEOPLE_SIGNATURE](pictures=tf.constant(pictures))
        return found["keypoints"].numpy(), found["scores"].numpy(), found["count"].numpy()

    return run


def write(source: Source, folder: Path) -> None:
    """Writes a network as a SavedModel to a new folder."""
    # Not the portable graph: without oneDNN, TensorFlow's kernel for CPUs refuses a dilated depthwise convolution.
    network, graph = source.graph_for_tensorflow, tf.Graph()
    about = people_graph.facts(source)
    with graph.as_default():
        # Each signature feeds one of three tensors, and what comes before that tensor is not run.
        encoded = tf.compat.v1.placeholder(tf.string, [], name="encoded")
        given = decoded(encoded, source.pixels)[None]
        pictures = tf.compat.v1.placeholder_with_default(given, people_graph.PICTURES.shape, people_graph.PICTURES.name)
        prepared, scale = preparation.prepared(pictures, source.stride, source.height)
        image = tf.compat.v1.placeholder_with_default(prepared, PICTURES.shape, name=GRAPH_INPUT)
        output = f"{GRAPH_OUTPUT}:0"
        (maps,) = tf.graph_util.import_graph_def(network, {GRAPH_INPUT: image}, [output], name="network")
        people = people_graph.people(maps, scale, source)
        for name, text in about.texts().items():
            tf.constant(text, name=frozen_graph.FACT.format(name))
        signatures = {
            MAPS_SIGNATURE: _signature({"image": image}, {"maps": maps}),
            JPEG_SIGNATURE: _signature({"encoded": encoded}, {"maps": maps, "scale": scale[::-1]}),
            PEOPLE_SIGNATURE: _signature({"pictures": pictures}, people),
        }
    builder = tf.compat.v1.saved_model.Builder(str(folder))
    with tf.compat.v1.Session(graph=graph) as session:
        builder.add_meta_graph_and_variables(session, [tf.saved_model.SERVING], signatures, strip_default_attrs=True)
    builder.save()
    _normalize(folder / SAVED_MODEL)
    storage.write_json(folder / "assets.extra" / "openpose.json", about.document())


def _signature(inputs: dict[str, tf.Tensor], outputs: dict[str, tf.Tensor]) -> meta_graph_pb2.SignatureDef:
    signature = meta_graph_pb2.SignatureDef(method_name=tf.compat.v1.saved_model.PREDICT_METHOD_NAME)
    for named, tensors in ((signature.inputs, inputs), (signature.outputs, outputs)):
        for name, tensor in tensors.items():
            named[name].name = tensor.name
            named[name].dtype = tensor.dtype.as_datatype_enum
            named[name].tensor_shape.CopyFrom(tensor.shape.as_proto())
    return signature


def _normalize(file: Path) -> None:
    """Renames functions and sorts the protobuf maps in the file, so that the same network always gives the same bytes.

    TensorFlow numbers functions through a process, and writes maps in any order.
    """
    document = saved_model_pb2.SavedModel()
    document.ParseFromString(file.read_bytes())
    graph_def = document.meta_graphs[0].graph_def
    listed = operator.attrgetter("library.function")(graph_def)
    functions = {function.signature.name: function for function in listed}
    names: dict[str, str] = {}

    def rename(nodes: Iterable[Any]) -> None:
        for reference in (value.func for node in nodes for _, value in sorted(node.attr.items())):
            if reference.name in functions:
                if reference.name not in names:
                    names[reference.name] = f"function{len(names)}"
                    rename(functions[reference.name].node_def)
                reference.name = names[reference.name]

    rename(graph_def.node)
    del listed[:]
    for old, new in names.items():
        functions[old].signature.name = new
        for argument in functions[old].signature.input_arg:  # some that are not used contain the function's name
            argument.name = argument.name.replace(old, new)
        listed.append(functions[old])
    file.write_bytes(document.SerializeToString(deterministic=True))


def decoded(encoded: tf.Tensor, pixels: str) -> tf.Tensor:
    """The picture, uint8 [H, W, 3], in a JPEG or PNG file, with its channels in an order."""
    picture = tf.io.decode_jpeg(encoded, channels=3)
    return tf.reverse(picture, [-1]) if pixels == "bgr" else picture
