"""Finds or downloads a data set: COCO's own archives, a mirror of them, or a user's data in COCO's or a tool's form."""

from pathlib import Path
from urllib.parse import quote, urlsplit
from urllib.request import url2pathname

from openpose import retry, storage
from openpose.coco import download, holdout, layout, remote_files, zip_archive
from openpose.coco.download import Download, Fetched, Record
from openpose.coco.layout import Annotations, Files, Names
from openpose.coco.pictures import PictureStore
from openpose.datasets import convert
from openpose.datasets.labels import Project
from openpose.drawn_people import dataset
from openpose.drawn_people.source import SAMPLE
from openpose.errors import InputError

COCO2017 = "coco2017"
_SOURCES = (
    f"{COCO2017}, a folder in COCO's layout or of a tool, or an address (http://, https://, gs://, s3://, file://) of "
    "such a folder"
)
_COCO = "http://images.cocodataset.org"
#: The official archives as published: address, bytes, MD5.
_OFFICIAL = {
    "train2017.zip": (f"{_COCO}/zips/train2017.zip", 19_336_861_798, "cced6f7f71b7629ddf16f17bbcfab6b2"),
    "val2017.zip": (f"{_COCO}/zips/val2017.zip", 815_585_330, "442b8da7639aecaf257c1dceb8ba8c80"),
    "annotations_trainval2017.zip": (
        f"{_COCO}/annotations/annotations_trainval2017.zip",
        252_907_541,
        "f4bbac642086de4f52a3fdda2de5fa2c",
    ),
}


def bring(source: str, root: storage.StoragePath, names: Names, val_share: float = 0.0, seed: int = 0) -> Files:
    """Finds the files of a data set, or downloads them to `<root>/archives/…`.

    A local folder is used in place if the storage root is a folder too. What another tool wrote is turned into COCO's
    form in `<root>/converted/…`.

    Args:
        source: `coco2017`, `sample`, a folder or a file of another tool, or an address that begins with http(s)://,
            gs://, s3:// or file://.
        root: the storage root.
        names: of the files.
        val_share: share of the images to hold out where another tool keeps no validation split; 0 for the usual one.
        seed: of the held-out share.

    Returns:
        The files; without `val` in them if `names` has none and the caller is to hold out a share.

    Raises:
        InputError: a file is missing or cannot be downloaded; the message names it and where it was looked for.
    """
    if source == SAMPLE:
        source = str(storage.local_or_scratch(root) / SAMPLE)
        dataset.make(Path(source))
    local = storage.local_or_scratch(root)
    place = _local_place(source)
    if place is None and source.lower().endswith(".zip"):
        place = _downloaded(source, local)
    if place is not None:
        zip_archive.refuse_unread(place)
        folder = _unpacked(place, local) if place.suffix.lower() == ".zip" else place
        files = _files_in(folder, names, local, val_share, seed)
        if storage.is_local(root):
            return files
        home = folder if folder.is_dir() else folder.parent
        return _sent(files, [home, home.resolve(), local], _target(source, root, names))
    target = _target(source, root, names)
    if source == COCO2017:
        downloads = _downloads_of_coco(names)
    else:
        downloads = _downloads_of_mirror(source.rstrip("/"), names, target)
    fetched = _fetched(downloads, target)
    return layout.find(target, names, storage.sizes(target).__contains__, fetched)


def _target(source: str, root: storage.StoragePath, names: Names) -> storage.StoragePath:
    """Where the files of a source are kept under the root."""
    identity = [remote_files.public(source), names.annotations, names.pictures]
    return root / "archives" / storage.fingerprint(identity)[:12]


def _fetched(downloads: list[Download], target: storage.StoragePath) -> list[Fetched]:
    for file in downloads:
        storage.make_folder((target / file.name).parent)
    return download.fetch(downloads, target)


def absolute(source: str) -> str:
    """The source with a relative folder made absolute, for a process in another folder."""
    is_name = source == COCO2017 and not Path(source).is_dir()
    return source if is_name or "://" in source else str(Path(source).absolute())


def _local_place(source: str) -> Path | None:
    """The folder or file that the source names, None if the source is elsewhere."""
    parts = urlsplit(source)
    if source == COCO2017 and not Path(source).is_dir():
        return None
    if parts.scheme == "file":
        place = Path(url2pathname(parts.path))
    elif "://" in source:
        if parts.scheme not in ("http", "https", "gs", "s3"):
            raise InputError(f"{remote_files.public(source)}: `source` is {_SOURCES}")
        return None
    else:
        place = Path(source).absolute()
    if not place.exists():
        raise InputError(f"{source}: no such folder; `source` is {_SOURCES}")
    return place


def _downloaded(source: str, root: Path) -> Path:
    """An archive of a whole data set, downloaded."""
    name = Path(urlsplit(remote_files.public(source)).path).name
    (file,) = _fetched(
        [Download(source, name)], root / "archives" / storage.fingerprint(remote_files.public(source))[:12]
    )
    return Path(file.place)


def _unpacked(archive: Path, root: Path) -> Path:
    """The folder of an archive of a whole data set, as the sites of annotation tools export it."""
    with PictureStore(archive) as store:
        key = storage.fingerprint(store.signature())[:12]
    folder = zip_archive.unpack(archive, root / "archives" / key / archive.stem)
    return zip_archive.only_folder(folder) or folder


def _files_in(place: Path, names: Names, root: Path, val_share: float, seed: int) -> Files:
    """The files of a folder, or of another tool's file; what has to be made is made below the root."""
    if place.is_dir() and (names.given or layout.is_official(place, names)):
        return layout.find(place, names, lambda name: (place / name).exists())
    project = convert.recognise(place)
    if project is not None:
        files = _converted(project, names, root)
    elif place.is_dir():
        found = layout.recognise(place, names)
        inner = zip_archive.only_folder(place)
        if found is None and inner is not None:
            return _files_in(inner, names, root, val_share, seed)
        if found is None:
            return _official(place, names)
        files = found
    elif place.suffix.lower() == ".json":
        raise InputError(
            f"{place}: is a JSON file; give the folder that holds it and its pictures as `source`, and say with "
            f"--train-annotations {place.name} that it is the file"
        )
    else:
        raise InputError(f"{place}: not a file that a data set can be read from; `source` is {_SOURCES}")
    return files if "val" in files.annotations else holdout.hold_out(files, root, val_share, seed)


def _official(folder: Path, names: Names) -> Files:
    """The files by COCO's official names, of a folder that is in no other form.

    Raises:
        InputError: one is missing; the message names the other forms, too.
    """
    try:
        return layout.find(folder, names, lambda name: (folder / name).exists())
    except InputError as error:
        raise InputError(
            f"{error}. Nor is there another JSON file in COCO's form, or data of DeepLabCut, SLEAP, Ultralytics or "
            "LabelMe; other tools can export COCO's form, often called COCO keypoints"
        ) from error


def _converted(project: Project, names: Names, root: Path) -> Files:
    made = convert.convert(project, root)
    print("\n  ".join(made.said), flush=True)
    splits = [split for split in names.annotations if split in made.annotations]
    annotations = {split: Annotations(made.annotations[split]) for split in splits}
    return Files(annotations, {split: made.pictures[split] for split in splits}, [])


def _downloads_of_coco(names: Names) -> list[Download]:
    given = sorted(name for name in (*names.annotations.values(), *names.pictures.values()) if name)
    if given:
        raise InputError(f"{COCO2017} has COCO's own names; leave out: {', '.join(given)}")
    files = [*(f"{split}2017.zip" for split in names.pictures), "annotations_trainval2017.zip"]
    return [Download(url, name, size, md5) for name in files for url, size, md5 in [_OFFICIAL[name]]]


def _downloads_of_mirror(base: str, names: Names, target: storage.StoragePath) -> list[Download]:
    """The first of each file's possible names that was downloaded before or that the server has."""
    known: dict[str, bool] = {}
    server = remote_files.public(base)

    def url(name: str) -> str:
        return f"{base}/{name if base.startswith(storage.BUCKETS) else quote(name)}"

    def exists(name: str) -> bool:
        if ".." in Path(name).parts or Path(name).is_absolute():
            raise InputError(f"{name}: leads out of {server}; give a name below it")
        if name not in known:
            known[name] = _exists(url(name))
        return known[name]

    downloads = {}
    for split in names.annotations:
        annotations, pictures = names.candidates(split)
        for candidates, what in ((pictures, "pictures"), (annotations, "annotations")):
            files = [name for name in candidates if Path(name).suffix]  # folders cannot be listed over HTTP
            fetched = (name for name in files if _was_fetched(target, name, url(name)))
            name = next(fetched, "") or layout.first(
                files or candidates, exists, remote_files.public(base), split, what
            )
            downloads[name] = Download(url(name), name)
    return list(downloads.values())


def _was_fetched(target: storage.StoragePath, name: str, url: str) -> bool:
    """Whether the file was downloaded before; then it is used even if the server does not answer."""
    try:
        return storage.read_as(target / f"{name}.json", Record).url == remote_files.public(url)
    except InputError:
        return False


def _exists(url: str) -> bool:
    """Whether the server has the file.

    Raises:
        InputError: the server does not answer.
    """
    try:
        retry.attempts(tries=5)(remote_files.at(url).version)
    except InputError:
        return False
    except retry.TemporaryError as error:
        raise InputError(f"{remote_files.public(url)}: {error}; is the address right, and the server up?") from error
    return True


def _sent(files: Files, homes: list[Path], target: storage.StoragePath) -> Files:
    """Copies the files of a folder to a bucket; a folder of pictures is packed there into one archive.

    Args:
        files: in the file system.
        homes: a file keeps its name below the first of these folders that it is in.
        target: folder in the bucket.

    Raises:
        InputError: a file is not below one of the folders.
    """
    below = f"is not below {homes[0]}; for a storage root in a bucket it must be"
    downloads, names = dict[str, Download](), dict[storage.StoragePath, str]()
    for place in (*(file.place for file in files.annotations.values()), *files.pictures.values()):
        place = storage.require_local(place, below)
        home = next((each for each in homes if place.is_relative_to(each)), None)
        if home is None:
            raise InputError(f"{place}: {below}")
        name = place.relative_to(home).as_posix() if place != home else home.name
        names[place] = f"{name}.zip" if place.is_dir() else name
    for place, name in names.items():
        if place.is_dir():
            _pack(storage.require_local(place, below), target / name)
        else:
            downloads[name] = Download(place.as_uri(), name)
    fetched = _fetched(list(downloads.values()), target)
    annotations = {
        split: Annotations(target / names[file.place], file.entry, file.copy_of)
        for split, file in files.annotations.items()
    }
    return Files(annotations, {split: target / names[place] for split, place in files.pictures.items()}, fetched)


def _pack(folder: Path, place: storage.StoragePath) -> None:
    """Packs a folder of pictures, unless the archive exists and the folder has not changed since."""
    record = place.with_name(f"{place.name}.json")
    with PictureStore(folder) as store:
        content = {"folder": str(folder), "signature": storage.fingerprint(store.signature())}
    try:
        known = storage.read_json(record)
    except InputError:
        known = None
    if known != content | {"bytes": storage.size(place)}:
        zip_archive.pack(folder, place)
        storage.write_json(record, content | {"bytes": storage.size(place)})
