"""Files under the storage root: opens the root, reads files and ranges, lists, copies and removes."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import zipfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import IO, TypeVar

from openpose.errors import InputError
from openpose.storage.path import StoragePath, is_local, path, store
from openpose.storage.store import PATIENCE, BucketObject, BucketPath, Entry, key
from openpose.storage.user_errors import bucket_errors, user_errors

ATTRIBUTE_CACHE_SECONDS = 90.0  # until NFS clients see a file that was written elsewhere
BUCKET_THREADS = 8  # files copied to or from a bucket at the same time

Item = TypeVar("Item")


def open_root(root: str | StoragePath) -> StoragePath:
    """Opens the storage root for writing: makes the folder if needed, or checks that the bucket exists.

    Raises:
        InputError: the folder cannot be made or written, or the bucket does not exist.
    """
    place = path(root)
    if is_local(place):
        return _make_root(place.absolute())
    if not place.bucket:
        raise InputError(f"storage root {root}: names no bucket; give {place.cloud_prefix}bucket/prefix")
    with bucket_errors(place):
        store(place).check(place)
    return place


def _make_root(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"storage root {folder}: cannot be made ({error.strerror}); give a folder that you may write"
        ) from error
    if not os.access(folder, os.W_OK):
        raise InputError(f"storage root {folder}: you may not write there; give another folder")
    return folder


def make_folder(folder: StoragePath) -> None:
    """Makes a folder and its parents if needed; a bucket needs none."""
    if is_local(folder):
        folder.mkdir(parents=True, exist_ok=True)


def free_space(folder: StoragePath) -> int | None:
    """Free bytes on the disk of a folder; None in a bucket, which does not fill up."""
    return shutil.disk_usage(folder).free if is_local(folder) else None


def parallel(work: Callable[[Item], object], items: Iterable[Item]) -> None:
    """Does the work for all items, a few at the same time, and raises the first error."""
    with ThreadPoolExecutor(BUCKET_THREADS) as threads:
        tasks = [threads.submit(work, item) for item in items]
        try:
            for task in tasks:
                task.result()
        finally:
            for task in tasks:
                task.cancel()


def remove(place: StoragePath) -> None:
    """Removes a file, a folder or all objects below a prefix, if there are any."""
    if not is_local(place):
        with bucket_errors(place):
            parallel(remove_object, [place, *(place / name for name in sizes(place))])
    elif place.is_dir() and not place.is_symlink():
        shutil.rmtree(place, ignore_errors=True)
    else:
        place.unlink(missing_ok=True)


def remove_object(place: BucketPath) -> None:
    """Removes an object, if there is one."""
    store(place).remove(place)


def size(place: StoragePath) -> int | None:
    """Bytes of a file, None if there is no such file."""
    if is_local(place):
        return place.stat().st_size if place.is_file() else None
    found = _found(place)
    return None if found is None else found.size


def sizes(folder: StoragePath) -> dict[str, int]:
    """Bytes of all files below a folder, by their names relative to it; {} if there is no such folder.

    In a bucket this takes one request for a thousand files, where `size` takes one for each.
    """
    if is_local(folder):
        found = {}
        for top, names in _walk(folder, ()):
            for name in names:
                file = Path(top) / name
                with suppress(OSError):  # another process has just renamed it, or it is a link to nothing
                    if stat.S_ISREG((state := file.stat()).st_mode):  # a FIFO would be waited for
                        found[file.relative_to(folder).as_posix()] = state.st_size
        return found
    return {name: entry.size for name, entry in _listed(folder).items()}


def _listed(folder: BucketPath) -> dict[str, Entry]:
    """All objects below a path by their names relative to it."""
    with bucket_errors(folder):
        # Some tools make an object for the folder itself.
        return {name: entry for name, entry in store(folder).listed(folder) if name and not name.endswith("/")}


def _walk(folder: Path, above: tuple[tuple[int, int], ...]) -> Iterator[tuple[Path, list[str]]]:
    """Like `os.walk`, but follows links to folders, except to one that the link is in."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        own = folder.stat()
    except OSError:
        return
    if (own.st_dev, own.st_ino) in above:
        return
    kinds = {entry.name: _is_folder(entry) for entry in entries}
    yield folder, [name for name, is_folder in kinds.items() if not is_folder]
    for name in (name for name, is_folder in kinds.items() if is_folder):
        yield from _walk(folder / name, (*above, (own.st_dev, own.st_ino)))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself, or to where nobody may look
        return False


def is_shadow(name: str) -> bool:
    """Whether a file is one that macOS puts beside others: `.DS_Store`, `._name`, or anything in `__MACOSX`."""
    return any(part == "__MACOSX" or part == ".DS_Store" or part.startswith("._") for part in name.split("/"))


def changes(folder: StoragePath) -> dict[str, tuple[int, float]]:
    """Bytes and Unix time of the last change of all files below a folder, by their names relative to it."""
    if is_local(folder):
        found = {}
        for name in sizes(folder):
            with suppress(FileNotFoundError):  # another process has just removed it
                described = (folder / name).stat()
                found[name] = (described.st_size, described.st_mtime)
        return found
    return {name: (entry.size, entry.changed) for name, entry in _listed(folder).items()}


def state(place: StoragePath) -> list[str]:
    """A file's size, and the time of its last change or an object's version: they tell whether it changed.

    Raises:
        FileNotFoundError: there is no such file.
    """
    if is_local(place):
        described = place.stat()
        return [str(described.st_size), str(described.st_mtime_ns)]
    found = _existing(place)
    return [str(found.size), found.version]


def open_binary(place: StoragePath) -> IO[bytes]:
    """Opens a file for reading at any position; of an object, only the parts that are read are fetched.

    Raises:
        FileNotFoundError: there is no such file.
    """
    if is_local(place):
        return place.open("rb")
    return _existing(place).open()


def open_zip(place: StoragePath) -> zipfile.ZipFile:
    """Opens a zip archive for reading.

    Raises:
        FileNotFoundError: there is no such file.
        zipfile.BadZipFile: it is not a zip archive.
    """
    return zipfile.ZipFile(place if is_local(place) else open_binary(place))


def read_range(place: StoragePath, start: int, length: int) -> bytes:
    """Reads a range of a file; fewer bytes if the file ends before.

    Raises:
        FileNotFoundError: there is no such file.
    """
    with RangeReader(place) as reader:
        return reader.read(start, length)


class RangeReader:
    """Reads ranges of one file, from several threads at the same time.

    Raises:
        FileNotFoundError: there is no such file; for an object, only when it is read.
    """

    def __init__(self, place: StoragePath) -> None:
        self._place = place
        self._file = place.open("rb") if is_local(place) else None

    def read(self, start: int, length: int) -> bytes:
        """Reads a range; fewer bytes if the file ends before."""
        if self._file is not None:
            return os.pread(self._file.fileno(), length, start)
        if length <= 0:
            return b""
        place = _in_bucket(self._place)
        with bucket_errors(place):
            return store(place).read_range(place, start, length)

    def close(self) -> None:
        """Closes the file."""
        if self._file is not None:
            self._file.close()

    def __enter__(self) -> RangeReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read_bytes(place: StoragePath) -> bytes:
    """Reads a whole file.

    Raises:
        FileNotFoundError: there is no such file.
        OSError: it cannot be read, or is a FIFO or a device, for which a program would wait forever.
    """
    if is_local(place):
        mode = place.stat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise OSError("it is a FIFO, a socket or a device, not a file")
        return place.read_bytes()
    with bucket_errors(place):
        return store(place).read(place)


def download(place: StoragePath, file: Path) -> None:
    """Copies a file to this machine; the stores' libraries go on after a lost connection.

    Raises:
        FileNotFoundError: there is no such file.
        InputError: the disk is full, or the bucket refuses access.
    """
    with user_errors(place):
        if is_local(place):
            shutil.copyfile(place, file)
        else:
            store(place).download(place, file)


def upload(file: Path, place: BucketPath) -> None:
    """Copies a file of this machine to a bucket."""
    store(place).upload(file, place)


def bucket_object(place: StoragePath, patience: float = PATIENCE) -> BucketObject:
    """Asks a bucket for an object.

    Args:
        place: the address of the object.
        patience: seconds for which the request is retried.

    Raises:
        InputError: the address names no object, or the bucket refuses access.
    """
    found = _found(_in_bucket(place), patience)
    if found is None:
        raise InputError(f"{place}: no such object; check the address")
    return found


def copy_object(found: BucketObject, place: StoragePath) -> None:
    """Copies an object to another place in the same store, without sending it through this machine.

    Raises:
        InputError: the bucket refuses access.
    """
    with bucket_errors(place):
        found.copy_to(_in_bucket(place))


def upload_stream(stream: IO[bytes], place: StoragePath) -> None:
    """Uploads a stream to a bucket while it is read; an error of the stream leaves the object as it was.

    Args:
        stream: its `read` gives fewer bytes than it was asked for only at the end.
        place: the address of the object.
    """
    place = _in_bucket(place)
    store(place).upload_stream(stream, place)


def _in_bucket(place: StoragePath) -> BucketPath:
    if is_local(place) or not key(place):
        raise InputError(f"{place}: names no object; give gs://bucket/name or s3://bucket/name")
    return place


def _found(place: BucketPath, patience: float = PATIENCE) -> BucketObject | None:
    """The object with its description, None if there is none."""
    with bucket_errors(place):
        return store(place).found(place, patience)


def _existing(place: BucketPath) -> BucketObject:
    found = _found(place)
    if found is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(place))
    return found
