"""Local copies of what is in a bucket: of a file to read, of a folder to work in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from openpose.storage.atomic import temporary_path
from openpose.storage.files import download, parallel, remove_object, sizes, upload
from openpose.storage.path import StoragePath, is_local
from openpose.storage.user_errors import bucket_errors


@contextmanager
def local_copy(place: StoragePath) -> Iterator[Path]:
    """Gives a file in the file system: the file itself, or a copy that is removed after the block.

    Raises:
        FileNotFoundError: it is in a bucket and there is no such object.
        InputError: the disk is too full for the copy, or the bucket refuses access.
    """
    if is_local(place):
        yield place
        return
    with temporary_path(place) as temporary:
        download(place, temporary)
        yield temporary


@contextmanager
def workspace(place: StoragePath) -> Iterator[Workspace]:
    """Gives a local folder to work in: the place itself, or a temporary copy of what a bucket has there.

    Raises:
        InputError: the disk is too full for the copy, or the bucket refuses access.
    """
    if is_local(place):
        place.mkdir(parents=True, exist_ok=True)
        yield Workspace(place, place)
        return
    with temporary_path(place) as folder:
        folder.mkdir()
        names = sizes(place)
        for parent in {(folder / name).parent for name in names}:
            parent.mkdir(parents=True, exist_ok=True)
        parallel(lambda name: download(place / name, folder / name), names)
        yield Workspace(place, folder)


class Workspace:
    """A local folder in which a step works for a long time, published to its place now and then. See `workspace`.

    Attributes:
        folder: the folder, on this machine.
    """

    def __init__(self, place: StoragePath, folder: Path) -> None:
        self.folder, self._place = folder, place
        self._published = self._files()

    def publish(self) -> None:
        """Brings a bucket up to date with the folder; does nothing if the place is the folder itself.

        Changed files go up in the order in which they were written, and only then are removed files deleted: if
        this is interrupted, the bucket holds what an interrupted step would have left in a folder.

        Raises:
            InputError: the bucket refuses access.
        """
        if is_local(self._place):
            return
        files = self._files()
        with bucket_errors(self._place):
            for name, state in sorted(files.items(), key=lambda item: (item[1], item[0])):
                if self._published.get(name) != state:
                    upload(self.folder / name, self._place / name)
            for name in self._published.keys() - files.keys():
                remove_object(self._place / name)
        self._published = files

    def _files(self) -> dict[str, tuple[int, int]]:
        """When each file was written, in nanoseconds, and its size in bytes."""
        states = {}
        for name in sizes(self.folder):
            state = (self.folder / name).stat()
            states[name] = (state.st_mtime_ns, state.st_size)
        return states
