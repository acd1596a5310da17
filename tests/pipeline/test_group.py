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
from components.train.machine import Machine
from openpose.errors import InputError
from openpose.training import sigterm
from tests.pipeline import kubernetes_server
from tests.pipeline.kubernetes_server import Server

STEP = yaml.safe_load((Path(__file__).parent / "step_pod.yaml").read_text())
RUNS: dict[str, Any] = {"state": {"running": {}}}
DONE: dict[str, Any] = {"state": {"terminated": {"exitCode": 0, "finishedAt": "2026-01-01T00:10:00Z"}}}
PENDING: dict[str, Any] = {}


def failed(code: int, second: int = 0, said: str = "", **others: Any) -> dict[str, Any]:
    """The status of a pod whose program has ended."""
    end = {"exitCode": code, "finishedAt": f"2026-01-01T00:10:{second:02d}Z", "message": said, **others}
    return {"state": {"terminated": end}}


@pytest.fixture
def kubernetes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(cluster, "POLL", 0.01)
    with kubernetes_server.serving(Server(STEP)) as server:
        yield server


@pytest.fixture
def train(kubernetes: Server) -> Callable[..., None]:
    """Trains on two machines."""

    def start(wait_minutes: float = 1, stop: threading.Event | None = None) -> None:
        api = client.ApiClient(client.Configuration(host=kubernetes.address))
        training = pods.Training(["train"], 2, 0, Machine("1", "1Gi", "", wait_minutes))
        group.Group(Cluster(api, "here", stop or threading.Event()), STEP["metadata"]["name"], training).run()

    return start


def test_first_machines_log_is_the_steps_and_nothing_is_left(
    kubernetes: Server, train: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    kubernetes.tries = [[{0: PENDING, 1: PENDING}, {0: RUNS, 1: PENDING}, {0: RUNS, 1: RUNS}, {0: DONE, 1: DONE}]]
    first, second = "2026-01-01T00:00:01.000000000Z step 1\n", "2026-01-01T00:00:02.000000000Z step 2\n"
    kubernetes.logs = [first, first + second]  # the connection was cut in between
    train()
    said = capsys.readouterr().out
    assert said.count("step 1\n") == said.count("step 2\n") == 1
    assert "all 2 machines have started" in said
    assert [each["kind"] for each in kubernetes.made] == ["Job", "Service"]
    assert not kubernetes.jobs


def test_all_start_anew_when_one_fails(
    kubernetes: Server, train: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    aborted = failed(1, second=2, said="Traceback …\nUnavailableError: Collective ops is aborted")
    kubernetes.tries = [[{0: RUNS, 1: RUNS}, {0: aborted, 1: failed(139, second=1, said="x\nSegmentation fault")}]]
    kubernetes.tries += [[{0: RUNS, 1: RUNS}, {0: DONE, 1: DONE}]]
    train()
    said = capsys.readouterr()
    assert "machine 1: x\nmachine 1: Segmentation fault\n" in said.out
    assert "warning: machine 1 (pod openpose-train-3f0c9a52-1-1-pod1) ended with exit code 139: Segmen" in said.err
    names = [each["metadata"]["name"] for each in kubernetes.made if each["kind"] == "Job"]
    assert names == ["openpose-train-3f0c9a52-1", "openpose-train-3f0c9a52-2"]


DELETED = RUNS | {"deleted": "2026-01-01T00:11:00Z"}
TAKEN = {"type": "DisruptionTarget", "status": "True", "message": "preempted for another pod"}


@pytest.mark.parametrize(
    ("pod", "said"),
    [
        (failed(137, reason="OOMKilled"), "was killed because it ran out of memory (OOMKilled); give it more memory"),
        (failed(137) | {"message": "The node was low on resource: memory."}, "ended: The node was low on resource"),
        (failed(143) | {"conditions": [TAKEN]}, "was taken away: preempted for another pod"),
        (failed(143), "was stopped (SIGTERM), as when its node is drained"),
        ({"gone": True}, "machine 1: its pod was deleted"),
        (RUNS | {"deleted": "2026-01-01T00:10:30Z"}, "machine 1: its pod was deleted"),
        (RUNS | {"deleted": "2026-01-01T00:12:00Z", "conditions": [TAKEN]}, "machine 1 was taken away: preempted"),
    ],
)
def test_third_failure_is_the_end_and_says_why(
    pod: dict[str, Any], said: str, kubernetes: Server, train: Callable[..., None]
) -> None:
    told_to_end = failed(143) | {"deleted": "2026-01-01T00:11:00Z"}  # by the Job, after another pod failed
    kubernetes.tries = [[{0: RUNS, 1: RUNS}, {0: RUNS, 1: RUNS}, {0: told_to_end, 1: pod}] for _ in range(3)]
    with pytest.raises(InputError) as ended:
        train()
    assert str(ended.value).startswith("a machine failed 3 times, the last time: machine 1")
    assert said in str(ended.value)
    assert not kubernetes.jobs


@pytest.mark.parametrize(
    "last", [{0: {"gone": True}, 1: {"gone": True}}, {0: {"gone": True}, 1: DELETED}, {0: DELETED, 1: DELETED}]
)
@pytest.mark.parametrize(
    ("deletions", "machine"),
    [
        ([("DELETED", 1), ("MODIFIED", 0), ("DELETED", 0)], 1),
        ([("MODIFIED", 0), ("DELETED", 1), ("DELETED", 0)], 0),
        ([], 0),
    ],
)
def test_the_pod_that_was_deleted_first_is_named(
    last: dict[int, Any], deletions: list[tuple[str, int]], machine: int, kubernetes: Server, train: Callable[..., None]
) -> None:
    """Also when both are gone before the next look; the Job deletes the others when one is lost."""
    kubernetes.tries, kubernetes.deletions = [[{0: RUNS, 1: RUNS}, last] for _ in range(3)], deletions
    with pytest.raises(InputError, match=f"the last time: machine {machine}: its pod was deleted"):
        train()


def test_what_the_training_cannot_use_is_not_tried_again(kubernetes: Server, train: Callable[..., None]) -> None:
    wrong = failed(1, said="some line\nerror: gpus is 4, but 2 are visible here\n")
    kubernetes.tries = [[{0: RUNS, 1: RUNS}, {0: failed(1, second=5, said="aborted"), 1: wrong}]]
    with pytest.raises(InputError, match=r"^machine 1: gpus is 4, but 2 are visible here$"):
        train()
    assert len(kubernetes.made) == 2


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
        ({0: RUNS}, {"openpose-train-3f0c9a52-1": "exceeded quota: openpose"}, "exceeded quota: openpose"),
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
    kubernetes.tries, kubernetes.warnings = [[look]], warnings
    with pytest.raises(InputError, match=r"machine 1 has not started within .*wait_minutes in the settings") as ended:
        train(wait_minutes=0.002)
    assert f"({said})" in str(ended.value)
    assert capsys.readouterr().out.count(f"machine 1 waits: {said}\n") == 1
    assert not kubernetes.jobs


def test_time_in_a_queue_does_not_count(
    kubernetes: Server, train: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    kubernetes.tries, kubernetes.suspended = [[{0: DONE, 1: DONE}]], 30
    train(wait_minutes=0.001)
    assert "machine 1 waits: its queue holds it back" in capsys.readouterr().out


def test_lease_is_renewed_while_the_step_lives(
    kubernetes: Server, train: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pods, "LEASE", 1)
    kubernetes.tries = [[{0: RUNS, 1: RUNS} for _ in range(40)] + [{0: DONE, 1: DONE}]]
    train()
    assert kubernetes.made[0]["spec"]["activeDeadlineSeconds"] == 1
    assert kubernetes.leases
    assert min(kubernetes.leases) >= 1


def test_missing_rights_are_named(kubernetes: Server, train: Callable[..., None]) -> None:
    kubernetes.refused = "jobs"
    with pytest.raises(InputError, match=r"cannot create resource .jobs.; give the step's account the rights of man"):
        train()


def test_job_does_not_stay_without_its_service(kubernetes: Server, train: Callable[..., None]) -> None:
    kubernetes.refused = "services"
    with pytest.raises(InputError, match=r"cannot create resource .services."):
        train()
    assert not kubernetes.jobs


def test_kubernetes_may_be_away_for_a_while(kubernetes: Server, train: Callable[..., None]) -> None:
    kubernetes.tries, kubernetes.away = [[{0: DONE, 1: DONE}]], 10
    train()
    assert kubernetes.away == 0


def test_job_that_somebody_deleted_counts_as_a_failure(
    kubernetes: Server, train: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    kubernetes.tries = [[{0: RUNS, 1: RUNS}] for _ in range(3)]
    monkeypatch.setattr(kubernetes, "_job", lambda name: kubernetes.jobs.pop(name) | {"status": {}})
    with pytest.raises(InputError, match="3 times, the last time: the Job openpose-train-3f0c9a52-3 was deleted"):
        train()


def test_stopped_step_deletes_its_machines(kubernetes: Server, train: Callable[..., None]) -> None:
    kubernetes.tries, stop = [[{0: RUNS, 1: RUNS}]], threading.Event()
    threading.Timer(0.3, stop.set).start()
    with pytest.raises(sigterm.Interrupted) as ended:
        train(stop=stop)
    assert ended.value.code == 143
    assert not kubernetes.jobs
