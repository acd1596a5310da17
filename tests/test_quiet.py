"""What reaches the user's terminal when TensorFlow starts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

NOISE = """\
WARNING: All log messages before absl::InitializeLog() is called are written to STDERR
I0000 00:00:1795507698.759078    4601 port.cc:153] oneDNN custom operations are on.
"""
NO_DRIVER = "E0000 00:00:1795507701.870658    4601 cuda_platform.cc:52] failed call to cuInit: UNKNOWN ERROR (303)"
BROKEN_DRIVER = NO_DRIVER.replace("UNKNOWN ERROR (303)", "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH (803)")


def start(code: str, *path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
    python_path = os.pathsep.join(map(str, (*path, ROOT)))
    return subprocess.run(
        [sys.executable, "-c", code],
        env=inherited | {"PYTHONPATH": python_path} | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture
def pretend(tmp_path: Path) -> Path:
    """A folder with a package `tensorflow` that prints what the real one prints, then runs `SCRIPT`."""
    package = tmp_path / "tensorflow"
    package.mkdir()
    (package / "__init__.py").write_text(
        "import os, sys, warnings\n"
        f"os.write(2, {NOISE.encode()!r})\n"
        "class config:\n"
        "    def list_physical_devices():\n"
        f"        os.write(2, {NO_DRIVER.encode()!r} + b'\\n')\n"
        "exec(os.environ.get('SCRIPT', ''))\n"
    )
    return tmp_path


@pytest.mark.slow
def test_real_start_says_nothing() -> None:
    done = start("import openpose, tensorflow as tf; print(float(tf.reduce_sum(tf.ones([2, 2]))))")
    assert (done.returncode, done.stdout, done.stderr) == (0, "4.0\n", "")


def test_user_can_ask_for_everything(pretend: Path) -> None:
    done = start("import openpose, tensorflow", pretend, TF_CPP_MIN_LOG_LEVEL="0")
    assert done.stderr == NOISE


def test_warnings_and_errors_remain(pretend: Path) -> None:
    lines = f"W0000 careful\n{BROKEN_DRIVER}\n"
    script = f"warnings.warn('mind this'); os.write(2, {lines.encode()!r})"
    done = start("import openpose, tensorflow; sys = tensorflow.sys; sys.exit('after')", pretend, SCRIPT=script)
    warning, *rest = done.stderr.splitlines()
    assert warning.endswith("UserWarning: mind this")
    assert rest == ["W0000 careful", BROKEN_DRIVER, "after"]


def test_last_words_before_an_abort_remain(pretend: Path) -> None:
    script = "os.write(2, b'F0000 this CPU cannot run TensorFlow\\n'); os.abort()"
    done = start("import openpose, tensorflow", pretend, SCRIPT=script)
    assert done.returncode != 0
    assert done.stderr == "F0000 this CPU cannot run TensorFlow\n"


def test_failing_import_is_the_import_error(pretend: Path) -> None:
    done = start("import openpose, tensorflow", pretend, SCRIPT="raise ImportError('no such library')")
    assert done.stderr.endswith("ImportError: no such library\n")
    assert NOISE not in done.stderr


def test_closed_standard_error(pretend: Path) -> None:
    code = "import openpose, sys; sys.stderr = None; import tensorflow; print('ok')"
    assert start(code, pretend).stdout == "ok\n"
