"""Trains in this process, and writes the results to the run's folder."""

import platform
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from components.revision import commit
from openpose import storage
from openpose.model_files import keras_file
from openpose.networks import loss
from openpose.records.manifest import RecordsManifest
from openpose.report.training_page import training_page
from openpose.skeleton import Skeleton
from openpose.training import devices
from openpose.training.loop import train
from openpose.training.manifest import RunDescription, RunInputs, RunManifest
from openpose.training.parameters import RunParameters, TrainParameters


def train_here(
    work: storage.StepOutput[RunManifest],
    training: RecordsManifest,
    validation: RecordsManifest,
    run: RunParameters,
    gpus: int,
    command: str,
) -> RunManifest | None:
    """Trains on this machine's devices, alone or as one of several workers.

    Args:
        work: the run's folder and inputs.
        training: manifest of the training split's records.
        validation: manifest of the validation split's records.
        run: how the training runs.
        gpus: GPUs that share the work; 0 for one device.
        command: shell command that repeats the training.

    Returns:
        The run's manifest, which only the first worker writes; None for the others.
    """
    strategy = devices.strategy(gpus)
    chief = devices.is_chief(strategy)
    if chief:
        described = _description(work.inputs, training.skeleton, command)
        storage.write_json(work.folder / "run.json", storage.to_json(described))
    parameters, skeleton = work.inputs.parameters, training.skeleton
    with storage.workspace(work.folder) as workspace:
        result = train(training, validation, workspace.folder, parameters, skeleton, strategy, run, workspace.publish)
    manifest = _finish(work, run.logs, result.model, parameters, skeleton, result.history) if chief else None
    print(f"run in {work.folder}", flush=True)
    return manifest


def _finish(
    work: storage.StepOutput[RunManifest],
    logs: str,
    model: keras.Model,
    parameters: TrainParameters,
    skeleton: Skeleton,
    history: list[dict[str, float]],
) -> RunManifest:
    path = work.folder / "model.keras"
    with storage.atomic_file(path) as temporary:
        keras_file.write(model, temporary, skeleton.text(), parameters.predict_height)
        checksum = storage.sha256(temporary)
    facts = {name: str(value) for name, value in parameters.as_dict().items()}
    storage.write_text(work.folder / "report.html", training_page(f"Training of {facts['model']}", facts, history))
    losses = {name: history[-1][name] for name in (*loss.NAMES, *(f"valid_{name}" for name in loss.NAMES))}
    return work.finish(
        model=str(path),
        logs=logs or str(work.folder / "logs"),
        checkpoints=str(work.folder / "checkpoints"),
        report=str(work.folder / "report.html"),
        model_sha256=checksum,
        losses=losses,
        history=history,
    )


def _description(inputs: RunInputs, skeleton: Skeleton, command: str) -> RunDescription:
    training, validation = inputs.records
    versions = {"tensorflow": tf.__version__, "keras": keras.__version__, "numpy": np.__version__}
    return RunDescription(
        records={"train": training, "valid": validation},
        parameters=inputs.parameters,
        skeleton=skeleton,
        revision=inputs.revision,
        versions={"python": platform.python_version(), **versions},
        git=commit(),
        started_in=str(Path.cwd()),
        command=command,
    )
