"""Hashes bytes while they are downloaded or copied."""

import hashlib
from typing import Any

from google_crc32c import Checksum


class Checksums:
    """The size and the checksums of all bytes so far; `checksums["md5"]` is hexadecimal."""

    def __init__(self) -> None:
        self.bytes = 0
        md5 = hashlib.md5(usedforsecurity=False)
        self._sums: dict[str, Any] = {"sha256": hashlib.sha256(), "md5": md5, "crc32c": Checksum()}

    def update(self, chunk: bytes) -> None:
        """Adds more bytes."""
        self.bytes += len(chunk)
        for checksum in self._sums.values():
            checksum.update(chunk)

    def __getitem__(self, name: str) -> str:
        return self._sums[name].digest().hex()
