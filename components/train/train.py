"""The third step: trains a network on the records."""

import platform
import sys
from typing import Any

import keras
import tensorflow as tf

from components import status
from openpose import loss, report, skeleton, storage
from openpose.train_loop import TrainParameters
from openpose.train_loop import train as run_training


def train(
    root: str,
    train_records: str,
    valid_records: str,
    model: str = "mobilenet_thin",
    width: float = 1.0,
    stages: int = 0,
    size: int = 368,
    batch_size: int = 16,
    epochs: int = 30,
    learning_rate: str = "0.001",
    decay: str = "exponential",
    min_scale: float = 0.5,
    max_scale: float = 1.1,
    max_rotation: float = 40.0,
    seed: int = 0,
    revision: str = "",
) -> dict[str, Any]:
    """Trains a network, going on from the newest checkpoint of the same training.

    Args:
        root: Storage root: a folder that all steps see, or gs://bucket/prefix.
        train_records: Manifest of the training split's records.
        valid_records: Manifest of the validation split's records.
        model: Name of the network: mobilenet_thin or lightweight.
        width: Factor on the network's number of channels; 1 is the published network.
        stages: Number of its stages; 0 for the published number.
        size: Height and width of the network's input in pixels, a multiple of 8.
        batch_size: Samples in one step, over all GPUs.
        epochs: How often each sample is seen.
        learning_rate: One number, or several with commas: one for each 5 epochs.
        decay: Of one learning rate: exponential (x0.33 every 10000 steps) or cosine (to 0 at the end).
        min_scale: Augmentation: smallest height of the centre person, as a factor on 0.6 of the input's height.
        max_scale: Augmentation: its largest height.
        max_rotation: Augmentation: degrees, either way.
        seed: Of weights, order and augmentation.
        revision: Revision of the code; another one trains anew.

    Returns:
        The run's manifest: where its model, logs and checkpoints are, its losses and its history.

    Raises:
        InputError: parameters or records cannot be used; the message says which and why.
    """
    folder = storage.root_folder(root)
    with status.step(folder, "train") as step:
        parameters = TrainParameters(
            model=model,
            width=width,
            stages=stages,
            size=size,
            batch=batch_size,
            epochs=epochs,
            learning_rate=learning_rate,
            decay=decay,
            min_scale=min_scale,
            max_scale=max_scale,
            max_rotation=max_rotation,
            seed=seed,
        )
        training, validation = (storage.open_manifest(path, "records") for path in (train_records, valid_records))
        inputs = {
            "records": [training["fingerprint"], validation["fingerprint"]],
            "parameters": parameters.as_dict(),
            "revision": revision,
        }
        work = storage.Work(folder, "run", inputs, "runs/")
        manifest = step.finished(work)
        if manifest is None:
            storage.write_json(work.folder / "run.json", inputs | {"versions": _versions(), "command": sys.argv})
            person = skeleton.get(training["skeleton"])
            with storage.workspace(work.folder) as workspace:
                result = run_training(
                    training, validation, workspace.folder, parameters, person, saved=workspace.publish
                )
            manifest = _finish(work, result.model, result.history)
        return manifest


def _finish(work: storage.Work, model: keras.Model, history: list[dict[str, float]]) -> dict[str, Any]:
    path = work.folder / "model.keras"
    with storage.atomic_file(path) as temporary:
        model.save(temporary)
        checksum = storage.sha256(temporary)
    facts = {name: str(value) for name, value in work.inputs["parameters"].items()}
    storage.write_text(
        work.folder / "report.html", report.training_page(f"Training of {facts['model']}", facts, history)
    )
    losses = {name: history[-1][name] for name in (*loss.NAMES, *(f"valid_{name}" for name in loss.NAMES))}
    return work.finish(
        model=str(path),
        logs=str(work.folder / "logs"),
        checkpoints=str(work.folder / "checkpoints"),
        report=str(work.folder / "report.html"),
        model_sha256=checksum,
        losses=losses,
        history=history,
    )


def _versions() -> dict[str, str]:
    return {"python": platform.python_version(), "tensorflow": tf.__version__, "keras": keras.__version__}
