"""Where a data set comes from: COCO's own archives, a mirror of them, or a user's data in COCO's format."""

import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import quote, urlsplit
from urllib.request import url2pathname

from openpose import retry, storage
from openpose.coco import download, pictures, remote_files
from openpose.coco.download import Download
from openpose.drawn_people import dataset
from openpose.errors import InputError

COCO2017 = "coco2017"
SAMPLE = "sample"  # drawn, so that a cluster without data has some
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

    place: storage.StoragePath
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
    pictures: dict[str, storage.StoragePath]
    fetched: list[download.Fetched]


def bring(source: str, root: storage.StoragePath, names: Names) -> Files:
    """The files of a data set: where they are, or fetched into the storage root.

    A folder is used where it is when the root is a folder too. Everything else goes to `<root>/archives/…`.

    Args:
        source: `coco2017`, `sample`, an address that begins with http(s)://, gs:// or file://, or a folder.
        root: the storage root.
        names: of the files.

    Raises:
        InputError: a file is missing or cannot be fetched; the message says which and where it was looked for.
    """
    if source == SAMPLE:
        source = str(storage.local_or_scratch(root) / SAMPLE)
        dataset.make(Path(source))
    folder = _local_folder(source)
    if folder is not None and storage.is_local(root):
        return _files_of_folder(folder, names)
    shown = remote_files.public(source)
    target = root / "archives" / storage.fingerprint([shown, names.annotations, names.pictures])[:12]
    if folder is not None:
        wanted = _downloads_of_folder(folder, names, target)
    elif source == COCO2017:
        wanted = _downloads_of_coco(names)
    else:
        wanted = _downloads_of_mirror(source, names, target)
    for remote in wanted:
        storage.make_folder((target / remote.name).parent)
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
            raise InputError(f"{remote_files.public(source)}: `source` is {_SOURCES}")
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
    return annotations, [given, f"{given}.zip"] if given else [
        f"{split}2017",
        f"{split}2017.zip",
        f"zips/{split}2017.zip",
    ]


def _files_of_folder(folder: Path, names: Names) -> Files:
    return _files(folder, names, None, [])


def _files(
    folder: storage.StoragePath, names: Names, known: dict[str, int] | None, fetched: list[download.Fetched]
) -> Files:
    def exists(name: str) -> bool:
        if known is None:
            return (folder / name).exists()
        return name in known

    annotations, splits = {}, {}
    for split in names.annotations:
        files, stores = _candidates(split, names)
        annotations[split] = _annotations(folder / _first(files, exists, folder, split, "annotations"), split)
        splits[split] = folder / _first(stores, exists, folder, split, "pictures")
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


def _annotations(place: storage.StoragePath, split: str) -> Annotations:
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


def _downloads_of_coco(names: Names) -> list[Download]:
    given = sorted(name for name in (*names.annotations.values(), *names.pictures.values()) if name)
    if given:
        raise InputError(f"{COCO2017} has COCO's own names; leave out: {', '.join(given)}")
    wanted = [*(f"{split}2017.zip" for split in names.pictures), "annotations_trainval2017.zip"]
    return [Download(url, name, size, md5) for name in wanted for url, size, md5 in [_OFFICIAL[name]]]


def _downloads_of_mirror(source: str, names: Names, target: storage.StoragePath) -> list[Download]:
    """The first candidates that a server has, or that were fetched from it before."""
    base = source.rstrip("/")
    there: dict[str, bool] = {}

    def url(name: str) -> str:
        return f"{base}/{name if base.startswith('gs://') else quote(name)}"

    def exists(name: str) -> bool:
        if ".." in Path(name).parts or Path(name).is_absolute():
            raise InputError(f"{name}: leads out of {remote_files.public(base)}; give a name below it")
        if name not in there:
            there[name] = _exists(url(name))
        return there[name]

    wanted = {}
    for split in names.annotations:
        files, stores = _candidates(split, names)
        for candidates, what in ((stores, "pictures"), (files, "annotations")):
            archives = [name for name in candidates if Path(name).suffix]  # a server's folder cannot be listed
            fetched = (name for name in archives if _was_fetched(target, name, url(name)))
            name = next(fetched, "") or _first(archives or candidates, exists, remote_files.public(base), split, what)
            wanted[name] = Download(url(name), name)
    return list(wanted.values())


def _was_fetched(target: storage.StoragePath, name: str, url: str) -> bool:
    """Whether a file from there was fetched already: then it can be used even when the server does not answer."""
    try:
        return storage.read_json(target / f"{name}.json")["url"] == remote_files.public(url)
    except (InputError, KeyError, TypeError):
        return False


def _exists(url: str) -> bool:
    """Whether a server has a file.

    Raises:
        InputError: it does not answer.
    """
    try:
        retry.attempts(tries=5)(remote_files.at(url).version)
    except InputError:
        return False
    except retry.TemporaryError as error:
        raise InputError(f"{remote_files.public(url)}: {error}; is the address right, and the server up?") from error
    return True


def _downloads_of_folder(folder: Path, names: Names, target: storage.StoragePath) -> list[Download]:
    """A folder's files, to be uploaded. Folders of pictures are packed on the way: 118 000 objects help nobody."""
    files = _files_of_folder(folder, names)
    wanted = {}
    below = f"is not below {folder}; for a storage root in a bucket it must be"
    for place in (*(a.place for a in files.annotations.values()), *files.pictures.values()):
        place = storage.require_local(place, below)
        if not place.is_relative_to(folder):
            raise InputError(f"{place}: {below}")
        name = place.relative_to(folder).as_posix()
        if place.is_dir():
            _pack(place, target / f"{name}.zip")
        else:
            wanted[name] = Download(place.as_uri(), name)
    return list(wanted.values())


def _pack(folder: storage.StoragePath, place: storage.StoragePath) -> None:
    """Packs a folder of pictures, unless that was done and nothing changed since."""
    record = place.with_name(f"{place.name}.json")
    with pictures.PictureStore(folder) as store:
        content = {"folder": str(folder), "signature": storage.fingerprint(store.signature())}
    try:
        known = storage.read_json(record)
    except InputError:
        known = None
    if known != content | {"bytes": storage.size(place)}:
        pictures.pack(folder, place)
        storage.write_json(record, content | {"bytes": storage.size(place)})
