"""The step that watches a training on several machines: its messages, when it restarts pods and when it gives up.

These tests use a server that imitates Kubernetes; tests/cluster/test_group.py uses a real cluster.
"""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes import client

from components.train import cluster, group, pods
from components.train.cluster import Cluster
from components.train.machine import REFUSED, Machine
from openpose.errors import InputError
from openpose.training import sigterm
from tests.pipeline import kubernetes_server
from tests.pipeline.kubernetes_server import Server

STEP = yaml.safe_load((Path(__file__).parent / "step_pod.yaml").read_text())
RUNS: dict[str, Any] = {"state": {"running": {}}}
DONE: dict[str, Any] = {"state": {"terminated": {"exitCode": 0, "finishedAt": "2026-01-01T00:10:00Z"}}}
PENDING: dict[str, Any] = {}


def failed(code: int, said: str = "", **others: Any) -> dict[str, Any]:
    """The status of a pod whose program has ended."""
    end = {"exitCode": code, "finishedAt": "2026-01-01T00:10:00Z", "message": said, **others}
    return {"state": {"terminated": end}}


@pytest.fixture
def kubernetes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(cluster, "POLL", 0.01)
    with kubernetes_server.serving(Server(STEP)) as server:
        yield server


@pytest.fixture
def train(kubernetes: Server) -> Callable[..., None]:
    """Trains on two machines, and with data workers."""

    def start(wait_minutes: float = 1, stop: threading.Event | None = None, data_workers: int = 0) -> None:
        api = client.ApiClient(client.Configuration(host=kubernetes.address))
        machine = Machine("1", "1Gi", "", wait_minutes)
        training = pods.Training(["train"], 2, 0, machine, data_workers, machine if data_workers else None)
        group.Group(Cluster(api, "here", stop or threading.Event()), STEP["metadata"]["name"], training).run()

    return start


def test_first_machines_log_is_the_steps_and_nothing_is_left(
    kubernetes: Server, train: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    kubernetes.attempts = [[{0: PENDING, 1: PENDING}, {0: RUNS, 1: PENDING}, {0: RUNS, 1: RUNS}, {0: DONE, 1: DONE}]]
    first, second = "2026-01-01T00:00:01.000000000Z step 1\n", "2026-01-01T00:00:02.000000000Z step 2\n"
    kubernetes.logs = [first, first + second]  # the connection was cut in between
    train()
    said = capsys.readouterr().out
    assert said.count("step 1\n") == said.count("step 2\n") == 1
    assert "all pods have started: 2 machines\n" in said
    assert [each["kind"] for each in kubernetes.made] == ["JobSet"]
    assert not kubernetes.job_sets


def test_all_start_again_when_one_fails(
    kubernetes: Server, train: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    aborted = failed(1, said="Traceback …\nUnavailableError: Collective ops is aborted")
    broken = failed(139, said="x\nSegmentation fault")
    kubernetes.attempts = [[{0: RUNS, 1: RUNS}, {0: RUNS, 1: broken}, {0: aborted, 1: broken}]]
    kubernetes.attempts += [[{0: RUNS, 1: RUNS}, {0: DONE, 1: DONE}]]
    train()
    said = capsys.readouterr()
    assert "machine 1: x\nmachine 1: Segmentation fault\n" in said.out
    name = kubernetes.made[0]["metadata"]["name"]
    assert (
        f"warning: machine 1 (pod {name}-worker-0-1-pod1) ended with exit code 139: Segmentation fault; all" in said.err
    )
    assert "(failure 1 of at most 3)" in said.err
    assert len(kubernetes.made) == 1


DELETED = RUNS | {"deleted": "2026-01-01T00:11:00Z"}
TAKEN = {"type": "DisruptionTarget", "status": "True", "message": "preempted for another pod"}


@pytest.mark.parametrize(
    ("pod", "said"),
    [
        (failed(137, reason="OOMKilled"), "was killed because it ran out of memory (OOMKilled); give it more memory"),
        (failed(137) | {"message": "The node was low on resource: memory."}, "ended: The node was low on resource"),
        (failed(1, said="x\nit broke"), "ended with exit code 1: it broke"),
        (RUNS | {"deleted": "2026-01-01T00:10:30Z"}, "was deleted"),
    ],
)
def test_third_failure_is_the_end_and_says_why(
    pod: dict[str, Any], said: str, kubernetes: Server, train: Callable[..., None]
) -> None:
    kubernetes.attempts = [[{0: RUNS, 1: RUNS}, {0: RUNS, 1: pod}] for _ in range(3)]
    with pytest.raises(InputError) as ended:
        train()
    assert str(ended.value).startswith("a machine failed 3 times, the last time: machine 1")
    assert said in str(ended.value)
    assert not kubernetes.job_sets


@pytest.mark.parametrize(
    ("pod", "said"),
    [
        (failed(143) | {"conditions": [TAKEN]}, "was taken away: preempted for another pod"),
        (failed(143), "was stopped (SIGTERM), as when its node is drained"),
        (RUNS | {"conditions": [TAKEN]}, "was taken away: preempted"),
    ],
)
def test_what_kubernetes_takes_away_is_not_a_failure(
    pod: dict[str, Any],
    said: str,
    kubernetes: Server,
    train: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    kubernetes.attempts = [[{0: RUNS, 1: RUNS}, {0: RUNS, 1: pod}] for _ in range(5)]
    kubernetes.attempts += [[{0: DONE, 1: DONE}]]
    train()
    warnings = capsys.readouterr().err
    assert warnings.count(said) == 5
    assert "(restart 5, not a failure)" in warnings


@pytest.mark.parametrize(
    "last", [{0: {"gone": True}, 1: {"gone": True}}, {0: {"gone": True}, 1: DELETED}, {0: DELETED, 1: DELETED}]
)
@pytest.mark.parametrize(
    ("deletions", "machine"),
    [
        ([("DELETED", 1), ("MODIFIED", 0), ("DELETED", 0)], 1),
        ([("MODIFIED", 0), ("DELETED", 1), ("DELETED", 0)], 0),
    ],
)
def test_the_pod_that_was_deleted_first_is_named(
    last: dict[int, Any], deletions: list[tuple[str, int]], machine: int, kubernetes: Server, train: Callable[..., None]
) -> None:
    """Also when both are gone before the next look; Kubernetes deletes the others when one is lost."""
    kubernetes.attempts, kubernetes.deletions = [[{0: RUNS, 1: RUNS}, last] for _ in range(3)], deletions
    with pytest.raises(InputError, match=rf"the last time: machine {machine} \(pod .*\) was deleted"):
        train()


def test_what_the_training_cannot_use_is_not_tried_again(kubernetes: Server, train: Callable[..., None]) -> None:
    wrong = failed(REFUSED, said="some line\nerror: gpus is 4, but 2 are visible here\n")
    kubernetes.attempts = [[{0: RUNS, 1: RUNS}, {0: RUNS, 1: wrong}]]
    with pytest.raises(InputError, match=r"^machine 1: gpus is 4, but 2 are visible here$"):
        train()
    assert not kubernetes.job_sets


UNSCHEDULABLE = {"type": "PodScheduled", "status": "False", "message": "0/1 nodes: 1 Insufficient nvidia.com/gpu"}


@pytest.mark.parametrize(
    ("look", "warnings", "said"),
    [
        ({0: RUNS, 1: {"conditions": [UNSCHEDULABLE]}}, {}, "0/1 nodes: 1 Insufficient nvidia.com/gpu"),
        (
            {0: RUNS, 1: {"state": {"waiting": {"reason": "ErrImagePull", "message": "not found"}}}},
            {},
            "ErrImagePull: not found",
        ),
        ({0: RUNS, 1: PENDING}, {"-pod1": "Multi-Attach error for volume"}, "Multi-Attach error for volume"),
        ({0: RUNS}, {"-worker-0": "exceeded quota: openpose"}, "exceeded quota: openpose"),
    ],
)
def test_machine_that_does_not_start_is_given_up_with_all_others(
    look: dict[int, Any],
    warnings: dict[str, str],
    said: str,
    kubernetes: Server,
    train: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    kubernetes.attempts, kubernetes.warnings = [[look]], warnings
    with pytest.raises(InputError, match=r"machine 1 has not started within .*wait_minutes in the settings") as ended:
        train(wait_minutes=0.002)
    assert f"({said})" in str(ended.value)
    assert capsys.readouterr().out.count(f"machine 1 waits: {said}\n") == 1
    assert not kubernetes.job_sets


D0, D1 = kubernetes_server.DATA, kubernetes_server.DATA + 1


NO_ROOM = {"conditions": [UNSCHEDULABLE]}


def test_training_goes_on_with_some_of_its_data_workers(
    kubernetes: Server, train: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    looks = [{0: RUNS, 1: RUNS, D0: RUNS, D1: NO_ROOM}] * 50
    kubernetes.attempts = [[*looks, {0: DONE, 1: DONE, D0: RUNS, D1: NO_ROOM}]]
    train(wait_minutes=0.002, data_workers=2)
    assert "data worker 1 waits: 0/1 nodes: 1 Insufficient nvidia.com/gpu\n" in capsys.readouterr().out


def test_training_does_not_wait_for_data_workers_forever(kubernetes: Server, train: Callable[..., None]) -> None:
    kubernetes.attempts = [[{0: RUNS, 1: RUNS, D0: NO_ROOM, D1: NO_ROOM}]]
    with pytest.raises(InputError, match=r"^data worker 0 has not started within .* \(0/1 nodes: 1 Insuff"):
        train(wait_minutes=0.002, data_workers=2)
    assert not kubernetes.job_sets


def test_lost_data_worker_is_not_the_reason_where_a_machine_was_lost(
    kubernetes: Server, train: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    waits = {0: RUNS, 1: PENDING, D0: RUNS}
    kubernetes.attempts = [[waits, {0: RUNS, 1: RUNS, D0: failed(137)}, {0: RUNS, 1: failed(139), D0: failed(137)}]]
    kubernetes.attempts += [[{0: DONE, 1: DONE, D0: RUNS}]]
    train(data_workers=1)
    said = capsys.readouterr()
    assert "all pods have started: 2 machines and 1 data worker\n" in said.out
    assert said.err.startswith("warning: machine 1 (pod ")


def test_time_in_a_queue_does_not_count(
    kubernetes: Server, train: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    kubernetes.attempts, kubernetes.suspended = [[{0: DONE, 1: DONE}]], 30
    train(wait_minutes=0.001)
    assert "machine 1 waits: its queue holds it back" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (403, r"cannot create resource .jobsets.; give the step's account the rights of man"),
        (404, r"needs JobSet, which this cluster does not have .* an administrator installs it once: kubectl apply"),
    ],
)
def test_missing_rights_and_a_missing_jobset_are_named(
    status: int, said: str, kubernetes: Server, train: Callable[..., None]
) -> None:
    kubernetes.refused = status
    with pytest.raises(InputError, match=said):
        train()


def test_kubernetes_may_be_away_for_a_while(kubernetes: Server, train: Callable[..., None]) -> None:
    kubernetes.attempts, kubernetes.away = [[{0: DONE, 1: DONE}]], 10
    train()
    assert kubernetes.away == 0


def test_a_deleted_job_set_is_the_end(
    kubernetes: Server, train: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    kubernetes.attempts = [[{0: RUNS, 1: RUNS}]]
    monkeypatch.setattr(kubernetes, "_job_set", lambda name: kubernetes.job_sets.pop(name))
    with pytest.raises(InputError, match="somebody deleted the JobSet openpose-train-5ad7c0f4-"):
        train()


def test_one_that_is_being_deleted_is_waited_for(kubernetes: Server, train: Callable[..., None]) -> None:
    kubernetes.attempts, kubernetes.ending = [[{0: DONE, 1: DONE}]], 3
    train()
    assert kubernetes.ending == 0
    assert len(kubernetes.made) == 1


def test_machines_outlive_a_step_that_is_stopped(
    kubernetes: Server, train: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    kubernetes.attempts, stop = [[{0: RUNS, 1: RUNS}]], threading.Event()
    threading.Timer(0.3, stop.set).start()
    with pytest.raises(sigterm.Interrupted) as ended:
        train(stop=stop)
    assert ended.value.code == 143
    assert kubernetes.job_sets
    kubernetes.attempts = [[{0: DONE, 1: DONE}]]
    train()
    assert "is there already; this step goes on watching it" in capsys.readouterr().out
    assert len(kubernetes.made) == 1


GOES_ON: dict[str, Any] = {"metadata": {}, "spec": {}, "status": {"phase": "Running"}}


@pytest.mark.parametrize(
    "ended",
    [
        {"metadata": {}, "spec": {"activeDeadlineSeconds": 0}},
        {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}, "spec": {}},
        {"metadata": {}, "spec": {}, "status": {"phase": "Failed"}},
    ],
    ids=["terminated", "deleted", "failed"],
)
def test_training_ends_with_its_run(
    ended: dict[str, Any], kubernetes: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cluster, "LOOK", 0.05)
    training = pods.Training(["train"], 2, 0, Machine("1", "1Gi", "", 1))
    kubernetes.job_sets = {name: pods.job_set(STEP, name, training) for name in ("a", "b")}
    kubernetes.workflow, stop = GOES_ON, threading.Event()
    there = Cluster(client.ApiClient(client.Configuration(host=kubernetes.address)), "here", stop)
    threading.Timer(0.3, stop.set).start()
    with pytest.raises(sigterm.Interrupted):
        there.delete_after("a", "run")
    assert set(kubernetes.job_sets) == {"a", "b"}, "while the run goes on"
    stop.clear()
    kubernetes.workflow = ended
    there.delete_after("a", "run")
    assert set(kubernetes.job_sets) == {"b"}
    assert "the run has ended, so the JobSet a is deleted" in capsys.readouterr().out
