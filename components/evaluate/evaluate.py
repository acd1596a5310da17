"""The fourth step: measures a model on the validation split, judges it, and reports on it."""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import tyro

from components import status
from components.evaluate.parameters import AcceptanceThresholds, EvaluateParameters
from components.evaluate.verdict import judge
from openpose import model_files, storage, tracking
from openpose.errors import InputError
from openpose.evaluation import pixel_errors
from openpose.evaluation.loss_inputs import has_all_stages, loss_inputs
from openpose.evaluation.manifest import ComparedChampion, EvaluationInputs, EvaluationManifest
from openpose.evaluation.registry import Champion, Registry
from openpose.input.parameters import InputParameters
from openpose.records.manifest import RecordsManifest
from openpose.report.evaluation_page import Evaluation, evaluation_page
from openpose.training.manifest import RunManifest
from openpose.training.parameters import TrainParameters

if TYPE_CHECKING:
    # At runtime it is imported only to measure: TensorFlow takes ten seconds, which a cached step should not spend.
    from openpose.evaluation.measure import Measured

EXAMPLES = 12  # number of best and of worst pictures in the report
CURVE_POINTS = 200


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

    def parameters(self) -> TrainParameters | None:
        """Parameters of its training; None if unknown."""
        return self.run.inputs.parameters.filled() if self.run else None


def evaluate(
    root: str,
    valid_records: str,
    run: str = "",
    model: Annotated[str, tyro.conf.arg(aliases=["--graph"])] = "",
    pixels: str = "",
    parameters: EvaluateParameters = EvaluateParameters(),
    revision: str = "",
) -> EvaluationManifest:
    """Measures a model on the whole validation split, judges it, and reports on it.

    Args:
        root: Storage root: a folder that all steps see, gs://bucket/prefix or s3://bucket/prefix.
        valid_records: Manifest of the validation split's records.
        run: Manifest of the training run that made the model.
        model: Instead of run: the model's file, from this project or from tf-pose-estimation.
        pixels: Channel order that the model expects, rgb or bgr; by default the one that its file states.
        parameters: of the evaluation.
        revision: Revision of the code; a new revision evaluates again.

    Returns:
        The evaluation's manifest: figures, verdict (accepted or rejected), reason, report, detections.

    Raises:
        InputError: a manifest or the model cannot be used.
    """
    folder = storage.open_root(root)
    with status.step(folder, "evaluate") as step:
        split = storage.open_manifest(valid_records, RecordsManifest)
        subject = _subject(run, model)
        if parameters.max_valid_loss and not has_all_stages(subject.file):
            raise InputError(
                f"max_valid_loss is {parameters.max_valid_loss}, but {subject.file} gives only the last stage's maps; "
                "give the Keras model (.keras) that it was made from, or leave out max_valid_loss"
            )
        trained = subject.parameters()
        skeleton = split.skeleton
        height = parameters.height or (trained.predict_height if trained else loss_inputs(split, 8).size[0])
        data = split.inputs.data
        champion = Registry(folder, parameters.registry).to_beat(data, subject.checksum)
        inputs = EvaluationInputs(
            model=subject.checksum,
            run=subject.run.fingerprint if subject.run else None,
            pixels=pixels,
            records=split.fingerprint,
            data=data,
            champion=ComparedChampion(champion.entry, champion.figures["AP"]) if champion else None,
            **parameters.as_dict() | {"height": height},
            revision=revision,
        )
        work = storage.StepOutput(folder, EvaluationManifest, inputs, "evaluations/")
        manifest = step.cached(work)
        if manifest is None:
            from openpose.evaluation.measure import measure

            network = model_files.load(subject.file, skeleton, pixels or None)
            of_losses = trained.whole_inputs(split) if trained else loss_inputs(split, network.stride)
            measured = measure(network, split, of_losses, height, skeleton, EXAMPLES)
            manifest = _finish(work, subject, network, split, of_losses, measured, parameters, champion)
        rows = pixel_errors.rows(manifest.figures, manifest.keypoints, manifest.parts)
        for line in pixel_errors.table(rows):
            print(line)
        print(f"verdict: {manifest.verdict}: {manifest.reason}", flush=True)
        tracking.figures(manifest.figures, before="evaluation/")
        verdict = {"verdict": manifest.verdict, "reason": manifest.reason}
        tracking.tags({"data": data, "revision": revision, "kubeflow.run": status.run(), **verdict})
        tracking.page("evaluation.html", lambda: storage.read_bytes(storage.path(manifest.report)).decode())
        return manifest


def _subject(run: str, model: str) -> Subject:
    if bool(run) == bool(model):
        raise InputError("give either the training run's manifest (run) or the model's file (model)")
    if run:
        trained = storage.open_manifest(run, RunManifest)
        return Subject(trained.inputs.parameters.model, storage.path(trained.model), trained.model_sha256, trained)
    place = storage.path(model)
    return Subject(f"{place.parent.name}/{place.name}", place, model_files.checksum(place), None)


def _finish(
    work: storage.StepOutput[EvaluationManifest],
    subject: Subject,
    network: model_files.Model,
    split: RecordsManifest,
    of_losses: InputParameters,
    measured: "Measured",
    thresholds: AcceptanceThresholds,
    champion: Champion | None,
) -> EvaluationManifest:
    """Judges the measured figures; writes report, detections and manifest."""
    from openpose.training.log import read_steps

    best = champion.figures if champion else None
    verdict, reason = judge(measured.figures, best, thresholds, measured.nan_pictures)
    about = {
        "model": str(subject.file),
        "pixels": network.pixels,
        "evaluated at height": str(work.inputs.height),
        "losses at": "{1}×{0}".format(*of_losses.size),
        "validation images": f"{split.counts['images']:,}",
        "champion": champion.entry if champion else "none",
    }
    trained = subject.parameters()
    values = trained.as_dict() if trained else {}
    evaluation = Evaluation(
        verdict,
        reason,
        about | {f"training: {name}": str(value) for name, value in values.items()},
        measured.figures | {"images_per_second": measured.images_per_second},
        best or {},
        measured.parts,
        measured.keypoints,
        measured.errors,
        subject.run.history if subject.run else (),
        read_steps(storage.path(subject.run.logs), CURVE_POINTS) if subject.run else (),
        measured.best,
        measured.worst,
        notes=_notes(network, measured, champion, work.inputs.revision),
    )
    page = evaluation_page(f"Evaluation of {subject.name}", evaluation, network.skeleton)
    storage.write_text(work.folder / "report.html", page)
    storage.write_text(work.folder / "detections.json", json.dumps(measured.detections))  # it is large: no indents
    return work.finish(
        figures=measured.figures,
        images_per_second=measured.images_per_second,
        parts=measured.parts,
        keypoints=measured.keypoints,
        errors=measured.errors.as_dict(network.skeleton),
        verdict=verdict,
        reason=reason,
        notes=evaluation.notes,
        model=str(subject.file),
        report=str(work.folder / "report.html"),
        detections=str(work.folder / "detections.json"),
    )


def _notes(network: model_files.Model, measured: "Measured", champion: Champion | None, revision: str) -> list[str]:
    """Notes for the readers of the figures."""
    notes = []
    if not has_all_stages(network.path):
        notes.append(
            "The model's file outputs only the maps of its last stage. The losses shown are those of that stage; "
            "valid_loss, which sums over all stages, cannot be computed."
        )
    if measured.figures["AP"] is None:
        nobody = network.skeleton.worded("No person in the validation split has a labelled keypoint")
        notes.append(f"{nobody}, so COCO's figures are undefined.")
    if champion and champion.revision != revision:
        notes.append("The champion's figures were measured by another revision of the code.")
    if measured.nan_pictures:
        notes.append(
            f"The maps of {len(measured.nan_pictures)} pictures contain NaN or infinity; in them nothing was found: "
            f"{', '.join(measured.nan_pictures[:5])}{', …' if len(measured.nan_pictures) > 5 else ''}"
        )
    return notes
