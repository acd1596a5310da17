"""What is exported, and how."""

from dataclasses import dataclass
from typing import Annotated

from openpose.model_files.formats import Pixels
from openpose.parameters import CommandOnly, Limits, Parameters


@dataclass(frozen=True)
class ExportParameters(Parameters):
    """What is exported, and how."""

    pixels: Pixels = "bgr"
    """Order of the channels that the exported files take: bgr (tf-pose-estimation's clients) or rgb."""
    formats: str = "all"
    """Formats besides graph.pb: all, or names with commas, such as onnx,tflite; a wrong name lists all of them."""
    images: Annotated[int, Limits(least=1), CommandOnly] = 50
    """Pictures of the validation split on which the formats are compared with the Keras model."""
