"""Zip archives: opens them after a safety check, packs and unpacks folders of pictures."""

import errno
import os
import shutil
import stat
import struct
import unicodedata
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from openpose import progress, storage
from openpose.coco.values import shown
from openpose.errors import InputError

MAX_RATIO, RATIO_FROM = 200, 1_000_000  # an entry larger than RATIO_FROM bytes may shrink by MAX_RATIO at most
_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED, _UTF8 = 1, 0x800  # bits of an entry's flags
#: What zipfile raises when the content of an entry is damaged.
DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError)


def open_archive(place: storage.StoragePath) -> zipfile.ZipFile:
    """Opens a zip archive after a check of the names and sizes of all its entries.

    Raises:
        InputError: the archive is not complete, or an entry could do harm; the message names the entry.
    """
    try:
        archive = storage.open_zip(place)
    except UnicodeDecodeError as error:
        raise InputError(
            f"{place}: a file name in it is marked as UTF-8, but is not ({error}); make the archive again"
        ) from error
    except (zipfile.BadZipFile, EOFError, ValueError, NotImplementedError, struct.error) as error:
        raise InputError(f"{place}: not a whole zip archive ({error}); fetch or make it again") from error
    for entry in archive.infolist():
        if (harm := _harm(entry)) is not None:
            archive.close()
            raise InputError(f"{place}: its entry {entry.filename!r} {harm}; make the archive again without it")
    return archive


def _harm(entry: zipfile.ZipInfo) -> str | None:
    """Why the entry is refused, None if it is safe."""
    if not entry.filename:
        return "has no name"
    name = PurePosixPath(entry.filename.replace("\\", "/"))
    if name.is_absolute() or ".." in name.parts or entry.filename[1:2] == ":":
        return "leads out of the archive's folder"
    if entry.header_offset < 0:
        return "begins before the archive, which is cut off or damaged"
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is a link" if kind == stat.S_IFLNK else "is a device or pipe"
    if entry.flag_bits & _ENCRYPTED:
        return "is encrypted"
    if entry.compress_type not in _COMPRESSIONS:
        return "uses a compression that is not supported (only stored and deflated are)"
    if entry.file_size > max(RATIO_FROM, MAX_RATIO * entry.compress_size):
        return f"says that it is {entry.file_size:,} bytes, packed into {entry.compress_size:,}"
    return None


def entry_name(entry: zipfile.ZipInfo) -> str:
    """The entry's name as its author meant it, in composed Unicode (ü, not u¨)."""
    name = entry.filename
    if not name.isascii() and not entry.flag_bits & _UTF8:  # zip(1) writes UTF-8 without the flag for it
        try:
            name = name.encode("cp437").decode()
        except UnicodeError:
            name = entry.filename
    return unicodedata.normalize("NFC", name.replace("\\", "/").removeprefix("./"))


def files_in(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """The entries of an archive that are files, without those that macOS adds."""
    return [entry for entry in archive.infolist() if not entry.is_dir() and not storage.is_shadow(entry.filename)]


def unpack(archive: storage.StoragePath, folder: Path) -> Path:
    """Unpacks an archive of pictures into a new folder, unless the folder exists.

    Returns:
        The folder of the pictures: `folder`, or the folder in it with the archive's name, or the only one in it.

    Raises:
        InputError: an entry is refused or damaged, or the disk is full.
    """
    if not folder.is_dir():
        with open_archive(archive) as opened, storage.atomic_folder(folder) as temporary:
            entries = files_in(opened)
            with progress.bar(sum(entry.file_size for entry in entries), f"unpack {archive.name}", "byte") as bar:
                for entry in entries:
                    _unpack_entry(opened, entry, temporary, archive)
                    bar.update(entry.file_size)
    inner = folder / archive.stem
    return inner if inner.is_dir() else only_folder(folder) or folder


def only_folder(folder: Path) -> Path | None:
    """The folder that is all that a folder holds, apart from what macOS adds; None if there is more, or a file."""
    inside = [each for each in folder.iterdir() if not storage.is_shadow(each.name)]
    return inside[0] if len(inside) == 1 and inside[0].is_dir() else None


#: Endings of archives that are not read, and of packed files.
UNREAD = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst", ".tar", ".7z", ".rar", ".gz", ".xz", ".bz2")


def refuse_unread(place: object) -> None:
    """Refuses an archive of another kind than zip.

    Raises:
        InputError: it is one, by its name.
    """
    ending = next((each for each in UNREAD if str(place).lower().endswith(each)), None)
    if ending:
        raise InputError(f"{place}: {ending} is not read; unpack it and give the folder, or pack the folder as .zip")


def _unpack_entry(opened: zipfile.ZipFile, entry: zipfile.ZipInfo, folder: Path, archive: storage.StoragePath) -> None:
    target = folder / entry_name(entry)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with opened.open(entry) as source, target.open("wb") as file:
            shutil.copyfileobj(source, file, 1 << 20)
    except (*DAMAGED, ValueError) as error:
        raise InputError(f"{archive}: it is damaged ({error}); fetch or make it again") from error
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise InputError(f"{archive}: its entry {entry.filename!r} is a file and a folder; make it again") from error
    except OSError as error:
        if error.errno not in (errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ):
            raise
        raise InputError(
            f"{archive}: its entry {shown(entry.filename)} cannot be written here ({error.strerror}); rename it or "
            "remove it"
        ) from error


def _utf8(name: str) -> str:
    """The name of a file for an archive; one that is not UTF-8 on the disk is taken for Latin-1."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return os.fsencode(name).decode("latin-1")
    return name


def pack(folder: storage.StoragePath, place: storage.StoragePath) -> None:
    """Packs a folder of pictures into an archive without compression; the same folder gives the same bytes.

    Raises:
        InputError: the disk is full, or the bucket refuses access.
    """
    sizes = {name: size for name, size in storage.sizes(folder).items() if not storage.is_shadow(name)}
    with (
        storage.atomic_file(place) as temporary,
        zipfile.ZipFile(temporary, "w") as archive,
        progress.bar(sum(sizes.values()), f"pack {folder.name}", "byte") as bar,
    ):
        for name in sorted(sizes):
            entry = zipfile.ZipInfo(f"{folder.name}/{_utf8(name)}")  # its date is always 1980
            entry.file_size = sizes[name]
            with (folder / name).open("rb") as source, archive.open(entry, "w") as target:
                shutil.copyfileobj(source, target, 1 << 20)
            bar.update(sizes[name])
