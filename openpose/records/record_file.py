"""The framing of TFRecord files: what `tf.io.TFRecordWriter` writes, and the file's checksum on the way.

TensorFlow's writer leaves the file to be read again for its checksum, and has the reader of the next picture wait for
the disk; see `benchmarks/write_records.py`.
"""

import hashlib
import os
import struct
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

import google_crc32c

# Python hands its lock over slowly, so what two threads do at the same time should take long: this takes about 10 ms.
_CHUNK = 4 << 20  # bytes

# tensorflow/core/lib/hash/crc32c.h: a checksum of data that hold checksums is of little use unless it is masked.
_MASK_DELTA = 0xA282EAD8


class RecordFile:
    """Writes records to a new file; a thread of its own stores and sums what is complete.

    Args:
        path: the file.

    Attributes:
        bytes: of the file, so far.

    Raises:
        OSError: by any of the calls, when the disk refuses what an earlier one wrote.
    """

    def __init__(self, path: Path) -> None:
        self._file, self._sum = path.open("wb", buffering=0), hashlib.sha256()
        self._background = ThreadPoolExecutor(1)
        self._parts, self._parts_bytes = list[bytes](), 0
        self._stored: Future[None] | None = None
        self.bytes = 0

    def write(self, *pieces: bytes) -> None:
        """Writes one record, given as pieces that follow each other."""
        length, crc = sum(map(len, pieces)), 0
        for piece in pieces:
            crc = google_crc32c.extend(crc, piece)
        head = struct.pack("<Q", length)
        self._parts += head, _masked(google_crc32c.value(head)), *pieces, _masked(crc)
        self._parts_bytes += len(head) + 4 + length + 4
        if self._parts_bytes >= _CHUNK:
            self._hand_over()

    def _hand_over(self) -> None:
        """Has what there is stored, once what was handed over before is."""
        self._wait()
        self._stored = self._background.submit(self._store, self._parts)
        self.bytes += self._parts_bytes
        self._parts, self._parts_bytes = [], 0

    def _wait(self) -> None:
        if self._stored is not None:
            self._stored.result()

    def _store(self, parts: list[bytes]) -> None:
        content = memoryview(b"".join(parts))
        self._sum.update(content)
        while content:
            content = content[self._file.write(content) :]
        if hasattr(os, "posix_fadvise"):  # not on macOS
            # It begins to go to the disk now, and leaves the page cache to the pictures.
            os.posix_fadvise(self._file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)

    @property
    def sha256(self) -> str:
        """Of the whole file, in hexadecimal; after the block."""
        return self._sum.hexdigest()

    def __enter__(self) -> "RecordFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._hand_over()
                self._wait()
        finally:
            self._background.shutdown()
            self._file.close()


def _masked(crc: int) -> bytes:
    rotated = crc >> 15 | crc << 17
    return struct.pack("<I", rotated + _MASK_DELTA & 0xFFFFFFFF)
