"""Parameters of the target maps. Free of TensorFlow, so that commands can check parameters at once."""

from dataclasses import dataclass


@dataclass(frozen=True)
class TargetParameters:
    """Parameters of the target maps: heatmap and vectmap, computed from labelled keypoints."""

    stride: int = 8
    """Input pixels per cell."""
    sigma: float = 7.0
    """Standard deviation of a part's Gaussian, in input pixels."""
    limb_width: float = 1.0
    """Distance in cells that a limb's PAF reaches from its line and beyond its ends."""
