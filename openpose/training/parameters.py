"""What decides a training, and how it is run."""

from dataclasses import asdict, dataclass
from typing import Any

from openpose import networks
from openpose.codec.parameters import TargetParameters
from openpose.errors import InputError, check_least
from openpose.input.parameters import AugmentParameters, InputParameters

OPTIMIZERS = ("adam", "adamw", "sgd")
PRECISIONS = ("float32", "bfloat16", "float16")


@dataclass(frozen=True)
class TrainParameters:
    """What decides a training, besides the data.

    The defaults are tf-pose-estimation's recipe: Adam at 0.001 that falls in stairs, nothing decayed or clipped.

    Attributes:
        model: name of the network.
        width: factor on its number of channels; 1 is the published network.
        stages: number of its stages; 0 for the published number.
        init: weights to start from (`openpose.training.initial_weights`): a file or imagenet; nothing for random ones.
        init_partial: take what fits of them.
        size: height of the input, pixels, and its width when that is 0.
        input_width: width of the input, pixels; 0 for a square.
        batch: samples in a step, over all replicas.
        epochs: how often each sample is seen.
        learning_rate: one number, or a comma list with one value for each 5 epochs.
        decay: of one number: exponential or cosine.
        warmup: steps in which the rate rises linearly from 0, so that the first, large gradients do no harm.
        optimizer: adam; adamw, which also draws kernels towards 0 and so fits the training data less closely; or sgd
            with Nesterov's momentum, slower at first and less hungry for memory.
        weight_decay: of adamw and sgd: the share of a kernel that a step at rate 1 takes away; never of norms and
            biases. 0.0005 is OpenPose's and Lightweight OpenPose's.
        momentum: of sgd: the share of the last step that is added to the next.
        clip_norm: gradients whose global norm is longer are shortened to it, so that one odd batch cannot throw the
            weights far; 0 leaves them.
        backbone_rate: factor on the backbone's learning rate: below 1 it keeps more of the weights it started with.
        freeze_norms: batch norm keeps the moving statistics that the weights came with, and normalises by them: for
            going on from trained weights with few pictures or small batches, whose own statistics are rough.
        ema: each step keeps this share of a running average of the weights, which is validated and saved instead of
            the last weights; 0.999 averages about 1000 steps. 0 for none.
        accumulate: a step's batch goes through the network in so many parts, one after the other, which takes less
            memory. Batch norm sees the parts.
        precision: float32; bfloat16 or float16, faster on devices that have it. Weights stay float32; for float16 the
            loss is scaled, and steps whose gradients overflow are left out.
        early_stop: stop when the validation loss has not fallen for so many epochs, and take the best epoch's
            weights; 0 for never.
        min_scale: augmentation: the centre person's smallest height, as a factor on 0.6 of the input's.
        max_scale: its largest height.
        max_rotation: augmentation: degrees, either way.
        sigma: standard deviation of a part's Gaussian in the true heatmap, pixels of the input. Weights that were
            trained with another one go on with theirs: 8 for tf-pose-estimation's.
        seed: of weights, order and augmentation.
    """

    model: str = "mobilenet_thin"
    width: float = 1.0
    stages: int = 0
    init: str = ""
    init_partial: bool = False
    size: int = 368
    input_width: int = 0
    batch: int = 16
    epochs: int = 30
    learning_rate: str = "0.001"
    decay: str = "exponential"
    warmup: int = 200
    optimizer: str = "adam"
    weight_decay: float = 0.0005
    momentum: float = 0.9
    clip_norm: float = 0.0
    backbone_rate: float = 1.0
    freeze_norms: bool = False
    ema: float = 0.0
    accumulate: int = 1
    precision: str = "float32"
    early_stop: int = 0
    min_scale: float = 0.5
    max_scale: float = 1.1
    max_rotation: float = 40.0
    sigma: float = 7.0
    seed: int = 0

    def __post_init__(self) -> None:
        networks.get(self.model)
        check_least(self, batch=1, epochs=1, accumulate=1)
        check_least(self, warmup=0, weight_decay=0, clip_norm=0, backbone_rate=0, early_stop=0)
        check_least(self, min_scale=0.01, max_scale=self.min_scale, max_rotation=0, sigma=1)
        for name in ("ema", "momentum"):
            if not 0 <= getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; it must be 0 or more and below 1")
        for name, choices in (("optimizer", OPTIMIZERS), ("precision", PRECISIONS)):
            if getattr(self, name) not in choices:
                raise InputError(f"no {name} is called {getattr(self, name)!r}; choose one of: {', '.join(choices)}")
        if self.batch % self.accumulate:
            raise InputError(f"batch {self.batch} does not divide into {self.accumulate} parts (accumulate)")

    def as_dict(self) -> dict[str, Any]:
        """By name, for `run.json` and for the training's fingerprint."""
        return asdict(self)

    def inputs(self) -> InputParameters:
        """The network's input."""
        varied = AugmentParameters(min_scale=self.min_scale, max_scale=self.max_scale, max_rotation=self.max_rotation)
        return InputParameters(
            size=(self.size, self.input_width or self.size),
            targets=TargetParameters(stride=networks.get(self.model).stride, sigma=self.sigma),
            augment=varied,
            seed=self.seed,
        )


@dataclass(frozen=True)
class RunParameters:
    """How a training is run. What comes out does not depend on it (over several devices, up to rounding).

    A roll-back is an exception to that, but without one there would be nothing that comes out.

    Attributes:
        save_steps: a checkpoint each time that so many steps are done; 0 for none between epochs.
        save_minutes: a checkpoint each time that so many minutes have passed; 0 for none between epochs.
        keep: so many of the newest checkpoints are kept, and that of the best epoch.
        checkpoint: a run's folder, its `checkpoints` or one of these, to go on from when the training has no
            checkpoint of its own yet.
        logs: folder for TensorBoard's files in place of the run's own `logs/`.
        log_steps: steps from one line of the log to the next.
        remote_data: address grpc://host:port of a data service (`training/data_service.py`) that makes the batches.
        xla: compile the step with XLA: faster on GPUs after a compilation of minutes. On one device only.
        ap_images: COCO AP on so many validation images at the end of each epoch; 0 for none.
        rollbacks: how often the training may go back to its last checkpoint and on from there at half the learning
            rate, because a loss was no number; 0 for never.
    """

    save_steps: int = 0
    save_minutes: float = 10.0
    keep: int = 2
    checkpoint: str = ""
    logs: str = ""
    log_steps: int = 20
    remote_data: str = ""
    xla: bool = False
    ap_images: int = 0
    rollbacks: int = 0

    def __post_init__(self) -> None:
        check_least(self, save_steps=0, save_minutes=0, keep=1, log_steps=1, ap_images=0, rollbacks=0)
