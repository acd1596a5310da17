"""Fixtures of the pipeline's tests."""

import functools
import inspect
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipelines import follow, kfp_api
from pipelines.dag import Dag
from pipelines.settings import Settings
from tests.pipeline.kfp_server import SUMMARY, Server, ended, serving


@pytest.fixture(scope="session", autouse=True)
def _compiled_once() -> Iterator[None]:
    """Compiles a DAG only once for the same settings and images.

    KFP asks for the whole stack whenever a task is changed; where TensorFlow's modules are loaded, looking for the
    stack's source files would take seconds.
    """
    made: dict[str, bytes] = {}
    compile_to = Dag.compile_to

    def once(dag: Dag, out: Path, settings: Settings, images: dict[str, Any]) -> None:
        key = repr((dag.name, settings, images))
        if key not in made:
            compile_to(dag, out, settings, images)
            made[key] = out.read_bytes()
        out.write_bytes(made[key])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Dag, "compile_to", once)
        patch.setattr(inspect, "stack", functools.partial(inspect.stack, 0))
        yield


@pytest.fixture
def kubectl_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Makes a program called kubectl from a shell script, and puts it first on PATH."""

    def make(script: str) -> Path:
        program = tmp_path / "bin/kubectl"
        program.parent.mkdir()
        program.write_text(script)
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
        return program

    return make


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server with a run that ended well, which this process uses."""
    nodes, logs = ended(SUMMARY)
    with serving(Server(nodes=nodes, logs=logs)) as made:
        monkeypatch.setenv(kfp_api.ENDPOINT, made.address)
        monkeypatch.setattr(follow, "PAUSE", 0.05)
        for name in (kfp_api.TOKEN, kfp_api.TOKEN_FILE, kfp_api.NAMESPACE, kfp_api.UI):
            monkeypatch.delenv(name, raising=False)
        yield made


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that says that images were built."""
    file = tmp_path_factory.mktemp("images") / "images.json"
    file.write_text('{"cpu": {"image": "openpose@sha256:1", "digest": "sha256:1", "code": "c0de"}}')
    return file
