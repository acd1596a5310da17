"""The third step: trains a network on the records."""

import shlex
import time

from components import command, status
from openpose import storage
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
    with status.step(folder, f"train{worker_suffix()}") as step:
        training, validation = (storage.open_manifest(path, RecordsManifest) for path in (train_records, valid_records))
        inputs = RunInputs((training.fingerprint, validation.fingerprint), parameters, revision)
        work = storage.StepOutput(folder, RunManifest, inputs, "runs/")
        manifest = step.cached(work)
        if manifest is not None:
            return manifest
        places = {"root": folder, "train_records": training.path, "valid_records": validation.path}
        values = {**places, **parameters.as_dict(), **run.as_dict(), **devices.as_dict(), "revision": revision}
        if devices.machines > 1:
            return _train_on_machines(work, devices, command.line(train, PROGRAM, {**values, "machines": 1}))
        from components.train.here import train_here  # here, as TensorFlow takes seconds to import

        return train_here(work, training, validation, run, devices.gpus, command.line(train, PROGRAM, values))


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
