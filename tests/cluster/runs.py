"""Runs on a real Kubeflow Pipelines, which several files of tests start, look at and stop."""

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

from components.train.machine import NAME_LABEL, TRAIN
from components.train.pods import RUN
from pipelines import follow, images, kfp_api
from pipelines.kfp_api import Api

ROOT = Path(__file__).resolve().parent.parent.parent
NAMESPACE = os.environ.get(kfp_api.NAMESPACE) or "kubeflow"
SETTINGS = ROOT / "tests/cluster/settings.yaml"
ROOT_OF_TESTS = "/data/openpose-tests"
# What is made is not compared with other runs' champions. A test that needs a training of its own asks for another
# learning rate: with another seed it would draw and write its data too.
TINY = {
    **{"size": 64, "width": 0.2, "stages": 1, "epochs": 1, "batch_size": 16, "formats": "onnx"},
    **{"tolerance": 1.0, "min_ap": -1},
    # A root and a registry of their own: a model that is worth nothing must not follow a real champion.
    **{"root": ROOT_OF_TESTS, "registry": "tests"},
}
REJECTED_AP = 0.99  # as `min_ap`; the run ends sooner than an accepted one, which also exports its model
ON_TWO: dict[str, Any] = {"machines": 2, "min_ap": REJECTED_AP}

NEEDS_CLUSTER = [
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


def command(*flags: str, **parameters: Any) -> list[str]:
    given = [f"--param={name}={value}" for name, value in (TINY | parameters).items()]
    return [sys.executable, "-m", "pipelines.submit", "--settings", str(SETTINGS), "--allow-dirty", *given, *flags]


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
        while not re.search("^run .+\n", said, re.MULTILINE):
            line = process.stdout.readline()
            assert line, said
            said += line
        run = identifier(said)
        try:
            yield process, run
        finally:
            if process.poll() is None:
                subprocess.run([sys.executable, "-m", "pipelines.runs", "cancel", run], cwd=ROOT)
                process.kill()
            print(said, process.stdout.read())


def pods(run: str) -> list[dict[str, Any]]:
    return json.loads(kubectl("get", "pods", "-l", f"pipeline/runid={run}", "-o", "json"))["items"]


def identifier(said: str) -> str:
    """The identifier of a run that was submitted."""
    found = re.search(r"^run (\S+), version", said, re.MULTILINE)
    assert found, said
    return found[1]


def epoch(log: str) -> int:
    """The newest epoch in a training's log; 0 before the first."""
    return max(map(int, re.findall(r"epoch=(\d+)/", log)), default=0)


def both_training(run: str) -> list[dict[str, Any]]:
    """The pods of the two machines that train, when both run."""
    found = [pod for pod in pods(run) if pod["metadata"]["labels"].get(NAME_LABEL) == TRAIN]
    up = [pod for pod in found if pod["status"]["phase"] == "Running" and "deletionTimestamp" not in pod["metadata"]]
    return up if len(up) == 2 else []


def left_of_group(run: str) -> list[str]:
    labels = f"{NAME_LABEL}={TRAIN},{RUN}={run}"
    return kubectl("get", "jobsets,pods", "-l", labels, "-o", "name").split()


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
    image, pod = images.read(images.BUILT)["cpu"]["image"], f"openpose-look-{secrets.token_hex(4)}"
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
    kubectl("run", pod, f"--image={image}", "--restart=Never", f"--overrides={json.dumps(overrides)}")
    wait(300, lambda: kubectl("get", "pod", pod, "-o", "jsonpath={.status.phase}") in ("Succeeded", "Failed"))
    said = kubectl("logs", pod)
    kubectl("delete", "pod", pod)
    return said


def make(target: str, *variables: str) -> str:
    command = ["make", "--no-print-directory", target, *variables]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
