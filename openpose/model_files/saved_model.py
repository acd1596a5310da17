"""SavedModels: a folder that TensorFlow and TensorFlow Serving load, with constants in place of variables.

So there is nothing to restore, and the same network gives the same bytes each time. Ours has two signatures:

    serving_default  image: float32 [N, H, W, 3], 0–255; H and W multiples of the stride
                     -> maps: float32 [N, H / stride, W / stride, maps]
    jpeg             encoded: string [], the bytes of one JPEG or PNG picture
                     -> maps: float32 [1, h, w, maps]; scale: float32 [2], size of the network's input, without
                        padding, in proportion to the picture's: x, y
"""

from pathlib import Path

import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2

from openpose import storage
from openpose.errors import InputError
from openpose.image_file import MAX_ASPECT, PADDING_GREY
from openpose.model_files import frozen_graph
from openpose.model_files.inference import GRAPH_INPUT, GRAPH_OUTPUT, PICTURES
from openpose.model_files.loaded import LoadedModel, shape_text

FILE = "saved_model.pb"
MAPS_SIGNATURE, JPEG_SIGNATURE = "serving_default", "jpeg"


def open_file(folder: Path, place: storage.StoragePath) -> LoadedModel:
    """A SavedModel that can be asked for maps: its signature `serving_default`.

    Raises:
        InputError: it is none, or its signature is not one from a picture to one tensor.
    """
    document = saved_model_pb2.SavedModel()
    try:
        document.ParseFromString((folder / FILE).read_bytes())
        loaded = tf.saved_model.load(str(folder))
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
    graph_def = document.meta_graphs[0].graph_def
    return LoadedModel(
        # By way of `loaded`, which keeps the variables of other programs' SavedModels.
        lambda pictures: loaded.signatures[MAPS_SIGNATURE](**{taken: pictures})[given],
        spec.shape.as_list() if spec.shape.rank else [],
        output.shape.as_list() if output.shape.rank else [],
        frozen_graph.text_of(graph_def, frozen_graph.GRAPH_PIXELS),
        frozen_graph.text_of(graph_def, frozen_graph.GRAPH_SKELETON),
    )


def _described(signatures: dict[str, tf.types.experimental.ConcreteFunction]) -> str:
    """The signatures with their tensors, for messages."""
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


def write(graph_def: tf.compat.v1.GraphDef, folder: Path, pixels: str, skeleton: str, stride: int, height: int) -> None:
    """Writes a SavedModel.

    Args:
        graph_def: the network, see `inference.graph`.
        folder: which is not there yet.
        pixels: the order of the channels that the network takes.
        skeleton: name of its maps' skeleton.
        stride: input pixels per cell.
        height: to which `jpeg` resizes a picture.
    """
    graph = tf.Graph()
    with graph.as_default():
        encoded = tf.compat.v1.placeholder(tf.string, [], name="encoded")
        picture, scale = prepare(encoded, pixels, stride, height)
        # Who asks with `image` feeds this tensor, and nothing is decoded.
        image = tf.compat.v1.placeholder_with_default(picture[None], PICTURES.shape, name=GRAPH_INPUT)
        (maps,) = tf.graph_util.import_graph_def(graph_def, {GRAPH_INPUT: image}, [f"{GRAPH_OUTPUT}:0"], name="network")
        tf.constant(pixels, name=frozen_graph.GRAPH_PIXELS)
        tf.constant(skeleton, name=frozen_graph.GRAPH_SKELETON)
        signatures = {
            MAPS_SIGNATURE: _signature({"image": image}, {"maps": maps}),
            JPEG_SIGNATURE: _signature({"encoded": encoded}, {"maps": maps, "scale": scale}),
        }
    builder = tf.compat.v1.saved_model.Builder(str(folder))
    with tf.compat.v1.Session(graph=graph) as session:
        builder.add_meta_graph_and_variables(session, [tf.saved_model.SERVING], signatures, strip_default_attrs=True)
    builder.save()
    _settle(folder / FILE)


def _signature(inputs: dict[str, tf.Tensor], outputs: dict[str, tf.Tensor]) -> meta_graph_pb2.SignatureDef:
    signature = meta_graph_pb2.SignatureDef(method_name=tf.compat.v1.saved_model.PREDICT_METHOD_NAME)
    for named, tensors in ((signature.inputs, inputs), (signature.outputs, outputs)):
        for name, tensor in tensors.items():
            named[name].name = tensor.name
            named[name].dtype = tensor.dtype.as_datatype_enum
            named[name].tensor_shape.CopyFrom(tensor.shape.as_proto())
    return signature


def _settle(file: Path) -> None:
    """Takes the order of maps in the file from their keys: TensorFlow writes them as they come."""
    document = saved_model_pb2.SavedModel()
    document.ParseFromString(file.read_bytes())
    file.write_bytes(document.SerializeToString(deterministic=True))


def prepare(encoded: tf.Tensor, pixels: str, stride: int, height: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Prepares a picture as `openpose.image_file` does, in TensorFlow operations.

    Args:
        encoded: string [], JPEG or PNG.
        pixels: the order of the channels of what comes out.
        stride: its height and width are multiples of this, padded at the right and below.
        height: of what comes out, without padding, unless the picture is very wide.

    Returns:
        float32 [height, width, 3], 0–255, and float32 [2]: its size without padding in proportion to the picture's,
        x, y.
    """
    picture = tf.io.decode_jpeg(encoded, channels=3)
    size = tf.cast(tf.shape(picture)[:2], tf.float32)
    factor = tf.minimum(height / size[0], MAX_ASPECT * height / size[1])
    resized_size = tf.maximum(tf.cast(tf.round(size * factor), tf.int32), 1)
    # Not tf.cond, whose branches are functions with numbers in their names that count through a process.
    smaller, larger = (tf.image.resize(picture, resized_size, method) for method in ("area", "bicubic"))
    resized = tf.where(factor < 1, smaller, larger)
    whole = tf.clip_by_value(tf.round(resized), 0.0, 255.0)
    if pixels == "bgr":
        whole = tf.reverse(whole, [-1])
    bottom, right = tf.unstack(-resized_size % stride)
    padded = tf.pad(whole, [[0, bottom], [0, right], [0, 0]], constant_values=float(PADDING_GREY))
    return padded, tf.cast(resized_size, tf.float32)[::-1] / size[::-1]
