"""The last step: writes the model in each format, compares each with the trained model, and makes a model card."""

from components import status
from components.export.parameters import ExportParameters
from openpose import storage, tracking
from openpose.errors import InputError
from openpose.evaluation.manifest import EvaluationManifest
from openpose.model_files import formats as model_formats
from openpose.model_files.manifest import ModelInputs, ModelManifest
from openpose.records.manifest import RecordsManifest
from openpose.training.manifest import RunManifest


def export(
    root: str,
    run: str,
    evaluation: str,
    valid_records: str,
    parameters: ExportParameters = ExportParameters(),
    train_records: str = "",
    revision: str = "",
) -> ModelManifest:
    """Writes the model in the formats that programs load, and compares each with the trained model.

    Args:
        root: Storage root: a folder that all steps see, gs://bucket/prefix or s3://bucket/prefix.
        run: Manifest of the training run.
        evaluation: Manifest of its evaluation.
        valid_records: Manifest of the validation split's records.
        parameters: what is exported, and how.
        train_records: Manifest of the training split's records, whose pictures decide the ranges of tflite_int8's
            integers; by default the records of the run under the root.
        revision: Revision of the code; a new revision exports again.

    Returns:
        The model's manifest: where the files and their description are, and the SHA-256 of each.

    Raises:
        InputError: a manifest cannot be used, or a format's output differs too much from the trained model's.
    """
    chosen = model_formats.chosen(parameters.formats)
    folder = storage.open_root(root)
    with status.step(folder, "export") as step:
        trained = storage.open_manifest(run, RunManifest)
        judged = storage.open_manifest(evaluation, EvaluationManifest)
        split = storage.open_manifest(valid_records, RecordsManifest)
        inputs = ModelInputs(
            run=trained.fingerprint,
            evaluation=judged.fingerprint,
            pixels=parameters.pixels,
            formats=list(chosen),
            images=parameters.images,
            max_people=parameters.max_people,
            max_peaks=parameters.max_peaks,
            revision=revision,
        )
        work = storage.StepOutput(folder, ModelManifest, inputs, "models/")
        manifest = step.cached(work)
        if manifest is None:
            calibration = _training_split(folder, trained, train_records) if "tflite_int8" in chosen else None
            from components.export.model_card import Inputs  # here, as finished work needs no TensorFlow
            from components.export.write import write

            manifest = write(work, Inputs(trained, judged, split, calibration), chosen)
        tracking.tags({"files": manifest.folder})
        tracking.page("model_card.md", lambda: storage.read_bytes(storage.path(manifest.card)).decode())
        return manifest


def _training_split(root: storage.StoragePath, trained: RunManifest, train_records: str) -> RecordsManifest:
    """The manifest of the training split's records; by default that of the run under the root."""
    if train_records:
        return storage.open_manifest(train_records, RecordsManifest)
    path = root / "records" / f"train-{trained.inputs.records[0][:12]}" / "manifest.json"
    if storage.size(path) is None:
        raise InputError(
            f"{path}: the training records are missing, and tflite_int8 takes the ranges of its integers from their "
            "pictures; give train_records, or leave tflite_int8 out of `formats`"
        )
    return storage.open_manifest(path, RecordsManifest)


def rejection(reason: str, judged: EvaluationManifest) -> str:
    """A page in Markdown that says why the model is not exported."""
    figures = "".join(
        f"| {name} | {'undefined' if value is None else f'{value:.3f}'} |\n" for name, value in judged.figures.items()
    )
    return (
        f"# The model is not exported\n\n{reason}\n\n"
        f"| figure | value |\n|---|---:|\n{figures}\n"
        f"Pictures and curves: `{judged.report}`. Train longer or on more data, or change `min_ap`, "
        "`max_valid_loss`, `max_rmse` and `tolerance`.\n"
    )
