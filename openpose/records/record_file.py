"""Writes TFRecord files: the same bytes as `tf.io.TFRecordWriter`, with their SHA-256 computed on the way.

TensorFlow's writer needs a joined copy of each record and a second read of the file for its hash, which takes a third
more CPU time; see `benchmarks/write_records.py`.
"""

import hashlib
import os
import struct
from pathlib import Path
from types import TracebackType

import google_crc32c

# Python hands its lock over slowly, so each step that runs without it should be long: this takes about 10 ms.
_CHUNK = 4 << 20  # bytes

_MASK_DELTA = 0xA282EAD8  # from tensorflow/core/lib/hash/crc32c.h


class RecordFile:
    """Writes records to a new file.

    Args:
        path: the file.

    Attributes:
        bytes: size of the file so far.

    Raises:
        OSError: the disk refuses to store what this or an earlier call wrote.
    """

    def __init__(self, path: Path) -> None:
        self._file, self._hash = path.open("wb"), hashlib.sha256()
        self._waiting, self._waiting_bytes = list[bytes](), 0
        self.bytes = 0

    def write(self, *pieces: bytes) -> None:
        """Writes one record, given as consecutive pieces."""
        length, crc = sum(map(len, pieces)), 0
        for piece in pieces:
            crc = google_crc32c.extend(crc, piece)
        head = struct.pack("<Q", length)
        self._waiting += head, _masked(google_crc32c.value(head)), *pieces, _masked(crc)
        self._waiting_bytes += len(head) + 4 + length + 4
        if self._waiting_bytes >= _CHUNK:
            self._store()

    def _store(self) -> None:
        content = b"".join(self._waiting)
        self._hash.update(content)
        self._file.write(content)
        self.bytes += len(content)
        self._waiting, self._waiting_bytes = [], 0
        if hasattr(os, "posix_fadvise"):  # not on macOS
            # Starts writing to the disk now, and leaves the page cache to the pictures.
            os.posix_fadvise(self._file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)

    @property
    def sha256(self) -> str:
        """SHA-256 of the whole file in hexadecimal; valid after the block."""
        return self._hash.hexdigest()

    def __enter__(self) -> "RecordFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._file:
            if error is None:
                self._store()


def _masked(crc: int) -> bytes:
    """The checksum as the format stores it; unmasked, a checksum of data that contain checksums says little."""
    rotated = crc >> 15 | crc << 17
    return struct.pack("<I", rotated + _MASK_DELTA & 0xFFFFFFFF)
