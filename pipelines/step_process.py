"""The processes of steps on this machine, seen from the run that starts them; `pipelines.step_server` forks them."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import TextIO


@contextlib.contextmanager
def step_server(packages: Sequence[str], environment: dict[str, str], lock: int) -> Iterator["StepServer"]:
    """Starts the server, which imports packages for the steps in the background.

    Args:
        packages: names of those that steps would spend long to import; the first steps do not wait for them.
        environment: all environment variables of the server and the steps.
        lock: a file descriptor that stays open until all steps have ended.
    """
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", "pipelines.step_server", str(theirs.fileno()), *packages],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,  # TensorFlow's import always logs something
            env=environment,
            pass_fds=[theirs.fileno()],
            process_group=0,  # out of reach of the terminal's Ctrl-C
        )
    try:
        yield StepServer(ours, lock)
    finally:
        ours.close()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # also where it still imports
        process.wait()


class StepServer:
    """Starts steps. See `step_server`."""

    def __init__(self, requests: socket.socket, lock: int) -> None:
        self._requests, self._lock = requests, lock

    def start(self, command: list[str], environment: dict[str, str], piped: bool) -> "StepProcess":
        """Starts a step.

        Args:
            command: from KFP: a shell, its script, the source of the step's function, and the executor's arguments.
            environment: variables of this step only.
            piped: whether its output and errors come here, or go to those of this process.

        Raises:
            RuntimeError: the server was killed.
        """
        first = command.index("--executor_input")
        ours, theirs = socket.socketpair()
        read, write = os.pipe() if piped else (os.open(os.devnull, os.O_RDONLY), None)
        step = StepProcess(ours, os.fdopen(read))
        try:
            with theirs:
                socket.send_fds(self._requests, [b"."], [theirs.fileno(), write or 1, write or 2, self._lock])
            ours.sendall(json.dumps([command[first - 1], command[first:], environment]).encode() + b"\n")
            step.wait_for_start()
        except (OSError, EOFError):
            step.close()
            raise RuntimeError("the process that starts the steps was killed; is there enough memory?") from None
        finally:
            if write is not None:
                os.close(write)
        return step


class StepProcess:
    """A running step, in a process group with its children. It ends when its parent ends.

    Args:
        channel: to the step and to the process that watches it.
        output: the lines of its piped output, until it ends.
    """

    def __init__(self, channel: socket.socket, output: TextIO) -> None:
        self.output = output
        self._channel, self._answers = channel, channel.makefile()
        self._group = 0
        self._code: int | None = None

    def wait_for_start(self) -> None:
        """Waits until signals can be sent.

        Raises:
            EOFError: the server has ended.
        """
        answer = self._answers.readline()
        if not answer:
            raise EOFError
        self._group = int(answer)

    def send(self, number: int) -> None:
        """Sends a signal to the step and its children, if they run."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._group, number)

    def wait(self) -> int:
        """Waits for its end; returns its exit code, or minus the number of the signal that killed it."""
        if self._code is None:
            self._code = int(self._answers.readline() or -signal.SIGKILL)
        return self._code

    def close(self) -> None:
        """Closes the files. A step that still runs ends."""
        for each in (self.output, self._answers, self._channel):
            each.close()
