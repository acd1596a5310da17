"""Lets a long task finish its step when SIGTERM arrives: a drained node, a preempted machine, a cancelled run."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupted(SystemExit):
    """Ends the process with the exit code of one that SIGTERM ended, 143."""

    def __init__(self) -> None:
        super().__init__(128 + signal.SIGTERM)


@contextmanager
def deferred() -> Iterator[threading.Event]:
    """In the block, SIGTERM sets the event instead of ending the process."""
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():  # signals can be handled only there
        yield event
        return

    def handle(signum: int, frame: FrameType | None) -> None:
        event.set()

    before = signal.signal(signal.SIGTERM, handle)
    try:
        yield event
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL if before is None else before)
