"""The JobSet of a training on several machines, on a real Kubernetes: with small programs in place of the training.

It lives in a namespace of its own, under the restricted standard, and is started with the rights of the account
`openpose-runner` alone. Needs what tests/cluster/test_cluster.py needs, and JobSet.
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

from components.train import pods
from components.train.cluster import Cluster
from components.train.group import Group
from components.train.machine import REFUSED, TRAIN, Machine
from openpose.errors import InputError
from openpose.training import sigterm
from pipelines import images, kfp_api

ROOT = Path(__file__).resolve().parent.parent.parent
NAMESPACE = "openpose-group-test"
SMALL = Machine(cpu="100m", memory="64Mi", accelerator="example.com/gpu", wait_minutes=5)
STARTED = 300  # seconds for pods to find room beside those of the other files' tests
OTHER = """
import json, os, signal, socket, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
tf_config = json.loads(os.environ["TF_CONFIG"])
number, addresses = tf_config["task"]["index"], tf_config["cluster"]["worker"]
attempt = int(os.environ["ATTEMPT"])
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1200),
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
    """The name of a pod like that of the training's step, and of the workflow that owns it."""
    image = images.read(images.BUILT)["cpu"]["image"]
    if image == images.PLACEHOLDER:
        pytest.skip("needs images: make images")
    name = f"{time.time_ns() // 10**6 % 10**8:08d}"
    workflow = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"name": name},
        "spec": {"entrypoint": "main", "suspend": True, "templates": [{"name": "main", "suspend": {}}]},
    }
    kubectl("create", "-f", "-", given=json.dumps(workflow))
    kubectl("create", "-f", "-", given=json.dumps(_step_pod(name, image)))
    kubectl("wait", "--for=condition=Ready", "--timeout=120s", f"pod/{name}")
    yield name
    kubectl("delete", "workflow", name, "--ignore-not-found", "--wait=false")


def _step_pod(name: str, image: str) -> dict[str, Any]:
    uid = kubectl("get", "workflow", name, "-o", "jsonpath={.metadata.uid}")
    owner = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "name": name, "uid": uid, "controller": True}
    attempt = {"fieldRef": {"fieldPath": f"metadata.labels['{pods.ATTEMPT}']"}}
    main = {
        "name": "main",
        "image": image,
        "command": ["sleep", "3600"],
        "env": [
            {"name": "KFP_POD_NAME", "value": "x"},
            {"name": "GREETING", "value": "hello"},
            {"name": "ATTEMPT", "valueFrom": attempt},
        ],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumeMounts": [{"name": "shm", "mountPath": "/dev/shm"}, {"name": "scratch", "mountPath": "/scratch"}],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "labels": {pods.RUN: name, pods.WORKFLOW_LABEL: name},
            "ownerReferences": [owner],
        },
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
    thread.join(timeout=STARTED)
    assert not thread.is_alive()


def left(step: str) -> dict[str, list[str]]:
    """What a step's group has left: the names of its JobSets and pods."""
    selector = f"app.kubernetes.io/name={TRAIN},{pods.RUN}={step}"
    return {
        kind: found
        for kind in ("jobsets", "pods")
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


def test_one_failure_starts_all_again(api: client.ApiClient, step: str, capsys: pytest.CaptureFixture[str]) -> None:
    program = "print('attempt', attempt)\nif not attempt and number: time.sleep(5); sys.exit('it broke')\n"
    program += "time.sleep(1 if attempt else 3600)"
    started(api, step, program).run()
    said = capsys.readouterr()
    assert said.out.index("attempt 0") < said.out.index("machine 1: it broke") < said.out.index("attempt 1")
    assert "machine 1 (pod openpose-train-" in said.err
    assert "ended with exit code 1: it broke; all machines start again" in said.err
    assert "(failure 1 of at most 3)" in said.err


def test_third_failure_is_the_end(api: client.ApiClient, step: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match=r"failed 3 times, the last time: machine 1 .* ended with exit code 137"):
        started(api, step, "if number: time.sleep(3); os._exit(137)\ntime.sleep(3600)").run()
    assert "(failure 2 of at most 3)" in capsys.readouterr().err
    wait(60, lambda: not left(step))


def evict(pod: str) -> None:
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": NAMESPACE}}
    path = f"/api/v1/namespaces/{NAMESPACE}/pods/{pod}/eviction"
    kubectl("create", "--raw", path, "-f", "-", given=json.dumps(body))


def test_evictions_do_not_count(api: client.ApiClient, step: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The evicted machine tells the other one and takes 3 seconds to end, so that the other one ends before it."""
    times = pods.FAILURES + 1
    program = f"""
def end(*_):
    socket.create_connection((addresses[0].split(":")[0], 2222)).close()
    time.sleep(3)
    sys.exit(143)

if attempt < {times}:
    if number:
        signal.signal(signal.SIGTERM, end)
        time.sleep(3600)
    socket.create_server(("", 2222)).accept()
    sys.exit(143)
"""
    with beside(started(api, step, program).run) as ended:
        for _ in range(times):
            seen = wait(STARTED, lambda: running(step))
            evict(seen[1]["metadata"]["name"])
            wait(60, lambda: not running(step))
    assert not ended
    said = capsys.readouterr().err
    assert said.count("machine 1") == said.count("was taken away") == times
    assert f"(restart {times}, not a failure)" in said


def test_what_the_training_cannot_use_is_not_tried_again(api: client.ApiClient, step: str) -> None:
    program = f"if number: print('error: gpus is 4, but 2 are visible here'); sys.exit({REFUSED})\ntime.sleep(3600)"
    with pytest.raises(InputError, match=r"^machine 1: gpus is 4, but 2 are visible here$"):
        started(api, step, program).run()
    wait(60, lambda: not left(step))


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


def test_next_pod_of_the_step_goes_on_watching(
    api: client.ApiClient, step: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also when the earlier one was told to end, as when its node is drained."""
    program, stop = "time.sleep(40)\nprint('done by', socket.gethostname())", threading.Event()
    with beside(started(api, step, program, stop=stop).run) as ended:
        before = {pod["metadata"]["uid"] for pod in wait(STARTED, lambda: running(step))}
        stop.set()
    assert isinstance(ended[0], sigterm.Interrupted)
    assert {pod["metadata"]["uid"] for pod in running(step)} == before
    started(api, step, program).run()
    said = capsys.readouterr().out
    assert "is there already; this step goes on watching it\n" in said
    assert "done by openpose-train-" in said
    wait(60, lambda: not left(step))


def test_nothing_is_left_when_the_run_is_stopped(api: client.ApiClient, step: str) -> None:
    """Kubeflow stops a run by leaving its workflow no time."""
    stop = threading.Event()
    with beside(started(api, step, "time.sleep(3600)", stop=stop).run) as ended:
        wait(STARTED, lambda: running(step))
        (job_set,) = left(step)["jobsets"]
        machine = Cluster(api, NAMESPACE, threading.Event())  # the first one, which looks whether its run goes on
        with beside(lambda: machine.delete_after(job_set.partition("/")[2], step)):
            stop.set()
            kubectl("patch", "workflow", step, "--type=merge", "-p", '{"spec": {"activeDeadlineSeconds": 0}}')
    assert isinstance(ended[0], sigterm.Interrupted)
    wait(pods.GRACE + 60, lambda: not left(step))


def test_nothing_is_left_when_the_workflow_is_deleted(api: client.ApiClient, step: str) -> None:
    with beside(started(api, step, "time.sleep(3600)").run) as ended:
        wait(STARTED, lambda: running(step))
        kubectl("delete", "workflow", step)
        wait(pods.GRACE + 60, lambda: not left(step))
    assert "somebody deleted the JobSet" in str(ended[0])
