"""The pods of a training on several machines, made from the pod of its step."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.train import group, pods
from components.train.machine import DATA_MACHINE, MACHINE, Machine
from openpose.errors import InputError
from openpose.training.parameters import DeviceParameters

HERE = Path(__file__).parent
STEP = yaml.safe_load((HERE / "step_pod.yaml").read_text())
MAIN = STEP["spec"]["containers"][1]
ENVIRONMENT = {variable["name"]: variable.get("value", "") for variable in MAIN["env"]}
COMMAND = ["python", "-m", "components.train.worker", "--root=/data/openpose", "--gpus=4"]


def made(machines: int = 2, gpus: int = 4, step: dict[str, Any] = STEP, data_workers: int = 0) -> dict[str, Any]:
    machine, data_machine = (Machine.from_json(ENVIRONMENT[name]) for name in (MACHINE, DATA_MACHINE))
    data = (data_workers, data_machine, "gs://bucket/records/manifest.json") if data_workers else ()
    training = pods.Training(COMMAND, machines, gpus, machine, *data)
    return pods.job_set(step, pods.name_of(step, training), training)


def job(job_set: dict[str, Any], name: str = pods.WORKER) -> dict[str, Any]:
    (found,) = (each for each in job_set["spec"]["replicatedJobs"] if each["name"] == name)
    return found["template"]["spec"]


def container(job_set: dict[str, Any], name: str = pods.WORKER) -> dict[str, Any]:
    (found,) = job(job_set, name)["template"]["spec"]["containers"]
    return found


def test_two_machines_with_four_gpus_are_the_golden_ones(tmp_path: Path) -> None:
    """After an intended change, copy the file that the message names over the golden file."""
    file = tmp_path / "two_machines.yaml"
    file.write_text(yaml.safe_dump(made(), sort_keys=False))
    golden = HERE / "golden/two_machines.yaml"
    assert yaml.safe_load(file.read_text()) == yaml.safe_load(golden.read_text()), file


def test_data_workers_ask_for_what_the_settings_say_and_are_dispatched_by_the_first_machine() -> None:
    job_set = made(machines=1, data_workers=3)
    trains, makes = (container(job_set, name) for name in (pods.WORKER, pods.DATA))
    name = job_set["metadata"]["name"]
    assert trains["command"] == [*COMMAND, f"--remote-data=grpc://{name}-worker-0-0.{name}:5050"]
    assert {"name": "OPENPOSE_DISPATCHER", "value": "5050"} in trains["env"]
    assert "TF_CONFIG" not in {variable["name"] for variable in trains["env"]}, "one machine needs no strategy"
    dispatcher, *others = makes["command"][4:]
    assert dispatcher == f"--dispatcher={name}-worker-0-0.{name}:5050"
    assert others == ["--wait=1860", "--records=gs://bucket/records/manifest.json"]
    assert makes["resources"]["limits"] == {"cpu": "8", "memory": "16Gi"}
    assert "MIRROR_PASSWORD" in {variable["name"] for variable in makes["env"]}, "for a bucket"
    spec = job(job_set, pods.DATA)["template"]["spec"]
    assert spec["nodeSelector"] == {"pool": "cpu"}
    assert job(job_set, pods.DATA)["completions"] == 3
    assert job(job_set, pods.DATA)["podFailurePolicy"]["rules"][0]["action"] == "Ignore", "the training goes on"
    assert job_set["spec"]["successPolicy"]["targetReplicatedJobs"] == [pods.WORKER], "data workers never end"


@pytest.mark.parametrize("machines", [2, 3, 16])
def test_each_machine_knows_its_number_and_the_addresses_of_all(machines: int) -> None:
    job_set = made(machines)
    assert job(job_set)["completions"] == job(job_set)["parallelism"] == machines
    variables = container(job_set)["env"]
    names = [variable["name"] for variable in variables]
    assert names.index("JOB_COMPLETION_INDEX") < names.index("TF_CONFIG"), "else Kubernetes does not replace it"
    text = next(each["value"] for each in variables if each["name"] == "TF_CONFIG")
    workers = set()
    for number in range(machines):
        config = json.loads(text.replace("$(JOB_COMPLETION_INDEX)", str(number)))
        assert config["task"] == {"type": "worker", "index": number}
        workers.add(tuple(config["cluster"]["worker"]))
    (addresses,) = workers
    name = job_set["metadata"]["name"]
    assert addresses == tuple(f"{name}-worker-0-{number}.{name}:2222" for number in range(machines))


def test_machine_is_like_the_step_but_for_what_is_kubeflows_and_what_it_asks_for() -> None:
    machine = container(made())
    assert machine["image"] == MAIN["image"]
    assert machine["command"] == COMMAND
    assert {mount["mountPath"] for mount in machine["volumeMounts"]} == {"/dev/shm", "/data"}
    names = {variable["name"] for variable in machine["env"]}
    assert {"OPENPOSE_RUN", "MIRROR_PASSWORD"} <= names
    assert not [name for name in names if name.startswith(("KFP_", "ARGO_", "OPENPOSE_MACHINE", "OPENPOSE_POD"))]
    assert machine["resources"]["limits"] == {"cpu": "16", "memory": "64Gi", "nvidia.com/gpu": "4"}
    assert "nvidia.com/gpu" not in container(made(gpus=0))["resources"]["limits"]


def test_machines_fit_the_restricted_standard() -> None:
    bare = {**STEP, "spec": {**STEP["spec"], "containers": [{"name": "main", "image": "x"}]}}
    for step in (STEP, bare):
        assert container(made(step=step))["securityContext"] == MAIN["securityContext"]


def test_machines_know_their_run_and_may_ask_kubernetes_for_it() -> None:
    job_set = made()
    variables = {each["name"]: each.get("value") for each in container(job_set)["env"]}
    assert variables["OPENPOSE_JOB_SET"] == job_set["metadata"]["name"]
    assert variables["OPENPOSE_WORKFLOW"] == STEP["metadata"]["labels"]["workflows.argoproj.io/workflow"]
    assert job(job_set)["template"]["spec"]["automountServiceAccountToken"] is True


def test_machines_log_to_mlflow_as_the_step_would() -> None:
    asked = [{"name": "MLFLOW_RUN_ID", "value": "1"}]
    main = {**MAIN, "env": [*MAIN["env"], *asked]}
    job_set = made(step={**STEP, "spec": {**STEP["spec"], "containers": [main]}})
    assert asked[0] in container(job_set)["env"]


def test_network_policy_lets_the_machines_talk_to_each_other() -> None:
    policies = yaml.safe_load_all((HERE.parent.parent / "manifests/base/network-policies.yaml").read_text())
    policy = next(each for each in policies if each["metadata"]["name"] == "openpose-runs")
    (expression,) = policy["spec"]["podSelector"]["matchExpressions"]
    assert expression["key"] in job(made())["template"]["metadata"]["labels"]


def test_role_has_what_the_step_asks_kubernetes_for() -> None:
    roles = yaml.safe_load_all((HERE.parent.parent / "manifests/base/roles.yaml").read_text())
    rules = next(each for each in roles if each["metadata"]["name"] == "openpose-runner")["rules"]
    granted = {resource: set(rule["verbs"]) for rule in rules for resource in rule["resources"]}
    assert granted["jobsets"] == {"create", "get", "delete"}
    assert granted["events"] == {"list"}
    assert {"get", "list", "watch"} <= granted["pods"]
    assert "get" in granted["workflows"]


def test_job_set_is_gone_with_the_workflow_and_its_jobs_try_once() -> None:
    job_set = made()
    (owner,) = job_set["metadata"]["ownerReferences"]
    assert owner["kind"] == "Workflow"
    assert owner["uid"] == STEP["metadata"]["ownerReferences"][0]["uid"]
    assert job(job_set)["backoffLimit"] == 0
    assert job(job_set)["template"]["spec"]["restartPolicy"] == "Never", "else JobSet accepts it and never starts"


def test_each_run_and_each_training_has_a_job_set_of_its_own() -> None:
    machine = Machine.from_json(ENVIRONMENT[MACHINE])
    other = {**STEP, "metadata": {**STEP["metadata"], "labels": {**STEP["metadata"]["labels"], pods.RUN: "other"}}}
    names = {
        pods.name_of(step, pods.Training(command, 2, 0, machine))
        for step in (STEP, other)
        for command in (COMMAND, [*COMMAND, "--epochs=2"])
    }
    assert len(names) == 4
    assert max(map(len, names)) <= 46, "what JobSet accepts"


def test_queue_gets_the_job_set_and_not_each_pod() -> None:
    job_set = made()
    assert job_set["metadata"]["labels"][pods.QUEUE] == "openpose"
    assert pods.QUEUE not in job(job_set)["template"]["metadata"]["labels"]


def test_several_machines_need_a_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("KUBERNETES_SERVICE_")]:
        monkeypatch.delenv(name)
    with pytest.raises(InputError, match=r"machines is 2 and data_workers 0, but only a step of a pipe.*TF_CONFIG"):
        group.train(COMMAND, DeviceParameters(machines=2))
