"""The DAG as it is compiled: what a user and a cluster rely on."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from kfp import compiler

from components import command
from components.coco_download.coco_download import coco_download
from components.evaluate.evaluate import evaluate
from components.export.export import export
from components.register.register import register
from components.tfrecord_targets.tfrecord_targets import tfrecord_targets
from components.train.train import train
from pipelines import training

GOLDEN = Path(__file__).parent / "golden" / "training.yaml"


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    path = tmp_path_factory.mktemp("compiled") / "training.yaml"
    compiler.Compiler().compile(training.training, str(path))
    return load(path)


def load(path: Path) -> list[dict[str, Any]]:
    documents = list(yaml.safe_load_all(path.read_text()))
    documents[0].pop("sdkVersion")
    return documents


def test_compiled_dag_is_the_golden_one(compiled: list[dict[str, Any]]) -> None:
    """After a wanted change: python -m pipelines.training --out tests/pipeline/golden/training.yaml"""
    assert compiled == load(GOLDEN)


def test_order_of_the_steps(compiled: list[dict[str, Any]]) -> None:
    tasks = compiled[0]["root"]["dag"]["tasks"]
    after = {name: set(task.get("dependentTasks", [])) for name, task in tasks.items()}
    loop = next(name for name in tasks if name.startswith("for-loop"))
    assert after[loop] == {"coco-download"}
    assert after["collect-records"] == {"coco-download", loop}
    assert after["train"] == {"collect-records"}
    assert after["evaluate"] == {"collect-records", "train"}
    branches = next(task for name, task in tasks.items() if name.startswith("condition-branches"))
    assert "evaluate" in branches["dependentTasks"]


def test_only_what_is_accepted_is_exported_and_then_registered(compiled: list[dict[str, Any]]) -> None:
    parts = {name: part["dag"]["tasks"] for name, part in compiled[0]["components"].items() if "dag" in part}
    (branches,) = (tasks for name, tasks in parts.items() if name.startswith("comp-condition-branches"))
    steps = {task["triggerPolicy"]["condition"]: set(parts[f"comp-{name}"]) for name, task in branches.items()}
    accepted = "inputs.parameter_values['pipelinechannel--evaluate-verdict'] == 'accepted'"
    assert steps == {accepted: {"export", "register"}, f"!({accepted})": {"explain-rejection"}}
    (tasks,) = (tasks for tasks in parts.values() if "register" in tasks)
    assert tasks["register"]["dependentTasks"] == ["export"]


STEPS: dict[str, Callable[..., Any]] = {
    "coco-download": coco_download,
    "tfrecord-targets": tfrecord_targets,
    "train": train,
    "evaluate": evaluate,
    "export": export,
    "register": register,
}


def definitions_of(compiled: list[dict[str, Any]], step: str) -> dict[str, Any]:
    """A step's inputs as the DAG declares them."""
    return compiled[0]["components"][f"comp-{step}"]["inputDefinitions"]


@pytest.mark.parametrize("name", sorted(STEPS))
def test_component_takes_what_its_step_takes(compiled: list[dict[str, Any]], name: str) -> None:
    """KFP needs the signature as text, so it stands twice; here the two are held together."""
    kinds = {"STRING": str, "NUMBER_INTEGER": int, "NUMBER_DOUBLE": float, "BOOLEAN": bool} | {
        "STRUCT": dict,
        "LIST": list,
    }
    definitions = definitions_of(compiled, name)
    declared = {key: kinds[value["parameterType"]] for key, value in definitions["parameters"].items()}
    artifacts = set(definitions.get("artifacts", {}))
    taken = {flag["name"]: flag["type"] for flag in command.flags(STEPS[name])}
    if name == "tfrecord-targets":  # one loop item says the split and the worker
        assert declared.pop("share") is dict
        taken = {key: kind for key, kind in taken.items() if key not in ("split", "worker", "workers")}
    if name == "coco-download":  # it also plans the workers' shares
        assert declared.pop("workers") is int
    assert declared.items() <= taken.items()
    # What only a command line needs has a default.
    defaults = {flag["name"] for flag in command.flags(STEPS[name]) if "default" in flag}
    assert taken.keys() - declared.keys() - artifacts <= defaults
    assert artifacts <= set(taken)


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_every_parameter_is_described(step: Any) -> None:
    assert all(flag["help"] for flag in command.flags(step))


def test_parameters_of_the_dag_are_described_and_have_the_steps_defaults(compiled: list[dict[str, Any]]) -> None:
    inputs = training.training.component_spec.inputs
    defaults = {
        flag["name"]: flag["default"]
        for name, step in STEPS.items()
        for flag in command.flags(step)
        if "default" in flag and flag["name"] in definitions_of(compiled, name)["parameters"]
    }
    for name, spec in inputs.items():
        assert spec.description, name
        if name in defaults and name != "workers":
            assert spec.default == defaults[name], name
