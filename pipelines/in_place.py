"""Runs a DAG on this machine, each step in a process, without a container engine.

KFP's local runner decides the order of the steps; this module runs their processes, because KFP 2.17

- starts a new interpreter for each step, in which most steps spend seconds on importing TensorFlow;
- prints a step's output line by line, which loses progress bars and mixes the lines of parallel steps;
- replaces every "python3" in a command by the interpreter's path, without quotes, which breaks on a path with a space
  and changes a user's path that contains "python3";
- leaves the steps' processes running when it is stopped, and never removes their temporary folders.
"""

import builtins
import contextlib
import fcntl
import logging
import os
import signal
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, TextIO

from kfp import local
from kfp.local import subprocess_task_handler
from kfp.local.status import Status
from kfp.local.task_handler_interface import ITaskHandler

from components.revision import REPOSITORY
from openpose.errors import InputError
from pipelines.step_process import StepProcess, StepServer, step_server

GRACE = 10  # seconds for a stopped step to clean up


class Stopped(BaseException):
    """A signal stopped the run. Not an Exception, because KFP catches those."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number  # as in shells


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[int]:
    """Locks a folder until the block and all steps that inherited the lock have ended.

    Yields:
        The lock's file descriptor, for `run`.

    Raises:
        InputError: another run holds the lock.
    """
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(
                f"{folder}: another run is using this folder; wait until it ends, or give another folder"
            ) from error
        yield file.fileno()


@dataclass
class Outcome:
    """The outcome of a run of the DAG.

    Attributes:
        failed: exit codes of the components that failed.
        seconds: for each component that ran, from the start of its first process to the end of its last.
    """

    failed: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)


@contextlib.contextmanager
def processes(lock: int, packages: Sequence[str] = ()) -> Iterator["Steps"]:
    """Runs steps as processes of this machine.

    Args:
        lock: from `alone`.
        packages: to import once, in the background, for all steps.

    Yields:
        The steps, for `run`.
    """
    path = os.pathsep.join(filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH")]))
    with tempfile.TemporaryDirectory(prefix="openpose-") as temporary:
        ours = {
            "PYTHONPATH": path,
            "PYTHONSAFEPATH": "1",  # a folder `components` or `pipelines` of the user's is not ours
            "PYTHONUNBUFFERED": "1",
            "TMPDIR": temporary,
            "_KFP_RUNTIME": "true",  # spares KFP most of its imports
        }
        with step_server(packages, os.environ | ours, lock) as server:
            yield _Processes(server)


def run(pipeline: Callable[..., Any], arguments: dict[str, Any], folder: Path, steps: "Steps") -> Outcome:
    """Runs the DAG to its end. KFP's local runner passes each step to `steps`.

    Args:
        pipeline: the DAG's function.
        arguments: of the DAG.
        folder: receives KFP's copies of the small artifacts, and `kfp.log` with KFP's output.
        steps: from `processes`, or `in_docker`'s.

    Raises:
        Stopped: by Ctrl-C or a termination signal, after all steps have ended.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with _kfp_log(folder / "kfp.log") as steps.terminal, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Task .* have no effect", UserWarning)  # titles are for Kubeflow's page
        local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(folder))
        with _handed_to(steps), steps.stopped_by_signals():
            try:
                pipeline(**arguments)
            except RuntimeError:
                if not steps.outcome.failed:
                    raise
    return steps.outcome


@contextlib.contextmanager
def _handed_to(steps: "Steps") -> Iterator[None]:
    """Makes KFP's local runner pass each step to `steps`.

    KFP 2.17 has no hook for this, but its dispatcher looks up the task handler's class in this module for each step.
    """

    class Handler(ITaskHandler):
        def __init__(self, full_command: list[str], env_vars: dict[str, str], **_: object) -> None:
            self._command, self._environment = full_command, env_vars

        def run(self) -> Status:
            return Status.SUCCESS if steps.run(self._command, self._environment) == 0 else Status.FAILURE

    theirs = subprocess_task_handler.SubprocessTaskHandler
    subprocess_task_handler.SubprocessTaskHandler = Handler
    try:
        yield
    finally:
        subprocess_task_handler.SubprocessTaskHandler = theirs


@contextlib.contextmanager
def _kfp_log(path: Path) -> Iterator[TextIO]:
    """Redirects KFP's output and log to a file; yields the user's standard output."""
    terminal, root, printing = sys.stdout, logging.getLogger(), builtins.print
    handlers = root.handlers[:]
    with path.open("w") as log, contextlib.redirect_stdout(log):
        root.handlers[:] = [logging.StreamHandler(log)]
        try:
            yield terminal
        finally:
            root.handlers[:] = handlers
            builtins.print = printing  # KFP replaces it for each step; after parallel steps it stays replaced


class Steps:
    """Runs and times the steps of one DAG run, and stops them on a signal.

    Attributes:
        outcome: so far.
        terminal: receives the steps' output.
    """

    def __init__(self) -> None:
        self.outcome = Outcome()
        self.terminal: TextIO = sys.stdout
        self._stopping = False
        self._starting, self._deferred = False, 0  # a process is being started; the signal that came meanwhile
        self._started: dict[str, float] = {}

    def run(self, command: list[str], environment: dict[str, str]) -> int:
        """Runs one step; returns its exit code."""
        if self._stopping:  # KFP starts the rest of a loop even after Ctrl-C
            return 1
        component = command[command.index("--function_to_execute") + 1]
        if component not in self._started:
            self._started[component] = time.monotonic()
            self.show(f"== {component}\n")
        code = self.execute(command, environment)
        self.outcome.seconds[component] = time.monotonic() - self._started[component]
        if code:
            self.outcome.failed[component] = code
        return code

    def show(self, line: str) -> None:
        """Shows a line of output to the user."""
        self.terminal.write(line)
        self.terminal.flush()

    def execute(self, command: list[str], environment: dict[str, str]) -> int:
        """Runs a command until it ends or is killed; returns its exit code."""
        raise NotImplementedError

    def kill(self, number: int) -> None:
        """Sends a signal to all running steps."""
        raise NotImplementedError

    @contextlib.contextmanager
    def stopped_by_signals(self) -> Iterator[None]:
        """Makes Ctrl-C and SIGTERM stop the steps too."""
        numbers = (signal.SIGINT, signal.SIGTERM)
        before = [signal.signal(number, self._stop) for number in numbers]
        try:
            yield
        finally:
            for number, handler in zip(numbers, before, strict=True):
                signal.signal(number, handler)

    @contextlib.contextmanager
    def starting(self) -> Iterator[Callable[[], None]]:
        """Defers signals until the function that it yields is called, as they would lose a process that is starting.

        Only the main thread gets signals; steps of a loop start in others.
        """
        if threading.current_thread() is not threading.main_thread():
            yield lambda: None
            return
        self._starting = True

        def started() -> None:
            number, self._starting, self._deferred = self._deferred, False, 0
            if number:
                self._stop(number, None)

        try:
            yield started
        finally:
            self._starting = False

    def _stop(self, number: int, frame: FrameType | None) -> None:
        if self._starting:
            self._deferred = number
            return
        self.kill(signal.SIGKILL if self._stopping else signal.SIGINT)
        if not self._stopping:
            self._stopping = True
            timer = threading.Timer(GRACE, self.kill, [signal.SIGKILL])
            timer.daemon = True
            timer.start()
        raise Stopped(number)


class _Processes(Steps):
    """Runs steps as processes that a server forks."""

    def __init__(self, server: StepServer) -> None:
        super().__init__()
        self._server = server
        self._live: set[StepProcess] = set()

    def execute(self, command: list[str], environment: dict[str, str]) -> int:
        # Steps of a loop run in parallel and get no terminal, because their bars would overwrite each other.
        piped = any("-iteration-" in part for part in command)
        with self.starting() as started, contextlib.closing(self._server.start(command, environment, piped)) as process:
            self._live.add(process)
            try:
                started()
                if self._stopping:  # a step of a loop, which started after the signal
                    process.send(signal.SIGINT)
                for line in process.output:
                    self.show(line)
                return process.wait()
            finally:
                process.wait()  # a stopped step cleans up while this process lives
                self._live.discard(process)

    def kill(self, number: int) -> None:
        for process in list(self._live):
            process.send(number)
