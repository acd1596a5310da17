"""What the tests on a cluster share, whichever worker of pytest needs it first."""

import fcntl
import json
import os
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from components.finish.summary import ACCEPTED
from pipelines import images, kfp_api
from pipelines.kfp_api import Api
from tests.cluster import runs

Once = Callable[[str, Callable[[], Any]], Any]


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Once:
    """Does something in the first worker that asks for it, while the others wait; returns its result, as JSON."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # that of all workers

    def done(name: str, work: Callable[[], Any]) -> Any:
        result = folder / f"{name}.json"
        with (folder / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not result.exists():
                result.write_text(json.dumps(work()))
        return json.loads(result.read_text())

    return done


@pytest.fixture(scope="session")
def deployed(once: Once) -> None:
    """What the pipeline needs is deployed, every pod must fit the restricted standard, and old tests left nothing."""
    if images.read(images.BUILT)["cpu"]["image"] == images.PLACEHOLDER:
        pytest.skip("needs images: make images")
    once("deployed", _deploy)


def _deploy() -> None:
    runs.kubectl("label", "--overwrite", "namespace", runs.NAMESPACE, "pod-security.kubernetes.io/enforce=restricted")
    subprocess.run(["make", "deploy", "OVERLAY=local"], cwd=runs.ROOT, check=True)
    runs.volume(f"import shutil; shutil.rmtree({runs.ROOT_OF_TESTS!r}, ignore_errors=True)")


@pytest.fixture(scope="session")
def api(deployed: None) -> Api:
    """The server of KF_PIPELINES_ENDPOINT."""
    return kfp_api.connect()


@pytest.fixture(scope="session")
def sample_run(deployed: None, once: Once) -> tuple[str, str]:
    """A run that trained the sample: its identifier and what was said. Later runs of its data find it drawn."""

    def train() -> tuple[str, str]:
        code, said = runs.submit("--settings", "small")
        assert code == ACCEPTED, said
        return runs.identifier(said), said

    run, said = once("sample", train)
    return run, said
