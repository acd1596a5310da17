"""The third step: trains a network on the records."""

import platform
import shlex
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from components import command, status
from components.revision import commit
from openpose import skeleton as skeletons
from openpose import storage
from openpose.errors import InputError
from openpose.networks import loss
from openpose.report.training_page import training_page
from openpose.training import devices as replicas
from openpose.training.loop import train as run_training
from openpose.training.manifest import RunInputs, RunManifest
from openpose.training.parameters import DeviceParameters, RunParameters, TrainParameters

PROGRAM = "python -m components.train"


def train(
    root: str,
    train_records: str,
    valid_records: str,
    parameters: TrainParameters = TrainParameters(),
    run: RunParameters = RunParameters(),
    devices: DeviceParameters = DeviceParameters(),
    revision: str = "",
) -> RunManifest | None:
    """Trains a network, going on from the newest checkpoint of the same training.

    Args:
        root: Storage root: a folder that all steps see, or gs://bucket/prefix.
        train_records: Manifest of the training split's records.
        valid_records: Manifest of the validation split's records.
        parameters: what decides the training, besides the data.
        run: how it is run.
        devices: the machines and GPUs that share it.
        revision: Revision of the code; another revision trains again.

    Returns:
        The run's manifest: where its model, logs and checkpoints are, its losses and its history. Of several workers
        only the first writes and returns it, the others return None.

    Raises:
        InputError: parameters or records cannot be used; the message says which and why.
    """
    folder = storage.open_root(root)
    with status.step(folder, f"train{replicas.worker_suffix()}") as step:
        strategy = replicas.strategy(devices.gpus if devices.machines == 1 else 0)
        training, validation = (storage.open_manifest(path, "records") for path in (train_records, valid_records))
        inputs = RunInputs((training["fingerprint"], validation["fingerprint"]), parameters, revision)
        work = storage.StepOutput(folder, RunManifest, inputs, "runs/")
        manifest = step.cached(work)
        if manifest is not None:
            return manifest
        places = {"root": folder, "train_records": _place(training), "valid_records": _place(validation)}
        values = {**places, **parameters.as_dict(), **run.as_dict(), **devices.as_dict(), "revision": revision}
        if devices.machines > 1:
            return _train_on_machines(work, devices, command.line(train, PROGRAM, {**values, "machines": 1}))
        chief = replicas.is_chief(strategy)
        if chief:
            storage.write_json(work.folder / "run.json", _about(inputs, command.line(train, PROGRAM, values)))
        skeleton = skeletons.get(training["skeleton"])
        with storage.workspace(work.folder) as workspace:
            result = run_training(
                training, validation, workspace.folder, parameters, skeleton, strategy, run, workspace.publish
            )
        manifest = _finish(work, run.logs, result.model, result.history) if chief else None
        print(f"run in {work.folder}", flush=True)
        return manifest


def _train_on_machines(work: storage.StepOutput[RunManifest], devices: DeviceParameters, each: str) -> RunManifest:
    """Runs the command `each` in a pod for each machine; returns the manifest that the first pod has written."""
    from components.train import group  # here, as Kubernetes' client takes seconds to import

    group.train(shlex.split(each), devices.machines, devices.gpus)
    deadline = time.monotonic() + storage.ATTRIBUTE_CACHE_SECONDS
    while (manifest := work.cached()) is None and time.monotonic() < deadline:
        time.sleep(1)
    if manifest is None:
        raise InputError(f"the pods that trained left no run in {work.folder}; do all of them see that storage root?")
    return manifest


def _finish(
    work: storage.StepOutput[RunManifest], logs: str, model: keras.Model, history: list[dict[str, float]]
) -> RunManifest:
    path = work.folder / "model.keras"
    with storage.atomic_file(path) as temporary:
        model.save(temporary)
        checksum = storage.sha256(temporary)
    facts = {name: str(value) for name, value in work.inputs.parameters.as_dict().items()}
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


def _place(manifest: dict[str, Any]) -> storage.StoragePath:
    """Where a manifest lies, also when the step was given a copy of it, as KFP does."""
    return storage.path(manifest["folder"]) / "manifest.json"


def _about(inputs: RunInputs, command_line: str) -> dict[str, Any]:
    """What a person needs to know about a run in order to repeat it: `run.json`."""
    training, validation = inputs.records
    return storage.to_json(inputs) | {
        "records": {"train": training, "valid": validation},
        "versions": {
            "python": platform.python_version(),
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
            "numpy": np.__version__,
        },
        "git": commit(),
        "started_in": str(Path.cwd()),
        "command": command_line,
    }
