"""The third step: trains a network on the records."""

import shlex
from typing import Any

from components import command, status
from components.train.machine import WORKER_PROGRAM
from openpose import retry, storage, tracking
from openpose.errors import InputError
from openpose.records.manifest import RecordsManifest
from openpose.training.devices import worker_suffix
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
    """Trains a network, or resumes the same training from its newest checkpoint.

    Args:
        root: Storage root: a folder that all steps see, gs://bucket/prefix or s3://bucket/prefix.
        train_records: Manifest of the training split's records.
        valid_records: Manifest of the validation split's records.
        parameters: those that decide the result.
        run: how the training runs.
        devices: the machines and GPUs that share the training.
        revision: Revision of the code; a new revision trains again.

    Returns:
        The run's manifest: paths of its model, logs and checkpoints, its losses and its history. With several workers,
        only the first one writes and returns it; the others return None.

    Raises:
        InputError: parameters or records cannot be used; the message names the parameter or the file.
    """
    folder = storage.open_root(root)
    with status.step(folder, f"train{worker_suffix()}") as step:
        training, validation = (storage.open_manifest(path, RecordsManifest) for path in (train_records, valid_records))
        parameters = parameters.for_data(training)
        inputs = RunInputs((training.fingerprint, validation.fingerprint), parameters, revision)
        work = storage.StepOutput(folder, RunManifest, inputs, "runs/")
        if not worker_suffix():
            tracking.parameters(parameters.as_dict(), "training/")
        manifest = step.cached(work)
        if manifest is not None:
            for epoch in manifest.history:
                tracking.figures(epoch, int(epoch["step"]))
            return manifest
        places = {"root": folder, "train_records": training.path, "valid_records": validation.path}
        values = {**places, **parameters.as_dict(), **run.as_dict(), **devices.as_dict(), "revision": revision}
        if devices.has_own_pods:
            return _train_in_pods(work, training, devices, {**values, "machines": 1, "data_workers": 0})
        from components.train.here import train_here  # here because TensorFlow takes seconds to import

        return train_here(work, training, validation, run, devices.gpus, command.line(train, PROGRAM, values))


def _train_in_pods(
    work: storage.StepOutput[RunManifest], records: RecordsManifest, devices: DeviceParameters, values: dict[str, Any]
) -> RunManifest:
    """Trains with these parameters in one pod per machine; returns the manifest that the first pod writes."""
    from components.train import group  # here because Kubernetes' client takes seconds to import

    each = shlex.split(command.line(train, WORKER_PROGRAM, values))
    in_bucket = not storage.is_local(storage.path(records.folder))
    group.train(each, devices, str(records.path) if in_bucket else "")
    manifest = retry.until(work.cached, seconds=storage.ATTRIBUTE_CACHE_SECONDS, pause=1.0)
    if manifest is None:
        raise InputError(f"the training's pods left no run in {work.folder}; do all of them mount that storage root?")
    return manifest
