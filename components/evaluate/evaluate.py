"""The fourth step: measures a model on the validation split, judges it, and reports on it."""

import json
from dataclasses import asdict
from typing import Annotated

import tyro

from components import status
from components.evaluate import measurement
from components.evaluate.measurement import EXAMPLES, Measurement
from components.evaluate.parameters import AcceptanceThresholds, EvaluateParameters
from components.evaluate.verdict import judge
from openpose import storage, tracking
from openpose.errors import InputError
from openpose.evaluation import pixel_errors
from openpose.evaluation.loss_inputs import has_all_stages
from openpose.evaluation.manifest import ComparedChampion, EvaluationInputs, EvaluationManifest, MeasurementManifest
from openpose.evaluation.registry import Champion, Registry
from openpose.evaluation.shares import Measured, Share, merge
from openpose.report.evaluation_page import Evaluation, evaluation_page
from openpose.training.read_log import read_steps

CURVE_POINTS = 200


def evaluate(
    root: str,
    valid_records: str,
    run: str = "",
    model: Annotated[str, tyro.conf.arg(aliases=["--graph"])] = "",
    pixels: str = "",
    parameters: EvaluateParameters = EvaluateParameters(),
    revision: str = "",
    shares: int = 1,
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
        shares: Number of shares of the split; those that evaluate_share has measured are found.

    Returns:
        The evaluation's manifest: figures, verdict (accepted or rejected), reason, report, detections.

    Raises:
        InputError: a manifest or the model cannot be used.
    """
    folder = storage.open_root(root)
    with status.step(folder, "evaluate") as step:
        wanted = Measurement(folder, valid_records, run, model, pixels, parameters.height, revision)
        file, data = wanted.subject.file, wanted.split.inputs.data
        if parameters.max_valid_loss and not has_all_stages(file):
            raise InputError(
                f"max_valid_loss is {parameters.max_valid_loss}, but {file} gives only the last stage's maps; give the "
                "Keras model (.keras) that it was made from, or leave out max_valid_loss"
            )
        champion = Registry(folder, parameters.registry).to_beat(data, wanted.inputs.model)
        inputs = EvaluationInputs(
            data=data,
            champion=ComparedChampion(champion.entry, champion.figures["AP"]) if champion else None,
            **parameters.as_dict() | asdict(wanted.inputs),
        )
        work = storage.StepOutput(folder, EvaluationManifest, inputs, "evaluations/")
        manifest = step.cached(work)
        if manifest is None:
            parts = [Share(number, shares) for number in range(shares)]
            found = [wanted.output(part).cached() or wanted.measure(part) for part in parts]
            measured = merge([measurement.read(each) for each in found], wanted.split.skeleton, EXAMPLES)
            manifest = _finish(work, wanted, found[0], measured, parameters, champion)
        rows = pixel_errors.rows(manifest.figures, manifest.keypoints, manifest.parts)
        for line in pixel_errors.table(rows):
            print(line)
        print(f"verdict: {manifest.verdict}: {manifest.reason}", flush=True)
        tracking.figures(manifest.figures, before="evaluation/")
        verdict = {"verdict": manifest.verdict, "reason": manifest.reason}
        tracking.tags({"data": data, "revision": revision, "kubeflow.run": status.run(), **verdict})
        tracking.page("evaluation.html", lambda: storage.read_bytes(storage.path(manifest.report)).decode())
        return manifest


def evaluate_share(
    root: str,
    valid_records: str,
    run: str = "",
    model: str = "",
    pixels: str = "",
    height: int = EvaluateParameters.height,
    revision: str = "",
    share: int = 0,
    of: int = 1,
) -> MeasurementManifest:
    """Measures a model on one share of the validation split; `evaluate` finds it there.

    Args:
        root: Storage root: a folder that all steps see, gs://bucket/prefix or s3://bucket/prefix.
        valid_records: Manifest of the validation split's records.
        run: Manifest of the training run that made the model.
        model: Instead of run: the model's file, from this project or from tf-pose-estimation.
        pixels: Channel order that the model expects, rgb or bgr; by default the one that its file states.
        height: Height in pixels to which pictures are resized to measure COCO AP; 0 uses the training's predict_height.
        revision: Revision of the code; a new revision measures again.
        share: Number of the share, from 0.
        of: Number of shares.

    Raises:
        InputError: a manifest or the model cannot be used, or there is no such share.
    """
    if not 0 <= share < of:
        raise InputError(f"share {share} of {of}: `share` counts from 0 to of - 1")
    folder = storage.open_root(root)
    with status.step(folder, f"evaluate-{share}") as step:
        wanted, part = Measurement(folder, valid_records, run, model, pixels, height, revision), Share(share, of)
        return step.cached(wanted.output(part)) or wanted.measure(part)


def _finish(
    work: storage.StepOutput[EvaluationManifest],
    made: Measurement,
    share: MeasurementManifest,
    measured: Measured,
    thresholds: AcceptanceThresholds,
    champion: Champion | None,
) -> EvaluationManifest:
    """Judges the measured figures; writes report, detections and manifest."""
    subject, skeleton = made.subject, made.split.skeleton
    best = champion.figures if champion else None
    verdict, reason = judge(measured.figures, best, thresholds, measured.nan_pictures)
    about = {
        "model": str(subject.file),
        "pixels": share.pixels,
        "evaluated at height": str(work.inputs.height),
        "losses at": "{1}×{0}".format(*share.losses_at),
        "validation images": f"{made.split.counts['images']:,}",
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
        notes=_notes(made, measured, champion),
    )
    page = evaluation_page(f"Evaluation of {subject.name}", evaluation, skeleton)
    storage.write_text(work.folder / "report.html", page)
    storage.write_text(work.folder / "detections.json", json.dumps(measured.detections))  # it is large: no indents
    return work.finish(
        figures=measured.figures,
        images_per_second=measured.images_per_second,
        parts=measured.parts,
        keypoints=measured.keypoints,
        errors=measured.errors.as_dict(skeleton),
        verdict=verdict,
        reason=reason,
        notes=evaluation.notes,
        model=str(subject.file),
        report=str(work.folder / "report.html"),
        detections=str(work.folder / "detections.json"),
    )


def _notes(made: Measurement, measured: Measured, champion: Champion | None) -> list[str]:
    """Notes for the readers of the figures."""
    notes = []
    if not has_all_stages(made.subject.file):
        notes.append(
            "The model's file outputs only the maps of its last stage. The losses shown are those of that stage; "
            "valid_loss, which sums over all stages, cannot be computed."
        )
    if measured.figures["AP"] is None:
        nobody = made.split.skeleton.worded("No person in the validation split has a labelled keypoint")
        notes.append(f"{nobody}, so COCO's figures are undefined.")
    if champion and champion.revision != made.inputs.revision:
        notes.append("The champion's figures were measured by another revision of the code.")
    if measured.nan_pictures:
        notes.append(
            f"The maps of {len(measured.nan_pictures)} pictures contain NaN or infinity; in them nothing was found: "
            f"{', '.join(measured.nan_pictures[:5])}{', …' if len(measured.nan_pictures) > 5 else ''}"
        )
    return notes
