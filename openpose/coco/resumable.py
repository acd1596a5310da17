"""Reads a remote file to its end over as many connections as it takes, until nothing new arrives or time is up."""

from __future__ import annotations

import time
from collections.abc import Iterator

from openpose import progress, retry
from openpose.coco.remote_files import RemoteFile, Version
from openpose.retry import TemporaryError

TRIES = 8  # failures without a new byte between them, after which a file is given up
PAUSE, LONGEST_PAUSE = 0.5, 60.0  # seconds before the second try, doubled before each further one, and their limit


class DeadlineOver(Exception):
    """The time for all files is over."""


class Deadline:
    """The time for all files: `seconds` from now."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self._end = seconds, time.monotonic() + seconds

    def check(self) -> None:
        """Raises `DeadlineOver` if the time is up."""
        if time.monotonic() >= self._end:
            raise DeadlineOver

    def sleep(self, seconds: float) -> None:
        """Waits, but not beyond the deadline."""
        time.sleep(max(0.0, min(seconds, self._end - time.monotonic())))
        self.check()


class Restart(Exception):
    """The file begins at byte 0 again: drop what was read so far."""


class ResumableFile:
    """A remote file that is read over several connections.

    Args:
        source: the file.
        name: what messages call it.
        deadline: of all files.

    Attributes:
        version: the version that is read.
        done: bytes read so far.
        connections: number of connections that delivered these bytes, in this process and earlier ones.
        bar: counts the bytes.
        attempts: retries a request to the source.
    """

    def __init__(self, source: RemoteFile, name: str, deadline: Deadline) -> None:
        self.source, self.name, self.deadline = source, name, deadline
        self.version = Version()
        self.done = self.connections = self._farthest = 0
        self.bar: progress.Bar | None = None
        self.attempts = retry.attempts(
            tries=TRIES,
            pause=PAUSE,
            longest_pause=LONGEST_PAUSE,
            say=lambda error, pause: progress.say(f"{name}: {error}; trying again in {progress.duration(pause)}"),
            sleep=deadline.sleep,
        )

    def chunks(self, size: int | None) -> Iterator[bytes | Restart]:
        """Yields the bytes from `done` on, and a `Restart` before they begin at 0 again.

        Args:
            size: bytes of the whole file if the source does not say.

        Raises:
            TemporaryError: no new byte arrived in `TRIES` tries.
            InputError: the source denies the file.
            DeadlineOver: the time is up.
        """
        for attempt in self.attempts:
            with attempt, self.source.open(self.done, self.version) as stream:
                if stream.start != self.done:
                    yield self._begin_again(stream.version)
                self.version = stream.version
                self.connections += 1
                for chunk in stream.chunks:
                    self.move_to(self.done + len(chunk))
                    if self.done > self._farthest:
                        self._farthest, attempt.retry_state.attempt_number = self.done, 1
                    yield chunk
                whole = size or self.version.bytes
                if whole is not None and self.done < whole:
                    raise TemporaryError(f"the connection ended after {self.done:,} of {whole:,} bytes")

    def _begin_again(self, offered: Version) -> Restart:
        if self.version.differs(offered):
            why = "it has changed on the server"
            self._farthest = 0  # every byte of another version is new
        else:
            why = "the server does not go on in the middle"
        progress.say(f"{self.name}: {why}; fetching it again from the first byte")
        self.move_to(0)
        return Restart()

    def resume(self, done: int, version: Version, connections: int) -> None:
        """Sets where the next `chunks` begins."""
        self.move_to(done)
        self.version, self.connections, self._farthest = version, connections, done

    def move_to(self, done: int) -> None:
        """Sets how many bytes were read, and checks the deadline."""
        if self.bar is not None:
            self.bar.update(done - self.done)
        self.done = done
        self.deadline.check()
