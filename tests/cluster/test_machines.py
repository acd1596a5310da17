"""Trainings on several machines, as JobSets, in runs on a real Kubeflow Pipelines; see test_cluster.py."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from components.finish.summary import FAILED, REJECTED
from components.train import machine
from components.train import pods as group_pods
from pipelines import follow
from pipelines.kfp_api import Api
from pipelines.pod_logs import PodLogs
from tests.cluster import runs
from tests.cluster.runs import ROOT, epoch, kubectl, pods, step, submit, submitted, volume, wait

pytestmark = [*runs.NEEDS_CLUSTER, pytest.mark.usefixtures("sample_run")]

# The verdict is known beforehand, so a run that has trained ends soon.
ON_TWO: dict[str, Any] = {"machines": 2, "min_ap": runs.REJECTED_AP}


@pytest.fixture
def half_a_core(tmp_path: Path) -> str:
    """Settings with which two machines' pods fit on a node of two cores."""
    settings = tmp_path / "half.yaml"
    settings.write_text((ROOT / "pipelines/clusters/small.yaml").read_text().replace('cpu: "1"', "cpu: 500m"))
    return f"--settings={settings}"


def both_training(run: str) -> list[dict[str, Any]]:
    """The pods of the two machines that train, when both run."""
    found = [pod for pod in pods(run) if pod["metadata"]["labels"].get("app.kubernetes.io/name") == machine.TRAIN]
    up = [pod for pod in found if pod["status"]["phase"] == "Running" and "deletionTimestamp" not in pod["metadata"]]
    return up if len(up) == 2 else []


def left_of_group(run: str) -> list[str]:
    labels = f"app.kubernetes.io/name={machine.TRAIN},{group_pods.RUN}={run}"
    return kubectl("get", "jobsets,pods", "-l", labels, "-o", "name").split()


def evict(pod: dict[str, Any]) -> None:
    name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": namespace}}
    path = f"/api/v1/namespaces/{namespace}/pods/{name}/eviction"
    subprocess.run(["kubectl", "create", "--raw", path, "-f", "-"], input=json.dumps(body), text=True, check=True)


def begun(run: str) -> list[dict[str, Any]]:
    """The pods of the two machines when both train: the first step was computed."""
    found = both_training(run)
    first = min((pod["metadata"]["name"] for pod in found), default="")
    return found if first and " steps" in kubectl("logs", first, check=False) else []


def history(said: str) -> list[dict[str, float]]:
    """The epochs of a training with this log."""
    found = re.search(r"^run in (\S+)$", said, re.MULTILINE)
    assert found, said
    lines = volume(f"print(open('{found[1]}/history.jsonl').read())").splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]


def test_two_machines_train_what_one_trains(half_a_core: str, api: Api) -> None:
    # What rounding changes grows with each step. In float64 the tests of the training compare 20 steps and the weights.
    how: dict[str, Any] = {"epochs": 3, "optimizer": "sgd", "learning_rate": "0.000003", "min_ap": runs.REJECTED_AP}
    histories = []
    for machines, evictions in ((1, 0), (2, 0), (2, 5)):
        revision = f"test-{machines}-{evictions}"  # without it the same training would be found
        with submitted(half_a_core, **how, machines=machines, revision=revision) as (process, run):
            for _ in range(evictions):
                evict(wait(900, lambda run=run: begun(run))[1])
                wait(120, lambda run=run: not both_training(run))
            assert process.wait() == REJECTED
        done = step(api, run, "train", "done")
        assert done
        said = PodLogs(api, run).read(done.pod)
        assert "epoch=3/3" in said, "the first machine's log is in the step's"
        assert ("machines: 2 pods of the JobSet" in said) == (machines == 2)
        assert said.count("not a failure") == evictions
        wait(120, lambda run=run: not left_of_group(run))
        histories.append(history(said))
    for one, *others in zip(*histories, strict=True):
        for other in others:
            assert one.keys() == other.keys()
            for name, value in one.items():
                assert other[name] == pytest.approx(value, rel=1e-3), name


@pytest.mark.parametrize("times", [1, 3])
def test_training_goes_on_after_a_machine_was_killed_but_not_for_ever(times: int, half_a_core: str, api: Api) -> None:
    with submitted(half_a_core, **ON_TWO, epochs=6, learning_rate=f"0.005{times}") as (process, run):
        for number in range(times):
            machines = wait(900, lambda: both_training(run))
            if number == 0:  # until a checkpoint is there
                first = min(pod["metadata"]["name"] for pod in machines)
                wait(600, lambda first=first: epoch(kubectl("logs", first, check=False)) > 1)
            kubectl("delete", "pod", max(pod["metadata"]["name"] for pod in machines), "--force", "--grace-period=0")
            wait(120, lambda: not both_training(run))
        code = process.wait()
        assert process.stdout
        said = process.stdout.read()
    if times == 3:
        assert code == FAILED
        assert "failed: train: a machine failed 3 times, the last time: machine 1" in said
    else:
        assert code == REJECTED
        done = step(api, run, "train", "done")
        assert done
        log = PodLogs(api, run).read(done.pod).partition("failure 1 of at most 3")[2]
        assert "epoch=6/6" in log
        assert "epoch=1/6" not in log
    wait(120, lambda: not left_of_group(run))


def test_nothing_is_left_of_the_machines_of_a_terminated_run(half_a_core: str, api: Api) -> None:
    with submitted(half_a_core, **ON_TWO, epochs=50, learning_rate="0.0043") as (process, run):
        wait(900, lambda: both_training(run))
        subprocess.run(["make", "cancel", f"RUN={run}"], cwd=ROOT, check=True)
        assert process.wait() == follow.ENDED
        wait(group_pods.GRACE + 120, lambda: not left_of_group(run))


def test_training_goes_on_while_its_steps_pod_is_made_again(half_a_core: str, api: Api) -> None:
    with submitted(half_a_core, **ON_TWO, epochs=4, learning_rate="0.0044") as (process, run):
        wait(900, lambda: both_training(run))
        watching = step(api, run, "train", "running")
        assert watching
        kubectl("delete", "pod", watching.pod, "--wait=false")
        assert process.wait() == REJECTED
        done = step(api, run, "train", "done")
        assert done
        said = PodLogs(api, run).read(done.pod)
    assert "is there already; this step goes on watching it" in said
    assert "all machines start again" not in said
    wait(120, lambda: not left_of_group(run))


def test_machine_that_finds_no_room_is_given_up_with_the_reason(tmp_path: Path) -> None:
    settings = tmp_path / "huge.yaml"
    small = (ROOT / "pipelines/clusters/small.yaml").read_text()
    settings.write_text(small.replace('train: {cpu: "1"', 'train: {wait_minutes: 0.5, cpu: "1000"'))
    code, said = submit("--settings", str(settings), machines=2, learning_rate="0.0045")
    assert code == FAILED
    assert re.search(r"failed: train: machine 0 has not started within 30 s \(.*Insufficient cpu", said)
