"""Finds or downloads a data set: COCO's own archives, a mirror of them, or a user's data in COCO's format."""

from pathlib import Path
from urllib.parse import quote, urlsplit
from urllib.request import url2pathname

from openpose import retry, storage
from openpose.coco import download, layout, remote_files, zip_archive
from openpose.coco.download import Download, Record
from openpose.coco.layout import Files, Names
from openpose.coco.pictures import PictureStore
from openpose.drawn_people import dataset
from openpose.errors import InputError

COCO2017 = "coco2017"
SAMPLE = "sample"  # drawn people, for a cluster without data
_SOURCES = f"{COCO2017}, a folder with COCO's layout, or an address (http://, https://, gs://, file://) of one"
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


def bring(source: str, root: storage.StoragePath, names: Names) -> Files:
    """Finds the files of a data set, or downloads them to `<root>/archives/…`.

    A local folder is used in place if the storage root is a folder too.

    Args:
        source: `coco2017`, `sample`, a folder, or an address that begins with http(s)://, gs:// or file://.
        root: the storage root.
        names: of the files.

    Raises:
        InputError: a file is missing or cannot be downloaded; the message names it and where it was looked for.
    """
    if source == SAMPLE:
        source = str(storage.local_or_scratch(root) / SAMPLE)
        dataset.make(Path(source))
    folder = _local_folder(source)
    if folder is not None and storage.is_local(root):
        return _files_in(folder, names)
    identity = [remote_files.public(source), names.annotations, names.pictures]
    target = root / "archives" / storage.fingerprint(identity)[:12]
    if folder is not None:
        downloads = _downloads_of_folder(folder, names, target)
    elif source == COCO2017:
        downloads = _downloads_of_coco(names)
    else:
        downloads = _downloads_of_mirror(source.rstrip("/"), names, target)
    for file in downloads:
        storage.make_folder((target / file.name).parent)
    fetched = download.fetch(downloads, target)
    return layout.find(target, names, storage.sizes(target).__contains__, fetched)


def absolute(source: str) -> str:
    """The source with a relative folder made absolute, for a process in another folder."""
    is_name = source == COCO2017 and not Path(source).is_dir()
    return source if is_name or "://" in source else str(Path(source).absolute())


def _local_folder(source: str) -> Path | None:
    """The folder that the source names, None if the source is elsewhere."""
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


def _files_in(folder: Path, names: Names) -> Files:
    return layout.find(folder, names, lambda name: (folder / name).exists())


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
        return f"{base}/{name if base.startswith('gs://') else quote(name)}"

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


def _downloads_of_folder(folder: Path, names: Names, target: storage.StoragePath) -> list[Download]:
    """The files of a folder that go to a bucket; a folder of pictures is packed there into one archive."""
    files = _files_in(folder, names)
    downloads = {}
    below = f"is not below {folder}; for a storage root in a bucket it must be"
    for place in (*(file.place for file in files.annotations.values()), *files.pictures.values()):
        place = storage.require_local(place, below)
        if not place.is_relative_to(folder):
            raise InputError(f"{place}: {below}")
        name = place.relative_to(folder).as_posix()
        if place.is_dir():
            _pack(place, target / f"{name}.zip")
        else:
            downloads[name] = Download(place.as_uri(), name)
    return list(downloads.values())


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
