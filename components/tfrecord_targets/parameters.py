"""What decides a split's records, besides the data."""

from dataclasses import dataclass
from typing import Literal

from openpose.records.parameters import RecordParameters
from openpose.training.parameters import InputSize

#: The splits whose records carry dense targets, by the values of `dense`.
DENSE_SPLITS = {"val": ("val",), "both": ("train", "val"), "none": ()}


@dataclass(frozen=True)
class SplitParameters(RecordParameters, InputSize):
    """What decides a split's records, besides the data."""

    dense: Literal["val", "both", "none"] = "val"
    """Splits that carry heatmap, vectmap and mask, made once: val, both (then nothing is augmented) or none."""
