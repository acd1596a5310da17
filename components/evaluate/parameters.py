"""How a model is measured, and what it must reach."""

from dataclasses import dataclass
from typing import Annotated

from openpose.parameters import Limits, Parameters


@dataclass(frozen=True)
class AcceptanceThresholds(Parameters):
    """What a model must reach to be accepted."""

    min_ap: Annotated[float, Limits(least=0)] = 0.0
    """The verdict needs at least this COCO AP."""
    max_valid_loss: Annotated[float, Limits(least=0)] = 0.0
    """The verdict needs at most this validation loss; 0 for any."""
    tolerance: Annotated[float, Limits(least=0)] = 0.01
    """The verdict allows a COCO AP that is lower than the champion's by at most this."""


@dataclass(frozen=True)
class EvaluateParameters(AcceptanceThresholds):
    """How a model is measured, and what it must reach."""

    height: Annotated[int, Limits(least=0)] = 0
    """Height in pixels to which pictures are resized for COCO AP; 0 for the height that was trained."""
    registry: str = "openpose"
    """Name of the registry of the champions, the models that were accepted last (registry/<name>/)."""
