"""Parameters of a training. This module does not import TensorFlow, so that the DAG's first step stays fast."""

import math
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, Literal, Self

from openpose import networks
from openpose.codec.parameters import TargetParameters
from openpose.errors import InputError
from openpose.input.parameters import AugmentParameters, InputParameters
from openpose.parameters import CommandOnly, Limits, Parameters
from openpose.records.manifest import RecordsManifest
from openpose.training import learning_rate, recipe

NotNegative = Limits(least=0)
Positive = Limits(least=1)
AUTO, AUTO_WORD = -1, "auto"  # of a number, and of a word, that the data decide


def _or_auto(least: float) -> Limits:
    return Limits(least=least, auto=AUTO)


@dataclass(frozen=True)
class InputSize(Parameters):
    """The size of the network's input."""

    size: Annotated[int, _or_auto(least=1)] = AUTO
    """Height and width of the network's input in pixels, a multiple of 8. -1 takes 368 for people, and for others one
    that the largest fit into."""


@dataclass(frozen=True)
class TrainParameters(InputSize):
    """The parameters that decide the result of a training, together with the data.

    For people the defaults are tf-pose-estimation's: Adam at 0.001 with staircase decay, without weight decay or
    clipping. For other keypoints, the data decide what is -1 or `auto` (`openpose.training.recipe`).

    Raises:
        InputError: a value cannot be used.
    """

    FORMER_NAMES: ClassVar[dict[str, str]] = {"batch": "batch_size"}  # in the manifests of older runs

    model: Literal["auto", *networks.NAMES] = AUTO_WORD  # type: ignore[valid-type]
    """Name of the network, such as mobilenet_thin or unet; python -m openpose.networks lists all names. auto takes
    mobilenet_thin for people and unet for others."""
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
    predict_height: Annotated[int, _or_auto(least=1)] = AUTO
    """Height in pixels to which whole pictures are resized in validation, evaluation and prediction. -1 takes the
    input's for people, and for others one at which they span about 30 cells of the maps."""
    batch_size: Annotated[int, _or_auto(least=1)] = AUTO
    """Samples per step, in total over all GPUs of all machines. -1 takes 16 for people and 8 for others."""
    epochs: Annotated[int, _or_auto(least=1)] = AUTO
    """Number of epochs. -1 takes 30 for people, and for others as many as make about 4500 steps, at least 10 passes
    over the training data."""
    passes: Annotated[int, _or_auto(least=1)] = AUTO
    """Passes over the training data in an epoch, after which the network is validated and saved. -1 takes 1, and if
    the epochs of others than people are left to the data too, as many as make about 250 steps."""
    learning_rate: str = AUTO_WORD
    """One learning rate, or several separated by commas, each for 5 epochs. auto takes 0.001 for people and 0.002 for
    others."""
    decay: Literal["auto", "exponential", "cosine"] = AUTO_WORD  # type: ignore[assignment]
    """Schedule of a single learning rate: exponential (×0.33 every 10000 steps) or cosine (to 0 at the end). auto takes
    exponential for people and cosine for others."""
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
    min_scale: Annotated[float, _or_auto(least=0.01)] = float(AUTO)
    """Augmentation: smallest scale. At scale 1, the centre person's height, or the longer side of another's box, fills
    0.6 of the input's height. -1 takes 0.5 for people, and the data's own range for others."""
    max_scale: Annotated[float, _or_auto(least=0.01)] = float(AUTO)
    """Augmentation: largest scale. -1 takes 1.1 for people, and the data's own range for others."""
    max_rotation: Annotated[float, _or_auto(least=0)] = float(AUTO)
    """Augmentation: largest rotation in degrees, in both directions. -1 takes 40, and 180 for animals that lie in all
    directions, as seen from above."""
    background: Annotated[float, Limits(least=0, below=1, auto=AUTO)] = float(AUTO)
    """Augmentation: share of the samples that show any place of the picture, to learn what is not wanted. Above 0, all
    samples stay in the picture. -1 takes 0 for people and 0.25 for others."""
    mirror: Literal["auto", "yes", "no"] = "auto"
    """Augmentation: mirror half of the samples; auto does it when the skeleton has left and right parts."""
    upright_epochs: Annotated[int, _or_auto(least=0)] = AUTO
    """Augmentation: number of last epochs in which samples are neither rotated nor mirrored, so that the network ends
    on pictures as they are predicted. -1 takes 0 for people, and a fifth of the epochs for others."""
    max_shift: Annotated[float, NotNegative] = AugmentParameters.max_shift
    """Augmentation: largest shift in each direction, as a share of the input's height."""
    sigma: Annotated[float, _or_auto(least=1)] = float(AUTO)
    """Standard deviation, in pixels, of the target heatmaps' Gaussians. -1 takes the network's: 5 for unet, else 7. Use
    8 with weights from tf-pose-estimation."""
    seed: int = 0
    """Random seed of the initial weights, the sample order and the augmentation."""

    def __post_init__(self) -> None:
        super().__post_init__()
        chosen = self.filled()
        if chosen != self:
            return  # its values have been checked
        if self.max_scale < self.min_scale:
            raise InputError(f"max_scale is {self.max_scale}; it must be at least {self.min_scale:g}")
        if self.batch_size % self.accumulate:
            raise InputError(f"batch_size {self.batch_size} does not divide into {self.accumulate} parts (accumulate)")
        networks.check(self.model, self.width, self.stages or None)
        learning_rate.check(self.learning_rate, self.decay)
        self.inputs()

    def _given(self) -> dict[str, Any]:
        """The values that could be left to the data, but are not."""
        values = {name: getattr(self, name) for name in recipe.NAMES}
        return {name: value for name, value in values.items() if value not in (AUTO, AUTO_WORD)}

    def filled(self) -> Self:
        """The parameters with COCO's values in place of those that are left to the data."""
        given = self._given()
        return self if len(given) == len(recipe.NAMES) else replace(self, **recipe.of_people(given))

    def for_data(self, records: RecordsManifest) -> Self:
        """The parameters with the data's values in place of those that are left to them; prints them.

        People keep COCO's recipe. `openpose.training.recipe` has the rules for others.

        Raises:
            InputError: values do not fit together, such as a smallest scale above the largest one.
        """
        skeleton = records.skeleton
        given = {"mirror": "yes" if skeleton.source_pairs else "no"} | self._given()
        if skeleton.of_people:
            return replace(self, **recipe.of_people(given))
        chosen = replace(self, **recipe.of_others(given, records))
        print(recipe.words(chosen.as_dict(), records), flush=True)
        return chosen

    def inputs(self) -> InputParameters:
        """The network's input in training."""
        chosen = self.filled()
        network = networks.get(chosen.model)
        return InputParameters(
            size=(chosen.size, chosen.input_width or chosen.size),
            targets=TargetParameters(stride=network.stride, sigma=chosen.sigma, limb_width=network.limb_width),
            augment=AugmentParameters(
                min_scale=chosen.min_scale,
                max_scale=chosen.max_scale,
                max_rotation=chosen.max_rotation,
                max_shift=chosen.max_shift,
                flip=0.0 if chosen.mirror == "no" else AugmentParameters.flip,
                anywhere=chosen.background,
                upright_from=chosen.passes * (chosen.epochs - chosen.upright_epochs) if chosen.upright_epochs else None,
            ),
            seed=chosen.seed,
        )

    def whole_inputs(self, records: RecordsManifest) -> InputParameters:
        """The network's input for whole pictures, at which the losses of validation are computed.

        Args:
            records: of the pictures.
        """
        chosen, inputs = self.filled(), self.inputs()
        if chosen.predict_height == chosen.size:
            return inputs
        height, stride = chosen.predict_height, inputs.targets.stride
        width = height * (records.extents.aspect or 1.0) if records.extents else height
        height, width = (math.ceil(side / stride) * stride for side in (height, width))
        return replace(inputs, size=(height, width))


@dataclass(frozen=True)
class DeviceParameters(Parameters):
    """The machines and GPUs that share a training."""

    machines: Annotated[int, Limits(least=1)] = 1
    """Number of cluster machines that share the training, with one pod each. Without a cluster, leave it at 1 and set
    TF_CONFIG on each machine."""
    gpus: Annotated[int, NotNegative] = 0
    """Number of GPUs to use on each machine, with synchronised batch norm; 0 uses one device."""
    data_workers: Annotated[int, NotNegative] = 0
    """Number of pods on a cluster that read, decode and augment pictures for the training, whose GPUs may wait for its
    own CPUs otherwise. Without a cluster, leave it at 0 and use --remote-data."""

    @property
    def has_own_pods(self) -> bool:
        """Whether the training runs in pods beside that of its step."""
        return self.machines > 1 or self.data_workers > 0

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
