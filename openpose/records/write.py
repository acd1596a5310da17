"""Writes shards of records from a split's people and pictures."""

import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import numpy as np

from openpose import progress, storage
from openpose.records import image_bytes, schema
from openpose.records.example import Example
from openpose.records.exif import Follows
from openpose.records.manifest import LeftOut, ShardDescription
from openpose.records.parameters import RecordParameters
from openpose.records.picture import COUNTED
from openpose.records.record_file import RecordFile
from openpose.records.shards import Shard, check_bad_images, finished_shards, plan_shards


class Pictures(Protocol):
    """A split's picture files, such as `coco.pictures.PictureStore`."""

    def read(self, file_name: str) -> bytes:
        """A picture's bytes; raises OSError or ValueError when it is missing or damaged."""

    def position(self, file_name: str) -> int:
        """Position in the storage medium; reading in this order is fastest."""


class People(Protocol):
    """A split's images without their pictures, such as `coco.index.Split`."""

    picture_bytes: np.ndarray

    def read(self, start: int, stop: int) -> list[bytes]:
        """The Examples, without `image/encoded`, of a range of images."""


def write_shards(
    people: People,
    pictures: Pictures,
    folder: storage.StoragePath,
    split: str,
    parameters: RecordParameters,
    worker: int = 0,
    workers: int = 1,
    dense: Callable[[bytes], bytes] | None = None,
    unclear: Follows = Follows.TURNED,
) -> list[ShardDescription]:
    """Writes this worker's shards of a split; finished shards of an earlier attempt are kept.

    A shard's content depends on the data and the parameters, not on the number of workers. Each shard is written
    atomically, then described in a JSON file beside it.

    Args:
        people: the split's images.
        pictures: their files.
        folder: where the shards go.
        split: the first part of the shards' names.
        parameters: size of the shards, and share of images that may be bad.
        worker: this worker's number; it writes the shards `worker`, `worker + workers`, …
        workers: number of workers that share the split.
        dense: computes the features of an Example's dense targets, as the bytes of an Example (`with_features`).
        unclear: what annotations follow where EXIF turns a picture and its size does not tell.

    Returns:
        Descriptions of this worker's shards.

    Raises:
        InputError: too many images cannot be used, or the disk is full.
    """
    images = len(people.picture_bytes)
    mine = plan_shards(split, people.picture_bytes, parameters)[worker::workers]
    finished = finished_shards(folder, mine)
    lock, bad = threading.Lock(), list[LeftOut]()

    def note(more: LeftOut) -> None:
        with lock:
            bad.append(more)
            # Checked at once, so that a split with too many bad images fails before its shards are finished.
            check_bad_images(bad, images, parameters.max_bad_share)

    def write(shard: Shard) -> ShardDescription:
        description = finished.get(shard.name)
        if description is None:
            examples = people.read(shard.start, shard.stop)
            return _write_shard(folder / shard.name, examples, pictures, dense, unclear, note, step)
        for earlier in description.bad_images:
            note(earlier)
        step(shard.stop - shard.start)
        return description

    with progress.bar(sum(shard.stop - shard.start for shard in mine), f"records {split}", "image") as bar:

        def step(count: int = 1) -> None:
            with lock:
                bar.update(count)

        return list(_by_all_cores(write, mine))


def _by_all_cores(function: Callable[[Shard], ShardDescription], shards: Sequence[Shard]) -> Iterator[ShardDescription]:
    """`map` with one thread per core; reading, writing and checksums release Python's lock."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        try:
            yield from pool.map(function, shards)
        finally:
            pool.shutdown(cancel_futures=True)


def _write_shard(
    path: storage.StoragePath,
    examples: list[bytes],
    pictures: Pictures,
    dense: Callable[[bytes], bytes] | None,
    unclear: Follows,
    note: Callable[[LeftOut], None],
    step: Callable[[], None],
) -> ShardDescription:
    images = [(Example.FromString(example), example) for example in examples]
    # In the order of the pictures' positions, so that a disk reads them in one pass.
    images.sort(key=lambda image: (pictures.position(_file_name(image[0])), _integer(image[0], "image/source_id")))
    bad, one_was_cut = [], False
    counts = Counter(dict.fromkeys(COUNTED, 0))
    with storage.atomic_file(path) as temporary, RecordFile(temporary) as file:
        for image, people in images:
            size = _integer(image, "image/width"), _integer(image, "image/height")
            try:
                encoded = image_bytes.upright(pictures.read, _file_name(image), size, unclear, one_was_cut)
            except image_bytes.BadImage as error:
                one_was_cut |= isinstance(error, image_bytes.CutImage)  # then others probably are, too
                bad.append(LeftOut(file_name=_file_name(image), reason=str(error)))
                note(bad[-1])
            else:
                # Without a copy of the picture: protobuf makes three, and each takes as long as reading it.
                pieces = people, schema.picture_head(len(encoded)), encoded
                file.write(*pieces, *([dense(b"".join(pieces))] if dense else []))
                counts.update(schema.count_people(image))
            step()
    description = ShardDescription(name=path.name, bytes=file.bytes, sha256=file.sha256, **counts, bad_images=bad)
    storage.write_json(path.with_suffix(".json"), storage.to_json(description))
    return description


def _file_name(image: Any) -> str:
    return image.features.feature["image/filename"].bytes_list.value[0].decode()


def _integer(image: Any, name: str) -> int:
    return image.features.feature[name].int64_list.value[0]
