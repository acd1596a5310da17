"""The shards of a split: which images go where, which shards are finished, what a manifest says of them.

Free of TensorFlow, so that steps which only plan and collect start at once.
"""

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import numpy as np

from openpose import storage
from openpose.errors import InputError
from openpose.records.manifest import LeftOut, RecordShard, RecordsManifest, ShardDescription
from openpose.records.parameters import RecordParameters
from openpose.records.picture import COUNTED

FORMAT = 2  # of shards and manifest; records of another format are made again


@dataclass(frozen=True)
class Shard:
    """A shard: its file name, and its images as a range of the split's shuffled order."""

    name: str
    start: int
    stop: int


def plan_shards(split: str, picture_bytes: np.ndarray, parameters: RecordParameters) -> list[Shard]:
    """Divides a split into shards of about equal size, named like `train-00000-of-00064.tfrecord`.

    Args:
        split: the first part of the names.
        picture_bytes: int64 [N], size of each image in the shuffled order.
        parameters: how large a shard is.
    """
    images = len(picture_bytes)
    # Missing pictures have a weight too, so that a run of them still fills a shard.
    weight = np.ones(images) if parameters.images_per_shard else picture_bytes + 1.0
    count = math.ceil(weight.sum() / (parameters.images_per_shard or parameters.shard_mb * 1e6))
    middle = np.cumsum(weight) - weight / 2
    starts = np.unique(np.searchsorted(middle, np.arange(count) * (weight.sum() / count)))
    bounds = [*starts[starts < images].tolist(), images]
    return [
        Shard(f"{split}-{number:05d}-of-{len(starts):05d}.tfrecord", start, stop)
        for number, (start, stop) in enumerate(itertools.pairwise(bounds))
    ]


def finished_shards(folder: storage.StoragePath, planned: Sequence[Shard]) -> dict[str, ShardDescription]:
    """Descriptions of the complete shards, by name.

    Raises:
        InputError: a description cannot be read.
    """
    sizes = storage.sizes(folder)
    found = {}
    for shard in planned:
        description_name = Path(shard.name).with_suffix(".json").name
        if shard.name in sizes and description_name in sizes:
            description = storage.read_as(folder / description_name, ShardDescription)
            if description.bytes == sizes[shard.name]:
                found[shard.name] = description
    return found


def check_bad_images(bad: Sequence[LeftOut], images: int, max_share: float) -> None:
    """Raises InputError when more than the allowed share of images is bad; the message names the first ones."""
    if len(bad) > max_share * images:
        named = "; ".join(f"{entry.file_name}: {entry.reason}" for entry in bad[:5])
        more = f"; and {len(bad) - 5} more" if len(bad) > 5 else ""
        raise InputError(
            f"{len(bad)} of {images} images cannot be used, more than the {max_share:.0%} allowed: {named}{more}. "
            "Mend or remove them, or allow more with max_bad_share"
        )


class Content(TypedDict):
    """Fields of a `RecordsManifest`, to be passed by name."""

    shards: list[RecordShard]
    counts: dict[str, int]
    bad_images: list[LeftOut]


def merge(described: Iterable[ShardDescription]) -> Content:
    """Combines descriptions of shards into fields of the manifest."""
    ordered = sorted(described, key=lambda shard: shard.name)
    return Content(
        shards=[storage.from_json(RecordShard, storage.to_json(shard)) for shard in ordered],
        counts={name: sum(getattr(shard, name) for shard in ordered) for name in COUNTED},
        bad_images=[bad for shard in ordered for bad in shard.bad_images],
    )


def shard_paths(manifest: RecordsManifest) -> list[str]:
    """Paths of the shards in a records manifest.

    Raises:
        InputError: a shard is missing, or its size differs from the manifest's.
    """
    folder = storage.path(manifest.folder)
    found_sizes = storage.sizes(folder)
    for shard in manifest.shards:
        size = found_sizes.get(shard.name)
        if size != shard.bytes:
            found = "it is missing" if size is None else f"it has {size} bytes instead of {shard.bytes}"
            raise InputError(f"{folder / shard.name}: {found}; remove the folder {folder} and make the records again")
    return [str(folder / shard.name) for shard in manifest.shards]


def sample_counts(manifest: RecordsManifest) -> list[int]:
    """Number of training samples in each shard.

    Raises:
        InputError: the records have an older format without these numbers.
    """
    samples = [shard.samples for shard in manifest.shards]
    if None in samples:
        raise InputError(f"{manifest.path}: the records are of an older format; make them again")
    return [number for number in samples if number is not None]
