"""The image for CPUs and the DAG in its containers, on a real Docker Engine."""

import hashlib
import io
import json
import os
import re
import secrets
import signal
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import docker
import pytest
from docker.errors import DockerException

from components.steps import STEPS
from openpose.errors import InputError
from pipelines import images, in_docker, local
from tests.one_person import write_graph

ROOT = Path(__file__).resolve().parent.parent.parent

pytestmark = pytest.mark.slow

# A DAG with a loop, run as `python dag.py <folder> <image> <what the last step does>`.
DAG = """
import sys
from pathlib import Path
from kfp import dsl
from pipelines import in_docker, in_place

@dsl.component(base_image="none", install_kfp_package=False)
def plan(folder: str) -> list:
    import os
    print("planned in", folder, "by", os.getuid())
    print("    indented")
    return ["a", "b", "c"]

@dsl.component(base_image="none", install_kfp_package=False)
def share(name: str):
    for number in range(3):
        print("share", name, number)

@dsl.component(base_image="none", install_kfp_package=False)
def last(folder: str, what: str):
    import os, pathlib, sys, time
    if what == "fail":
        sys.exit("error: it cannot be done")
    if what == "write":
        for place in ("/app/x", "/x", folder + "/../seen/x"):
            try:
                pathlib.Path(place).touch()
                print("wrote", place)
            except OSError:
                pass
        print(*os.listdir(folder + "/../seen"))
    if what == "sleep":
        try:
            print("asleep")
            time.sleep(100)
        finally:
            time.sleep(0.5)
            pathlib.Path(folder, "tidied up").touch()

@dsl.pipeline(name="dag")
def dag(folder: str, what: str):
    planned = plan(folder=folder)
    with dsl.ParallelFor(planned.output) as name:
        shared = share(name=name)
    last(folder=folder, what=what).after(shared)

folder, image, what = Path(sys.argv[1]), *sys.argv[2:]
try:
    with in_place.alone(folder):
        arguments = {"folder": str(folder), "what": what}
        outcome = in_docker.run(dag, arguments, folder / "kfp", image, folder, [folder.parent / "seen"])
except in_place.Stopped as stopped:
    sys.exit(stopped.exit_code)
print("failed:", outcome.failed, *(name for name, seconds in outcome.seconds.items() if 0 < seconds < 60))
"""


@pytest.fixture(scope="module")
def client() -> Iterator[docker.DockerClient]:
    """Docker."""
    try:
        client = docker.from_env()
        client.ping()
    except DockerException as error:
        pytest.skip(f"needs a Docker Engine: {error}")
    yield client
    client.close()


@pytest.fixture(scope="module")
def image(client: docker.DockerClient) -> str:
    """The image of the code as it is now."""
    try:
        return local.built_image()
    except InputError as error:
        pytest.skip(str(error))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder whose name is hard on shell scripts."""
    folder = tmp_path / "my python3 'data'"
    folder.mkdir()
    (tmp_path / "seen").mkdir()
    (tmp_path / "seen/picture").touch()
    (tmp_path / "unseen").touch()
    (folder / "dag.py").write_text(DAG)
    return folder


def start(folder: Path, image: str, what: str) -> subprocess.Popen[str]:
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return subprocess.Popen(
        [sys.executable, str(folder / "dag.py"), str(folder), image, what],
        env=os.environ | {"PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def containers(client: docker.DockerClient, folder: Path) -> list[Any]:
    return list(client.containers.list(all=True, filters={"label": f"{in_docker.LABEL}={folder}"}))


# The image


def inside(client: docker.DockerClient, image: str, *command: str, **options: Any) -> str:
    """What a command prints in the image, as Kubernetes may run it."""
    return str(
        client.containers.run(
            image,
            list(command),
            remove=True,
            stderr=True,
            network_mode="none",
            read_only=True,
            tmpfs={"/tmp": ""},
            cap_drop=["ALL"],
            security_opt=["no-new-privileges"],
            **options,
        ).decode()
    )


def test_image_runs_as_nobody_with_a_read_only_root(client: docker.DockerClient, image: str) -> None:
    config = client.images.get(image).attrs["Config"]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", config["User"])
    assert config["Labels"]["org.opencontainers.image.revision"] == image.rpartition(":")[2]
    script = "import os, pathlib, sys; print(os.getuid(), pathlib.Path.home(), sys.version_info[:2])"
    assert inside(client, image, "python", "-c", script) == "65532 /tmp (3, 11)\n"
    for step in ("coco_download", "train"):
        assert f"python -m components.{step}" in inside(client, image, "python", "-m", f"components.{step}", "--help")


def test_image_holds_what_the_steps_need_and_no_more(client: docker.DockerClient, image: str) -> None:
    script = (
        "import importlib.util as u, pathlib, sys, tensorflow as tf;"
        "print([name for name in ('pip', 'kfp_server_api', 'docker', 'pytest') if u.find_spec(name)]);"
        "print(sorted(path.name for path in pathlib.Path('/app').iterdir()));"
        "print(list(pathlib.Path('/run').glob('secrets/*')), tf.config.list_physical_devices('GPU'))"
    )
    assert inside(client, image, "python", "-c", script).splitlines()[-3:] == [
        "[]",
        "['LICENSE', 'components', 'openpose']",
        "[] []",
    ]


def test_image_can_log_to_mlflow(client: docker.DockerClient, image: str) -> None:
    inside(client, image, "python", "-c", "from mlflow import MlflowClient; MlflowClient('http://localhost:1')")


ASK = """
import subprocess, time, urllib.request

server = subprocess.Popen(["python", "-m", "openpose.serving", "--model=/model/graph.pb", "--pixels=rgb"])
status = None
while status is None and server.poll() is None:
    try:
        status = urllib.request.urlopen("http://localhost:8080/v2/models/openpose/ready").status
    except OSError:
        time.sleep(0.5)
server.terminate()
server.wait(60)
print(status, server.returncode, sep="\\n")
"""


def test_the_servers_image_serves(client: docker.DockerClient, tmp_path: Path) -> None:
    built = images.read(images.BUILT)["serve"]
    if built["image"] == images.PLACEHOLDER:
        pytest.skip(f"{images.BUILT}: the server's image is not built; run `make images VARIANT=serve` first")
    write_graph(tmp_path / "graph.pb")
    (tmp_path / "ask.py").write_text(ASK)
    tmp_path.chmod(0o755)  # the image's user is another one
    volumes = {str(tmp_path): {"bind": "/model", "mode": "ro"}}
    assert inside(client, built["image"], "python", "/model/ask.py", volumes=volumes).splitlines()[-2:] == ["200", "0"]


def test_no_layer_says_where_packages_came_from(client: docker.DockerClient, image: str) -> None:
    history = json.dumps(client.images.get(image).history()) + json.dumps(client.images.get(image).attrs)
    for word in ("index-url", "trusted-host", "PIP_", "pip.conf"):
        assert word not in history


class Registry(BaseHTTPRequestHandler):
    """As much of a registry as a push needs; keeps nothing but digests of what it got, and the manifest."""

    known: ClassVar[set[str]] = set()
    digest = kind = ""
    manifest = b""

    def do_HEAD(self) -> None:
        asked = self.path.rpartition("/")[2]
        if asked in self.known and "/manifests/" in self.path:
            self._answer(200, **self._of_manifest())
        else:
            self._answer(200 if asked in self.known else 404, **{"Docker-Content-Digest": asked, "Content-Length": "1"})

    def do_GET(self) -> None:
        if "/manifests/" not in self.path:
            self._answer(200)
        elif self.path.rpartition("/")[2] in self.known:
            self._answer(200, **self._of_manifest())
            self.wfile.write(self.manifest)
        else:
            self._answer(404)

    def _of_manifest(self) -> dict[str, str]:
        size = str(len(self.manifest))
        return {"Docker-Content-Digest": self.digest, "Content-Type": self.kind, "Content-Length": size}

    def do_POST(self) -> None:
        self._answer(202, Location=f"{self.path}{secrets.token_hex(4)}", Range="0-0")

    def do_PATCH(self) -> None:
        size = self._read()
        self._answer(202, Location=self.path, Range=f"0-{size}")

    def do_PUT(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if "/manifests/" in self.path:
            Registry.digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
            Registry.manifest, Registry.kind = content, self.headers["Content-Type"]
            self.known.add(self.path.rpartition("/")[2])
        said = parse_qs(urlsplit(self.path).query).get("digest", [Registry.digest])[0]
        self.known.add(said)
        self._answer(201, **{"Location": self.path, "Docker-Content-Digest": said})

    def _read(self) -> int:
        size = 0
        while length := int(self.rfile.readline(), 16):  # chunked
            size += len(self.rfile.read(length))
            self.rfile.readline()
        self.rfile.readline()
        return size

    def _answer(self, code: int, **headers: str) -> None:
        self.send_response(code)
        for name, value in ({"Content-Length": "0"} | headers).items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        """Nobody reads it."""


def test_pushed_image_is_known_by_the_registrys_digest_and_found_there(client: docker.DockerClient) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Registry) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        name = f"127.0.0.1:{server.server_port}/openpose-kubeflow-cpu:test"
        empty = io.BytesIO()
        tarfile.open(fileobj=empty, mode="w").close()
        client.api.import_image_from_data(empty.getvalue(), *name.rsplit(":", 1))
        try:
            assert images.in_registry(name) is None
            assert images.push_image(images.client(), name) == Registry.digest != ""
            there = images.in_registry(name)
            assert there
            assert (there["image"], there["digest"]) == (f"{name[:-5]}@{Registry.digest}", Registry.digest)
        finally:
            client.images.remove(name, force=True)
            server.shutdown()


# The DAG in containers


def test_only_the_steps_own_output_is_seen(client: docker.DockerClient, image: str, folder: Path) -> None:
    run = start(folder, image, "nothing")
    printed = run.communicate()[0].splitlines()
    assert run.returncode == 0, printed
    assert printed[:4] == ["== plan", f"planned in {folder} by {os.getuid()}", "    indented", "== share"]
    assert sorted(printed[4:13]) == [f"share {name} {number}" for name in "abc" for number in range(3)]
    assert printed[13:] == ["== last", "failed: {} plan share last"]
    assert {path.name for path in folder.iterdir()} == {"dag.py", "kfp", ".lock"}
    assert containers(client, folder) == []


def test_failing_step_says_why_and_nothing_is_left(client: docker.DockerClient, image: str, folder: Path) -> None:
    run = start(folder, image, "fail")
    printed = run.communicate()[0].splitlines()
    assert printed[-3:] == ["== last", "error: it cannot be done", "failed: {'last': 1} plan share last"]
    assert containers(client, folder) == []


def test_step_sees_its_data_and_writes_to_the_root_only(image: str, folder: Path) -> None:
    run = start(folder, image, "write")
    printed = run.communicate()[0].splitlines()
    assert printed[-3:] == ["== last", "picture", "failed: {} plan share last"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_stopped_run_leaves_no_container(
    client: docker.DockerClient, image: str, folder: Path, number: signal.Signals, code: int
) -> None:
    run = start(folder, image, "sleep")
    _wait_for_sleeper(run)
    os.kill(run.pid, number)
    rest = run.communicate(timeout=60)[0]
    assert run.returncode == code
    assert "Traceback" not in rest
    assert (folder / "tidied up").exists()
    assert containers(client, folder) == []


def test_what_a_killed_run_left_is_removed_by_the_next(client: docker.DockerClient, image: str, folder: Path) -> None:
    run = start(folder, image, "sleep")
    _wait_for_sleeper(run)
    run.kill()
    run.communicate()
    assert len(containers(client, folder)) == 1
    assert start(folder, image, "nothing").wait() == 0
    assert containers(client, folder) == []


def _wait_for_sleeper(run: subprocess.Popen[str]) -> None:
    assert run.stdout is not None
    assert any(line == "asleep\n" for line in run.stdout), "it did not come so far"
    time.sleep(0.2)


def test_no_docker_and_no_image_are_clear(
    client: docker.DockerClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments: Any = (lambda: None, {}, tmp_path / "kfp", "openpose-kubeflow-cpu:none", tmp_path, [])
    with pytest.raises(InputError, match="Docker has no image openpose-kubeflow-cpu:none; run `make images` again"):
        in_docker.run(*arguments)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")
    with pytest.raises(InputError, match="Docker does not answer"):
        in_docker.run(*arguments)


def test_whole_dag_and_again(image: str, sample_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out dir"
    flags = {"size": 64, "width": 0.2, "stages": 1, "epochs": 1, "batch-size": 4, "images-per-shard": 8, "min-ap": -1}
    command = [sys.executable, "-m", "pipelines.local", "--runner", "docker", "--data", str(sample_folder)]
    command += ["--out", str(out)]
    command += [f"--{name}={value}" for name, value in flags.items()]
    for state in ("done", "found"):
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert done.returncode == 0, done.stdout
        summary = json.loads((out / "summary.json").read_text())
        assert summary["verdict"] == "accepted"
        states = {name: step["state"] for name, step in summary["steps"].items()}
        assert states == dict.fromkeys(STEPS, state) | {"check": "done"}
    (described,) = (out / "runs").glob("*/run.json")
    assert json.loads(described.read_text())["git"] == images.tag() or image != f"openpose-kubeflow-cpu:{images.tag()}"
    assert Path(summary["graph"]).stat().st_uid == os.getuid()

    failed = subprocess.run([*command, "--model", "mobilnet"], cwd=ROOT, capture_output=True, text=True)
    assert failed.returncode == 1
    assert "error: model is 'mobilnet'" in failed.stdout
    assert "Traceback" not in failed.stdout
