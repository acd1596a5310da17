"""Ten lines for each format that run it on a photograph; the model card shows them and a test runs them."""

from openpose.model_files.formats import FORMATS

_READ = """\
import cv2
import numpy as np
{imports}

picture = cv2.imread("photo.jpg"){swap}  # {order}, as the model takes it
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
    """A program that runs an exported file.

    Args:
        name: of the format, or `jpeg` for the SavedModel's other signature.
        file: name of the file.
        pixels: the channel order that it takes.
        height: of the picture after resizing, pixels.
        stride: input pixels per cell.
        heatmaps: how many of its maps are heatmaps.
    """
    if name == "jpeg":
        return (JPEG + _SPLIT).format(file=file, heatmaps=heatmaps)
    imports, code = FORMATS[name].example
    values = {"file": file, "order": pixels.upper(), "height": height, "stride": stride, "heatmaps": heatmaps}
    swap = "[..., ::-1]" if pixels == "rgb" else ""
    return (_READ + code + _SPLIT).format(imports=imports, swap=swap, **values)
