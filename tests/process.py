"""Programs of this repository as processes that start at once: a server that has imported TensorFlow forks them.

Importing TensorFlow takes many seconds; a test that kills a training ten times would wait for it ten times.
"""

import atexit
import multiprocessing
import os
import resource
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["tests.preload"])


class Program:
    """A running `python -m module`, with the attributes and methods of subprocess.Popen.

    Args:
        module: such as components.train.
        arguments: of its command line.
        environment: variables that it gets in addition to those of this process.
        largest_file: bytes that a file may have; writing more fails, as on a full disk. 0 sets no limit.
    """

    def __init__(
        self,
        module: str,
        *arguments: object,
        environment: Mapping[str, str] | None = None,
        largest_file: int = 0,
    ) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._output, self._errors = (Path(self._folder.name, name) for name in ("output", "errors"))
        for file in (self._output, self._errors):
            file.touch()
        variables = {**os.environ, **(environment or {})}
        given = ([module, *map(str, arguments)], variables, [self._output, self._errors], largest_file)
        self._process = _context.Process(target=_run, args=given, daemon=True)
        self._process.start()
        self.pid = self._process.pid or 0

    @property
    def returncode(self) -> int | None:
        """Its exit code, minus the number of the signal that ended it, or None while it runs."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """Same as `returncode`."""
        return self.returncode

    def wait(self, timeout: float = 600) -> int:
        """Waits for its end; returns its exit code."""
        self._process.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired(self._process.name, timeout)
        return self.returncode

    def communicate(self, timeout: float = 600) -> tuple[str, str]:
        """Waits for its end; returns all that it wrote to its output and to its errors."""
        self.wait(timeout)
        return self._output.read_text(), self._errors.read_text()

    def first_line(self) -> str:
        """Waits for the first line of its output, or its end."""
        while self.returncode is None and "\n" not in self._output.read_text():
            time.sleep(0.02)
        return self._output.read_text().partition("\n")[0]

    def terminate(self) -> None:
        """Asks it to end, by SIGTERM."""
        self._process.terminate()

    def kill(self) -> None:
        """Ends it at once, by SIGKILL."""
        self._process.kill()


def run(module: str, *arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """Runs a program to its end, see `Program`."""
    program = Program(module, *arguments, **options)
    printed, errors = program.communicate()
    return subprocess.CompletedProcess(module, program.wait(), printed, errors)


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.create_server(("localhost", 0)) as server:
        return server.getsockname()[1]


def _run(words: list[str], variables: dict[str, str], outputs: list[Path], largest_file: int) -> None:
    """Makes the process what `python -m` would have made of it, and runs the module."""
    os.chdir(ROOT)
    os.environ.clear()
    os.environ.update(variables)
    tempfile.tempdir = None  # TMPDIR may be another
    for number, file in enumerate(outputs, start=1):
        os.dup2(os.open(file, os.O_WRONLY | os.O_APPEND), number)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if largest_file:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    sys.argv = words
    sys.path.insert(0, str(ROOT))
    try:
        runpy.run_module(words[0], run_name="__main__", alter_sys=True)
    finally:
        atexit._run_exitfuncs()
