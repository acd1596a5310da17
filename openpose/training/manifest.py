"""The manifest of a training run: where its model and logs are, and how its losses went."""

from dataclasses import dataclass, field

from openpose import storage
from openpose.skeleton import OPENPOSE18, Skeleton
from openpose.training.parameters import TrainParameters


@dataclass(frozen=True)
class RunInputs:
    """What decides a run.

    Attributes:
        records: fingerprints of the training and of the validation records.
        parameters: of the training.
        revision: of the code.
    """

    records: tuple[str, str]
    parameters: TrainParameters
    revision: str = ""


@dataclass(frozen=True, kw_only=True)
class RunDescription:
    """The content of `run.json`: what a person needs to repeat the run.

    Attributes:
        records: fingerprints of the records, `train` and `valid`.
        parameters: of the training.
        skeleton: of the labelled keypoints.
        revision: of the code.
        versions: of Python and the libraries, by name.
        git: the code's commit; None if that is not known.
        started_in: the folder in which the command was run.
        command: shell command that repeats the training.
    """

    records: dict[str, str]
    parameters: TrainParameters
    skeleton: Skeleton = OPENPOSE18
    revision: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    git: str | None = None
    started_in: str = ""
    command: str | None = None


@dataclass(frozen=True, kw_only=True)
class RunManifest(storage.Manifest):
    """What a training leaves.

    Attributes:
        model: the Keras model's file.
        logs: folder of TensorBoard's files.
        checkpoints: their folder.
        report: page with the curves.
        model_sha256: checksum of the model's file.
        losses: the last epoch's losses, by name.
        history: for each epoch its step and losses, by name.
    """

    KIND = "run"
    inputs: RunInputs
    model: str
    logs: str
    checkpoints: str
    report: str
    model_sha256: str
    losses: dict[str, float]
    history: list[dict[str, float]]
