"""The files of a data set in COCO's layout: what they are called, and where the files of each split are.

COCO's official names and names that were given are looked up; in a folder without either, the files are recognised by
what they hold (`recognise`), which finds what CVAT, Roboflow, Label Studio and FiftyOne export.
"""

import itertools
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from openpose import storage
from openpose.coco.download import Fetched
from openpose.coco.json_stream import items
from openpose.coco.pictures import PictureStore
from openpose.coco.zip_archive import UNREAD, files_in, open_archive
from openpose.datasets.labels import SPLITS, split_of, words_of
from openpose.errors import InputError

_LOOKED = 100  # images of a file, one of which must be in the folder of pictures
_STORES = ("images", "data", "images/default")  # folders of pictures, without a word for the split


@dataclass(frozen=True)
class Names:
    """Names of a data set's files, relative to its source; an empty name stands for COCO's own.

    Attributes:
        annotations: annotation file of each split that has one.
        pictures: folder or zip archive of each split.
    """

    annotations: dict[str, str]
    pictures: dict[str, str]

    @property
    def given(self) -> list[str]:
        """The names that are not COCO's own."""
        return sorted(name for name in (*self.annotations.values(), *self.pictures.values()) if name)

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
        copy_of: the user's file that it is a part of; empty if it is the user's own.
    """

    place: storage.StoragePath
    entry: str = ""
    copy_of: str = ""

    @property
    def name(self) -> str:
        """What messages call it: the user's file."""
        return self.copy_of or str(self)

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


def is_official(folder: Path, names: Names) -> bool:
    """Whether a folder has an annotation file with COCO's official name."""
    return any((folder / name).exists() for split in names.annotations for name in names.candidates(split)[0])


def recognise(folder: Path, names: Names) -> Files | None:
    """Finds the annotations and pictures of a folder by what they hold; None if no file has annotations.

    A JSON file belongs to a split by a word of its name, or of its folder's: `annotations/train.json`,
    `valid/_annotations.coco.json`. A single one without such a word is the training split. Its pictures are where its
    `file_name`s are: in a folder or archive of the split's name, in `images` or `data`, or beside it.

    Args:
        folder: of the data set.
        names: says which splits are wanted.

    Returns:
        The files; without `val` in them if there is no validation split.

    Raises:
        InputError: several files could be a split's, or the pictures of one are nowhere.
    """
    found: dict[str, list[Path]] = {}
    inside = {place for pattern in ("*", "*/*", "annotations/*/*") for place in folder.glob(pattern)}
    for place in sorted(each for each in inside if each.suffix.lower() == ".json"):
        if storage.is_shadow(place.name) or not place.is_file():
            continue
        split = split_of(reversed((*place.parent.relative_to(folder).parts, place.stem)))
        if split is not None and _images(place):
            found.setdefault(split, []).append(place)
    if not found.setdefault("train", found.get("", [])):
        return None
    wanted = [split for split in names.annotations if split in found]
    chosen = {split: _only(found[split], folder, split) for split in wanted}
    stores = {split: _store(chosen[split], folder, split) for split in wanted}
    for split in wanted:
        name, store = (each.relative_to(folder).as_posix() for each in (chosen[split], stores[split]))
        print(
            f"{split} of {folder}: annotations {name}, pictures {'beside them' if store == '.' else store}", flush=True
        )
    return Files({split: Annotations(chosen[split]) for split in wanted}, dict(stores), [])


def _images(place: Path) -> list[str]:
    """The file names of the first images of a COCO file; none if it is another kind of JSON."""
    names = []
    with suppress(InputError):
        for image in itertools.islice(items(lambda: place.open("rb"), "images", str(place)), _LOOKED):
            if isinstance(image.get("file_name"), str):
                names.append(image["file_name"])
    return names


def _only(places: list[Path], folder: Path, split: str) -> Path:
    """The only file, or the only one with keypoints by its name; CVAT writes others beside it."""
    keypoints = [place for place in places if "keypoints" in words_of(place.stem)]
    chosen = keypoints or places
    if len(chosen) > 1:
        names = ", ".join(place.relative_to(folder).as_posix() for place in chosen[:5])
        raise InputError(
            f"{folder}: several files could be the {split} split: {names}; say which, with --{split}-annotations"
        )
    return chosen[0]


def _store(annotations: Path, folder: Path, split: str) -> Path:
    """The folder or archive that has pictures of an annotation file."""
    wanted = _images(annotations)
    tried = list(dict.fromkeys(_stores(annotations, folder, split)))
    # Exactly these names first, then other ways of writing them, such as with backslashes.
    for finds in (PictureStore.has, PictureStore.size):
        for place in tried:
            with PictureStore(place) as store:
                if any(finds(store, name) for name in wanted):
                    return place
    names = ", ".join(place.relative_to(folder).as_posix() for place in tried)
    raise InputError(
        f"{annotations}: its pictures, such as {wanted[0]}, are not in {folder} (looked in {names}); put them in "
        f"{split}/ or images/, or say with --{split}-pictures where they are"
    )


def _stores(annotations: Path, folder: Path, split: str) -> Iterator[Path]:
    """Folders and archives that may hold the pictures of an annotation file, the likeliest first."""
    words = [*SPLITS[split], f"{split}2017"]
    inside = [*words, *(f"images/{word}" for word in words), *(f"{word}/images" for word in words), *_STORES, "."]
    for base in dict.fromkeys((annotations.parent, folder)):
        children = {
            str(each.relative_to(base)).lower(): each for pattern in ("*", "*/*") for each in base.glob(pattern)
        }
        for name in inside:
            for place in (children.get(name) if name != "." else base, children.get(f"{name}.zip")):
                if place is not None and (place.is_dir() or place.suffix.lower() == ".zip"):
                    yield place


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
    hold_out = ", or hold out a share of the training images with --val-share" if split == "val" else ""
    alike = _alike(where, candidates) if isinstance(where, Path) else []
    if alike:
        raise InputError(
            f"{where}: no {tried} is there, but {', '.join(alike)} is; {_cure(alike[0])}, or say with "
            f"--{split}-{what} what the {what} are called{hold_out}"
        )
    raise InputError(
        f"{where}: {'neither ' if len(candidates) > 1 else 'no '}{tried} is there; put the {what} of the {split} "
        f"split there, or say with --{split}-{what} what they are called{hold_out}"
    )


def _alike(folder: Path, candidates: list[str]) -> list[str]:
    """Files of a folder with nearly the names of the candidates: in capitals, `name (1).zip`, or `name.tar.gz`."""

    def plain(name: str) -> str:
        bare = re.sub(r"\.(zip|json|tar|tgz|gz|bz2|xz|7z|rar)\b", "", name.lower())
        return re.sub(r"( ?\(\d+\)| copy)$", "", bare)

    wanted = {plain(Path(name).name) for name in candidates}
    places = [*folder.glob("*"), *folder.glob("annotations/*"), *folder.glob("zips/*")]
    return sorted(place.relative_to(folder).as_posix() for place in places if plain(place.name) in wanted)


def _cure(name: str) -> str:
    if name.lower().endswith(UNREAD):
        return "unpack it"
    return "rename it"


def _annotations(place: storage.StoragePath, split: str) -> Annotations:
    if isinstance(place, Path) and place.is_dir():
        raise InputError(f"{place}: is a folder; it must be the JSON file with the annotations of the {split} split")
    if place.suffix.lower() != ".zip":
        return Annotations(place)
    with open_archive(place) as archive:
        entries = [entry.filename for entry in files_in(archive) if entry.filename.lower().endswith(".json")]
    own = f"annotations/person_keypoints_{split}2017.json"
    if own in entries:
        return Annotations(place, own)
    if len(entries) == 1:
        return Annotations(place, entries[0])
    raise InputError(
        f"{place}: has no {own}; its JSON files are: {', '.join(entries[:10]) or 'none'}; "
        f"unpack it, and say with --{split}-annotations which file it is"
    )
