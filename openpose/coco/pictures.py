"""Reads pictures by name from a folder or a zip archive, on this machine or in a bucket, without unpacking."""

import io
import struct
import unicodedata
import zipfile
from pathlib import PurePosixPath
from typing import Any

from openpose import storage
from openpose.coco.zip_archive import DAMAGED, entry_name, open_archive
from openpose.errors import InputError

_HEADER, _SPARE = 30, 256  # bytes of an entry's local header without name and extra fields, and a guess for those


class PictureStore:
    """The pictures of a split; several threads may read at the same time.

    Args:
        place: a folder, or a zip archive whose entries lie in a folder of the archive's name (`val2017/a.jpg` in
            `val2017.zip`) or at its top.

    Raises:
        InputError: the folder or archive does not exist, or the archive cannot be read.
    """

    def __init__(self, place: str | storage.StoragePath) -> None:
        self.place = storage.path(place)
        self._folder = self.place.stem
        self._archive: zipfile.ZipFile | None = None
        if self.place.suffix == ".zip" and self.place.is_file():
            self._archive = open_archive(self.place)
            self._entries = {entry_name(entry): entry for entry in self._archive.infolist() if not entry.is_dir()}
            self._ranges = storage.RangeReader(self.place)
        elif not self.place.is_dir():
            raise InputError(f"{self.place}: no such folder of pictures or zip archive")

    def read(self, file_name: str) -> bytes:
        """Returns the bytes of a picture.

        Raises:
            OSError: the picture is missing or damaged.
            ValueError: its name leads out of the split's folder.
        """
        if self._archive is None:
            return storage.read_bytes(self.place / str(self._inside(file_name)))
        entry = self._entry(file_name)
        if entry is None:
            raise FileNotFoundError(file_name)
        try:
            with zipfile.ZipExtFile(io.BytesIO(self._packed(entry)), "r", entry) as file:
                return file.read()
        except DAMAGED as error:
            raise OSError(f"it is damaged in the archive ({error})") from error

    def _packed(self, entry: zipfile.ZipInfo) -> bytes:
        """An entry's compressed bytes in one read; `ZipFile.read` takes several, and holds a lock meanwhile."""
        wanted = _HEADER + len(entry.filename.encode()) + _SPARE + entry.compress_size
        content = self._ranges.read(entry.header_offset, wanted)
        if content[:4] != b"PK\3\4" or len(content) < _HEADER:
            raise zipfile.BadZipFile("Bad magic number for file header")
        start = _HEADER + sum(struct.unpack("<HH", content[26:_HEADER]))  # name, extra fields
        end = start + entry.compress_size
        if end > wanted:
            content += self._ranges.read(entry.header_offset + wanted, end - wanted)
        return content[start:end]

    def size(self, file_name: str) -> int:
        """Bytes of a picture; 0 if it is missing or its name leads out of the split's folder."""
        try:
            if self._archive is None:
                return storage.size(self.place / str(self._inside(file_name))) or 0
            entry = self._entry(file_name)
        except (ValueError, OSError):
            return 0
        return entry.file_size if entry else 0

    def position(self, file_name: str) -> int:
        """Offset of a picture in its archive; 0 in a folder, or if it is missing."""
        try:
            entry = self._entry(file_name)
        except ValueError:
            return 0
        return entry.header_offset if entry else 0

    def _entry(self, file_name: str) -> zipfile.ZipInfo | None:
        if self._archive is None:
            return None
        usual = self._entries.get(f"{self._folder}/{file_name}")
        if usual is not None:  # safe without `_inside`, which is slower: open_archive checked all names
            return usual
        name = self._inside(file_name)
        for candidate in (f"{self._folder}/{name}", str(name)):
            entry = self._entries.get(unicodedata.normalize("NFC", candidate))
            if entry is not None:
                return entry
        return None

    def some(self, count: int) -> list[str]:
        """The first `count` names in the folder or archive."""
        names = self._entries if self._archive is not None else storage.sizes(self.place)
        return sorted(names)[:count]

    def _inside(self, file_name: str) -> PurePosixPath:
        name = PurePosixPath(file_name)
        if name.is_absolute() or ".." in name.parts or "\0" in file_name:
            raise ValueError(f"its name leads out of {self.place}")
        return name

    def signature(self) -> dict[str, Any]:
        """What changes when the pictures change: names with checksums (archive) or with sizes (folder)."""
        if self._archive is not None:
            # The directory at the end of the archive holds a checksum of every picture.
            return {"entries": sorted((entry.filename, entry.CRC) for entry in self._archive.infolist())}
        return {"files": sorted(storage.sizes(self.place).items())}

    def close(self) -> None:
        """Closes the archive."""
        if self._archive is not None:
            self._archive.close()
            self._ranges.close()

    def __enter__(self) -> "PictureStore":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
