"""A real server in a process of its own, for the tests of this folder."""

import io
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import requests
from PIL import Image

from tests.one_person import photo, write_graph


def picture(height: int = 184, width: int = 200) -> bytes:
    """A picture of one person."""
    buffer = io.BytesIO()
    Image.fromarray(photo(height, width)).save(buffer, "PNG")
    return buffer.getvalue()


@contextmanager
def running(*flags: str) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """A server that is ready, and its address; it is killed at the end of the block."""
    with socket.create_server(("localhost", 0)) as taken:
        port = taken.getsockname()[1]
    command = [sys.executable, "-m", "openpose.serving", f"--port={port}", "--pixels=rgb", *flags]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            address = f"http://localhost:{port}/"
            deadline = time.monotonic() + 120
            while not _is_ready(address):
                assert time.monotonic() < deadline, "not ready within two minutes"
                assert process.poll() is None, process.stdout and process.stdout.read()
                time.sleep(0.2)
            yield process, address
        finally:
            process.kill()


def _is_ready(address: str) -> bool:
    try:
        return requests.get(address + "v2/health/ready", timeout=5).ok
    except requests.ConnectionError:
        return False


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running(f"--model={write_graph(tmp_path_factory.mktemp('graph') / 'graph.pb')}") as (_, address):
        yield address
