"""What is exported, and how."""

from dataclasses import dataclass
from typing import Annotated, Literal

from openpose.parameters import CommandOnly, Limits, Parameters


@dataclass(frozen=True)
class ExportParameters(Parameters):
    """What is exported, and how."""

    pixels: Literal["bgr", "rgb"] = "bgr"
    """Order of the channels that the exported files take: bgr (tf-pose-estimation's clients) or rgb."""
    formats: str = "all"
    """Formats besides graph.pb: all, or some of saved_model, onnx, tflite, tflite_float16 and tflite_int8 with
    commas."""
    images: Annotated[int, Limits(least=1), CommandOnly] = 50
    """Pictures of the validation split on which the formats are compared with the Keras model."""
