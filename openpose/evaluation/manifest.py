"""The manifests of an evaluation, how good a model is and whether it was accepted, and of what it is made of."""

from dataclasses import dataclass, field

from openpose import storage


@dataclass(frozen=True, kw_only=True)
class ModelInputs:
    """What decides what a model gives on a validation split.

    Attributes:
        model: checksum of the model's file.
        run: fingerprint of the training that made it; None if that is not known.
        pixels: order of the channels that the model takes; empty for what its file says.
        records: fingerprint of the validation records.
        height: to which pictures are resized for COCO AP, pixels.
        revision: of the code.
    """

    model: str
    run: str | None
    pixels: str = ""
    records: str
    height: int
    revision: str = ""


@dataclass(frozen=True, kw_only=True)
class MeasurementInputs(ModelInputs):
    """What decides a measurement.

    Attributes:
        share: number of the share, from 0.
        of: number of shares.
    """

    share: int = 0
    of: int = 1


@dataclass(frozen=True, kw_only=True)
class MeasurementManifest(storage.Manifest):
    """What the measurement of a share leaves.

    Attributes:
        pixels: order of the channels that the model takes.
        losses_at: height and width of the network's input for the losses.
        measured: file with a `MeasuredShare`.
    """

    KIND = "measurement"
    inputs: MeasurementInputs
    pixels: str
    losses_at: tuple[int, int]
    measured: str


@dataclass(frozen=True)
class ComparedChampion:
    """The champion that the model was compared with: its entry in the registry, and its COCO AP."""

    entry: str
    AP: float | None


@dataclass(frozen=True, kw_only=True)
class EvaluationInputs(ModelInputs):
    """What decides an evaluation.

    Attributes:
        data: fingerprint of the data set's validation split.
        registry: name of the registry of the champions.
        champion: None if the model is the first of its data set.
        min_ap: the verdict needs at least this COCO AP.
        max_valid_loss: the verdict needs at most this validation loss; 0 for any.
        max_rmse: the verdict needs at most this RMSE of the keypoints, pixels; 0 for any.
        tolerance: the verdict allows a COCO AP that is lower than the champion's by at most this.
    """

    data: str
    registry: str
    champion: ComparedChampion | None
    min_ap: float = 0.0
    max_valid_loss: float = 0.0
    max_rmse: float = 0.0
    tolerance: float = 0.01


@dataclass(frozen=True, kw_only=True)
class EvaluationManifest(storage.Manifest):
    """What an evaluation leaves.

    Attributes:
        figures: COCO's figures, the pixel errors and the losses, by name; None if undefined.
        images_per_second: that the model finds people in.
        parts: AP of each keypoint, by name.
        keypoints: pixel errors of each keypoint, by its name (`pixel_errors.PixelErrors.by_keypoint`); older ones lack
            it.
        errors: for each keypoint how often each kind of error occurred.
        verdict: `accepted` or `rejected`.
        reason: of the verdict, for people.
        notes: what a reader should know about the figures.
        model: the model's file.
        report: page with figures and pictures.
        detections: file with all people that were found, as COCO results.
    """

    KIND = "evaluation"
    inputs: EvaluationInputs
    figures: dict[str, float | None]
    images_per_second: float = 0.0
    parts: dict[str, float | None] = field(default_factory=dict)
    keypoints: dict[str, dict[str, float | None]] = field(default_factory=dict)
    errors: dict[str, dict[str, int]] = field(default_factory=dict)
    verdict: str
    reason: str
    notes: list[str] = field(default_factory=list)
    model: str = ""
    report: str
    detections: str = ""
