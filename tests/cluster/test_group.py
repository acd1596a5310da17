"""The pods of a training on several machines, on a real Kubernetes: with small programs in place of the training.

They live in a namespace of their own, under the restricted standard, and are started with the rights of the account
`openpose-runner` alone. Needs what tests/cluster/test_cluster.py needs, but not Kubeflow.
"""

import contextlib
import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes import client, config

from components.train import group, pods
from components.train.cluster import Cluster
from components.train.group import Group
from components.train.machine import TRAIN, Machine
from openpose.errors import InputError
from openpose.training import sigterm
from pipelines import images, kfp_api

ROOT = Path(__file__).resolve().parent.parent.parent
NAMESPACE = "openpose-group-test"
SMALL = Machine(cpu="100m", memory="64Mi", accelerator="example.com/gpu", wait_minutes=5)
OTHER = """
import json, os, signal, socket, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
tf_config = json.loads(os.environ["TF_CONFIG"])
number, addresses = tf_config["task"]["index"], tf_config["cluster"]["worker"]
first_try = addresses[0].split(".")[0].endswith("-1-0")
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not os.environ.get(kfp_api.ENDPOINT), reason=f"needs a cluster, named by {kfp_api.ENDPOINT}"),
    pytest.mark.skipif(shutil.which("kubectl") is None, reason="needs kubectl"),
]


def kubectl(*arguments: str, given: str | None = None) -> str:
    command = ["kubectl", "--namespace", NAMESPACE, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, input=given)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def namespace() -> Iterator[None]:
    """A namespace with the account of the runs, its role and nothing else."""
    metadata = {"name": NAMESPACE, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}
    made = {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
    subprocess.run(["kubectl", "apply", "-f", "-"], input=json.dumps(made), text=True, check=True)
    objects = [
        each
        for file in ("service-accounts.yaml", "roles.yaml", "network-policies.yaml")
        for each in yaml.safe_load_all((ROOT / "manifests/base" / file).read_text())
    ]
    kubectl("apply", "-f", "-", given=yaml.safe_dump_all(objects))
    yield
    subprocess.run(["kubectl", "delete", "namespace", NAMESPACE], check=True)


@pytest.fixture(scope="module")
def api(namespace: None) -> client.ApiClient:
    """The API as a pod of a run sees it."""
    configuration = client.Configuration()
    config.load_kube_config(client_configuration=configuration)
    configuration.cert_file = configuration.key_file = None
    token = kubectl("create", "token", "openpose-runner").strip()
    configuration.api_key = {"authorization": f"Bearer {token}"}
    return client.ApiClient(configuration)


@pytest.fixture
def step(api: client.ApiClient) -> Iterator[str]:
    """The name of a pod like that of the training's step."""
    image = images.read(images.BUILT)["cpu"]["image"]
    if image == images.PLACEHOLDER:
        pytest.skip("needs images: make images")
    main = {
        "name": "main",
        "image": image,
        "command": ["sleep", "3600"],
        "env": [{"name": "KFP_POD_NAME", "value": "x"}, {"name": "GREETING", "value": "hello"}],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumeMounts": [{"name": "shm", "mountPath": "/dev/shm"}, {"name": "scratch", "mountPath": "/scratch"}],
    }
    name = f"step-{time.time_ns()}"
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {pods.RUN: name}},
        "spec": {
            "serviceAccountName": "openpose-runner",
            "terminationGracePeriodSeconds": 1,
            "containers": [main],
            "volumes": [
                {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "8Mi"}},
                {"name": "scratch", "emptyDir": {}},
            ],
        },
    }
    kubectl("apply", "-f", "-", given=json.dumps(pod))
    kubectl("wait", "--for=condition=Ready", "--timeout=120s", f"pod/{name}")
    yield name
    kubectl("delete", "pod", name, "--ignore-not-found", "--wait=false")


def started(
    api: client.ApiClient, step: str, program: str, machine: Machine = SMALL, stop: threading.Event | None = None
) -> Group:
    command = ["python", "-c", OTHER + program]
    training = pods.Training(command, 2, 0, machine)
    return Group(Cluster(api, NAMESPACE, stop or threading.Event()), step, training)


@contextlib.contextmanager
def beside(run: Callable[[], None]) -> Iterator[list[BaseException]]:
    """Runs a group in a thread while the block goes on; what it ended with stands in the list afterwards."""
    ended: list[BaseException] = []

    def work() -> None:
        try:
            run()
        except BaseException as error:
            ended.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    yield ended
    thread.join(timeout=120)
    assert not thread.is_alive()


def left(step: str) -> dict[str, list[str]]:
    """What a step's group has left: the names of its Jobs, Services and pods."""
    selector = f"app.kubernetes.io/name={TRAIN},{pods.RUN}={step}"
    return {
        kind: found
        for kind in ("jobs", "services", "pods")
        if (found := kubectl("get", kind, "-l", selector, "-o", "name").split())
    }


def wait(seconds: float, what: Callable[[], Any]) -> Any:
    """The first result of `what` that is true."""
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(1)
    return found


def running(step: str) -> list[dict[str, Any]]:
    """The pods of both machines when they run, else none."""
    selector = f"app.kubernetes.io/name={TRAIN},{pods.RUN}={step}"
    found = json.loads(kubectl("get", "pods", "-l", selector, "-o", "json"))["items"]
    run = [pod for pod in found if pod["status"]["phase"] == "Running" and "deletionTimestamp" not in pod["metadata"]]
    return run if len(run) == 2 else []


MEET = """
print(f"{os.environ['GREETING']} from {number}; {os.environ.get('KFP_POD_NAME')}; shm {os.path.ismount('/dev/shm')}")
with socket.create_server(("", int(addresses[number].split(":")[1]))) as server:
    while True:
        try:
            socket.create_connection((addresses[1 - number].split(":")[0], 2222), timeout=1).close()
            break
        except OSError as error:
            time.sleep(0.2)
    print("met", addresses[1 - number])
    time.sleep(3)
"""


def test_machines_find_each_other_and_the_first_ones_log_is_the_steps(
    api: client.ApiClient, step: str, capsys: pytest.CaptureFixture[str]
) -> None:
    started(api, step, MEET).run()
    said = capsys.readouterr().out
    assert "hello from 0; None; shm True\n" in said
    assert "hello from 1" not in said
    assert "met openpose-train-" in said
    wait(60, lambda: not left(step))


def test_one_failure_starts_all_anew(api: client.ApiClient, step: str, capsys: pytest.CaptureFixture[str]) -> None:
    program = "print('try', first_try)\nif first_try and number: time.sleep(5); sys.exit('it broke')\n"
    program += "time.sleep(3600 if first_try else 1)"
    started(api, step, program).run()
    said = capsys.readouterr()
    assert said.out.index("try True") < said.out.index("machine 1: it broke") < said.out.index("try False")
    assert "machine 1 (pod openpose-train-" in said.err
    assert "ended with exit code 1: it broke (failure 1 of at most 3)" in said.err


def test_third_time_that_a_pod_is_lost_is_the_end(api: client.ApiClient, step: str) -> None:
    with beside(started(api, step, "time.sleep(3600)").run) as ended:
        for _ in range(group.FAILURES):
            seen = wait(120, lambda: running(step))
            kubectl("delete", "pod", seen[1]["metadata"]["name"], "--force", "--grace-period=0")
            wait(60, lambda: not running(step))
    (error,) = ended
    assert isinstance(error, InputError)
    assert "a machine failed 3 times, the last time: machine 1" in str(error)
    wait(60, lambda: not left(step))


def test_what_the_training_cannot_use_is_not_tried_again(api: client.ApiClient, step: str) -> None:
    program = "if number: sys.exit('error: gpus is 4, but 2 are visible here')\ntime.sleep(3600)"
    with pytest.raises(InputError, match=r"^machine 1: gpus is 4, but 2 are visible here$"):
        started(api, step, program).run()


def test_pod_without_room_is_given_up_with_the_reason(
    api: client.ApiClient, step: str, capsys: pytest.CaptureFixture[str]
) -> None:
    large = Machine(cpu="1000", memory="64Mi", accelerator="", wait_minutes=0.1)
    with pytest.raises(InputError, match=r"machine 0 has not started within 6.0 s \(.*Insufficient cpu.*wait_minutes"):
        started(api, step, "", large).run()
    assert "machine 1 waits: 0/1 nodes are available: 1 Insufficient cpu" in capsys.readouterr().out
    wait(60, lambda: not left(step))


def test_pod_that_may_not_be_made_is_given_up_with_the_reason(api: client.ApiClient, step: str) -> None:
    kubectl("create", "quota", "tight", "--hard=limits.memory=100Mi")
    try:
        with pytest.raises(InputError, match=r"has not started within 6.0 s .*exceeded quota: tight"):
            started(api, step, "time.sleep(60)", Machine("100m", "64Mi", "", wait_minutes=0.1)).run()
    finally:
        kubectl("delete", "quota", "tight")


def test_nothing_is_left_when_the_step_is_stopped(api: client.ApiClient, step: str) -> None:
    stop = threading.Event()
    with beside(started(api, step, "time.sleep(3600)", stop=stop).run) as ended:
        wait(120, lambda: running(step))
        stop.set()
    assert isinstance(ended[0], sigterm.Interrupted)
    wait(pods.GRACE + 60, lambda: not left(step))


def test_nothing_is_left_when_the_steps_pod_is_deleted(api: client.ApiClient, step: str) -> None:
    stop = threading.Event()
    with beside(started(api, step, "time.sleep(3600)", stop=stop).run):
        wait(120, lambda: running(step))
        kubectl("delete", "pod", step, "--force", "--grace-period=0")
        wait(pods.GRACE + 60, lambda: not left(step))
        stop.set()


def test_nothing_is_left_when_the_step_is_killed(
    api: client.ApiClient, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pods, "LEASE", 20)
    monkeypatch.setattr(pods, "FORGET", 5)
    stop = threading.Event()
    watched = started(api, step, "time.sleep(3600)", stop=stop)
    monkeypatch.setattr(watched.cluster, "delete_job", lambda name: None)  # what a killed step does not come to
    with beside(watched.run):
        wait(120, lambda: running(step))
        time.sleep(40)
        assert running(step), "it must outlive its first lease"
        stop.set()
    wait(20 + 5 + pods.GRACE + 60, lambda: not left(step))


def test_next_try_of_the_step_ends_what_the_last_one_left(
    api: client.ApiClient, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop = threading.Event()
    killed = started(api, step, "time.sleep(3600)", stop=stop)
    monkeypatch.setattr(killed.cluster, "delete_job", lambda name: None)
    with beside(killed.run):
        old = {pod["metadata"]["name"] for pod in wait(120, lambda: running(step))}
        stop.set()
    started(api, step, "print('again')").run()
    assert not {each.removeprefix("pod/") for each in left(step).get("pods", [])} & old
