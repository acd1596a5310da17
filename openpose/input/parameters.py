"""The network's input: its size, its true maps, and how samples vary. Free of TensorFlow."""

from dataclasses import asdict, dataclass, field
from typing import Any

from openpose.codec.parameters import TargetParameters
from openpose.errors import InputError


@dataclass(frozen=True)
class AugmentParameters:
    """How training samples vary: the recipe of Lightweight OpenPose (arXiv:1811.12004), for any input height."""

    target_height: float = 0.6
    """Height of the centre person's box at scale 1, as a share of the input's height."""
    min_scale: float = 0.5
    """Smallest factor on that height."""
    max_scale: float = 1.1
    """Largest factor on that height."""
    max_rotation: float = 40.0
    """Largest rotation in degrees, either way."""
    max_shift: float = 40 / 368
    """Largest shift as a share of the input's height, in each direction."""
    flip: float = 0.5
    """Probability of mirroring."""


# Centre the person at 0.6 of the input's height and do nothing else: what tests compare with by hand.
NO_RANDOMNESS = AugmentParameters(min_scale=1.0, max_scale=1.0, max_rotation=0.0, max_shift=0.0, flip=0.0)


@dataclass(frozen=True)
class InputParameters:
    """The network's input.

    Raises:
        InputError: a side of the input is no multiple of the stride.
    """

    size: tuple[int, int]
    """(height, width) in pixels, multiples of the stride."""
    targets: TargetParameters = field(default_factory=TargetParameters)
    """How the true maps look."""
    augment: AugmentParameters = field(default_factory=AugmentParameters)
    """How training samples vary."""
    seed: int = 0
    """Seed of the order and of the augmentation."""

    def __post_init__(self) -> None:
        if any(side < self.targets.stride or side % self.targets.stride for side in self.size):
            raise InputError(
                f"input size {self.size[1]}×{self.size[0]}: both sides must be multiples of {self.targets.stride}"
            )

    def described_targets(self) -> dict[str, Any]:
        """The parameters of dense targets, as a records manifest has them."""
        return {"size": list(self.size), **asdict(self.targets)}

    @property
    def grid(self) -> tuple[int, int]:
        """(h, w) cells of the maps."""
        return self.size[0] // self.targets.stride, self.size[1] // self.targets.stride
