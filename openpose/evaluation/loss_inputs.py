"""Which validation losses a model's file gives, and at which input they are computed. Free of TensorFlow."""

from openpose import storage
from openpose.codec.parameters import TargetParameters
from openpose.input.parameters import InputParameters
from openpose.records.manifest import DenseTargets, RecordsManifest

DEFAULT_SIZE = 368


def has_all_stages(path: storage.StoragePath) -> bool:
    """Whether a model's file gives the maps of all stages; only a Keras model does."""
    return path.suffix == ".keras"


def loss_inputs(split: RecordsManifest, stride: int) -> InputParameters:
    """The input for the losses of a model whose training is unknown: that of the records' dense targets.

    Args:
        split: manifest of the records.
        stride: of the model.
    """
    stored = split.targets or DenseTargets(size=(DEFAULT_SIZE, DEFAULT_SIZE))
    return InputParameters(stored.size, TargetParameters(stride, stored.sigma, stored.limb_width))
