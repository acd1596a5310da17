"""Reads pictures by name from a folder or a zip archive, on this machine or in a bucket, without unpacking."""

import io
import itertools
import os
import struct
import unicodedata
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote

from openpose import storage
from openpose.coco.zip_archive import DAMAGED, entry_name, files_in, open_archive, refuse_unread
from openpose.errors import InputError

_HEADER, _SPARE = 30, 256  # bytes of an entry's local header without name and extra fields, and a guess for those


def _ways(file_name: str, place: storage.StoragePath) -> Iterator[str]:
    """Ways in which tools write the name of a picture in a folder: as it is, with backslashes, or below the folder."""
    yield file_name
    name = file_name.replace("\\", "/").removeprefix("./")
    yield name
    parts, folders = PurePosixPath(name).parts, place.parts
    for count in range(1, min(len(parts), len(folders) + 1)):
        if parts[:count] == tuple(folders[-count:]):
            yield "/".join(parts[count:])


@contextmanager
def _damage_is_an_os_error() -> Iterator[None]:
    try:
        yield
    except DAMAGED as error:
        raise OSError(f"it is damaged in the archive ({error})") from error


def _name(place: str) -> str:
    return PurePosixPath(place).name.strip().casefold()


def _stem(place: str) -> str:
    return PurePosixPath(_name(place)).stem


def _around(names: Iterable[str]) -> list[str]:
    """The folders that all files of an archive are in, from the outermost on, each with a slash."""
    parts = [name.split("/")[:-1] for name in names]
    pairs = zip(min(parts), max(parts), strict=False) if parts else ()
    common = [one for one, _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs)]
    return [f"{'/'.join(common[:count])}/" for count in range(1, len(common) + 1)]


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
        if self.place.suffix.lower() == ".zip" and self.place.is_file():
            self._archive = open_archive(self.place)
            self._entries = {entry_name(entry): entry for entry in files_in(self._archive)}
            self._tops = list(dict.fromkeys((f"{self._folder}/", "", *_around(self._entries))))
            self._ranges = storage.RangeReader(self.place)
        elif not self.place.is_dir():
            refuse_unread(self.place)
            raise InputError(f"{self.place}: no such folder of pictures or zip archive")
        elif storage.is_local(self.place) and not os.access(self.place, os.R_OK | os.X_OK):
            raise InputError(f"{self.place}: this user may not read it; change its owner or its mode (chown, chmod)")

    def read(self, file_name: str) -> bytes:
        """Returns the bytes of a picture.

        Raises:
            OSError: the picture is missing or damaged.
            ValueError: its name leads out of the split's folder.
        """
        if self._archive is None:
            try:
                return storage.read_bytes(self.place / str(self._inside(file_name)))
            except (FileNotFoundError, ValueError):
                place = self._otherwise(file_name)
                if place is None:
                    raise
                return storage.read_bytes(place)
        entry = self._entry(file_name)
        if entry is None:
            raise FileNotFoundError(file_name)
        with (
            _damage_is_an_os_error(),
            zipfile.ZipExtFile(io.BytesIO(self._packed(entry)), "r", entry) as file,
        ):
            return file.read()

    def head(self, file_name: str, count: int) -> bytes:
        """The first bytes of a picture, or all of it where reading less would not be faster.

        Raises:
            OSError: the picture is missing or damaged.
            ValueError: its name leads out of the split's folder.
        """
        if self._archive is None:
            place = self.place / str(self._inside(file_name))
            if storage.size(place) is not None:
                return storage.read_range(place, 0, count)
        else:
            entry = self._entry(file_name)
            if entry is not None and entry.compress_type == zipfile.ZIP_STORED:
                with _damage_is_an_os_error():
                    return self._packed(entry, count)
        return self.read(file_name)

    def _packed(self, entry: zipfile.ZipInfo, count: int | None = None) -> bytes:
        """An entry's compressed bytes in one read; `ZipFile.read` takes several, and holds a lock meanwhile."""
        size = entry.compress_size if count is None else min(count, entry.compress_size)
        wanted = _HEADER + len(entry.filename.encode(errors="replace")) + _SPARE + size
        content = self._ranges.read(entry.header_offset, wanted)
        if content[:4] != b"PK\3\4" or len(content) < _HEADER:
            raise zipfile.BadZipFile("Bad magic number for file header")
        start = _HEADER + sum(struct.unpack("<HH", content[26:_HEADER]))  # name, extra fields
        end = start + size
        if end > wanted:
            content += self._ranges.read(entry.header_offset + wanted, end - wanted)
        return content[start:end]

    def has(self, file_name: str) -> bool:
        """Whether there is a picture of exactly this name."""
        if self._archive is not None:
            return any(f"{top}{file_name}" in self._entries for top in self._tops)
        with suppress(OSError, ValueError):
            return storage.size(self.place / str(self._inside(file_name))) is not None
        return False

    def size(self, file_name: str) -> int:
        """Bytes of a picture; 0 if it is missing or its name leads out of the split's folder."""
        try:
            if self._archive is None:
                place = self.place / str(self._inside(file_name))
                return storage.size(place) or self._size_otherwise(file_name)
            entry = self._entry(file_name)
        except (ValueError, OSError):
            return self._size_otherwise(file_name)
        return entry.file_size if entry else 0

    def _size_otherwise(self, file_name: str) -> int:
        place = self._otherwise(file_name) if self._archive is None else None
        return 0 if place is None else storage.size(place) or 0

    def _otherwise(self, file_name: str) -> storage.StoragePath | None:
        """A picture of the folder by another way of writing its name; None if there is none."""
        for name in _ways(file_name, self.place):
            for form in ("NFC", "NFD"):
                places = [self.place / unicodedata.normalize(form, name)]
                with suppress(UnicodeError):  # a disk from Windows may have names in another encoding than UTF-8
                    places.append(self.place / os.fsdecode(unicodedata.normalize(form, name).encode("latin-1")))
                for place in places:
                    with suppress(OSError, ValueError):
                        if self._inside(name) and storage.size(place) is not None:
                            return place
        return None

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
        self._inside(file_name)
        for name in _ways(file_name, self.place.with_suffix("")):
            for top in self._tops:
                entry = self._entries.get(unicodedata.normalize("NFC", f"{top}{PurePosixPath(name)}"))
                if entry is not None:
                    return entry
        return None

    def some(self, count: int) -> list[str]:
        """The first `count` names in the folder or archive."""
        names = self._entries if self._archive is not None else self._sizes()
        return sorted(names)[:count]

    def alike(self, file_name: str) -> str | None:
        """A file with the same name in any folder of the store, in capitals or not, or with another ending."""
        names = sorted(self._entries if self._archive is not None else self._sizes())
        plain = file_name.replace("\\", "/")
        for part in (_name, _stem):
            wanted = {part(plain), part(unquote(plain))}
            for each in names:
                if part(each) in wanted:
                    return each
        return None

    def _sizes(self) -> dict[str, int]:
        return {name: size for name, size in storage.sizes(self.place).items() if not storage.is_shadow(name)}

    def _inside(self, file_name: str) -> PurePosixPath:
        name = PurePosixPath(file_name)
        if name.is_absolute() or ".." in name.parts or "\0" in file_name:
            raise ValueError(f"its name leads out of {self.place}")
        return name

    def signature(self) -> dict[str, Any]:
        """What changes when the pictures change: names with checksums (archive) or with sizes (folder)."""
        if self._archive is not None:
            # The directory at the end of the archive holds a checksum of every picture.
            entries = (entry for entry in self._archive.infolist() if not storage.is_shadow(entry.filename))
            return {"entries": sorted((entry.filename, entry.CRC) for entry in entries)}
        return {"files": sorted(self._sizes().items())}

    def close(self) -> None:
        """Closes the archive."""
        if self._archive is not None:
            self._archive.close()
            self._ranges.close()

    def __enter__(self) -> "PictureStore":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
