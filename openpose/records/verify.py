"""Checks shards against their manifest: checksums, counts, and every record."""

import io
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import tensorflow as tf
from PIL import Image

from openpose import progress, storage
from openpose.errors import InputError
from openpose.records import jpeg, schema
from openpose.records.manifest import RecordShard, RecordsManifest
from openpose.skeleton import Skeleton


def verify_manifest(path: str) -> int:
    """Checks the shards of a manifest and prints what is damaged; returns the exit code, 1 on damage."""
    manifest = storage.open_manifest(path, RecordsManifest)
    folder, skeleton = storage.path(manifest.folder), manifest.skeleton
    damage = []
    total: Counter[str] = Counter()
    with progress.bar(len(manifest.shards), "verify", "shard") as bar:
        for shard in manifest.shards:
            try:
                total.update(_verified_counts(folder / shard.name, shard, skeleton))
            except InputError as error:
                damage.append(str(error))
            bar.update(1)
    differing = {name: count for name, count in manifest.counts.items() if total[name] != count}
    if differing and not damage:
        damage.append(f"{path}: its counts {differing} differ from those of its shards, {dict(total)}")
    for line in damage:
        print(line)
    print(f"{path}: " + (f"{len(damage)} damaged" if damage else f"{len(manifest.shards)} shards are whole"))
    return 1 if damage else 0


def _verified_counts(place: storage.StoragePath, shard: RecordShard, skeleton: Skeleton) -> Counter[str]:
    """Checks a shard against its manifest and returns its counts.

    Raises:
        InputError: the shard is damaged; the message names the shard and the record.
    """
    if storage.size(place) is None:
        raise InputError(f"{place}: it is missing")
    with storage.local_copy(place) as file:
        total: Counter[str] = Counter()
        for number, serialized in enumerate(read_records(file, str(place))):
            try:
                image = tf.train.Example.FromString(serialized)
                _check(image, skeleton)
                total.update(schema.count_people(image))
            except (ValueError, IndexError, OSError) as error:  # protobuf's DecodeError is a ValueError
                raise InputError(f"{place}: record {number}: {error}") from error
        if total["images"] != shard.images:
            raise InputError(f"{place}: it has {total['images']} records, the manifest says {shard.images}")
        found = file.stat().st_size, storage.sha256(file)
    if found != (shard.bytes, shard.sha256):
        raise InputError(
            f"{place}: it has {found[0]} bytes and sha256 {found[1]}, "
            f"the manifest says {shard.bytes} and {shard.sha256}"
        )
    return total


def read_records(file: Path, name: str) -> Iterator[bytes]:
    """Reads a shard's records and checks their checksums.

    Args:
        file: the shard on this machine.
        name: the shard, for messages.

    Raises:
        InputError: a record is damaged.
    """
    number = 0
    try:
        for serialized in tf.data.TFRecordDataset(str(file)).as_numpy_iterator():
            yield serialized
            number += 1
    except tf.errors.OpError as error:
        raise InputError(f"{name}: record {number}: {str(error.message).splitlines()[0]}") from error


def _check(image: tf.train.Example, skeleton: Skeleton) -> None:
    """Raises ValueError, IndexError or OSError when features of an Example contradict each other."""
    picture = schema.to_picture(image.SerializeToString(), skeleton)
    encoded = image.features.feature["image/encoded"].bytes_list.value[0]
    size = jpeg.size(encoded)
    if size is None:
        with Image.open(io.BytesIO(encoded)) as opened:
            size = opened.size
            opened.load()
    if size != (picture.width, picture.height):
        raise ValueError(f"{picture.file_name} is {size[0]}×{size[1]}, not {picture.width}×{picture.height}")
    runs = list(image.features.feature["image/loss_mask/runs"].int64_list.value)
    pixels = picture.width * picture.height
    if runs and sum(runs) != pixels:
        raise ValueError(f"{picture.file_name}: the runs of its loss mask add up to {sum(runs)}, not {pixels} pixels")
