"""Measures a model on shares of the validation split, which several workers may do at the same time."""

import json
from dataclasses import asdict, dataclass

from openpose import model_files, storage
from openpose.errors import InputError
from openpose.evaluation.loss_inputs import loss_inputs
from openpose.evaluation.manifest import MeasurementInputs, MeasurementManifest, ModelInputs
from openpose.evaluation.shares import MeasuredShare, Share
from openpose.records.manifest import RecordsManifest
from openpose.training.manifest import RunManifest
from openpose.training.parameters import TrainParameters

EXAMPLES = 12  # number of best and of worst pictures in the report
FEWEST = 250  # pictures of a share: a worker needs half a minute to begin


@dataclass(frozen=True)
class Subject:
    """The model to evaluate.

    Attributes:
        name: shown in the report's title.
        file: the model's file or folder.
        checksum: SHA-256 of its content.
        run: manifest of its training; None if unknown.
    """

    name: str
    file: storage.StoragePath
    checksum: str
    run: RunManifest | None

    @classmethod
    def of(cls, run: str, model: str) -> "Subject":
        """The model of a training run's manifest or, instead, of a file.

        Raises:
            InputError: both or neither are given, or the manifest or the file cannot be used.
        """
        if bool(run) == bool(model):
            raise InputError("give either the training run's manifest (run) or the model's file (model)")
        if run:
            trained = storage.open_manifest(run, RunManifest)
            return cls(trained.inputs.parameters.model, storage.path(trained.model), trained.model_sha256, trained)
        place = storage.path(model)
        return cls(f"{place.parent.name}/{place.name}", place, model_files.checksum(place), None)

    def parameters(self) -> TrainParameters | None:
        """Parameters of its training; None if unknown."""
        return self.run.inputs.parameters.filled() if self.run else None


class Measurement:
    """A model to measure on a validation split, share by share; a share that is measured already is found.

    Args:
        root: the storage root.
        valid_records: manifest of the validation split's records.
        run: manifest of the training run that made the model.
        model: instead of `run`: the model's file.
        pixels: channel order that the model expects; empty for the one that its file states.
        height: to which pictures are resized for COCO AP, pixels; 0 for the training's predict_height.
        revision: of the code.

    Attributes:
        split: manifest of the records.
        subject: the model.
        inputs: what decides the measurement, apart from the share.

    Raises:
        InputError: a manifest or the model cannot be used.
    """

    def __init__(
        self,
        root: storage.StoragePath,
        valid_records: str,
        run: str,
        model: str,
        pixels: str,
        height: int,
        revision: str,
    ) -> None:
        self._root = root
        self.split = storage.open_manifest(valid_records, RecordsManifest)
        self.subject = Subject.of(run, model)
        trained = self.subject.parameters()
        by_default = trained.predict_height if trained else loss_inputs(self.split, 8).size[0]
        self.inputs = ModelInputs(
            model=self.subject.checksum,
            run=self.subject.run.fingerprint if self.subject.run else None,
            pixels=pixels,
            records=self.split.fingerprint,
            height=height or by_default,
            revision=revision,
        )

    def output(self, share: Share) -> storage.StepOutput[MeasurementManifest]:
        """Where the measurement of a share goes."""
        inputs = MeasurementInputs(**asdict(self.inputs), share=share.number, of=share.of)
        return storage.StepOutput(self._root, MeasurementManifest, inputs, "measurements/")

    def measure(self, share: Share) -> MeasurementManifest:
        """Measures a share, and writes what was measured.

        Raises:
            InputError: the model cannot be used, or does not take all pictures.
        """
        # Here, as TensorFlow takes ten seconds, which a step that finds its result should not spend.
        from openpose.evaluation.measure import measure

        skeleton, trained, work = self.split.skeleton, self.subject.parameters(), self.output(share)
        network = model_files.load(self.subject.file, skeleton, self.inputs.pixels or None)
        of_losses = trained.whole_inputs(self.split) if trained else loss_inputs(self.split, network.stride)
        measured = measure(network, self.split, of_losses, self.inputs.height, skeleton, EXAMPLES, share)
        file = work.folder / "measured.json"
        storage.write_text(file, json.dumps(storage.to_json(measured)))  # it is large: no indents
        return work.finish(pixels=network.pixels, losses_at=of_losses.size, measured=str(file))


def read(manifest: MeasurementManifest) -> MeasuredShare:
    """What was measured.

    Raises:
        InputError: the file is missing or damaged.
    """
    return storage.read_as(storage.path(manifest.measured), MeasuredShare)


def shares(workers: int, pictures: int) -> list[dict[str, int]]:
    """The arguments of `evaluate_share` for each share of a split of so many pictures."""
    of = max(1, min(workers, pictures // FEWEST))
    return [{"share": number, "of": of} for number in range(of)]
