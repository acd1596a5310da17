"""Parameters of an evaluation."""

from dataclasses import dataclass
from typing import Annotated

from openpose.parameters import Limits, Parameters


@dataclass(frozen=True)
class AcceptanceThresholds(Parameters):
    """The thresholds that a model must reach to be accepted."""

    min_ap: Annotated[float, Limits(least=-1)] = 0.0
    """Lowest COCO AP that the verdict accepts; 0 asks for more than 0, and -1 accepts any, also an undefined one."""
    max_valid_loss: Annotated[float, Limits(least=0)] = 0.0
    """Highest validation loss that the verdict accepts; 0 accepts any."""
    max_rmse: Annotated[float, Limits(least=0)] = 0.0
    """Highest RMSE of the found keypoints, in pixels of the picture, that the verdict accepts; 0 accepts any."""
    tolerance: Annotated[float, Limits(least=0)] = 0.01
    """How far the COCO AP may be below the champion's for the verdict to accept the model."""


@dataclass(frozen=True)
class EvaluateParameters(AcceptanceThresholds):
    """The parameters of an evaluation."""

    height: Annotated[int, Limits(least=0)] = 0
    """Height in pixels to which pictures are resized to measure COCO AP; 0 uses the training's predict_height."""
    registry: str = "openpose"
    """Name of the registry (registry/<name>/), which holds the last accepted model of each data set: the champion."""
