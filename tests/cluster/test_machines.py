"""Trainings on several machines, as JobSets, in runs on a real Kubeflow Pipelines; see test_cluster.py."""

import json
import re
import subprocess
from typing import Any

import pytest

from components.finish.summary import FAILED, REJECTED
from pipelines.kfp_api import Api
from pipelines.pod_logs import PodLogs
from tests.cluster import runs
from tests.cluster.runs import ON_TWO, both_training, epoch, kubectl, left_of_group, step, submitted, volume, wait

pytestmark = [*runs.NEEDS_CLUSTER, pytest.mark.usefixtures("sample_run")]


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


@pytest.mark.timeout(4 * 3600)  # as much for each training as other tests have
def test_two_machines_train_what_one_trains_and_one_with_a_data_worker(api: Api) -> None:
    # What rounding changes grows with each step. In float64 the tests of the training compare 20 steps and the weights.
    how: dict[str, Any] = {"epochs": 3, "optimizer": "sgd", "learning_rate": "0.000003", "min_ap": runs.REJECTED_AP}
    histories = []
    for machines, data_workers, evictions in ((1, 0, 0), (1, 1, 0), (2, 0, 0), (2, 0, 5)):
        revision = f"test-{machines}-{data_workers}-{evictions}"  # without it the same training would be found
        with submitted(**how, machines=machines, data_workers=data_workers, revision=revision) as (process, run):
            for _ in range(evictions):
                evict(wait(900, lambda run=run: begun(run))[1])
                wait(120, lambda run=run: not both_training(run))
            assert process.wait() == REJECTED
        done = step(api, run, "train", "done")
        assert done
        said = PodLogs(api, run).read(done.pod)
        assert "epoch=3/3" in said, "the first machine's log is in the step's"
        assert ("machines: 2 pods of the JobSet" in said) == (machines + data_workers == 2)
        assert said.count("not a failure") == evictions
        wait(120, lambda run=run: not left_of_group(run))
        histories.append(history(said))
    for one, *others in zip(*histories, strict=True):
        for other in others:
            assert one.keys() == other.keys()
            for name, value in one.items():
                assert other[name] == pytest.approx(value, rel=1e-3), name


# Kills the training of a pod, as the kernel does when memory is short.
KILL = """
import os, pathlib, signal
for process in pathlib.Path("/proc").glob("[0-9]*"):
    if b"components.train.worker" in (process / "cmdline").read_bytes() and int(process.name) != os.getpid():
        os.kill(int(process.name), signal.SIGKILL)
"""


@pytest.mark.parametrize("times", [1, 3])
def test_training_goes_on_after_a_machine_was_killed_but_not_for_ever(times: int, api: Api) -> None:
    with submitted(**ON_TWO, epochs=3, learning_rate=f"0.005{times}") as (process, run):
        for number in range(times):
            machines = wait(900, lambda: both_training(run))
            if number == 0:  # until a checkpoint is there
                first = min(pod["metadata"]["name"] for pod in machines)
                wait(600, lambda first=first: epoch(kubectl("logs", first, check=False)) > 1)
            # A pod that is deleted gets SIGTERM first, which is no failure when its program ends by that in time.
            last = max(pod["metadata"]["name"] for pod in machines)
            kubectl("exec", last, "--", "python", "-c", KILL, check=False)
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
        assert "epoch=3/3" in log
        assert "epoch=1/3" not in log
    wait(120, lambda: not left_of_group(run))
