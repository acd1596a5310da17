"""A split's pictures, in a folder or in a zip archive, on this machine or in a bucket, read without unpacking."""

import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import Any

from openpose import progress, storage
from openpose.errors import InputError

MAX_RATIO, RATIO_FROM = 200, 1_000_000  # an entry larger than this (bytes) may not be packed tighter than that
_PACKED_AS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 1  # bit of an entry's flags


class PictureStore:
    """Reads pictures by their `file_name`. Several threads may use it at once.

    Args:
        place: a folder, or a zip archive whose entries lie in a folder of the archive's name (`val2017/a.jpg` in
            `val2017.zip`) or at its top.

    Raises:
        InputError: it does not exist or is no readable archive.
    """

    def __init__(self, place: str | storage.Place) -> None:
        self.place = storage.path(place)
        self._archive: zipfile.ZipFile | None = None
        if self.place.suffix == ".zip" and self.place.is_file():
            self._archive = open_archive(self.place)
        elif not self.place.is_dir():
            raise InputError(f"{self.place}: no such folder of pictures or zip archive")

    def read(self, file_name: str) -> bytes:
        """The bytes of a picture.

        Raises:
            OSError: it is missing or damaged.
            ValueError: its name leads out of the split's folder.
        """
        if self._archive is None:
            return storage.read_bytes(self.place / str(self._inside(file_name)))
        entry = self._entry(file_name)
        if entry is None:
            raise FileNotFoundError(file_name)
        try:
            return self._archive.read(entry)
        except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
            raise OSError(f"it is damaged in the archive ({error})") from error

    def size(self, file_name: str) -> int:
        """Bytes of a picture; 0 when it is missing, or its name leads out of the split's folder."""
        try:
            if self._archive is None:
                return storage.size(self.place / str(self._inside(file_name))) or 0
            entry = self._entry(file_name)
        except (ValueError, OSError):
            return 0
        return entry.file_size if entry else 0

    def position(self, file_name: str) -> int:
        """Where a picture lies in its archive; 0 in a folder, or when it is missing."""
        try:
            entry = self._entry(file_name)
        except ValueError:
            return 0
        return entry.header_offset if entry else 0

    def _entry(self, file_name: str) -> zipfile.ZipInfo | None:
        if self._archive is None:
            return None
        name = self._inside(file_name)
        for candidate in (f"{self.place.stem}/{name}", str(name)):
            if candidate in self._archive.NameToInfo:
                return self._archive.NameToInfo[candidate]
        return None

    def _inside(self, file_name: str) -> PurePosixPath:
        name = PurePosixPath(file_name)
        if name.is_absolute() or ".." in name.parts or "\0" in file_name:
            raise ValueError(f"its name leads out of {self.place}")
        return name

    def signature(self) -> dict[str, Any]:
        """What changes when the pictures change: names with checksums (archive) or with sizes (folder)."""
        if self._archive is not None:
            # The directory at an archive's end has a checksum of every picture.
            return {"entries": sorted((entry.filename, entry.CRC) for entry in self._archive.infolist())}
        return {"files": sorted(storage.sizes(self.place).items())}

    def close(self) -> None:
        """Closes the archive."""
        if self._archive is not None:
            self._archive.close()

    def __enter__(self) -> "PictureStore":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_archive(place: storage.Place) -> zipfile.ZipFile:
    """Opens a zip archive after looking at the names and sizes of all its entries.

    Raises:
        InputError: it is no whole archive, or an entry could do harm; the message names it.
    """
    try:
        archive = zipfile.ZipFile(place if isinstance(place, Path) else storage.open_binary(place))
    except (zipfile.BadZipFile, EOFError, ValueError) as error:
        raise InputError(f"{place}: not a whole zip archive ({error}); fetch or make it again") from error
    for entry in archive.infolist():
        trouble = _trouble(entry)
        if trouble:
            archive.close()
            raise InputError(f"{place}: its entry {entry.filename!r} {trouble}; make the archive again without it")
    return archive


def _trouble(entry: zipfile.ZipInfo) -> str | None:
    """Why an entry is refused."""
    name = PurePosixPath(entry.filename.replace("\\", "/"))
    if name.is_absolute() or ".." in name.parts or entry.filename[1:2] == ":":
        return "leads out of the archive's folder"
    if stat.S_ISLNK(entry.external_attr >> 16):
        return "is a link"
    if entry.flag_bits & _ENCRYPTED:
        return "is encrypted"
    if entry.compress_type not in _PACKED_AS:
        return "is packed in a way that is not supported (only stored and deflated)"
    if entry.file_size > max(RATIO_FROM, MAX_RATIO * entry.compress_size):
        return f"says that it is {entry.file_size:,} bytes, packed into {entry.compress_size:,}"
    return None


def unpack(archive: Path, folder: Path) -> Path:
    """Unpacks an archive of pictures into a folder, unless that is done.

    Returns:
        The folder of the pictures: `folder`, or the one of the archive's name in it.

    Raises:
        InputError: an entry is refused or damaged, or there is no space left.
    """
    if not folder.is_dir():
        with open_archive(archive) as opened, storage.atomic_folder(folder) as temporary:
            try:
                entries = opened.infolist()
                with progress.bar(len(entries), f"unpack {archive.name}", "file") as bar:
                    for entry in entries:
                        opened.extract(entry, temporary)
                        bar.update(1)
            except (zipfile.BadZipFile, zlib.error, EOFError) as error:
                raise InputError(f"{archive}: it is damaged ({error}); fetch or make it again") from error
    inner = folder / archive.stem
    return inner if inner.is_dir() else folder
