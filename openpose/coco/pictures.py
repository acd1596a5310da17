"""A split's pictures, in a folder or in a zip archive, on this machine or in a bucket, read without unpacking."""

import io
import shutil
import stat
import struct
import unicodedata
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import Any

from openpose import progress, storage
from openpose.errors import InputError

MAX_RATIO, RATIO_FROM = 200, 1_000_000  # an entry larger than this (bytes) may not be packed tighter than that
_PACKED_AS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED, _UTF8 = 1, 0x800  # bits of an entry's flags
_HEADER, _HEADER_SPARE = 30, 256  # bytes of an entry's own header without its name and extra fields, and for those


class PictureStore:
    """Reads pictures by their `file_name`. Several threads may use it at once.

    Args:
        place: a folder, or a zip archive whose entries lie in a folder of the archive's name (`val2017/a.jpg` in
            `val2017.zip`) or at its top.

    Raises:
        InputError: it does not exist or is no readable archive.
    """

    def __init__(self, place: str | storage.StoragePath) -> None:
        self.place = storage.path(place)
        self._folder = self.place.stem
        self._archive: zipfile.ZipFile | None = None
        if self.place.suffix == ".zip" and self.place.is_file():
            self._archive = open_archive(self.place)
            self._entries = {_name(entry): entry for entry in self._archive.infolist() if not entry.is_dir()}
            self._ranges = storage.RangeReader(self.place)
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
            with zipfile.ZipExtFile(io.BytesIO(self._packed(entry)), "r", entry) as file:
                return file.read()
        except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
            raise OSError(f"it is damaged in the archive ({error})") from error

    def _packed(self, entry: zipfile.ZipInfo) -> bytes:
        """An entry's bytes in the archive, in one read: `ZipFile.read` needs several, and has all threads wait."""
        wanted = _HEADER + len(entry.filename.encode()) + _HEADER_SPARE + entry.compress_size
        content = self._ranges.read(entry.header_offset, wanted)
        if content[:4] != b"PK\3\4" or len(content) < _HEADER:
            raise zipfile.BadZipFile("Bad magic number for file header")
        start = _HEADER + sum(struct.unpack("<HH", content[26:_HEADER]))  # name, extra fields
        end = start + entry.compress_size
        if end > wanted:
            content += self._ranges.read(entry.header_offset + wanted, end - wanted)
        return content[start:end]

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
        usual = self._entries.get(f"{self._folder}/{file_name}")
        if usual is not None:  # no archive has an entry that leads out of it, and looking is quicker than parsing
            return usual
        name = self._inside(file_name)
        for candidate in (f"{self._folder}/{name}", str(name)):
            entry = self._entries.get(unicodedata.normalize("NFC", candidate))
            if entry is not None:
                return entry
        return None

    def some(self, count: int) -> list[str]:
        """Names of some files that are there, as they stand in the folder or archive."""
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
            # The directory at an archive's end has a checksum of every picture.
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


def open_archive(place: storage.StoragePath) -> zipfile.ZipFile:
    """Opens a zip archive after looking at the names and sizes of all its entries.

    Raises:
        InputError: it is no whole archive, or an entry could do harm; the message names it.
    """
    try:
        archive = storage.open_zip(place)
    except (zipfile.BadZipFile, EOFError, ValueError, NotImplementedError, struct.error) as error:
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
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is a link" if kind == stat.S_IFLNK else "is a device or pipe"
    if entry.flag_bits & _ENCRYPTED:
        return "is encrypted"
    if entry.compress_type not in _PACKED_AS:
        return "is packed in a way that is not supported (only stored and deflated)"
    if entry.file_size > max(RATIO_FROM, MAX_RATIO * entry.compress_size):
        return f"says that it is {entry.file_size:,} bytes, packed into {entry.compress_size:,}"
    return None


def _name(entry: zipfile.ZipInfo) -> str:
    """An entry's name as it was meant, composed (ü, not u¨)."""
    name = entry.filename
    if not name.isascii() and not entry.flag_bits & _UTF8:  # zip(1) writes UTF-8 and does not say so
        try:
            name = name.encode("cp437").decode()
        except UnicodeError:
            name = entry.filename
    return unicodedata.normalize("NFC", name.replace("\\", "/").removeprefix("./"))


def unpack(archive: storage.StoragePath, folder: Path) -> Path:
    """Unpacks an archive of pictures into a new folder, unless that folder is there.

    Returns:
        The folder of the pictures: `folder`, or the one of the archive's name in it.

    Raises:
        InputError: an entry is refused or damaged, or there is no space left.
    """
    if not folder.is_dir():
        with open_archive(archive) as opened, storage.atomic_folder(folder) as temporary:
            entries = [entry for entry in opened.infolist() if not entry.is_dir()]
            with progress.bar(sum(entry.file_size for entry in entries), f"unpack {archive.name}", "byte") as bar:
                for entry in entries:
                    _unpack_entry(opened, entry, temporary, archive)
                    bar.update(entry.file_size)
    inner = folder / archive.stem
    return inner if inner.is_dir() else folder


def _unpack_entry(opened: zipfile.ZipFile, entry: zipfile.ZipInfo, folder: Path, archive: storage.StoragePath) -> None:
    target = folder / _name(entry)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with opened.open(entry) as source, target.open("wb") as file:
            shutil.copyfileobj(source, file, 1 << 20)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        raise InputError(f"{archive}: it is damaged ({error}); fetch or make it again") from error
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise InputError(f"{archive}: its entry {entry.filename!r} is a file and a folder; make it again") from error


def pack(folder: storage.StoragePath, place: storage.StoragePath) -> None:
    """Packs a folder of pictures into an archive, stored; the same folder gives the same bytes.

    Raises:
        InputError: there is no space left, or the bucket refuses it.
    """
    sizes = storage.sizes(folder)
    with (
        storage.atomic_file(place) as temporary,
        zipfile.ZipFile(temporary, "w") as archive,
        progress.bar(sum(sizes.values()), f"pack {folder.name}", "byte") as bar,
    ):
        for name in sorted(sizes):
            entry = zipfile.ZipInfo(f"{folder.name}/{name}")  # dated 1980, whenever it is made
            entry.file_size = sizes[name]
            with (folder / name).open("rb") as source, archive.open(entry, "w") as target:
                shutil.copyfileobj(source, target, 1 << 20)
            bar.update(sizes[name])
