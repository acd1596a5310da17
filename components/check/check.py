"""Before the first step: refuses in seconds what would fail after hours."""

from collections.abc import Callable, Mapping
from typing import Any

from components import status
from components.evaluate.verdict import AcceptanceThresholds
from components.tfrecord_targets.tfrecord_targets import DENSE, plan
from openpose import networks, storage
from openpose.errors import InputError
from openpose.evaluation.registry import Registry
from openpose.model_files import formats as model_formats
from openpose.training import learning_rate
from openpose.training.parameters import RunParameters, TrainParameters

#: Parameters that say where and how fast, but not what comes out.
NOT_DECIDING = ("root", "machine", "watcher", "workers", "machines", "gpus", "save_minutes", "ap_images")


def check(
    root: str,
    train: dict[str, Any],
    demands: dict[str, float],
    workers: int = 1,
    dense: str = "val",
    save_minutes: float = 10.0,
    ap_images: int = 0,
    machines: int = 1,
    gpus: int = 0,
    machine: dict[str, str] | None = None,
    registry: str = "openpose",
    pixels: str = "bgr",
    formats: str = "all",
) -> None:
    """Checks all parameters of the pipeline that can be checked without data.

    Args:
        root: Storage root: a folder that all steps see, or gs://bucket/prefix.
        train: What decides the training, by the names of `TrainParameters`.
        demands: What the verdict asks for, by the names of `AcceptanceThresholds`.
        workers: How many workers share the training split's records.
        dense: Which splits carry heatmap, vectmap and mask.
        save_minutes: A checkpoint after so many minutes.
        ap_images: COCO AP on so many validation images at the end of each epoch.
        machines: How many machines share the training.
        gpus: How many GPUs of each do.
        machine: What the pod on each may ask for, as the cluster's settings have it: accelerator, empty for none, and
            more; nothing where the DAG runs on this machine.
        registry: Name of the registry of the champions.
        pixels: Order of the channels that the exported files take.
        formats: What is exported.

    Raises:
        InputError: one or more cannot be used; the message has a line for each.
    """
    folder = storage.open_root(root)
    with status.step(folder, "check"):
        wrong = _complaints(
            lambda: _check_training(train),
            lambda: RunParameters(save_minutes=save_minutes, ap_images=ap_images),
            lambda: AcceptanceThresholds(**demands),
            lambda: plan(workers),
            lambda: _check_choice("dense", dense, DENSE),
            lambda: _check_gpus(gpus, (machine or {}).get("accelerator", "")),
            lambda: _check_machines(machines, bool(machine)),
            lambda: _check_shares(train, machines * max(gpus, 1)),
            lambda: Registry(folder, registry),
            lambda: model_formats.check_pixels(pixels),
            lambda: model_formats.chosen(formats),
        )
        if wrong:
            raise InputError("; ".join(wrong))
        print(f"the parameters can be used; everything will be in {folder}", flush=True)


def recipe(parameters: Mapping[str, Any]) -> str:
    """Fingerprint of the code's revision and of all parameters that decide what comes out of the data."""
    return storage.fingerprint({name: value for name, value in parameters.items() if name not in NOT_DECIDING})


def _complaints(*checks: Callable[[], object]) -> list[str]:
    """What the checks say, so that a person mends all of it at once."""
    said = []
    for each in checks:
        try:
            each()
        except InputError as error:
            said.append(str(error))
    return said


def _check_training(values: dict[str, Any]) -> None:
    parameters = TrainParameters(**values)
    parameters.inputs()
    learning_rate.check(parameters.learning_rate, parameters.decay)
    networks.check(parameters.model, parameters.width, parameters.stages or None)


def _check_choice(name: str, value: str, choices: dict[str, Any]) -> None:
    if value not in choices:
        raise InputError(f"{name} is {value!r}; choose one of: {', '.join(choices)}")


def _check_gpus(gpus: int, accelerator: str) -> None:
    if gpus < 0:
        raise InputError(f"gpus is {gpus}; it must be at least 0")
    if gpus and not accelerator:
        raise InputError(
            f"gpus is {gpus}, but this pipeline was compiled for a cluster without accelerators; "
            "submit it with settings that have one (train: {accelerator: nvidia.com/gpu}), or leave gpus out"
        )


def _check_machines(machines: int, on_a_cluster: bool) -> None:
    if machines < 1:
        raise InputError(f"machines is {machines}; it must be at least 1")
    if machines > 1 and not on_a_cluster:
        raise InputError(
            f"machines is {machines}, but this DAG runs here and not on a cluster; submit it (make submit), or give "
            "each machine the command python -m components.train with its TF_CONFIG"
        )


def _check_shares(train: dict[str, Any], replicas: int) -> None:
    batch, parts = train["batch"], train.get("accumulate", 1)
    if replicas > 1 and parts > 0 and batch % (replicas * parts):
        in_parts = f" in {parts} parts each (accumulate)" if parts > 1 else ""
        raise InputError(f"batch_size {batch} does not divide among {replicas} replicas (machines × gpus){in_parts}")
