"""SavedModels: folders that TensorFlow and TensorFlow Serving load.

Ours hold constants instead of variables, so that the same network always gives the same bytes. They have two
signatures:

    serving_default  image: float32 [N, H, W, 3], 0–255; H and W multiples of the stride
                     -> maps: float32 [N, H / stride, W / stride, maps]
    jpeg             encoded: string [], the bytes of one JPEG or PNG picture
                     -> maps: float32 [1, h, w, maps]; scale: float32 [2], x and y: size of the network's input
                        without padding, relative to the picture's size

`assets.extra/openpose.json` describes a skeleton that has no name here, for programs that do not read the graph.
"""

from pathlib import Path

import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2

from openpose import storage
from openpose.errors import InputError
from openpose.image_file import MAX_ASPECT, PADDING_GREY
from openpose.model_files import frozen_graph
from openpose.model_files.formats import SAVED_MODEL, Example
from openpose.model_files.inference import GRAPH_INPUT, GRAPH_OUTPUT, PICTURES, Source
from openpose.model_files.loaded import LoadedModel, shape_text

MAPS_SIGNATURE, JPEG_SIGNATURE = "serving_default", "jpeg"
EXAMPLE = Example(
    "import tensorflow as tf",
    """\
model = tf.saved_model.load("{file}")
maps = model.signatures["serving_default"](image=tf.constant(picture))["maps"].numpy()
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


def write(source: Source, folder: Path) -> None:
    """Writes a network as a SavedModel to a new folder."""
    # Not the portable graph: without oneDNN, TensorFlow's kernel for CPUs refuses a dilated depthwise convolution.
    network, graph = source.graph_for_tensorflow, tf.Graph()
    with graph.as_default():
        encoded = tf.compat.v1.placeholder(tf.string, [], name="encoded")
        picture, scale = prepare(encoded, source.pixels, source.stride, source.height)
        # `serving_default` feeds this tensor directly, so nothing is decoded.
        image = tf.compat.v1.placeholder_with_default(picture[None], PICTURES.shape, name=GRAPH_INPUT)
        output = f"{GRAPH_OUTPUT}:0"
        (maps,) = tf.graph_util.import_graph_def(network, {GRAPH_INPUT: image}, [output], name="network")
        for name, text in source.facts.texts().items():
            tf.constant(text, name=frozen_graph.FACT.format(name))
        signatures = {
            MAPS_SIGNATURE: _signature({"image": image}, {"maps": maps}),
            JPEG_SIGNATURE: _signature({"encoded": encoded}, {"maps": maps, "scale": scale}),
        }
    builder = tf.compat.v1.saved_model.Builder(str(folder))
    with tf.compat.v1.Session(graph=graph) as session:
        builder.add_meta_graph_and_variables(session, [tf.saved_model.SERVING], signatures, strip_default_attrs=True)
    builder.save()
    _sort_maps(folder / SAVED_MODEL)
    if source.skeleton.startswith("{"):
        storage.write_json(folder / "assets.extra" / "openpose.json", source.facts.document())


def _signature(inputs: dict[str, tf.Tensor], outputs: dict[str, tf.Tensor]) -> meta_graph_pb2.SignatureDef:
    signature = meta_graph_pb2.SignatureDef(method_name=tf.compat.v1.saved_model.PREDICT_METHOD_NAME)
    for named, tensors in ((signature.inputs, inputs), (signature.outputs, outputs)):
        for name, tensor in tensors.items():
            named[name].name = tensor.name
            named[name].dtype = tensor.dtype.as_datatype_enum
            named[name].tensor_shape.CopyFrom(tensor.shape.as_proto())
    return signature


def _sort_maps(file: Path) -> None:
    """Sorts the protobuf maps in the file by key, because TensorFlow writes them in any order."""
    document = saved_model_pb2.SavedModel()
    document.ParseFromString(file.read_bytes())
    file.write_bytes(document.SerializeToString(deterministic=True))


def prepare(encoded: tf.Tensor, pixels: str, stride: int, height: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Prepares a picture as `openpose.image_file` does, in TensorFlow operations.

    Args:
        encoded: string [], JPEG or PNG.
        pixels: the channel order of the result.
        stride: the result is padded at the right and at the bottom to multiples of this.
        height: of the result without padding; very wide pictures become smaller.

    Returns:
        float32 [H, W, 3], 0–255, and float32 [2], x and y: its size without padding, relative to the picture's size.
    """
    picture = tf.io.decode_jpeg(encoded, channels=3)
    size = tf.cast(tf.shape(picture)[:2], tf.float32)
    factor = tf.minimum(height / size[0], MAX_ASPECT * height / size[1])
    resized_size = tf.maximum(tf.cast(tf.round(size * factor), tf.int32), 1)
    # Not tf.cond: it numbers its functions through a process, so that the bytes would differ.
    smaller, larger = (tf.image.resize(picture, resized_size, method) for method in ("area", "bicubic"))
    resized = tf.where(factor < 1, smaller, larger)
    whole = tf.clip_by_value(tf.round(resized), 0.0, 255.0)
    if pixels == "bgr":
        whole = tf.reverse(whole, [-1])
    bottom, right = tf.unstack(-resized_size % stride)
    padded = tf.pad(whole, [[0, bottom], [0, right], [0, 0]], constant_values=float(PADDING_GREY))
    return padded, tf.cast(resized_size, tf.float32)[::-1] / size[::-1]
