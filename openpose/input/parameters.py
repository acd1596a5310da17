"""Parameters of the network's input: its size, its target maps and the augmentation. Imports no TensorFlow."""

from dataclasses import asdict, dataclass, field

from openpose.codec.parameters import TargetParameters
from openpose.errors import InputError
from openpose.records.manifest import DenseTargets


@dataclass(frozen=True)
class AugmentParameters:
    """Augmentation of training samples, as in Lightweight OpenPose (arXiv:1811.12004) but for any input height."""

    target_height: float = 0.6
    """Height of the centre person's box at scale 1, as a share of the input's height."""
    min_scale: float = 0.5
    """Smallest scale."""
    max_scale: float = 1.1
    """Largest scale."""
    max_rotation: float = 40.0
    """Largest rotation in degrees, in both directions."""
    max_shift: float = 40 / 368
    """Largest shift in each direction, as a share of the input's height."""
    flip: float = 0.5
    """Probability of mirroring."""
    anywhere: float = 0.0
    """Share of samples at any place of the picture, at an animal's scale. Above 0, samples stay in the picture."""
    upright_from: int | None = None
    """Number of the first pass over the data whose samples are neither rotated nor mirrored, from 0; None for never."""


@dataclass(frozen=True)
class InputParameters:
    """The network's input.

    Raises:
        InputError: a side of the input is not a multiple of the stride.
    """

    size: tuple[int, int]
    """(height, width) in pixels, multiples of the stride."""
    targets: TargetParameters = field(default_factory=TargetParameters)
    """The target maps."""
    augment: AugmentParameters = field(default_factory=AugmentParameters)
    """The augmentation of training samples."""
    seed: int = 0
    """Random seed of the sample order and the augmentation."""

    def __post_init__(self) -> None:
        if any(side < self.targets.stride or side % self.targets.stride for side in self.size):
            raise InputError(
                f"input size {self.size[1]}×{self.size[0]}: both sides must be multiples of {self.targets.stride}"
            )

    def dense_targets(self) -> DenseTargets:
        """Dense targets of these parameters, as a records manifest describes them."""
        return DenseTargets(size=self.size, **asdict(self.targets))

    @property
    def grid(self) -> tuple[int, int]:
        """(h, w) cells of the maps."""
        return self.size[0] // self.targets.stride, self.size[1] // self.targets.stride
