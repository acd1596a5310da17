"""A real server in a process of its own, for the tests of this folder."""

import io
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
import requests
from PIL import Image

from tests.one_person import photo, write_graph


def picture(height: int = 184, width: int = 200) -> bytes:
    """A picture of one person."""
    buffer = io.BytesIO()
    Image.fromarray(photo(height, width)).save(buffer, "PNG")
    return buffer.getvalue()


def started(*flags: str) -> tuple["subprocess.Popen[str]", str]:
    """A server, and its address once it is ready."""
    with socket.create_server(("localhost", 0)) as taken:
        port = taken.getsockname()[1]
    command = [sys.executable, "-m", "openpose.serving", f"--port={port}", "--pixels=rgb", *flags]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    address = f"http://localhost:{port}/"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if requests.get(address + "v2/health/ready", timeout=5).ok:
                return process, address
        except requests.ConnectionError:
            time.sleep(0.2)
    process.kill()
    raise AssertionError(process.communicate()[0])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    process, address = started(f"--model={write_graph(tmp_path_factory.mktemp('graph') / 'graph.pb')}")
    with process:
        yield address
        process.kill()
