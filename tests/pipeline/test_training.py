"""The compiled DAG: the properties that a user and a cluster rely on."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from components import command
from components.coco_download.champion_check import NEW
from components.coco_download.coco_download import coco_download
from components.evaluate.evaluate import evaluate
from components.export.export import export
from components.parameters import dag_parameters
from components.register.register import register
from components.tfrecord_targets.tfrecord_targets import tfrecord_targets
from components.train.machine import Machine
from components.train.train import train
from openpose.errors import InputError
from openpose.parameters import REQUIRED
from pipelines import predicting, settings, training
from pipelines.dag import Dag

GOLDEN = Path(__file__).parent / "golden"
REFERENCE = "registry.example.com/openpose@sha256:" + 64 * "0"
IMAGES = {"cpu": {"image": REFERENCE, "code": "c0de"}, "gpu": {"image": f"{REFERENCE[:-1]}1", "code": "c0de"}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("compiled")


def compiled_for(name: str, folder: Path, dag: Dag = training.DAG) -> list[dict[str, Any]]:
    path = folder / f"{dag.name}-{name}.yaml"
    if not path.exists():
        dag.compile_to(path, settings.read(name), IMAGES)
    return load(path)


@pytest.fixture(scope="module")
def compiled(folder: Path) -> list[dict[str, Any]]:
    return compiled_for("pvc", folder)


def load(path: Path) -> list[dict[str, Any]]:
    documents = list(yaml.load_all(path.read_text(), yaml.CSafeLoader))  # the safe loader in C: ten times as fast
    documents[0].pop("sdkVersion")
    return documents


def tasks_of(compiled: list[dict[str, Any]], part: str) -> dict[str, Any]:
    """The tasks of a part of the DAG: exit-handler, condition-branches, …"""
    (found,) = (
        component["dag"]["tasks"]
        for name, component in compiled[0]["components"].items()
        if "dag" in component and name.startswith(f"comp-{part}")
    )
    return found


def pods(compiled: list[dict[str, Any]]) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """Each step's container, and the settings that kfp-kubernetes adds."""
    executors = compiled[0]["deploymentSpec"]["executors"]
    placed = compiled[1]["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    return {name: (executor["container"], placed.get(name, {})) for name, executor in executors.items()}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["pvc", "gpu", "gcs", "machines"])
def test_compiled_dag_is_the_golden_one(name: str, folder: Path) -> None:
    """After an intended change, copy the file that the message names over the golden file."""
    assert compiled_for(name, folder) == load(GOLDEN / f"{name}.yaml"), folder / f"openpose-training-{name}.yaml"


@pytest.mark.slow
def test_other_dag_is_the_golden_one_and_takes_what_it_knows_of_the_settings(folder: Path) -> None:
    made = compiled_for("gpu", folder, predicting.DAG)
    assert made == load(GOLDEN / "predicting.yaml"), folder / "openpose-predicting-gpu.yaml"
    inputs = made[0]["root"]["inputDefinitions"]["parameters"]
    assert inputs["root"]["defaultValue"] == "/data/openpose"
    assert set(inputs) == set(predicting.PARAMETERS)


def test_each_worker_gets_its_share_as_it_declares_it(compiled: list[dict[str, Any]]) -> None:
    """Kubeflow's driver passes on the loop's declared type, and fails if the step declares another type."""
    types = {
        name: component["inputDefinitions"]["parameters"][parameter]["parameterType"]
        for name, component in compiled[0]["components"].items()
        for parameter in component.get("inputDefinitions", {}).get("parameters", {})
        if parameter == "share" or parameter.endswith("-loop-item")
    }
    assert len(types) == 4  # of the records' loop and of the evaluation's
    assert set(types.values()) == {"STRUCT"}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["pvc", "gpu", "gcs", "s3", "machines", "small"])
def test_every_pod_has_limits_a_time_out_retries_and_no_root(name: str, folder: Path) -> None:
    compiled = compiled_for(name, folder)
    for step, (container, placed) in pods(compiled).items():
        resources = container["resources"]
        for what in ("resourceCpuLimit", "resourceMemoryLimit", "resourceCpuRequest", "resourceMemoryRequest"):
            assert resources[what], (step, what)
        assert container["image"] in (IMAGES["cpu"]["image"], IMAGES["gpu"]["image"]), step
        assert placed["securityContext"] == {"runAsNonRoot": True}, step
        assert int(placed["activeDeadlineSeconds"]) >= 3600, step
        (memory,) = placed["emptyDirMounts"]
        assert (memory["mountPath"], memory["medium"]) == ("/dev/shm", "Memory"), step
    for part in compiled[0]["components"].values():
        for task, spec in part.get("dag", {}).get("tasks", {}).items():
            if task == "check":
                assert "retryPolicy" not in spec  # wrong parameters stay wrong
            elif f"exec-{task}" in pods(compiled):
                assert spec["retryPolicy"]["maxRetryCount"] == 3, task
                assert spec["retryPolicy"]["backoffDuration"] == "30s", task


@pytest.mark.slow
def test_volume_or_bucket(folder: Path) -> None:
    for name, claims in (("pvc", ["openpose"]), ("gcs", []), ("s3", [])):
        for step, (_, placed) in pods(compiled_for(name, folder)).items():
            assert [mount["constant"] for mount in placed.get("pvcMount", [])] == claims, step


@pytest.mark.slow
def test_only_training_asks_for_gpus_and_for_as_many_as_the_parameter_says(folder: Path) -> None:
    compiled = compiled_for("gpu", folder)
    for step, (container, placed) in pods(compiled).items():
        accelerator = container["resources"].get("accelerator")
        assert (accelerator is not None) == (step == "exec-train"), step
        assert (container["image"] == IMAGES["gpu"]["image"]) == (step == "exec-train"), step
        if accelerator:
            assert accelerator["resourceType"] == "nvidia.com/gpu"
            # The driver reads the number only from text, which is the type of the check's output.
            assert "check-accelerators" in accelerator["resourceCount"]
            assert placed["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    outputs = compiled[0]["components"]["comp-check"]["outputDefinitions"]["parameters"]
    assert outputs["accelerators"]["parameterType"] == "STRING"
    assert compiled[0]["root"]["inputDefinitions"]["parameters"]["gpus"]["defaultValue"] == 4


@pytest.mark.slow
def test_steps_pod_of_a_training_is_as_large_as_the_check_says_and_knows_what_machines_are(folder: Path) -> None:
    for name, machines in (("gpu", 1), ("machines", 2)):
        compiled = compiled_for(name, folder)
        assert compiled[0]["root"]["inputDefinitions"]["parameters"]["machines"]["defaultValue"] == machines
        container, placed = pods(compiled)["exec-train"]
        for what, resource in (("Cpu", "cpu"), ("Memory", "memory")):
            for bound in ("Request", "Limit"):
                assert f"check-{resource}'" in container["resources"][f"resource{what}{bound}"]
        machines_of = {each["name"]: Machine.from_json(each["value"]) for each in container["env"]}
        assert machines_of == {
            "OPENPOSE_MACHINE": Machine("16", "64Gi", "nvidia.com/gpu", 30.0),
            "OPENPOSE_DATA_MACHINE": Machine("2", "4Gi", "", 30.0),
        }
        assert {"name": "OPENPOSE_POD", "fieldPath": "metadata.name"} in placed["fieldPathAsEnv"]
        given = tasks_of(compiled, "exit-handler")["check"]["inputs"]["parameters"]
        assert given["machine"]["runtimeValue"]["constant"]["memory"] == "64Gi"
        assert given["watcher"]["runtimeValue"]["constant"] == {"cpu": "1", "memory": "2Gi", "accelerator": ""}


def test_no_gpu_without_an_accelerator(compiled: list[dict[str, Any]]) -> None:
    assert all("accelerator" not in container["resources"] for container, _ in pods(compiled).values())


def test_only_what_kubeflow_can_tell_apart_is_cached(compiled: list[dict[str, Any]]) -> None:
    cached = {
        task
        for part in (compiled[0]["root"], *compiled[0]["components"].values())
        for task, spec in part.get("dag", {}).get("tasks", {}).items()
        if f"exec-{task}" in pods(compiled) and spec["cachingOptions"].get("enableCache")
    }
    assert cached == {"tfrecord-targets", "collect-records", "export", "explain-rejection"}


@pytest.mark.slow
def test_secret_is_named_and_its_value_is_nowhere(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("secrets: {mirror: {password: MIRROR_PASSWORD}}\npull_secrets: [registry]\n")
    training.DAG.compile_to(tmp_path / "out.yaml", settings.read(str(file)), IMAGES)
    for step, (_, placed) in pods(load(tmp_path / "out.yaml")).items():
        (secret,) = placed["secretAsEnv"]
        assert secret["keyToEnv"] == [{"secretKey": "password", "envVar": "MIRROR_PASSWORD"}], step
        assert placed["imagePullSecret"][0]["secretName"] == "registry", step


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("claims: x", "unknown setting 'claims'; choose one of: claim, "),
        ("train: {memory: lots}", "train: memory is 'lots'; give a quantity such as"),
        ("train: {cpu: 4}", "train: cpu is 4; it must be of type str"),
        ("train: {gpu: 4}", "train: unknown setting 'gpu'"),
        ("train: 4", "train: 4 must be a mapping"),
        ("data: {hours: 0}", "data: hours is 0; it must be more than 0"),
        ("train: {wait_minutes: 0}", "train: wait_minutes is 0; it must be more than 0"),
        ("a: [", "not valid YAML"),
    ],
)
def test_wrong_settings_name_the_file_and_the_field(text: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    with pytest.raises(InputError) as refused:
        settings.read(str(file))
    assert str(refused.value).startswith(f"{file}: {said}")


def test_settings_that_are_not_there() -> None:
    with pytest.raises(InputError, match=r"settings moon: no such file; .* one of: gcs, gpu, machines, pvc, s3, small"):
        settings.read("moon")


def test_run_ends_with_a_summary_in_any_case(compiled: list[dict[str, Any]]) -> None:
    tasks = compiled[0]["root"]["dag"]["tasks"]
    assert tasks["finish"]["triggerPolicy"] == {"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"}
    assert tasks["finish"]["dependentTasks"] == ["exit-handler-1"]


def test_kubeflows_page_shows_each_step_by_a_title(compiled: list[dict[str, Any]]) -> None:
    dags = [part["dag"]["tasks"] for part in compiled[0]["components"].values() if "dag" in part]
    dags.append(compiled[0]["root"]["dag"]["tasks"])
    components = {name for name, part in compiled[0]["components"].items() if "executorLabel" in part}
    titles = {
        name: task["taskInfo"]["name"]
        for tasks in dags
        for name, task in tasks.items()
        if task["componentRef"]["name"] in components
    }
    assert len(titles) == len(components) == len(set(titles.values()))
    assert (titles["check"], titles["finish"]) == ("Check the parameters", "Sum up the run")
    assert all(title[0].isupper() and "-" not in title for title in titles.values()), titles


def test_order_of_the_steps(compiled: list[dict[str, Any]]) -> None:
    first, tasks = tasks_of(compiled, "exit-handler"), tasks_of(compiled, "condition-2")
    after = {name: set(task.get("dependentTasks", [])) for name, task in (first | tasks).items()}
    written, measured = sorted(name for name in tasks if name.startswith("for-loop"))
    assert after["coco-download"] == {"check"}
    assert after["condition-2"] >= {"coco-download"}
    assert after["collect-records"] == {written}
    assert after["train"] == {"collect-records"}
    assert after[measured] == {"collect-records", "train"}
    assert after["evaluate"] == {"collect-records", "train", measured}
    branches = next(task for name, task in tasks.items() if name.startswith("condition-branches"))
    assert "evaluate" in branches["dependentTasks"]


def test_what_costs_time_is_done_only_when_something_is_new(compiled: list[dict[str, Any]]) -> None:
    first = tasks_of(compiled, "exit-handler")
    assert set(first) == {"check", "coco-download", "condition-2"}
    asked = first["condition-2"]["triggerPolicy"]["condition"]
    assert asked == f"inputs.parameter_values['pipelinechannel--coco-download-Output'] == '{NEW}'"


def test_only_what_is_accepted_is_exported_and_then_registered(compiled: list[dict[str, Any]]) -> None:
    parts = {name: part["dag"]["tasks"] for name, part in compiled[0]["components"].items() if "dag" in part}
    branches = tasks_of(compiled, "condition-branches")
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


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_every_parameter_is_described(step: Any) -> None:
    assert all(each.words for each in command.parameters(step).values())


def test_inputs_of_the_dag_are_the_steps_parameters(compiled: list[dict[str, Any]]) -> None:
    inputs = compiled[0]["root"]["inputDefinitions"]["parameters"]
    parameters = dag_parameters()
    assert inputs.keys() == parameters.keys()
    assert {"source", "root", "model", "batch_size", "sigma", "min_ap", "formats"} <= inputs.keys()
    for name, declared in inputs.items():
        assert " ".join(declared["description"].split()) == parameters[name].words, name
        assert declared.get("literals", []) == list(parameters[name].choices), name
        if name == "revision":  # of the code in the images
            assert declared["defaultValue"] == IMAGES["cpu"]["code"]
        elif name != "root":  # the cluster's settings have it
            assert declared.get("defaultValue", REQUIRED) == parameters[name].default, name


@pytest.mark.parametrize("name", ["model", "decay", "optimizer", "precision", "pixels", "dense"])
def test_form_offers_the_choices(compiled: list[dict[str, Any]], name: str) -> None:
    declared = compiled[0]["root"]["inputDefinitions"]["parameters"][name]
    assert declared["defaultValue"] in declared["literals"]
    assert len(declared["literals"]) > 1
