"""Where a data set comes from: COCO's own archives, a mirror of them, or a user's data in COCO's format."""

import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import quote, urlsplit
from urllib.request import url2pathname

from openpose import download, pictures, remotes, storage
from openpose.download import Remote
from openpose.errors import InputError

COCO2017 = "coco2017"
_COCO = "http://images.cocodataset.org"
#: The official archives, as published: address, bytes, MD5.
_OFFICIAL = {
    "train2017.zip": (f"{_COCO}/zips/train2017.zip", 19_336_861_798, "cced6f7f71b7629ddf16f17bbcfab6b2"),
    "val2017.zip": (f"{_COCO}/zips/val2017.zip", 815_585_330, "442b8da7639aecaf257c1dceb8ba8c80"),
    "annotations_trainval2017.zip": (
        f"{_COCO}/annotations/annotations_trainval2017.zip",
        252_907_541,
        "f4bbac642086de4f52a3fdda2de5fa2c",
    ),
}


@dataclass(frozen=True)
class Names:
    """What the files of a data set are called, below its source; empty for COCO's own names.

    Attributes:
        annotations: of each split that has its own file.
        pictures: folder or zip archive of each split.
    """

    annotations: dict[str, str]
    pictures: dict[str, str]


@dataclass(frozen=True)
class Annotations:
    """A split's annotation file, which may lie in an archive.

    Attributes:
        place: the file or the archive.
        entry: its name in the archive, empty when it is no archive.
    """

    place: storage.Place
    entry: str = ""

    def __str__(self) -> str:
        return f"{self.place}/{self.entry}" if self.entry else str(self.place)

    def size(self) -> int:
        """Bytes of the file itself."""
        if not self.entry:
            return storage.size(self.place) or 0
        with pictures.open_archive(self.place) as archive:
            return archive.getinfo(self.entry).file_size

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """Its bytes.

        Raises:
            InputError: it is damaged.
        """
        try:
            if not self.entry:
                with storage.open_binary(self.place) as file:
                    yield file
            else:
                with pictures.open_archive(self.place) as archive, archive.open(self.entry) as file:
                    yield file
        except (zipfile.BadZipFile, zlib.error, EOFError) as error:
            raise InputError(f"{self}: it is damaged in the archive ({error}); fetch or make it again") from error


@dataclass(frozen=True)
class Files:
    """A data set's files, where they can be read.

    Attributes:
        annotations: of each split that has a file of its own.
        pictures: folder or zip archive of each split.
        fetched: what was fetched into the storage root.
    """

    annotations: dict[str, Annotations]
    pictures: dict[str, storage.Place]
    fetched: list[download.Fetched]


def bring(source: str, root: storage.Place, names: Names) -> Files:
    """The files of a data set: where they are, or fetched into the storage root.

    A folder is used where it is when the root is a folder too. Everything else goes to `<root>/archives/…`.

    Args:
        source: `coco2017`, an address that begins with http(s)://, gs:// or file://, or a folder.
        root: the storage root.
        names: of the files.

    Raises:
        InputError: a file is missing or cannot be fetched; the message says which and where it was looked for.
    """
    folder = _local_folder(source)
    if folder is not None and isinstance(root, Path):
        return _files_of_folder(folder, names)
    target = root / "archives" / storage.fingerprint([source, names.annotations, names.pictures])[:12]
    if folder is not None:
        wanted = _remotes_of_folder(folder, names)
    elif source == COCO2017:
        wanted = [Remote(url, name, size, md5) for name, (url, size, md5) in _OFFICIAL.items()]
    else:
        wanted = _remotes_of_mirror(source, names)
    fetched = download.fetch(wanted, target)
    return _files(target, names, storage.sizes(target), fetched)


def absolute(source: str) -> str:
    """The source as a process in another folder understands it."""
    is_name = source == COCO2017 and not Path(source).is_dir()
    return source if is_name or "://" in source else str(Path(source).absolute())


def _local_folder(source: str) -> Path | None:
    """The folder that a source is, None when it is no folder of this machine."""
    parts = urlsplit(source)
    if source == COCO2017 and not Path(source).is_dir():
        return None
    if parts.scheme == "file":
        folder = Path(url2pathname(parts.path))
    elif "://" in source:
        if parts.scheme not in ("http", "https", "gs"):
            raise InputError(f"{remotes.shown(source)}: `source` is {_SOURCES}")
        return None
    else:
        folder = Path(source).absolute()
    if not folder.is_dir():
        raise InputError(f"{source}: no such folder; `source` is {_SOURCES}")
    return folder


_SOURCES = f"{COCO2017}, a folder with COCO's layout, or an address (http://, https://, gs://, file://) of one"


def _candidates(split: str, names: Names) -> tuple[list[str], list[str]]:
    """Where the annotations and the pictures of a split may lie, the first that exists counts."""
    annotations = (
        [names.annotations[split]]
        if names.annotations.get(split)
        else [
            f"annotations/person_keypoints_{split}2017.json",
            "annotations_trainval2017.zip",
            "annotations/annotations_trainval2017.zip",
        ]
    )
    given = names.pictures.get(split)
    return annotations, [given] if given else [f"{split}2017", f"{split}2017.zip", f"zips/{split}2017.zip"]


def _files_of_folder(folder: Path, names: Names) -> Files:
    return _files(folder, names, None, [])


def _files(folder: storage.Place, names: Names, known: dict[str, int] | None, fetched: list[download.Fetched]) -> Files:
    def exists(name: str) -> bool:
        if known is None:
            return (folder / name).exists()
        return Path(name).name in known or name in known or any(other.startswith(f"{name}/") for other in known)

    def place(name: str) -> storage.Place:
        return folder / (name if known is None or name in known else Path(name).name)

    annotations, splits = {}, {}
    for split in names.annotations:
        files, stores = _candidates(split, names)
        annotations[split] = _annotations(place(_first(files, exists, folder, split, "annotations")), split)
        splits[split] = place(_first(stores, exists, folder, split, "pictures"))
    return Files(annotations, splits, fetched)


def _first(candidates: list[str], exists: Callable[[str], bool], folder: object, split: str, what: str) -> str:
    for name in candidates:
        if exists(name):
            return name
    sought = " nor ".join(candidates)
    raise InputError(
        f"{folder}: {'neither ' if len(candidates) > 1 else 'no '}{sought} is there; put the {what} of the {split} "
        f"split there, or say with --{split}-{what} what they are called"
    )


def _annotations(place: storage.Place, split: str) -> Annotations:
    if place.suffix != ".zip":
        return Annotations(place)
    with pictures.open_archive(place) as archive:
        entries = [name for name in archive.namelist() if name.endswith(".json")]
    own = f"annotations/person_keypoints_{split}2017.json"
    if own in entries:
        return Annotations(place, own)
    if len(entries) == 1:
        return Annotations(place, entries[0])
    raise InputError(f"{place}: has no {own}; its JSON files are: {', '.join(entries[:10]) or 'none'}")


def _remotes_of_mirror(source: str, names: Names) -> list[Remote]:
    """The first candidates that a server has."""
    base = source.rstrip("/")
    there: dict[str, bool] = {}

    def exists(name: str) -> bool:
        if name not in there:
            there[name] = _exists(f"{base}/{quote(name)}")
        return there[name]

    wanted = {}
    for split in names.annotations:
        files, stores = _candidates(split, names)
        for candidates, what in ((stores, "pictures"), (files, "annotations")):
            archives = [name for name in candidates if Path(name).suffix]  # a server's folder cannot be listed
            name = _first(archives or candidates, exists, remotes.shown(base), split, what)
            wanted[name] = Remote(f"{base}/{quote(name)}", Path(name).name)
    return list(wanted.values())


def _exists(url: str) -> bool:
    """Whether a server has a file.

    Raises:
        InputError: it does not answer.
    """
    for wait in (0.5, 1.0, 2.0, 4.0, None):
        try:
            remotes.source(url).ask()
            return True
        except InputError:
            return False
        except remotes.Trouble as trouble:
            if wait is None:
                raise InputError(
                    f"{remotes.shown(url)}: {trouble}; is the address right, and the server up?"
                ) from trouble
            time.sleep(trouble.retry_after or wait)
    raise AssertionError


def _remotes_of_folder(folder: Path, names: Names) -> list[Remote]:
    """A folder's files, to be uploaded. Folders of pictures must be packed by the user: 118 000 objects help nobody."""
    files = _files_of_folder(folder, names)
    wanted = {}
    for place in (*(a.place for a in files.annotations.values()), *files.pictures.values()):
        assert isinstance(place, Path)
        if place.is_dir():
            raise InputError(
                f"{place}: a folder of pictures cannot go to a bucket; pack it first: "
                f"(cd {place.parent} && zip -0 -r {place.name}.zip {place.name}), then move the folder away"
            )
        wanted[place.name] = Remote(place.as_uri(), place.name)
    return list(wanted.values())
