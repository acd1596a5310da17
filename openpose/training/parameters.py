"""Parameters of a training. This module does not import TensorFlow, so that the DAG's first step stays fast."""

from dataclasses import dataclass, replace
from typing import Annotated, ClassVar, Literal, Self

from openpose import networks
from openpose.codec.parameters import TargetParameters
from openpose.errors import InputError
from openpose.input.parameters import AugmentParameters, InputParameters
from openpose.parameters import CommandOnly, Limits, Parameters
from openpose.records.manifest import RecordsManifest
from openpose.training import learning_rate

NotNegative = Limits(least=0)
AUTO = -1.0  # of a number that the data decide
OF_DATA = {"min_scale": 0.01, "max_scale": 0.01, "max_rotation": 0.0}  # these numbers, with their least value
BEYOND = 1.25  # factor on the data's range of sizes


@dataclass(frozen=True)
class InputSize(Parameters):
    """The size of the network's input."""

    size: int = 368
    """Height and width of the network's input in pixels, a multiple of 8."""


@dataclass(frozen=True)
class TrainParameters(InputSize):
    """The parameters that decide the result of a training, together with the data.

    The defaults are tf-pose-estimation's: Adam at 0.001 with staircase decay, without weight decay or clipping.

    Raises:
        InputError: a value cannot be used.
    """

    FORMER_NAMES: ClassVar[dict[str, str]] = {"batch": "batch_size"}  # in the manifests of older runs

    model: Literal[networks.NAMES] = "mobilenet_thin"  # type: ignore[valid-type]
    """Name of the network, such as mobilenet_thin or lightweight; python -m openpose.networks lists all names."""
    width: float = 1.0
    """Multiplier of the network's channel counts; 1 is the published network."""
    stages: Annotated[int, NotNegative] = 0
    """Number of stages of the network; 0 is the published number."""
    init: str = ""
    """Initial weights: a model that this project trained (.keras), a graph from tf-pose-estimation (.pb), or ImageNet's
    weights for the backbone (imagenet, or their .h5 file). Empty: random weights."""
    init_partial: bool = False
    """Load only the weights from init that fit the network, and print the others."""
    input_width: Annotated[int, NotNegative] = 0
    """Width of the network's input in pixels; 0 makes the input square."""
    batch_size: Annotated[int, Limits(least=1)] = 16
    """Samples per step, in total over all GPUs of all machines."""
    epochs: Annotated[int, Limits(least=1)] = 30
    """Number of passes over the training data."""
    learning_rate: str = "0.001"
    """One learning rate, or several separated by commas, each for 5 epochs."""
    decay: Literal["exponential", "cosine"] = "exponential"
    """Schedule of a single learning rate: exponential (×0.33 every 10000 steps) or cosine (to 0 at the end)."""
    warmup: Annotated[int, NotNegative] = 200
    """Steps over which the learning rate rises from 0, because the first gradients are large."""
    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    """adam, adamw (Adam with weight decay) or sgd (with Nesterov momentum and weight decay)."""
    weight_decay: Annotated[float, NotNegative] = 0.0005
    """Weight decay of adamw and sgd. It applies to kernels, not to norms and biases."""
    momentum: Annotated[float, Limits(least=0, below=1)] = 0.9
    """Momentum of sgd."""
    clip_norm: Annotated[float, NotNegative] = 0.0
    """Clip the gradients to this global norm; 0 turns clipping off."""
    backbone_rate: Annotated[float, NotNegative] = 1.0
    """Multiplier of the backbone's learning rate; below 1, the backbone stays closer to its initial weights."""
    freeze_norms: bool = False
    """Keep the batch norm statistics from init unchanged, for fine-tuning on few pictures."""
    ema: Annotated[float, Limits(least=0, below=1)] = 0.0
    """Decay of an exponential moving average of the weights, such as 0.999. The average is validated and saved instead
    of the last weights. 0 turns it off."""
    accumulate: Annotated[int, Limits(least=1)] = 1
    """Split each batch into this many parts and accumulate their gradients, to save memory."""
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    """Precision of the training; bfloat16 and float16 are faster where supported. The saved model is always float32."""
    early_stop: Annotated[int, NotNegative] = 0
    """Stop when the validation loss has not fallen for this many epochs, and keep the best weights; 0 turns it off."""
    min_scale: float = AUTO
    """Augmentation: smallest scale. At scale 1, the centre person's height, or the longer side of another's box, fills
    0.6 of the input's height. -1 takes 0.5 for people, and the data's own range for others."""
    max_scale: float = AUTO
    """Augmentation: largest scale. -1 takes 1.1 for people, and the data's own range for others."""
    max_rotation: float = AUTO
    """Augmentation: largest rotation in degrees, in both directions. -1 takes 40, and 180 for animals that lie in all
    directions, as seen from above."""
    mirror: Literal["auto", "yes", "no"] = "auto"
    """Augmentation: mirror half of the samples; auto does it when the skeleton has left and right parts."""
    max_shift: Annotated[float, NotNegative] = AugmentParameters.max_shift
    """Augmentation: largest shift in each direction, as a share of the input's height."""
    sigma: Annotated[float, Limits(least=1)] = TargetParameters.sigma
    """Standard deviation, in pixels, of the target heatmaps' Gaussians; use 8 with weights from tf-pose-estimation."""
    seed: int = 0
    """Random seed of the initial weights, the sample order and the augmentation."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, value in self._given().items():
            if not value >= OF_DATA[name]:
                raise InputError(f"{name} is {value}; it must be at least {OF_DATA[name]:g}, or -1 for the data's own")
        if AUTO != self.max_scale < self.min_scale:
            raise InputError(f"max_scale is {self.max_scale}; it must be at least {self.min_scale:g}")
        if self.batch_size % self.accumulate:
            raise InputError(f"batch_size {self.batch_size} does not divide into {self.accumulate} parts (accumulate)")
        networks.check(self.model, self.width, self.stages or None)
        learning_rate.check(self.learning_rate, self.decay)
        self.inputs()

    def _given(self) -> dict[str, float]:
        """Those of the numbers in `OF_DATA` that are not left to the data."""
        return {name: getattr(self, name) for name in OF_DATA if getattr(self, name) != AUTO}

    def for_data(self, records: RecordsManifest) -> Self:
        """The parameters with numbers in place of -1 and `auto`; prints those that the data decide.

        People keep COCO's recipe. The range of others reaches from their smallest to their largest size, and a quarter
        beyond.

        Raises:
            InputError: the smallest scale is above the largest one.
        """
        recipe, looks = AugmentParameters(), records.extents
        numbers = {name: getattr(recipe, name) for name in OF_DATA}
        if looks is not None:
            numbers["min_scale"] = max(0.01, round(looks.smallest / BEYOND / recipe.target_height, 3))
            numbers["max_scale"] = round(looks.largest * BEYOND / recipe.target_height, 3)
            numbers["max_rotation"] = 180.0 if looks.turned else recipe.max_rotation
        mirrored = bool(records.skeleton.source_pairs) if self.mirror == "auto" else self.mirror == "yes"
        chosen = replace(self, **(numbers | self._given()), mirror="yes" if mirrored else "no")
        if not records.skeleton.of_people:
            low, high = (100 * recipe.target_height * scale for scale in (chosen.min_scale, chosen.max_scale))
            print(
                f"augmentation for {records.skeleton.category}: {low:.0f}–{high:.0f} % of the input's height (scale "
                f"{chosen.min_scale:g}–{chosen.max_scale:g}), ±{chosen.max_rotation:g}°, "
                f"{'half mirrored' if mirrored else 'not mirrored'}",
                flush=True,
            )
        return chosen

    def inputs(self) -> InputParameters:
        """The network's input; numbers that are left to the data are COCO's here."""
        return InputParameters(
            size=(self.size, self.input_width or self.size),
            targets=TargetParameters(stride=networks.get(self.model).stride, sigma=self.sigma),
            augment=AugmentParameters(
                **self._given(),
                max_shift=self.max_shift,
                flip=0.0 if self.mirror == "no" else AugmentParameters.flip,
            ),
            seed=self.seed,
        )


@dataclass(frozen=True)
class DeviceParameters(Parameters):
    """The machines and GPUs that share a training."""

    machines: Annotated[int, Limits(least=1)] = 1
    """Number of cluster machines that share the training, with one pod each. Without a cluster, leave it at 1 and set
    TF_CONFIG on each machine."""
    gpus: Annotated[int, NotNegative] = 0
    """Number of GPUs to use on each machine, with synchronised batch norm; 0 uses one device."""

    @property
    def replicas(self) -> int:
        """Copies of the network that share a batch."""
        return self.machines * max(self.gpus, 1)


@dataclass(frozen=True)
class RunParameters(Parameters):
    """How a training runs. None of this changes its result, except a rollback, which rescues it from a NaN loss."""

    checkpoint: Annotated[str, CommandOnly] = ""
    """Folder of another run, or one of its checkpoints, to resume from if this training has no checkpoint yet."""
    save_steps: Annotated[int, NotNegative, CommandOnly] = 0
    """Steps between checkpoints, in addition to the one after each epoch; 0 turns this off."""
    save_minutes: Annotated[float, NotNegative] = 10.0
    """Minutes between checkpoints, in addition to the one after each epoch; 0 turns this off."""
    keep: Annotated[int, Limits(least=1), CommandOnly] = 2
    """Number of newest checkpoints to keep, in addition to the best epoch's."""
    log_steps: Annotated[int, Limits(least=1), CommandOnly] = 20
    """Steps between lines of the log."""
    logs: Annotated[str, CommandOnly] = ""
    """Folder for TensorBoard's files, instead of the run's own."""
    remote_data: Annotated[str, CommandOnly] = ""
    """Address grpc://host:port of a data service (openpose.data_service) that makes the batches."""
    xla: Annotated[bool, CommandOnly] = False
    """Compile the training step with XLA: faster on a GPU after some minutes of compilation. One device only."""
    ap_images: Annotated[int, NotNegative] = 0
    """Number of validation images on which COCO AP is measured after each epoch; 0 turns this off."""
    rollbacks: Annotated[int, NotNegative, CommandOnly] = 0
    """How many times a NaN loss may return the training to its last checkpoint, at half the learning rate."""
