"""Sorts the entries of a COCO file by a hash of their image's id, with files in place of memory."""

import marshal
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Any

COUNT = 1024  # a million images make partitions of 1 000
BUFFER = 16_000_000  # bytes kept in memory before they are appended to the files
IMAGE, ANNOTATION, SAME_KIND, OTHER = range(4)  # kinds of entries; the last two are of categories not trained
_LENGTH = 8  # bytes of an entry's length, which stands before it


class Partitions:
    """Entries in `COUNT` files; the keys of one file are all smaller than those of the next.

    Args:
        folder: gets the files.
        seed: of the hash, and so of the order.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        self._folder, self._seed = folder, seed
        self._waiting: dict[int, list[bytes]] = {}
        self._bytes = 0

    def add(self, image_id: int, kind: int, entry: dict[str, Any]) -> None:
        """Adds an image or an annotation of the image."""
        key = self._key(image_id)
        content = marshal.dumps((key, image_id, kind, entry))
        # marshal.loads of bytes is ten times as fast as marshal.load of a file; that needs the length.
        content = len(content).to_bytes(_LENGTH) + content
        self._waiting.setdefault(key * COUNT >> 64, []).append(content)
        self._bytes += len(content)
        if self._bytes > BUFFER:
            self.flush()

    def flush(self) -> None:
        """Writes what is kept in memory to the files."""
        for number, contents in self._waiting.items():
            with (self._folder / str(number)).open("ab") as file:
                file.writelines(contents)
        self._waiting, self._bytes = {}, 0

    def take(self, number: int) -> Iterator[tuple[int, int, int, dict[str, Any]]]:
        """Yields (key, image id, kind, entry) of one partition in the order of `add`, then removes its file."""
        path = self._folder / str(number)
        if path.exists():
            with path.open("rb") as file:
                while length := file.read(_LENGTH):
                    yield marshal.loads(file.read(int.from_bytes(length)))
            path.unlink()

    def _key(self, image_id: int) -> int:
        return int.from_bytes(blake2b(f"{self._seed}:{image_id}".encode(), digest_size=8).digest(), "big")
