"""Parameters of the records step."""

from dataclasses import dataclass
from typing import Literal

from openpose.records.parameters import RecordParameters
from openpose.training.parameters import InputSize

#: Value of `dense` -> the splits whose records hold dense targets.
DENSE_SPLITS = {"val": ("val",), "both": ("train", "val"), "none": ()}


@dataclass(frozen=True)
class SplitParameters(RecordParameters, InputSize):
    """The parameters that decide a split's records, together with the data."""

    dense: Literal["val", "both", "none"] = "val"
    """Splits whose records store heatmap, vectmap and mask: val, both (which turns augmentation off) or none."""
