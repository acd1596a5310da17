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

_PEOPLE = """\
import cv2
import numpy as np
{imports}

pictures = np.stack([cv2.imread("photo.jpg"){swap}])  # {order}; one picture, or several of one size
{code}for person, score in zip(keypoints[0, : count[0]], scores[0]):
    print(score, person)  # x and y in pixels and a score for each part; zeros where it was not found
"""

JPEG = """\
import tensorflow as tf

model = tf.saved_model.load("{file}")
found = model.signatures["jpeg"](encoded=tf.io.read_file("photo.jpg"))  # decodes and resizes by itself
maps, scale = found["maps"].numpy(), found["scale"].numpy()
"""


def example(name: str, file: str, pixels: str, height: int, stride: int, heatmaps: int) -> str:
    """A program that runs an exported file.

    Args:
        name: of the format; with `_people` after it for the file that returns people; or `jpeg` for that signature of
            the SavedModel.
        file: name of the file.
        pixels: the channel order that it takes.
        height: of the picture after resizing, pixels.
        stride: input pixels per cell.
        heatmaps: how many of its maps are heatmaps.
    """
    if name == "jpeg":
        return (JPEG + _SPLIT).format(file=file, heatmaps=heatmaps)
    format, returns_people = name.removesuffix("_people"), name.endswith("_people")
    imports, code = FORMATS[format].people_example if returns_people else FORMATS[format].example
    values = {"file": file, "order": pixels.upper(), "height": height, "stride": stride, "heatmaps": heatmaps}
    swap = "[..., ::-1]" if pixels == "rgb" else ""
    program = _PEOPLE.replace("{code}", code) if returns_people else _READ + code + _SPLIT
    return program.format(imports=imports, swap=swap, **values)
