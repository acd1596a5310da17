"""What decides a training, and how it is run. Free of TensorFlow, so that the DAG's first step checks at once."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from openpose import networks
from openpose.codec.parameters import TargetParameters
from openpose.errors import InputError
from openpose.input.parameters import AugmentParameters, InputParameters
from openpose.parameters import CommandOnly, Limits, Parameters
from openpose.training import learning_rate

NotNegative = Limits(least=0)


@dataclass(frozen=True)
class InputSize(Parameters):
    """The size of the network's input."""

    size: int = 368
    """Height and width of the network's input in pixels, a multiple of 8."""


@dataclass(frozen=True)
class TrainParameters(InputSize):
    """What decides a training, besides the data.

    The defaults are tf-pose-estimation's recipe: Adam at 0.001 that falls in stairs, without weight decay or clipping.

    Raises:
        InputError: a value cannot be used.
    """

    FORMER_NAMES: ClassVar[dict[str, str]] = {"batch": "batch_size"}  # in the manifests of older runs

    model: Literal[networks.NAMES] = "mobilenet_thin"  # type: ignore[valid-type]
    """Name of the network, such as mobilenet_thin or lightweight; python -m openpose.networks lists them."""
    width: float = 1.0
    """Factor on the network's number of channels; 1 is the published network."""
    stages: Annotated[int, NotNegative] = 0
    """Number of the network's stages; 0 for the published number."""
    init: str = ""
    """Weights to start from: a model of ours (.keras), a graph of tf-pose-estimation (.pb), imagenet for the backbone,
    or a file of these (.h5); empty for random ones."""
    init_partial: bool = False
    """Take the weights in init that fit, and print those that do not."""
    input_width: Annotated[int, NotNegative] = 0
    """Width of the network's input in pixels; 0 for a square."""
    batch_size: Annotated[int, Limits(least=1)] = 16
    """Samples in one step, over all GPUs of all machines."""
    epochs: Annotated[int, Limits(least=1)] = 30
    """How often each sample is seen."""
    learning_rate: str = "0.001"
    """One number, or several with commas: one for each 5 epochs."""
    decay: Literal["exponential", "cosine"] = "exponential"
    """How a single learning rate falls: exponential (×0.33 every 10000 steps) or cosine (to 0 at the end)."""
    warmup: Annotated[int, NotNegative] = 200
    """Steps in which the rate rises from 0, because the first gradients are large."""
    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    """adam; adamw, which also decays kernels against overfitting; or sgd with Nesterov's momentum."""
    weight_decay: Annotated[float, NotNegative] = 0.0005
    """Decay of kernels (not of norms and biases) with adamw and sgd."""
    momentum: Annotated[float, Limits(least=0, below=1)] = 0.9
    """Share of the last step that sgd adds to the next."""
    clip_norm: Annotated[float, NotNegative] = 0.0
    """Largest global norm of the gradients; longer ones are shortened to it. 0 leaves them."""
    backbone_rate: Annotated[float, NotNegative] = 1.0
    """Factor on the backbone's learning rate; below 1 it keeps more of the weights it started with."""
    freeze_norms: bool = False
    """Keep the batch norm statistics of the weights in init: for fine-tuning on few pictures."""
    ema: Annotated[float, Limits(least=0, below=1)] = 0.0
    """Share of a running average of the weights that each step keeps, such as 0.999. The average is validated and saved
    in place of the last weights. 0 for none."""
    accumulate: Annotated[int, Limits(least=1)] = 1
    """Parts of a batch that go through the network one after the other, to save memory."""
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    """float32; bfloat16 or float16 are faster where the device supports them. The saved model is float32."""
    early_stop: Annotated[int, NotNegative] = 0
    """Stop when the validation loss has not fallen for this many epochs, and keep the best weights. 0: never."""
    min_scale: Annotated[float, Limits(least=0.01)] = AugmentParameters.min_scale
    """Augmentation: smallest height of the centre person, as a factor on 0.6 of the input's height."""
    max_scale: float = AugmentParameters.max_scale
    """Augmentation: largest height of the centre person, as a factor on 0.6 of the input's height."""
    max_rotation: Annotated[float, NotNegative] = AugmentParameters.max_rotation
    """Augmentation: largest rotation in degrees, either way."""
    max_shift: Annotated[float, NotNegative] = AugmentParameters.max_shift
    """Augmentation: largest shift as a share of the input's height, in each direction."""
    sigma: Annotated[float, Limits(least=1)] = TargetParameters.sigma
    """Standard deviation of the true heatmaps' Gaussians in pixels; 8 to go on from weights of tf-pose-estimation."""
    seed: int = 0
    """Seed of the weights, the order and the augmentation."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.max_scale < self.min_scale:
            raise InputError(f"max_scale is {self.max_scale}; it must be at least {self.min_scale:g}")
        if self.batch_size % self.accumulate:
            raise InputError(f"batch_size {self.batch_size} does not divide into {self.accumulate} parts (accumulate)")
        networks.check(self.model, self.width, self.stages or None)
        learning_rate.check(self.learning_rate, self.decay)
        self.inputs()

    def inputs(self) -> InputParameters:
        """The network's input."""
        return InputParameters(
            size=(self.size, self.input_width or self.size),
            targets=TargetParameters(stride=networks.get(self.model).stride, sigma=self.sigma),
            augment=AugmentParameters(
                min_scale=self.min_scale,
                max_scale=self.max_scale,
                max_rotation=self.max_rotation,
                max_shift=self.max_shift,
            ),
            seed=self.seed,
        )


@dataclass(frozen=True)
class DeviceParameters(Parameters):
    """The machines and GPUs that share a training."""

    machines: Annotated[int, Limits(least=1)] = 1
    """Machines of the cluster that share the training; each has a pod of its own. Elsewhere several machines find each
    other by TF_CONFIG."""
    gpus: Annotated[int, NotNegative] = 0
    """GPUs of each machine that share the work, with synchronised batch norm; 0 for one device."""

    @property
    def replicas(self) -> int:
        """Copies of the network that share a batch."""
        return self.machines * max(self.gpus, 1)


@dataclass(frozen=True)
class RunParameters(Parameters):
    """How a training is run. The result does not depend on it (over several devices, up to rounding).

    Rollbacks are the exception: without one there would be no result.
    """

    checkpoint: Annotated[str, CommandOnly] = ""
    """Folder of a run, or one checkpoint of it, to go on from when this training has no checkpoint of its own."""
    save_steps: Annotated[int, NotNegative, CommandOnly] = 0
    """Steps from one checkpoint to the next, besides the one at each epoch's end; 0 for none."""
    save_minutes: Annotated[float, NotNegative] = 10.0
    """Minutes from one checkpoint to the next, besides the one at each epoch's end; 0 for none."""
    keep: Annotated[int, Limits(least=1), CommandOnly] = 2
    """Newest checkpoints that are kept, besides the one of the best epoch."""
    log_steps: Annotated[int, Limits(least=1), CommandOnly] = 20
    """Steps from one line of the log to the next."""
    logs: Annotated[str, CommandOnly] = ""
    """Folder for TensorBoard's files in place of the run's own."""
    remote_data: Annotated[str, CommandOnly] = ""
    """Address grpc://host:port of a data service (openpose.data_service) that makes the batches."""
    xla: Annotated[bool, CommandOnly] = False
    """Compile the step with XLA: faster on a GPU after some minutes of compiling. On one device only."""
    ap_images: Annotated[int, NotNegative] = 0
    """Validation images for a COCO AP at the end of each epoch; 0 for none."""
    rollbacks: Annotated[int, NotNegative, CommandOnly] = 0
    """How often a NaN loss may send the training back to its last checkpoint, at half the learning rate. 0: never."""
