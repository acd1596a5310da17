"""What people are looked for in, and how."""

from dataclasses import dataclass
from typing import Annotated

from components.evaluate.parameters import EvaluateParameters
from openpose.parameters import Limits, Parameters


@dataclass(frozen=True)
class PredictRequest(Parameters):
    """The input of one run, its model and its storage root."""

    pictures: str
    """Pictures to look at: a folder with all below it, a zip archive, gs://bucket/prefix or s3://bucket/prefix."""
    root: str
    """Storage root: a folder that all steps see, gs://bucket/prefix or s3://bucket/prefix."""
    model: str = ""
    """Model: a file, or a SavedModel's folder, also in a bucket; empty for the registry's newest accepted one."""
    registry: str = EvaluateParameters.registry
    """Registry whose newest accepted model is taken."""
    workers: Annotated[int, Limits(least=1)] = 2
    """Number of workers that look at the pictures in parallel."""
    revision: str = ""
    """Revision of the code; a new revision looks at all pictures again."""


@dataclass(frozen=True)
class PredictParameters(Parameters):
    """How the network runs, and what is written."""

    height: Annotated[int, Limits(least=8, auto=0)] = 0
    """Height in pixels to which pictures are resized for the network; 0 takes what the model's file says, or 368."""
    flip: bool = False
    """Run the network on the mirrored picture too, which finds more and takes twice as long."""
    draw: bool = False
    """Also write each picture with the people drawn in."""
