"""Ten lines for each format that ask it for the maps of a photograph; the model card shows them, a test runs them."""

_READ = """\
import cv2
import numpy as np
{needs}

picture = cv2.imread("photo.jpg"){turned}  # {order}
width = max(1, round(picture.shape[1] * {height} / picture.shape[0] / {stride})) * {stride}
picture = cv2.resize(picture, (width, {height}))[None].astype(np.float32)
"""
_SPLIT = "heatmap, vectmap = maps[..., :{heatmaps}], maps[..., {heatmaps}:]\nprint(heatmap.shape, vectmap.shape)\n"

_GRAPH = (
    "import tensorflow.compat.v1 as tf",
    """\
graph = tf.GraphDef.FromString(open("{file}", "rb").read())
with tf.Graph().as_default(), tf.Session() as session:
    (output,) = tf.import_graph_def(graph, return_elements=["Openpose/concat_stage7:0"])
    maps = session.run(output, {{"import/image:0": picture}})
""",
)
_SAVED_MODEL = (
    "import tensorflow as tf",
    """\
model = tf.saved_model.load("{file}")
maps = model.signatures["serving_default"](image=tf.constant(picture))["maps"].numpy()
""",
)
_ONNX = (
    "import onnxruntime",
    """\
session = onnxruntime.InferenceSession("{file}")
(maps,) = session.run(["maps"], {{"image": picture}})
""",
)
_TFLITE = (
    "from ai_edge_litert.interpreter import Interpreter",
    """\
runner = Interpreter("{file}", num_threads=4).get_signature_runner()
maps = runner(image=picture)["maps"]
""",
)
_ASK = {
    "graph": _GRAPH,
    "saved_model": _SAVED_MODEL,
    "onnx": _ONNX,
    "tflite": _TFLITE,
    "tflite_float16": _TFLITE,
    "tflite_int8": _TFLITE,
}
JPEG = """\
import tensorflow as tf

model = tf.saved_model.load("{file}")
found = model.signatures["jpeg"](encoded=tf.io.read_file("photo.jpg"))  # decodes and resizes by itself
maps, scale = found["maps"].numpy(), found["scale"].numpy()
"""


def example(name: str, file: str, pixels: str, height: int, stride: int, heatmaps: int) -> str:
    """A format's example.

    Args:
        name: of the format, or `jpeg` for the SavedModel's other signature.
        file: name of its file.
        pixels: the order of the channels that it takes.
        height: to which the picture is resized.
        stride: input pixels per cell.
        heatmaps: the number of its maps that are heatmaps.
    """
    if name == "jpeg":
        return (JPEG + _SPLIT).format(file=file, heatmaps=heatmaps)
    needs, ask = _ASK[name]
    turned, order = (
        ("[..., ::-1]", "RGB, as the model takes it") if pixels == "rgb" else ("", "BGR, as the model takes it")
    )
    values = {"file": file, "turned": turned, "order": order, "height": height, "stride": stride, "heatmaps": heatmaps}
    return (_READ + ask + _SPLIT).format(needs=needs, **values)
