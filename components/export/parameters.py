"""What is exported, and how."""

from dataclasses import dataclass
from typing import Annotated

from openpose.model_files.formats import Pixels
from openpose.parameters import CommandOnly, Limits, Parameters


@dataclass(frozen=True)
class ExportParameters(Parameters):
    """What is exported, and how."""

    pixels: Pixels = "bgr"
    """Channel order that the exported files expect: bgr (as tf-pose-estimation's clients send) or rgb."""
    formats: str = "all"
    """Formats to write along with graph.pb: all, or names separated by commas, such as onnx,tflite. A wrong name lists
    all of them."""
    images: Annotated[int, Limits(least=1), CommandOnly] = 50
    """Number of validation pictures on which each format is compared with the Keras model."""
    max_people: Annotated[int, Limits(least=1, auto=0), CommandOnly] = 0
    """Most people that the files that return people give for a picture; 0 takes 100, and more of small skeletons."""
    max_peaks: Annotated[int, Limits(least=1, auto=0), CommandOnly] = 0
    """Most peaks of each part that these files join to people; 0 takes 100, and more of small skeletons."""
