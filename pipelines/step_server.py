"""Forks the processes of steps. Once it has imported the packages that take long, each step has them at its start.

`pipelines.step_process` starts it as `python -m pipelines.step_server SOCKET PACKAGE ...`. For each step, four file
descriptors come over that socket: a channel, standard output, standard error, and the lock of the run. A line of JSON
comes on the channel: the source of the step's function, the arguments of KFP's executor, and environment variables. Two
lines go back: the step's process id and, at its end, its exit code.
"""

import contextlib
import gc
import importlib
import json
import logging
import os
import select
import signal
import socket
import sys
import tempfile
import threading
from pathlib import Path
from typing import NoReturn

from kfp.dsl import executor_main


def main() -> None:
    """Serves until its parent ends, or runs a step in a process that was forked for it."""
    _, number, *packages = sys.argv
    with socket.socket(fileno=int(number)) as requests:
        ready, is_ready = os.pipe()
        if os.fork() == 0:
            for package in packages:
                importlib.import_module(package)
            # Half a million objects that stay: the steps' garbage collections need not look at them, nor copy them.
            gc.collect()
            gc.freeze()
            os.write(is_ready, b".")
            os.close(ready)
            channel = _step_of(requests)
        else:
            os.close(is_ready)
            channel = _step_of(requests, ready)
    if channel is not None:
        _run_step(socket.socket(fileno=channel))


def _step_of(requests: socket.socket, ready: int | None = None) -> int | None:
    """Forks steps, until the parent has ended or the process that imports packages is `ready` to do so.

    Returns:
        A step's channel in the step's process, and None in this one at its end.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the watching processes
    # The only threads here are OpenBLAS's, which it ends before a fork.
    while True:
        if ready is not None and ready in select.select([requests.fileno(), ready], [], [])[0]:
            if os.read(ready, 1):
                return None
            ready = None  # a package cannot be imported; a step that needs it will say so
        with contextlib.suppress(BlockingIOError):  # the other process took it
            message, files, _, _ = socket.recv_fds(requests, 1, 4, socket.MSG_DONTWAIT if ready else 0)
            if not message:
                return None
            if os.fork() == 0:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                step = os.fork()
                if step != 0:
                    _watch(step, *files)
                channel, output, errors, _lock = files  # the lock stays open
                os.setpgid(0, 0)  # so that the runner, not the terminal, stops a step together with its children
                os.dup2(output, 1)
                os.dup2(errors, 2)
                return channel
            for file in files:
                os.close(file)


def _watch(step: int, channel: int, *others: int) -> NoReturn:
    """Tells a step's process id and, at its end, its exit code; then ends this process."""
    for file in others:
        os.close(file)
    with contextlib.suppress(OSError):  # the step has ended already, or set it itself
        os.setpgid(step, step)  # here too, because the group must exist when its id is told
    with contextlib.suppress(BrokenPipeError):  # the runner was killed
        os.write(channel, f"{step}\n".encode())
        _, status = os.waitpid(step, 0)
        os.write(channel, f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def _run_step(channel: socket.socket) -> None:
    """Runs KFP's executor without its log."""
    logging.disable(logging.INFO)  # the executor logs all its input
    try:
        source, arguments, environment = json.loads(channel.makefile().readline())
        os.environ.update(environment)
        threading.Thread(target=_end_with_parent, args=[channel], daemon=True).start()
        with tempfile.TemporaryDirectory() as folder:
            module = Path(folder, "ephemeral_component.py")
            module.write_text(source)
            sys.argv = ["executor_main", "--component_module_path", str(module), *arguments]
            executor_main.executor_main()
    except KeyboardInterrupt:
        sys.exit(130)


def _end_with_parent(channel: socket.socket) -> None:
    channel.recv(1)  # the parent writes no more, so this returns only when the parent has ended or was killed
    os._exit(1)


if __name__ == "__main__":
    main()
