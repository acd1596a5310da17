"""Ten lines for each format that ask it for the maps of a photograph; the model card shows them, a test runs them."""

from openpose.model_files.formats import FORMATS

_READ = """\
import cv2
import numpy as np
{needs}

picture = cv2.imread("photo.jpg"){turned}  # {order}
width = max(1, round(picture.shape[1] * {height} / picture.shape[0] / {stride})) * {stride}
picture = cv2.resize(picture, (width, {height}))[None].astype(np.float32)
"""
_SPLIT = "heatmap, vectmap = maps[..., :{heatmaps}], maps[..., {heatmaps}:]\nprint(heatmap.shape, vectmap.shape)\n"

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
    needs, ask = FORMATS[name].example
    turned, order = (
        ("[..., ::-1]", "RGB, as the model takes it") if pixels == "rgb" else ("", "BGR, as the model takes it")
    )
    values = {"file": file, "turned": turned, "order": order, "height": height, "stride": stride, "heatmaps": heatmaps}
    return (_READ + ask + _SPLIT).format(needs=needs, **values)
