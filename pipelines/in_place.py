"""Runs a DAG here with KFP's local SubprocessRunner, without a container engine.

KFP decides what runs when. How one step's process runs is ours, because KFP 2.17

- passes a step's output on line by line through `print`, which shows no progress bar, mixes up what parallel
  steps say, and adds a step's whole input to it;
- puts the interpreter's path in place of every "python3" in a command, without quotes: that breaks on a path
  with a space, and changes a user's own path that contains "python3";
- leaves the steps' processes behind when it is stopped, and their temporary folders always.
"""

import contextlib
import fcntl
import logging
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, TextIO
from unittest import mock

from kfp import local
from kfp.local import logging_utils, subprocess_task_handler
from kfp.local.status import Status

from openpose.errors import InputError

REPOSITORY = Path(__file__).resolve().parent.parent
KFP_EXECUTOR = "python3 -m kfp.dsl.executor_main"
GRACE = 10  # seconds that a stopped step has to tidy up


class Stopped(BaseException):
    """The run was stopped by a signal; no Exception, for KFP catches those."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number  # as shells have it


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[int]:
    """Keeps other runs out of the folder until the block and all steps that were given the lock have ended.

    Yields:
        The lock's file descriptor, for `run`.

    Raises:
        InputError: another run is at work there.
    """
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(
                f"{folder}: another run is at work there; wait for its end, or give another folder"
            ) from error
        yield file.fileno()


@dataclass
class Outcome:
    """How a run of the DAG went.

    Attributes:
        failed: components that ended with an error, and their exit codes.
        seconds: for each component that ran, from the start of its first process to the end of its last.
    """

    failed: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)


def run(pipeline: Callable[..., Any], arguments: dict[str, Any], folder: Path, lock: int) -> Outcome:
    """Runs the DAG to its end.

    Args:
        pipeline: the DAG's function.
        arguments: of the DAG.
        folder: gets KFP's copies of the small artifacts, and `kfp.log` with what KFP itself says.
        lock: of `alone`.

    Raises:
        Stopped: by Ctrl-C or a termination signal; no step's process is left.
    """
    with tempfile.TemporaryDirectory(prefix="openpose-") as temporary:
        runner = local.SubprocessRunner(use_venv=False)
        handler = subprocess_task_handler.SubprocessTaskHandler
        steps = _Processes(Path(temporary), lock)
        return follow(pipeline, arguments, folder, runner, handler, steps)


def follow(
    pipeline: Callable[..., Any],
    arguments: dict[str, Any],
    folder: Path,
    runner: Any,
    handler: type,
    steps: "Steps",
) -> Outcome:
    """Runs the DAG with one of KFP's local runners, but its steps our way.

    Args:
        pipeline: the DAG's function.
        arguments: of the DAG.
        folder: gets KFP's copies of the small artifacts, and `kfp.log` with what KFP itself says.
        runner: of KFP.
        handler: KFP's class that runs a step with this runner.
        steps: run them instead.

    Raises:
        Stopped: by Ctrl-C or a termination signal; nothing of the steps is left.
    """
    folder.mkdir(parents=True, exist_ok=True)

    class Ours(handler):
        def validate_image(self, image: str) -> None:
            """KFP's own choice of the image is not used, so it need not be one with Python."""

        def run(self) -> Status:
            return Status.SUCCESS if steps.run(self.full_command, self.env_vars) == 0 else Status.FAILURE

    with _kfp_log(folder / "kfp.log") as steps.terminal:
        local.init(runner, pipeline_root=str(folder))
        with (
            mock.patch.object(sys.modules[handler.__module__], handler.__name__, Ours),
            # It replaces `builtins.print` for a while, and two steps at once leave it replaced for ever.
            mock.patch.object(logging_utils, "indented_print", contextlib.nullcontext),
            steps.stopped_by_signals(),
        ):
            try:
                pipeline(**arguments)
            except RuntimeError:
                if not steps.outcome.failed:
                    raise
    return steps.outcome


@contextlib.contextmanager
def _kfp_log(path: Path) -> Iterator[TextIO]:
    """Sends what KFP prints and logs to a file; yields the standard output that people see."""
    terminal, root = sys.stdout, logging.getLogger()
    handlers = root.handlers[:]
    with path.open("w") as log, contextlib.redirect_stdout(log):
        root.handlers[:] = [logging.StreamHandler(log)]
        try:
            yield terminal
        finally:
            root.handlers[:] = handlers


class Steps:
    """The steps of one run of the DAG: their order of appearance, how long they took, and their end by a signal.

    Attributes:
        outcome: so far.
        terminal: where people see what the steps say.
    """

    def __init__(self) -> None:
        self.outcome = Outcome()
        self.terminal: TextIO = sys.stdout
        self._stopping = False
        self._started: dict[str, float] = {}

    def run(self, command: list[str], environment: dict[str, str]) -> int:
        """Runs one step; returns its exit code."""
        if self._stopping:  # a loop's next share, after Ctrl-C
            return 1
        component = command[command.index("--function_to_execute") + 1]
        if component not in self._started:
            self._started[component] = time.monotonic()
            print(f"== {component}", file=self.terminal, flush=True)
        code = self.execute(command, environment)
        self.outcome.seconds[component] = time.monotonic() - self._started[component]
        if code:
            self.outcome.failed[component] = code
        return code

    def execute(self, command: list[str], environment: dict[str, str]) -> int:
        """Runs a command to its end, or until it is killed; returns its exit code."""
        raise NotImplementedError

    def kill(self, number: int) -> None:
        """Sends a signal to all steps that are running."""
        raise NotImplementedError

    @contextlib.contextmanager
    def stopped_by_signals(self) -> Iterator[None]:
        """Ctrl-C and termination end the steps too."""
        numbers = (signal.SIGINT, signal.SIGTERM)
        before = [signal.signal(number, self._stop) for number in numbers]
        try:
            yield
        finally:
            for number, handler in zip(numbers, before, strict=True):
                signal.signal(number, handler)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self.kill(signal.SIGKILL if self._stopping else signal.SIGINT)
        if not self._stopping:
            self._stopping = True
            timer = threading.Timer(GRACE, self.kill, [signal.SIGKILL])
            timer.daemon = True
            timer.start()
        raise Stopped(number)


class _Processes(Steps):
    """Steps that are processes here."""

    def __init__(self, temporary: Path, lock: int) -> None:
        super().__init__()
        self._temporary, self._lock = temporary, lock
        self._live: set[subprocess.Popen[str]] = set()

    def execute(self, command: list[str], environment: dict[str, str]) -> int:
        in_loop = any("-iteration-" in part for part in command)
        with subprocess.Popen(
            [part if "\n" not in part else _with_this_python(part) for part in command],
            stdin=subprocess.PIPE,
            # Steps of a loop run side by side and get no terminal: their bars would write over each other.
            stdout=subprocess.PIPE if in_loop else None,
            stderr=subprocess.STDOUT if in_loop else None,
            text=True,
            env=os.environ | self._environment() | environment,
            process_group=0,  # so that what the step starts is stopped with it, and by us, not by the terminal
            pass_fds=[self._lock],
        ) as process:
            self._live.add(process)
            try:
                for line in process.stdout or ():
                    self.terminal.write(line)
                    self.terminal.flush()
                return process.wait()
            finally:
                process.wait()  # a stopped step tidies up, as long as its standard input is open
                self._live.discard(process)

    def _environment(self) -> dict[str, str]:
        path = os.pathsep.join(filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH")]))
        return {"PYTHONPATH": path, "PYTHONUNBUFFERED": "1", "TMPDIR": str(self._temporary)}

    def kill(self, number: int) -> None:
        for process in list(self._live):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)


def _with_this_python(script: str) -> str:
    """KFP's shell script of a step, with this interpreter and our executor.

    It takes the shell's place, for the shell would end before it when both are interrupted.
    """
    return script.replace(KFP_EXECUTOR, f"exec {shlex.quote(sys.executable)} -m pipelines.step_process")
