"""The bytes so far of a file that is downloaded into a folder, kept so that another process can resume.

`.<name>.part` holds the bytes, `.<name>.part.json` the version that they belong to, `.<name>.lock` is a lock.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import IO

from openpose import progress, retry, storage
from openpose.coco.checksums import Checksums
from openpose.coco.remote_files import CHUNK, Version
from openpose.coco.resumable import Deadline, Restart, ResumableFile
from openpose.errors import InputError

LOCK_POLL = 0.2  # seconds between two looks at the lock of another process


class PartFile:
    """The part of the file `place` that comes from `url`."""

    def __init__(self, place: Path, url: str) -> None:
        self._place, self._url = place, url
        self._part = place.with_name(f".{place.name}.part")
        self._version_place = place.with_name(f".{place.name}.part.json")

    @property
    def size(self) -> int:
        """Bytes so far."""
        return storage.size(self._part) or 0

    @contextmanager
    def locked(self, deadline: Deadline) -> Iterator[None]:
        """Keeps other processes from downloading the same file; the system frees the lock when the process ends."""
        with self._place.with_name(f".{self._place.name}.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                progress.say(
                    f"{self._place.name}: another process is fetching it to {self._place.parent}; waiting for that"
                )
                poll = retry.attempts(
                    seconds=deadline.seconds,
                    errors=BlockingIOError,
                    pause=LOCK_POLL,
                    longest_pause=LOCK_POLL,
                    sleep=deadline.sleep,
                )
                poll(fcntl.flock, lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            storage.sweep_file(self._version_place)
            yield

    def complete(self, reader: ResumableFile, chunks: Iterable[bytes | Restart], offered: Version) -> Checksums:
        """Appends what is missing.

        Args:
            reader: gets the position and version of the part before the first chunk is taken.
            chunks: of the reader.
            offered: the version that the source offers now; a complete part of it needs no chunk.
        """
        with self._part.open("a+b") as output:
            checksums = self._resume(output, reader)
            if not (checksums.bytes == reader.version.bytes and reader.version.same(offered)):
                for chunk in chunks:
                    if isinstance(chunk, Restart):
                        output.truncate(0)
                        checksums = Checksums()
                        continue
                    if checksums.bytes == 0:
                        storage.write_json(self._version_place, {"url": self._url, **asdict(reader.version)})
                    checksums.update(chunk)
                    output.write(chunk)
            output.flush()
            os.fsync(output.fileno())
        return checksums

    def _resume(self, output: IO[bytes], reader: ResumableFile) -> Checksums:
        """The checksums of the bytes so far; drops them if their version is unknown."""
        checksums, version = Checksums(), self._version()
        if version is not None:
            output.seek(0)
            while chunk := output.read(CHUNK):
                checksums.update(chunk)
                reader.move_to(reader.done)  # prints a progress line now and then
            if checksums.bytes <= (version.bytes or checksums.bytes):
                reader.resume(checksums.bytes, version, connections=1)
                return checksums
        output.truncate(0)
        reader.resume(0, Version(), connections=0)
        return Checksums()

    def _version(self) -> Version | None:
        try:
            document = storage.read_json(self._version_place)
            return Version(**document) if document.pop("url") == self._url else None
        except (InputError, KeyError, TypeError, AttributeError):  # missing or damaged
            return None

    def rename(self) -> None:
        """Gives the part its final name; `remove` completes the work."""
        self._part.replace(self._place)

    def undo_rename(self) -> None:
        """Makes a part of a file whose process was killed between `rename` and `remove`."""
        if self._version_place.exists() and self._place.exists() and not self._part.exists():
            self._place.rename(self._part)

    def remove(self) -> None:
        """Removes what is left of the part."""
        storage.remove(self._part)
        storage.remove(self._version_place)
