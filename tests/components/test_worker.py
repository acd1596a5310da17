"""What a machine of several ends with, from which Kubernetes decides whether all start again."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from components.train.machine import REFUSED, STOPPED
from openpose import storage
from openpose.records.manifest import RecordsManifest
from tests.process import Program, free_port


def worker(*flags: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-u", "-m", "tests.tiny", "components.train.worker", *flags],
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.slow
def test_what_cannot_be_used_has_an_exit_code_of_its_own(tmp_path: Path) -> None:
    flags = [f"--{name}={tmp_path}" for name in ("root", "train-records", "valid-records")]
    process = worker(*flags, "--size=13")
    said, _ = process.communicate(timeout=60)
    assert process.returncode == REFUSED
    assert said.splitlines()[-1].startswith("error: ")


def said_until(process: subprocess.Popen[str], words: str) -> str:
    """What a process has printed up to a line with these words."""
    assert process.stdout
    said = ""
    for line in process.stdout:
        said += line
        if words in line:
            return said
    raise AssertionError(said)


@pytest.fixture
def flags(sample_records: dict[str, RecordsManifest], tmp_path: Path) -> list[str]:
    """Of a training that takes minutes."""
    for manifest in sample_records.values():
        storage.write_json(manifest.path, manifest.as_document())
    places = {
        "root": tmp_path,
        "train-records": sample_records["train"].path,
        "valid-records": sample_records["val"].path,
    }
    network = ["--model=mobilenet_thin", "--width=0.2", "--stages=1", "--size=64", "--batch-size=4", "--epochs=500"]
    return [*(f"--{name}={place}" for name, place in places.items()), *network]


@pytest.mark.slow
def test_training_goes_on_when_a_lost_data_worker_is_made_again(flags: list[str]) -> None:
    port = free_port()
    addresses = [f"--dispatcher=localhost:{port}", "--port=0", "--address=localhost:%port%", "--wait=60"]
    makes = Program("openpose.data_service", "worker", *addresses)
    trains = worker(*flags, f"--remote-data=grpc://localhost:{port}", OPENPOSE_DISPATCHER=str(port))
    try:
        said_until(trains, " steps/s")
        makes.kill()
        makes.wait()
        makes = Program("openpose.data_service", "worker", *addresses)
        for _ in range(2):  # 5 s apart: all batches that had come before are used up by then
            said_until(trains, " steps/s")
        trains.terminate()
        assert trains.wait(timeout=30) == STOPPED
    finally:
        trains.kill()
        makes.kill()


@pytest.mark.slow
def test_machine_that_loses_another_one_waits_to_be_stopped(flags: list[str]) -> None:
    """Its own error would hide that the other one was taken away."""
    with socket.create_server(("localhost", 0)) as one, socket.create_server(("localhost", 0)) as other:
        ports = [one.getsockname()[1], other.getsockname()[1]]
    cluster = {"worker": [f"localhost:{port}" for port in ports]}
    first, second = (
        worker(*flags, TF_CONFIG=json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}}))
        for index in (0, 1)
    )
    try:
        said_until(first, " steps/s")
        second.kill()
        said_until(first, "another machine was lost; waiting for what Kubernetes says of it")
        first.terminate()
        assert first.wait(timeout=30) == STOPPED
    finally:
        first.kill()
        second.kill()
