"""Checks a run's parameters within seconds, before they fail after hours."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from components import status
from components.parameters import STEP_PARAMETERS, RunRequest, of_step, registry
from openpose import storage
from openpose.errors import InputError
from openpose.evaluation.registry import Registry
from openpose.model_files import formats as model_formats
from openpose.training.parameters import DeviceParameters, TrainParameters

#: The check's outputs for the other steps, with their types.
OUTPUTS: dict[str, type] = {
    "cpu": str,  # cores of the training's pod
    "memory": str,  # of the training's pod
    "accelerators": str,  # GPUs of the training's pod, as text because KFP 2.17's driver ignores a number
    "registry": str,  # of the champions
    "recipe": str,  # fingerprint of everything that decides the result, except the data
    **dict.fromkeys(STEP_PARAMETERS, dict),  # each step's parameters
}


def check(values: Mapping[str, Any], machine: Mapping[str, str], watcher: Mapping[str, str]) -> dict[str, Any]:
    """Checks all parameters of the DAG that can be checked without data.

    Args:
        values: all parameters of the DAG, by name.
        machine: cpu, memory and accelerator that a training's pod requests; empty outside of a cluster.
        watcher: the same for the pod that only watches the training's own pods.

    Returns:
        The values of `OUTPUTS`.

    Raises:
        InputError: parameters cannot be used; the message lists all of them.
    """
    folder = storage.open_root(values["root"])
    with status.step(folder, "check"):
        wrong, structs, champions = list[str](), dict[str, dict[str, Any]](), registry(values)
        for step in STEP_PARAMETERS:
            with _collected(wrong):
                structs[step] = of_step(step, {**values, "registry": champions})
        with _collected(wrong):
            RunRequest.select(values)
        if not wrong:
            devices = DeviceParameters.select(values)
            for each in (
                lambda: _check_gpus(devices.gpus, machine.get("accelerator", "")),
                lambda: _check_own_pods(devices, bool(machine)),
                lambda: _check_replicas(TrainParameters.select(values), devices.replicas),
                lambda: Registry(folder, champions),
                lambda: model_formats.chosen(structs["export"]["formats"]),
            ):
                with _collected(wrong):
                    each()
        if wrong:
            raise InputError("; ".join(wrong))
        print(f"the parameters are valid; all output goes to {folder}, champions to registry/{champions}", flush=True)
    pod = watcher if devices.has_own_pods else machine
    gpus = 0 if devices.has_own_pods else devices.gpus
    resources = {"cpu": pod.get("cpu", ""), "memory": pod.get("memory", ""), "accelerators": str(gpus)}
    return resources | {"registry": champions, "recipe": recipe(values)} | structs


def recipe(values: Mapping[str, Any]) -> str:
    """Fingerprint of the code's revision and of all parameters that decide the result, except the data's.

    It leaves out parameters that only decide where and how fast the training runs.
    """
    decides = {step: of_step(step, values) for step in ("records", "evaluate", "export")}
    return storage.fingerprint([decides, TrainParameters.select(values).as_dict(), values["revision"]])


@contextmanager
def _collected(messages: list[str]) -> Iterator[None]:
    """Adds the message of a failed check to a list, so that the user sees all faults at once."""
    try:
        yield
    except InputError as error:
        messages.append(str(error))


def _check_gpus(gpus: int, accelerator: str) -> None:
    if gpus and not accelerator:
        raise InputError(
            f"gpus is {gpus}, but this pipeline was compiled for a cluster without accelerators; "
            "submit it with settings that have one (train: {accelerator: nvidia.com/gpu}), or leave out gpus"
        )


def _check_own_pods(devices: DeviceParameters, on_a_cluster: bool) -> None:
    if on_a_cluster:
        return
    here = "but this DAG runs here and not on a cluster; submit it (make submit), or"
    if devices.machines > 1:
        raise InputError(
            f"machines is {devices.machines}, {here} run python -m components.train on each machine with its TF_CONFIG"
        )
    if devices.data_workers:
        raise InputError(
            f"data_workers is {devices.data_workers}, {here} start python -m openpose.data_service and give its "
            "address to python -m components.train with --remote-data"
        )


def _check_replicas(parameters: TrainParameters, replicas: int) -> None:
    batch_size, parts = parameters.filled().batch_size, parameters.accumulate
    if replicas > 1 and batch_size % (replicas * parts):
        in_parts = f" in {parts} parts each (accumulate)" if parts > 1 else ""
        raise InputError(
            f"batch_size {batch_size} does not divide among {replicas} replicas (machines × gpus){in_parts}"
        )
