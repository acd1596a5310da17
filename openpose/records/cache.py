"""Caches shards from a bucket as local files, and fetches them before they are needed."""

import functools
import os
import shutil
import tempfile
import threading
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import tensorflow as tf

from openpose import progress, storage
from openpose.errors import InputError
from openpose.records.manifest import RecordsManifest

STREAMS = 8  # largest number of a split's shards that are read at the same time
# The latest KEEP shards of a split are never removed: for each stream the one to be opened next, the one after it and
# the one being fetched. An open file may be removed, as its content stays readable.
KEEP = 3 * STREAMS
FREE_SHARE = 0.5  # of the free disk space, for the cache

#: Makes shards local files: from a manifest, and the addresses of some of its shards.
Files = Callable[[RecordsManifest, tf.data.Dataset], tf.data.Dataset]


def copied(manifest: RecordsManifest, paths: tf.data.Dataset) -> tf.data.Dataset:
    """Local paths of shards that `copy` has copied; shards in a folder are read in place.

    Its operations are TensorFlow's alone, so that another process can run them, unlike those of `local`.
    """
    if storage.is_local(storage.path(manifest.folder)):
        return paths
    folder = str(_copy_folder(manifest))
    return paths.map(lambda path: tf.strings.join([folder, tf.strings.split(path, "/")[-1]], "/"))


def copy(manifest: RecordsManifest) -> None:
    """Copies all shards of a bucket to a folder of temporary files; those that an earlier call has copied stay.

    Raises:
        InputError: the disk has too little space, or a shard is not what the manifest says.
    """
    place, folder = storage.path(manifest.folder), _copy_folder(manifest)
    if storage.is_local(place):
        return
    folder.mkdir(parents=True, exist_ok=True)
    missing = [shard for shard in manifest.shards if not (folder / shard.name).exists()]
    needed, free = sum(shard.bytes for shard in missing), shutil.disk_usage(folder).free
    if needed > free:
        raise InputError(
            f"{folder}: {needed / 1e6:.0f} MB are needed for a copy of the records, {free / 1e6:.0f} MB are free; make "
            "room, or set TMPDIR to a larger folder, here and where the training runs"
        )
    with progress.bar(len(missing), "copying records", "shard") as bar:
        for shard in missing:
            _fetch(place / shard.name, folder / shard.name, shard.bytes, shard.sha256)
            bar.update()


def _copy_folder(manifest: RecordsManifest) -> Path:
    return Path(tempfile.gettempdir()) / f"openpose-records-{manifest.fingerprint[:12]}"


def local(manifest: RecordsManifest, paths: tf.data.Dataset) -> tf.data.Dataset:
    """Local paths of a records manifest's shards, in the order of `paths`; at most STREAMS may be read at once.

    Shards in a folder are read in place. Shards from a bucket are compared with the manifest.

    Args:
        manifest: of the records.
        paths: text: the manifest's folder and the name of a shard.

    Raises:
        InputError: there is too little space for the cache. While the dataset is read, TensorFlow wraps an
            InputError that names a shard that is not what the manifest says; `storage.user_errors` unwraps it.
    """
    folder = storage.path(manifest.folder)
    if storage.is_local(folder):
        return paths
    shards = {str(folder / shard.name): shard for shard in manifest.shards}
    cache = _cache()
    cache.reserve(str(folder), sum(sorted(shard.bytes for shard in shards.values())[-KEEP:]))

    def fetched(path: bytes) -> bytes:
        text = path.decode()
        return str(cache.file(text, shards[text].bytes, shards[text].sha256)).encode()

    # Each is fetched while the one before it is read.
    return paths.map(lambda path: tf.ensure_shape(tf.numpy_function(fetched, [path], tf.string), [])).prefetch(1)


@functools.cache
def _cache() -> "Cache":
    """This process's cache: training and validation share the disk."""
    return Cache(storage.scratch_folder())


@dataclass
class _Entry:
    file: Path
    bytes: int
    fetching: threading.Lock = field(default_factory=threading.Lock)


class Cache:
    """Files of a bucket in a folder; the least recently used ones make room for others.

    Args:
        folder: a temporary one.

    Attributes:
        limit: largest size in bytes.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.limit = int(FREE_SHARE * shutil.disk_usage(folder).free)
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._reserved: dict[str, int] = {}
        self._lock = threading.Lock()

    def reserve(self, folder: str, least: int) -> None:
        """Reserves cache space for one folder's shards: at least `least` bytes.

        Raises:
            InputError: the disk has too little space.
        """
        self._reserved[folder] = least
        least = sum(self._reserved.values())
        free = shutil.disk_usage(self.folder).free + sum(entry.bytes for entry in self._entries.values())
        if least > free:
            raise InputError(
                f"{self.folder}: {least / 1e6:.0f} MB are needed for shards from the bucket, {free / 1e6:.0f} "
                "MB are free; make room, set TMPDIR to a larger folder, or make the records again in smaller shards"
            )
        self.limit = max(self.limit, least)

    def file(self, place: str, size: int, sha256: str) -> Path:
        """The local file of an object, fetched if it is not cached.

        Args:
            place: the address of the object.
            size: its bytes.
            sha256: its checksum.

        Raises:
            InputError: it is missing, or not what was expected.
        """
        with self._lock:
            entry = self._entries.pop(place, None)
            if entry is None:
                entry = _Entry(self.folder / f"{storage.fingerprint(place)[:16]}.tfrecord", size)
            self._entries[place] = entry  # the latest now
            self._make_room()
        with entry.fetching:
            if not entry.file.exists():
                _fetch(storage.path(place), entry.file, size, sha256)
        return entry.file

    def _make_room(self) -> None:
        total = sum(entry.bytes for entry in self._entries.values())
        later: Counter[str] = Counter()  # shards of each folder that were used later
        removable = []
        for place in reversed(self._entries):
            folder = place.rpartition("/")[0]
            if later[folder] >= KEEP:
                removable.append(place)
            later[folder] += 1
        while total > self.limit and removable:
            oldest = self._entries.pop(removable.pop())
            oldest.file.unlink(missing_ok=True)
            total -= oldest.bytes


def _fetch(place: storage.StoragePath, file: Path, size: int, sha256: str) -> None:
    part = file.with_suffix(f".{os.getpid()}.part")
    again = f"remove {place.parent} and make the records again"
    try:
        storage.download(place, part)
    except FileNotFoundError as error:
        raise InputError(f"{place}: it is missing; {again}") from error
    if (found := (part.stat().st_size, storage.sha256(part))) != (size, sha256):
        part.unlink()
        raise InputError(
            f"{place}: it has {found[0]} bytes and sha256 {found[1]}, "
            f"the manifest says {size} bytes and {sha256}; {again}"
        )
    part.rename(file)
