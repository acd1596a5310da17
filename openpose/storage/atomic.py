"""Atomic writes: a file or folder gets its final name only when it is complete.

A file is written under a temporary name in the same folder and renamed; an object of a bucket appears when its
upload is complete.
"""

from __future__ import annotations

import atexit
import errno
import fcntl
import functools
import os
import re
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from openpose.storage.files import parallel, remove, upload
from openpose.storage.path import StoragePath, is_local
from openpose.storage.user_errors import user_errors

MANIFEST = "manifest.json"
_SCRATCH = "openpose-scratch-"  # how the names of temporary folders begin
_OLD = 24 * 3600  # seconds
_TEMPORARY = re.compile(r"\.[0-9a-f]{8}\.")  # what temporary names have before the final name


@contextmanager
def atomic_file(place: StoragePath) -> Iterator[Path]:
    """Gives a temporary file, which gets its final name after the block, or is removed if the block fails.

    Raises:
        InputError: the disk is full, or the bucket refuses access.
    """
    with temporary_path(place) as temporary, user_errors(place):
        yield temporary
        if is_local(place):
            _sync(temporary)
            temporary.replace(place)
        else:
            upload(temporary, place)


@contextmanager
def atomic_folder(place: StoragePath) -> Iterator[Path]:
    """Gives a temporary folder, which replaces `place` after the block, or is removed if the block fails.

    In a bucket the files appear one by one, and older files with other names stay: a reader that needs all of them
    waits for a manifest, which appears last.

    Raises:
        InputError: the disk is full, or the bucket refuses access.
    """
    with temporary_path(place) as temporary, user_errors(place), _locked_folder(temporary, place):
        yield temporary
        if is_local(place):
            _replace_folder(temporary, place)
        else:
            names = [file.relative_to(temporary) for file in temporary.rglob("*") if file.is_file()]
            for is_last in (False, True):
                part = [name for name in names if (name.name == MANIFEST) == is_last]
                parallel(lambda name: upload(temporary / name, place / name.as_posix()), part)


@contextmanager
def _locked_folder(temporary: Path, place: StoragePath) -> Iterator[None]:
    """Makes the temporary folder, which keeps a lock in the block; removes those of killed writers.

    Where the file system has no locks on folders, as NFS, the folders of killed writers stay.
    """
    if not is_local(place):
        temporary.mkdir()
        yield
        return
    for left in place.parent.glob(".*"):
        own = left.name[10:] == place.name or _is_old(left)
        if own and _TEMPORARY.match(left.name) and left.is_dir() and not left.is_symlink():
            with suppress(OSError), _lock(left):
                shutil.rmtree(left, ignore_errors=True)
    made = temporary.with_name(f"{temporary.name}.new")
    made.mkdir()
    with ExitStack() as stack:
        with suppress(OSError):
            stack.enter_context(_lock(made))
        made.rename(temporary)  # only once it is locked
        yield


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """Holds the folder's lock; raises OSError where another process holds it, or where there are no locks."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def _is_old(folder: Path) -> bool:
    """Whether nothing was added to a folder for a day: on some file systems a lock counts on one machine only."""
    with suppress(FileNotFoundError):
        return time.time() - folder.stat().st_mtime > _OLD
    return False


def _replace_folder(temporary: Path, place: Path) -> None:
    """Renames a folder to a name that may be taken, even by another process that does the same."""
    while True:
        with temporary_path(place) as old, suppress(FileNotFoundError):
            place.rename(old)
        try:
            temporary.rename(place)
            return
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise


def _sync(file_path: Path) -> None:
    with file_path.open("rb") as file:
        os.fsync(file.fileno())


@contextmanager
def temporary_path(place: StoragePath) -> Iterator[Path]:
    """Gives an unused name for a file or folder, and removes what is there after the block.

    It is beside the place, or in this process's temporary folder for a place in a bucket. No two processes get the
    same name. It ends with the final name, because some libraries insist on a file's ending.
    """
    if is_local(place):
        place.parent.mkdir(parents=True, exist_ok=True)
        folder = place.parent
    else:
        folder = scratch_folder()
    temporary = folder / f".{secrets.token_hex(4)}.{place.name}"
    try:
        yield temporary
    finally:
        remove(temporary)


@functools.cache
def scratch_folder() -> Path:
    """This process's temporary folder for copies of what is in a bucket; removed when the process ends.

    If the process is killed, the next one removes the folder, because its lock is free then.
    """
    parent = Path(tempfile.gettempdir())
    for left in parent.glob(f"{_SCRATCH}*/lock"):
        with suppress(OSError), left.open("r+") as file:  # its process is alive, or it belongs to another user
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(left.parent, ignore_errors=True)
    made = Path(tempfile.mkdtemp(prefix=f".{_SCRATCH}"))
    lock = os.open(made / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC)  # stays open until the process ends
    fcntl.flock(lock, fcntl.LOCK_EX)
    folder = made.rename(made.with_name(made.name.removeprefix(".")))  # only once it is locked
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def local_or_scratch(folder: StoragePath) -> Path:
    """The folder itself, or this process's temporary folder if it is in a bucket."""
    return folder if is_local(folder) else scratch_folder()


def sweep(root: Path) -> None:
    """Removes what killed writers left below the root. Nobody else may be writing there."""
    for left in list(root.rglob(".*")):
        if _TEMPORARY.match(left.name):
            remove(left)


def sweep_file(file: Path) -> None:
    """Removes what killed writers of this one file left beside it. Nobody else may be writing it."""
    for left in file.parent.glob(".*"):  # without the name, which may have wildcards
        if _TEMPORARY.match(left.name) and left.name[10:] == file.name:
            remove(left)


def write_bytes(place: StoragePath, content: bytes) -> None:
    """Writes a whole file atomically."""
    with atomic_file(place) as temporary:
        temporary.write_bytes(content)


def write_text(place: StoragePath, content: str) -> None:
    """Writes a whole text file (UTF-8) atomically; what cannot be encoded, such as odd file names, is escaped."""
    write_bytes(place, content.encode(errors="backslashreplace"))
