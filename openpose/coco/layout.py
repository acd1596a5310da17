"""The files of a data set in COCO's layout: what they are called, and where the files of each split are."""

import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

from openpose import storage
from openpose.coco.download import Fetched
from openpose.coco.zip_archive import open_archive
from openpose.errors import InputError


@dataclass(frozen=True)
class Names:
    """Names of a data set's files, relative to its source; an empty name stands for COCO's own.

    Attributes:
        annotations: annotation file of each split that has one.
        pictures: folder or zip archive of each split.
    """

    annotations: dict[str, str]
    pictures: dict[str, str]

    def candidates(self, split: str) -> tuple[list[str], list[str]]:
        """Possible names of a split's annotations and pictures; the first that exists is used."""
        annotations, pictures = self.annotations[split], self.pictures[split]
        return (
            [annotations]
            if annotations
            else [
                f"annotations/person_keypoints_{split}2017.json",
                "annotations_trainval2017.zip",
                "annotations/annotations_trainval2017.zip",
            ]
        ), (
            [pictures, f"{pictures}.zip"] if pictures else [f"{split}2017", f"{split}2017.zip", f"zips/{split}2017.zip"]
        )


@dataclass(frozen=True)
class Annotations:
    """A split's annotation file, which may be in an archive.

    Attributes:
        place: the file or the archive.
        entry: its name in the archive; empty if it is not in one.
    """

    place: storage.StoragePath
    entry: str = ""

    def __str__(self) -> str:
        return f"{self.place}/{self.entry}" if self.entry else str(self.place)

    def size(self) -> int:
        """Bytes of the annotation file itself."""
        if not self.entry:
            return storage.size(self.place) or 0
        with open_archive(self.place) as archive:
            return archive.getinfo(self.entry).file_size

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """Opens the annotation file.

        Raises:
            InputError: the archive is damaged.
        """
        try:
            if not self.entry:
                with storage.open_binary(self.place) as file:
                    yield file
            else:
                with open_archive(self.place) as archive, archive.open(self.entry) as file:
                    yield file
        except (zipfile.BadZipFile, zlib.error, EOFError) as error:
            raise InputError(f"{self}: it is damaged in the archive ({error}); fetch or make it again") from error


@dataclass(frozen=True)
class Files:
    """Where a data set's files can be read.

    Attributes:
        annotations: of each split that has a file of its own.
        pictures: folder or zip archive of each split.
        fetched: what was downloaded into the storage root.
    """

    annotations: dict[str, Annotations]
    pictures: dict[str, storage.StoragePath]
    fetched: list[Fetched]


def find(
    folder: storage.StoragePath, names: Names, exists: Callable[[str], bool], fetched: list[Fetched] | None = None
) -> Files:
    """Finds the files of all splits in a folder.

    Args:
        folder: holds the files.
        names: of the files.
        exists: whether a name exists in the folder.
        fetched: what was downloaded.

    Raises:
        InputError: a file is missing; the message lists the names that were tried.
    """
    annotations, splits = {}, {}
    for split in names.annotations:
        files, stores = names.candidates(split)
        annotations[split] = _annotations(folder / first(files, exists, folder, split, "annotations"), split)
        splits[split] = folder / first(stores, exists, folder, split, "pictures")
    return Files(annotations, splits, fetched or [])


def first(candidates: list[str], exists: Callable[[str], bool], where: object, split: str, what: str) -> str:
    """The first name that exists.

    Args:
        candidates: the names.
        exists: whether a name exists.
        where: what the message calls the folder or server.
        split: whose files these are.
        what: `annotations` or `pictures`.

    Raises:
        InputError: none of them exists.
    """
    for name in candidates:
        if exists(name):
            return name
    tried = " nor ".join(candidates)
    raise InputError(
        f"{where}: {'neither ' if len(candidates) > 1 else 'no '}{tried} is there; put the {what} of the {split} "
        f"split there, or say with --{split}-{what} what they are called"
    )


def _annotations(place: storage.StoragePath, split: str) -> Annotations:
    if place.suffix != ".zip":
        return Annotations(place)
    with open_archive(place) as archive:
        entries = [name for name in archive.namelist() if name.endswith(".json")]
    own = f"annotations/person_keypoints_{split}2017.json"
    if own in entries:
        return Annotations(place, own)
    if len(entries) == 1:
        return Annotations(place, entries[0])
    raise InputError(f"{place}: has no {own}; its JSON files are: {', '.join(entries[:10]) or 'none'}")
