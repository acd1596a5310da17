"""The pipeline on a real Kubeflow Pipelines: `make test-cluster`, with KF_PIPELINES_ENDPOINT, kubectl and built images.

The images of build/images.json must be there for the nodes, and nobody else may be using the claim `openpose`. It is
deployed by the first test and stays. What a cluster cannot do is skipped with the reason.

    OPENPOSE_CLUSTER_RESTART    command that restarts the API server of Kubeflow Pipelines
    OPENPOSE_CLUSTER_REGISTRY   registry that Docker pushes to and the cluster pulls from
"""

import contextlib
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kfp import compiler, dsl, kubernetes

from components.finish.summary import ACCEPTED, FAILED, REJECTED
from components.train import machine
from components.train import pods as group_pods
from openpose.errors import InputError
from pipelines import follow, images, kfp_api, local, manifests
from pipelines import submit as pipelines_submit
from pipelines.kfp_api import Api
from pipelines.pod_logs import PodLogs
from tests import workflow

ROOT = Path(__file__).resolve().parent.parent.parent
NAMESPACE = os.environ.get(kfp_api.NAMESPACE) or "kubeflow"
GPU = "nvidia.com/gpu"
PAGES = "https://kubeflow.example.com/pipeline"  # where users would open Kubeflow's pages
ROOT_OF_TESTS = "/data/openpose-tests"
# What is made is not compared with other runs' champions.
TINY = {
    **{"size": 64, "width": 0.2, "stages": 1, "epochs": 1, "batch_size": 16, "formats": "onnx"},
    **{"tolerance": 1.0, "min_ap": -1},
    # A root and a registry of their own: a model that is worth nothing must not follow a real champion.
    **{"root": ROOT_OF_TESTS, "registry": "tests"},
}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(not os.environ.get(kfp_api.ENDPOINT), reason=f"needs a cluster, named by {kfp_api.ENDPOINT}"),
    pytest.mark.skipif(shutil.which("kubectl") is None, reason="needs kubectl"),
]


def kubectl(*arguments: str, check: bool = True) -> str:
    command = ["kubectl", "--namespace", NAMESPACE, *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0 or not check, done.stderr
    return done.stdout


@pytest.fixture(scope="module", autouse=True)
def deployed() -> None:
    """What the pipeline needs is deployed, every pod must fit the restricted standard, and old tests left nothing."""
    if images.read(images.BUILT)["cpu"]["image"] == images.PLACEHOLDER:
        pytest.skip("needs images: make images")
    kubectl("label", "--overwrite", "namespace", NAMESPACE, "pod-security.kubernetes.io/enforce=restricted")
    subprocess.run(["make", "deploy", "OVERLAY=local"], cwd=ROOT, check=True)
    volume(f"import shutil; shutil.rmtree({ROOT_OF_TESTS!r}, ignore_errors=True)")


@pytest.fixture(scope="module")
def api() -> Api:
    return kfp_api.connect()


def command(*flags: str, **parameters: Any) -> list[str]:
    given = [f"--param={name}={value}" for name, value in (TINY | parameters).items()]
    return [sys.executable, "-m", "pipelines.submit", "--settings", "small", "--allow-dirty", *given, *flags]


def submit(*flags: str, **parameters: Any) -> tuple[int, str]:
    """The exit code of a whole run, and what was said."""
    done = subprocess.run(command(*flags, **parameters), cwd=ROOT, capture_output=True, text=True)
    print(done.stdout, done.stderr)
    return done.returncode, done.stdout + done.stderr


@contextlib.contextmanager
def submitted(*flags: str, **parameters: Any) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A run that goes on while the block does, and its identifier; stopped at the end."""
    with subprocess.Popen(
        command(*flags, **parameters), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout
        said = ""
        while not (found := re.search(r"^run (\S+), version", said, re.MULTILINE)):
            line = process.stdout.readline()
            assert line, said
            said += line
        try:
            yield process, found[1]
        finally:
            if process.poll() is None:
                subprocess.run([sys.executable, "-m", "pipelines.runs", "cancel", found[1]], cwd=ROOT)
                process.kill()


def pods(run: str) -> list[dict[str, Any]]:
    return json.loads(kubectl("get", "pods", "-l", f"pipeline/runid={run}", "-o", "json"))["items"]


def wait(seconds: float, what: Any) -> Any:
    """The first result of `what` that is true."""
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(2)
    return found


def step(api: Api, run: str, name: str, state: str) -> follow.Step | None:
    return next((each for each in follow.steps(api.nodes(run)) if (each.name, each.state) == (name, state)), None)


def volume(program: str) -> str:
    """What a Python program prints in a pod that sees the volume."""
    image = images.read(images.BUILT)["cpu"]["image"]
    restricted = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    container = {
        "name": "look",
        "image": image,
        "command": ["python", "-c", program],
        "securityContext": restricted,
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
    }
    claim = {"name": "data", "persistentVolumeClaim": {"claimName": "openpose"}}
    overrides = {"spec": {"containers": [container], "volumes": [claim], "restartPolicy": "Never"}}
    kubectl("delete", "pod", "openpose-look", "--ignore-not-found")
    kubectl("run", "openpose-look", f"--image={image}", "--restart=Never", f"--overrides={json.dumps(overrides)}")
    wait(
        300, lambda: kubectl("get", "pod", "openpose-look", "-o", "jsonpath={.status.phase}") in ("Succeeded", "Failed")
    )
    said = kubectl("logs", "openpose-look")
    kubectl("delete", "pod", "openpose-look")
    return said


def test_wrong_parameter_fails_in_the_first_step_and_is_said(api: Api) -> None:
    code, said = submit(size="100")
    assert code == FAILED
    assert "failed: check: input size 100×100: both sides must be multiples of 8" in said
    assert "coco-download" not in said


def test_choice_outside_the_drop_down_is_refused_before_anything_starts(api: Api) -> None:
    # Through the API, as Kubeflow's form sends it: `submit` itself would find the mistake.
    plan = pipelines_submit.planned(pipelines_submit.Request(settings="small", allow_dirty=True))
    plan.run["display_name"] = "refused"
    plan.run["runtime_config"]["parameters"]["model"] = "no_such_network"
    with pytest.raises(InputError, match=r"no_such_network.*mobilenet_thin"):
        api.start(pipelines_submit.sendable(api, plan, "openpose"))


@pytest.fixture(scope="module")
def sample_run() -> tuple[str, str]:
    """A run that trained the sample: its identifier and what was said. Later runs of its data find it drawn."""
    code, said = submit()
    assert code == ACCEPTED, said
    found = re.search(r"^run (\S+), version", said, re.MULTILINE)
    assert found
    return found[1], said


def test_sample_is_trained_and_its_graph_on_the_volume_loads(sample_run: tuple[str, str]) -> None:
    graph = re.search(r"^  graph +(\S+)$", sample_run[1], re.MULTILINE)
    assert graph
    program = (
        "from openpose import model_files, skeleton; import numpy; "
        f"model = model_files.load({graph[1]!r}, skeleton.get('openpose18')); "
        "print(model.maps(numpy.zeros((1, 64, 64, 3)))[0].shape)"
    )
    assert "(1, 8, 8, 19)" in volume(program)


def test_verdict_needs_no_log(sample_run: tuple[str, str], api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PodLogs, "read", lambda self, pod: "")
    end = follow.follow(api, sample_run[0], 0.1)
    assert (end.verdict, end.code) == ("accepted", ACCEPTED)


def test_model_is_fetched_by_run_and_by_champion(sample_run: tuple[str, str], tmp_path: Path) -> None:
    root = f"--root {ROOT_OF_TESTS}"
    make("fetch-model", f"OUT={tmp_path}/run", f"RUN={sample_run[0]}", f"ARGS={root}")
    make("fetch-model", f"OUT={tmp_path}/champion", f"ARGS={root} --registry tests")
    (model,), (same,) = (list((tmp_path / name / "models").iterdir()) for name in ("run", "champion"))
    files = {path.name: path.read_bytes() for path in model.iterdir()}
    assert {"graph.pb", "model.onnx", "manifest.json", "model_card.md"} <= files.keys()
    assert files == {path.name: path.read_bytes() for path in same.iterdir()}


def test_disk_use_is_printed_each_time(sample_run: tuple[str, str]) -> None:
    for _ in range(3):  # the log of a pod that ends within seconds is easily missed
        lines = make("prune", f"ARGS=--root {ROOT_OF_TESTS}").splitlines()
        assert lines[0].split() == ["kind", "size", "removable"]
        assert lines[-1].split()[0] == "all"
        assert not [line for line in lines if line.startswith("would remove")]


def another_teams_pipeline(image: str) -> Any:
    """A pipeline that knows nothing of this one."""

    @dsl.component(base_image=image, install_kfp_package=False)
    def churn() -> None:
        print("hello")

    def whole() -> None:
        kubernetes.set_security_context(churn(), run_as_non_root=True)

    return dsl.pipeline(name="openpose-test-another-team")(whole)


def test_policy_of_runs_leaves_another_teams_pipeline_alone(
    sample_run: tuple[str, str], api: Api, tmp_path: Path
) -> None:
    file = tmp_path / "other.yaml"
    compiler.Compiler().compile(another_teams_pipeline(images.read(images.BUILT)["cpu"]["image"]), str(file))
    pipeline = api.pipeline("openpose-test-another-team", "Of tests.")
    version = api.upload_version(pipeline, secrets.token_hex(4), file.read_bytes())
    reference = {"pipeline_id": pipeline, "pipeline_version_id": version}
    asked = {"display_name": "another team's", "experiment_id": api.experiment("openpose")}
    run = api.start({**asked, "pipeline_version_reference": reference, "runtime_config": {}})
    wait(300, lambda: api.run(run).get("state") == "SUCCEEDED")
    policy = json.loads(kubectl("get", "networkpolicy", "openpose-runs", "-o", "json"))["spec"]["podSelector"]
    selector = ",".join(f"{each['key']} in ({','.join(each['values'])})" for each in policy["matchExpressions"])

    def selected(run: str) -> list[str]:
        return kubectl("get", "pods", "-l", f"pipeline/runid={run},{selector}", "-o", "name").split()

    assert len(pods(run)) > 1
    assert selected(run) == []
    assert len(selected(sample_run[0])) > 5


def test_again_finds_what_is_done(sample_run: tuple[str, str], api: Api) -> None:
    with submitted() as (process, run):
        assert process.wait() == ACCEPTED
    for name in ("coco-download", "train"):
        done = step(api, run, name, "done")
        assert done
        assert "nothing to do" in PodLogs(api, run).read(done.pod)


def test_rejected_by_the_verdict() -> None:
    code, said = submit(min_ap=0.99)
    assert code == REJECTED
    assert "is below the required 0.990" in said


def test_training_goes_on_after_its_pod_was_deleted(api: Api) -> None:
    with submitted(epochs=6, seed=1) as (process, run):
        training = wait(900, lambda: step(api, run, "train", "running"))
        wait(600, lambda: "2/6" in kubectl("logs", training.pod, "-c", "main", check=False))  # epoch 1 is saved
        kubectl("delete", "pod", training.pod, "--force", "--grace-period=0")
        assert process.wait() == ACCEPTED
    done = step(api, run, "train", "done")
    assert done
    said = PodLogs(api, run).read(done.pod)
    assert "6/6" in said
    assert "1/6" not in said


@pytest.fixture
def two_gpus(tmp_path: Path) -> Iterator[Path]:
    """Settings for a node that says that it has two GPUs; the pods get no device."""
    nodes = json.loads(kubectl("get", "nodes", "-o", "json"))["items"]
    if any(GPU in node["status"]["capacity"] for node in nodes):
        pytest.skip("this cluster has GPUs of its own, which must not be lied about")
    name, path = nodes[0]["metadata"]["name"], GPU.replace("/", "~1")
    changes = [{"op": "add", "path": f"/status/{field}/{path}", "value": "2"} for field in ("capacity", "allocatable")]
    kubectl("patch", "node", name, "--subresource=status", "--type=json", f"-p={json.dumps(changes)}")
    settings = tmp_path / "gpu.yaml"
    small = (ROOT / "pipelines/clusters/small.yaml").read_text()
    settings.write_text(small.replace("train: {", f"train: {{accelerator: {GPU}, "))
    cpu = images.read(images.BUILT)["cpu"]
    (tmp_path / "images.json").write_text(json.dumps({"cpu": cpu, "gpu": cpu}))
    yield tmp_path
    changes = [{"op": "remove", "path": change["path"]} for change in changes]
    kubectl("patch", "node", name, "--subresource=status", "--type=json", f"-p={json.dumps(changes)}")


@pytest.mark.parametrize("gpus", [2, 3])
def test_pod_asks_for_the_gpus_of_the_parameter(gpus: int, two_gpus: Path, api: Api) -> None:
    flags = ["--settings", str(two_gpus / "gpu.yaml"), "--images", str(two_gpus / "images.json")]
    with submitted(*flags, gpus=gpus, batch_size=12) as (process, run):
        waiting = wait(900, lambda: step(api, run, "train", "running" if gpus == 2 else "waiting"))
        (pod,) = [each for each in pods(run) if each["metadata"]["name"] == waiting.pod]
        main = next(each for each in pod["spec"]["containers"] if each["name"] == "main")
        assert main["resources"]["limits"][GPU] == str(gpus)
        if gpus == 3:
            why = wait(120, lambda: (step(api, run, "train", "waiting") or waiting).why)
            assert f"Insufficient {GPU}" in why
        else:  # there is no device, and the step says so
            assert process.wait() == FAILED
            assert process.stdout
            assert "gpus is 2, but 0 are visible here" in process.stdout.read()


def test_nothing_is_left_of_a_terminated_run(api: Api) -> None:
    with submitted(epochs=50, seed=2) as (process, run):
        wait(900, lambda: step(api, run, "train", "running"))
        subprocess.run(["make", "cancel", f"RUN={run}"], cwd=ROOT, check=True)
        assert process.wait() == follow.ENDED
        wait(120, lambda: all(pod["status"]["phase"] in ("Succeeded", "Failed") for pod in pods(run)))


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


def history(root: str) -> list[dict[str, float]]:
    """The epochs of the only training under a root on the volume."""
    program = f"import pathlib; (file,) = pathlib.Path({root!r}).glob('runs/*/history.jsonl'); print(file.read_text())"
    return [json.loads(line) for line in volume(program).splitlines() if line.startswith("{")]


def test_two_machines_train_what_one_trains(sample_run: tuple[str, str], half_a_core: str, api: Api) -> None:
    # What rounding changes grows with each step, and at ten times this rate to a hundredth by the end of the epoch. In
    # float64 the tests of the training compare 20 steps and the weights.
    sample = local.SAMPLE | TINY | {"source": f"{ROOT_OF_TESTS}/sample"}  # it need not be drawn once more
    how = sample | {"seed": 3, "optimizer": "sgd", "learning_rate": "0.00001"}
    histories = []
    for machines, evictions in ((1, 0), (2, 0), (2, 5)):
        root = f"{ROOT_OF_TESTS}/machines-{machines}-{evictions}"
        with submitted(half_a_core, **(how | {"machines": machines, "root": root})) as (process, run):
            for _ in range(evictions):
                evict(wait(900, lambda run=run: both_training(run))[1])
                wait(120, lambda run=run: not both_training(run))
            assert process.wait() in (ACCEPTED, REJECTED)
        done = step(api, run, "train", "done")
        assert done
        said = PodLogs(api, run).read(done.pod)
        assert "epoch=1/1" in said, "the first machine's log is in the step's"
        assert ("machines: 2 pods of the JobSet" in said) == (machines == 2)
        assert said.count("not a failure") == evictions
        wait(120, lambda run=run: not left_of_group(run))
        histories.append(history(root))
    for one, *others in zip(*histories, strict=True):
        for other in others:
            assert one.keys() == other.keys()
            for name, value in one.items():
                assert other[name] == pytest.approx(value, rel=1e-3), name


@pytest.mark.parametrize("times", [1, 3])
def test_training_goes_on_after_a_machine_was_killed_but_not_for_ever(times: int, half_a_core: str, api: Api) -> None:
    with submitted(half_a_core, machines=2, epochs=6, seed=4 + times) as (process, run):
        for number in range(times):
            machines = wait(900, lambda: both_training(run))
            if number == 0:  # until a checkpoint is there
                first = min(pod["metadata"]["name"] for pod in machines)
                wait(600, lambda first=first: "2/6" in kubectl("logs", first, check=False))
            kubectl("delete", "pod", max(pod["metadata"]["name"] for pod in machines), "--force", "--grace-period=0")
            wait(120, lambda: not both_training(run))
        code = process.wait()
        assert process.stdout
        said = process.stdout.read()
    if times == 3:
        assert code == FAILED
        assert "failed: train: a machine failed 3 times, the last time: machine 1" in said
    else:
        assert code == ACCEPTED
        done = step(api, run, "train", "done")
        assert done
        log = PodLogs(api, run).read(done.pod).partition("failure 1 of at most 3")[2]
        assert "6/6" in log
        assert "1/6" not in log
    wait(120, lambda: not left_of_group(run))


def test_nothing_is_left_of_the_machines_of_a_terminated_run(half_a_core: str, api: Api) -> None:
    with submitted(half_a_core, machines=2, epochs=50, seed=8) as (process, run):
        wait(900, lambda: both_training(run))
        subprocess.run(["make", "cancel", f"RUN={run}"], cwd=ROOT, check=True)
        assert process.wait() == follow.ENDED
        wait(group_pods.GRACE + 120, lambda: not left_of_group(run))


def test_training_goes_on_while_its_steps_pod_is_made_again(half_a_core: str, api: Api) -> None:
    with submitted(half_a_core, machines=2, epochs=4, seed=9) as (process, run):
        wait(900, lambda: both_training(run))
        watching = step(api, run, "train", "running")
        assert watching
        kubectl("delete", "pod", watching.pod, "--wait=false")
        assert process.wait() in (ACCEPTED, REJECTED)
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
    code, said = submit("--settings", str(settings), machines=2, seed=9)
    assert code == FAILED
    assert re.search(r"failed: train: machine 0 has not started within 30 s \(.*Insufficient cpu", said)


def test_api_server_restarts_while_a_run_is_followed() -> None:
    restart = os.environ.get("OPENPOSE_CLUSTER_RESTART")
    if not restart:
        pytest.skip("needs OPENPOSE_CLUSTER_RESTART, a command that restarts the API server")
    with submitted() as (process, _):
        subprocess.run(restart, shell=True, check=True)
        assert process.wait() == ACCEPTED


@pytest.fixture
def champions() -> str:
    """A registry's name that no other run uses."""
    return f"test-{secrets.token_hex(4)}"


def entries(registry: str) -> list[str]:
    """The champions' entries, the oldest first."""
    folder = f"{ROOT_OF_TESTS}/registry/{registry}"
    return volume(f"import pathlib; print(*sorted(p.name for p in pathlib.Path({folder!r}).glob('0*.json')))").split()


def flags(registry: str, **parameters: Any) -> str:
    """What is asked for, as one text."""
    given = TINY | {"registry": registry} | parameters
    return " ".join(["--settings small --allow-dirty", *(f"--param {name}={value}" for name, value in given.items())])


def make(target: str, *variables: str) -> str:
    command = ["make", "--no-print-directory", target, *variables]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_schedule_fires_and_its_runs_do_not_overlap(api: Api, champions: str) -> None:
    """Every minute, while a run takes longer than that."""
    asked = f"--name {champions} {flags(champions)}"
    assert "created the schedule" in make("schedule", "CRON=0 0 1 1 *", f"ARGS={asked}")
    try:
        assert "changed the schedule" in make("schedule", "CRON=* * * * *", f"ARGS={asked}")
        (schedule,) = api.schedules(champions)
        identifier = schedule["recurring_run_id"]

        def two_ended() -> bool:
            states = [run.get("state") for run in api.runs(20, identifier)]
            assert sum(state not in follow.OVER for state in states) <= 1, states
            return states.count("SUCCEEDED") >= 2

        wait(1500, two_ended)
        first, second = (api.run(run["run_id"]) for run in reversed(api.runs(20, identifier)[-2:]))
        assert first["finished_at"] <= second["created_at"]
        end = follow.follow(api, second["run_id"], 0.1)
        assert "nothing new" in end.text
    finally:
        assert "removed the schedule" in make("unschedule", f"ARGS=--name {champions}")
    assert api.schedules(champions) == []
    for run in api.runs(20, identifier):
        if run.get("state") not in follow.OVER:  # it goes on without its schedule
            assert follow.follow(api, run["run_id"], 0.1).code == ACCEPTED


def test_retrain_workflow(champions: str, tmp_path: Path) -> None:
    """Its own commands: accepted, nothing new, rejected, and a new champion."""

    def retrain(**parameters: Any) -> tuple[int, str, float]:
        start, summary = time.monotonic(), tmp_path / f"{secrets.token_hex(4)}.md"
        summary.touch()
        given = {"vars_KF_PIPELINES_ENDPOINT": os.environ[kfp_api.ENDPOINT], "vars_KF_PIPELINES_UI_ENDPOINT": PAGES}
        done = workflow.run("Retrain", summary, **given, inputs_flags=flags(champions, **parameters))
        print(done.stdout)
        return done.returncode, summary.read_text(), time.monotonic() - start

    if registry := os.environ.get("OPENPOSE_CLUSTER_REGISTRY"):
        for word in ("built", "found"):  # a revision is built once
            assert word in workflow.run("Images", tmp_path / "summary.md", vars_REGISTRY=registry).stdout
    code, summary, _ = retrain()
    assert (code, summary.splitlines()[0]) == (0, "# accepted")
    assert "| AP | " in summary
    (first,) = entries(champions)

    code, summary, seconds = retrain()
    assert (code, summary.splitlines()[0]) == (0, "# nothing new")
    assert first in summary
    assert seconds < 120, "of them a minute is what Kubeflow's pods take"

    code, summary, _ = retrain(min_ap=0.99, seed=1)
    assert code != 0
    assert summary.startswith("# rejected\n\nCOCO AP ")
    assert f"[The run's page]({PAGES}/#/runs/details/" in summary
    assert entries(champions) == [first], "the champion stays"

    code, summary, _ = retrain(seed=1)
    assert (code, summary.splitlines()[0]) == (0, "# accepted")
    (_, second) = entries(champions)
    assert second in summary


@pytest.fixture
def other_namespace() -> Iterator[str]:
    """One without the claim of the deployed overlay, which no other may change."""
    name = f"openpose-{secrets.token_hex(4)}"
    kubectl("create", "namespace", name)
    yield name
    kubectl("delete", "namespace", name, "--wait=false")


@pytest.mark.parametrize("overlay", ["local", "gpu", "gcs"])
def test_manifests_are_accepted(overlay: str, other_namespace: str, tmp_path: Path) -> None:
    """Those without Kueue's own kinds, which few clusters know."""
    file = tmp_path / f"{overlay}.yaml"
    made = manifests.render(overlay, images.read(images.BUILT)["cpu"]["image"])
    file.write_text(made.replace("namespace: kubeflow\n", f"namespace: {other_namespace}\n"))
    subprocess.run(["kubectl", "apply", "--server-side", "--dry-run=server", "-f", str(file)], check=True)
