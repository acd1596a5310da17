"""The pipeline on a real Kubeflow Pipelines: `make test-cluster`, with KF_PIPELINES_ENDPOINT, kubectl and built images.

The images of build/images.json must be there for the nodes, and nobody else may be using the claim `openpose`. It is
deployed by the first test and stays. What a cluster cannot do is skipped with the reason. The files of tests run at the
same time and share the sample's data and its first run.

    OPENPOSE_CLUSTER_REGISTRY   registry that Docker pushes to and the cluster pulls from
"""

import json
import os
import re
import secrets
import select
import socket
import socketserver
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from kfp import compiler, dsl, kubernetes

from components.finish.summary import ACCEPTED, FAILED, REJECTED
from openpose.errors import InputError
from pipelines import follow, images, kfp_api, manifests
from pipelines import submit as pipelines_submit
from pipelines.kfp_api import Api
from pipelines.pod_logs import PodLogs
from tests.cluster import runs
from tests.cluster.runs import ROOT, ROOT_OF_TESTS, epoch, kubectl, make, pods, step, submit, submitted, volume, wait

GPU = "nvidia.com/gpu"

pytestmark = [*runs.NEEDS_CLUSTER, pytest.mark.usefixtures("deployed")]


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


def test_workers_find_the_people_in_many_pictures(sample_run: tuple[str, str]) -> None:
    arguments = [f"ARGS=--settings {runs.SETTINGS} --allow-dirty --param root={ROOT_OF_TESTS} --param registry=tests"]
    said = make("predict", f"PICTURES={ROOT_OF_TESTS}/sample/val2017.zip", *arguments)
    assert "done; the run's page says where the result is" in said
    program = (
        "import glob, json; "
        f"(one,) = glob.glob({ROOT_OF_TESTS!r} + '/predictions/*/manifest.json'); "
        "made = json.load(open(one)); "
        "print(len(json.load(open(made['data']))['images']), made['counts']['pictures'], made['counts']['failed'])"
    )
    images_in_data, pictures, failed = volume(program).split()
    assert images_in_data == pictures != "0"
    assert failed == "0"


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
    code, said = submit(min_ap=runs.REJECTED_AP)
    assert code == REJECTED
    assert "is below the required 0.990" in said


def test_training_goes_on_after_its_pod_was_deleted(api: Api) -> None:
    with submitted(epochs=3, learning_rate="0.0041") as (process, run):
        training = wait(900, lambda: step(api, run, "train", "running"))
        wait(600, lambda: epoch(kubectl("logs", training.pod, "-c", "main", check=False)) > 1)  # the first is saved
        kubectl("delete", "pod", training.pod, "--force", "--grace-period=0")
        assert process.wait() == ACCEPTED
    done = step(api, run, "train", "done")
    assert done
    said = PodLogs(api, run).read(done.pod)
    assert "epoch=3/3" in said
    assert "epoch=1/3" not in said


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
    settings.write_text(runs.SETTINGS.read_text().replace("train: {", f"train: {{accelerator: {GPU}, "))
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
    with submitted(epochs=50, learning_rate="0.0042") as (process, run):
        wait(900, lambda: step(api, run, "train", "running"))
        subprocess.run(["make", "cancel", f"RUN={run}"], cwd=ROOT, check=True)
        assert process.wait() == follow.ENDED
        wait(120, lambda: all(pod["status"]["phase"] in ("Succeeded", "Failed") for pod in pods(run)))


class Line(socketserver.ThreadingTCPServer):
    """A way to the API server that can be cut: it refuses and drops connections then.

    Args:
        server: the API server's host and port.
    """

    daemon_threads = True

    def __init__(self, server: tuple[str, int]) -> None:
        self.server, self.is_cut = server, False
        super().__init__(("127.0.0.1", 0), Connection)


class Connection(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        line = self.server
        assert isinstance(line, Line)
        if line.is_cut:
            return
        with socket.create_connection(line.server) as there:
            ends = {self.request: there, there: self.request}
            while not line.is_cut:
                for end in select.select(list(ends), [], [], 0.2)[0]:
                    if not (content := end.recv(1 << 16)):
                        return
                    ends[end].sendall(content)


def test_run_is_followed_although_the_server_does_not_answer_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    address = urlsplit(os.environ[kfp_api.ENDPOINT])
    if address.scheme != "http":
        pytest.skip("the way to an https:// server cannot be led through this test")
    with Line((address.hostname or "", address.port or 80)) as line:
        threading.Thread(target=line.serve_forever, daemon=True).start()
        monkeypatch.setenv(kfp_api.ENDPOINT, f"http://127.0.0.1:{line.server_address[1]}")
        with submitted() as (process, _):
            line.is_cut = True
            time.sleep(60)
            line.is_cut = False
            assert process.wait() == ACCEPTED
            assert process.stdout
            assert "does not answer" in process.stdout.read()
        line.shutdown()


@pytest.fixture
def other_namespace() -> Iterator[str]:
    """One without the claim of the deployed overlay, which no other may change."""
    name = f"openpose-{secrets.token_hex(4)}"
    kubectl("create", "namespace", name)
    yield name
    kubectl("delete", "namespace", name, "--wait=false")


@pytest.mark.parametrize("overlay", ["local", "gpu", "gcs", "s3"])
def test_manifests_are_accepted(overlay: str, other_namespace: str, tmp_path: Path) -> None:
    """Those without Kueue's own kinds, which few clusters know."""
    file = tmp_path / f"{overlay}.yaml"
    made = manifests.render(overlay, images.read(images.BUILT))
    file.write_text(made.replace("namespace: kubeflow\n", f"namespace: {other_namespace}\n"))
    subprocess.run(["kubectl", "apply", "--server-side", "--dry-run=server", "-f", str(file)], check=True)


def test_trainer_accepts_its_runtime() -> None:
    if not kubectl("get", "crd", "clustertrainingruntimes.trainer.kubeflow.org", "--ignore-not-found"):
        pytest.skip("needs Kubeflow Trainer 2")
    file = ROOT / "manifests/trainer/tensorflow-distributed.yaml"
    kubectl("apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", str(file))
