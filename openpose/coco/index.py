"""Indexes a COCO keypoint file of any size in little memory: checks it, groups people by image, shuffles the images.

COCO's JSON lists all images, then all annotations. `index` streams it into `Partitions`, by a hash of the image's id
and the seed. Then it reads one partition after the other and joins the images with their people. It writes one file
with an Example of each image in shuffled order (see `records`; without the picture's bytes) and one with the offsets of
these Examples, so that each worker reads only its own part.
"""

import itertools
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from openpose import progress, storage
from openpose.coco import annotations, partitions
from openpose.coco.extents import Looks
from openpose.coco.json_stream import NaNError, OpenFile, items, null_for_nan
from openpose.coco.partitions import Partitions
from openpose.errors import InputError
from openpose.records import schema
from openpose.records.manifest import Extents
from openpose.records.picture import COUNTED, Picture, total_counts
from openpose.skeleton import Skeleton


class Split:
    """A split of an index: N images in shuffled order.

    Args:
        people: the file of Examples.
        index: the file of their offsets.

    Attributes:
        picture_bytes: int64 [N], size of each picture; 0 if it is missing.
    """

    def __init__(self, people: storage.StoragePath | str, index: storage.StoragePath | str) -> None:
        self._people = storage.path(people)
        with storage.local_copy(storage.path(index)) as path:
            table = np.load(path)
        self._offsets, self.picture_bytes = table[:, 0], table[:-1, 1]

    def __len__(self) -> int:
        return len(self.picture_bytes)

    def read(self, start: int, stop: int) -> list[bytes]:
        """The Examples of the images from `start` to `stop`, without `image/encoded`."""
        offsets = self._offsets[start : stop + 1]
        content = storage.read_range(self._people, int(offsets[0]), int(offsets[-1] - offsets[0]))
        bounds = (offsets - offsets[0]).tolist()
        return [content[low:high] for low, high in itertools.pairwise(bounds)]


@dataclass(frozen=True)
class IndexedSplit:
    """What `index` has written for a split.

    Attributes:
        people: name of the file of Examples.
        index: name of the file of their offsets.
        counts: images, people and more, by name.
        keypoints: how often each keypoint is labelled.
        extents: of the animals; None for people.
    """

    people: str
    index: str
    counts: dict[str, int]
    keypoints: dict[str, int]
    extents: Extents | None = None


def index(
    open_source: OpenFile,
    name: str,
    folder: Path,
    skeleton: Skeleton,
    shares: Mapping[str, float],
    size: Callable[[str], int],
    seed: int = 0,
    category: str = "",
    categories: list[dict[str, Any]] | None = None,
) -> dict[str, IndexedSplit]:
    """Checks an annotation file and writes its images with their people in shuffled order.

    Args:
        open_source: opens the JSON's bytes; called several times.
        name: what messages call the file.
        folder: gets `<split>.examples` and `<split>.npy` of each split.
        skeleton: of the keypoints.
        shares: each split's share of the images; they add up to 1.
        size: gives the bytes of a picture by its file name, 0 if it is missing.
        seed: of the order, which also decides the split of each image.
        category: name of the category; empty for the only one that has keypoints.
        categories: of the file, if they were read already.

    Raises:
        InputError: the file is not valid JSON, or a field is missing or wrong; the message names the file, the entry
            and what to do.
    """
    try:
        if categories is None:
            categories = list(items(open_source, "categories", name))
        labels = annotations.labels_of(categories, name, skeleton, category)
        with (
            tempfile.TemporaryDirectory(prefix="openpose-index-") as temporary,
            storage.no_space_is_clear(folder / "index"),
        ):
            entries = Partitions(Path(temporary), seed)
            images = _fill(entries, open_source, name, labels.category)
            counts = _split_sizes(shares, images, name)
            pictures = _pictures(entries, name, skeleton, labels.order)
            with progress.bar(images, f"index {' and '.join(shares)}", "image") as bar:
                return {
                    split: _write_split(folder, split, count, pictures, size, skeleton, bar)
                    for split, count in counts.items()
                }
    except NaNError:
        # A second reading with null for NaN fails at the entry that has it, and its message names the entry.
        index(null_for_nan(open_source), name, folder, skeleton, shares, size, seed, category, categories)
        raise


def _split_sizes(shares: Mapping[str, float], images: int, name: str) -> dict[str, int]:
    """The number of images in each split; raises InputError if one gets none."""
    if not images:
        raise InputError(f"{name}: `images` is empty; a split needs at least one image")
    bounds = np.rint(np.cumsum([0.0, *shares.values()]) * images).astype(int)
    counts = dict(zip(shares, np.diff(bounds).tolist(), strict=True))
    for split, count in counts.items():
        if count < 1:
            raise InputError(
                f"{name}: {shares[split]:.1%} of its {images} images leave no image for {split}; give a larger share"
            )
    return counts


def _fill(entries: Partitions, open_source: OpenFile, name: str, category: Any) -> int:
    """Adds all images and annotations to the partitions; returns the number of images."""
    images = 0
    with progress.bar(None, f"read {Path(name).name}", "object") as bar:
        for image in items(open_source, "images", name):
            entries.add(annotations.whole_number(image, "id", name, "image"), partitions.IMAGE, image)
            images += 1
            bar.update(1)
        for annotation in items(open_source, "annotations", name):
            if annotation.get("category_id", category) == category:
                what = f"annotation {annotation.get('id')}"
                image_id = annotations.whole_number(annotation, "image_id", name, what)
                entries.add(image_id, partitions.ANNOTATION, annotation)
            bar.update(1)
    entries.flush()
    return images


def _pictures(entries: Partitions, name: str, skeleton: Skeleton, order: Sequence[int]) -> Iterator[Picture]:
    """Yields all images with their people, in the order of their keys."""
    for number in range(partitions.COUNT):
        images: dict[int, tuple[int, dict[str, Any]]] = {}
        people: dict[int, list[dict[str, Any]]] = {}
        for key, image_id, kind, entry in entries.take(number):
            if kind == partitions.ANNOTATION:
                people.setdefault(image_id, []).append(entry)
            elif image_id in images:
                raise InputError(f"{name}: two images have the id {image_id}; ids must be unique")
            else:
                images[image_id] = (key, entry)
        for image_id, (first, *_) in people.items():
            if image_id not in images:
                raise InputError(
                    f"{name}: annotation {first.get('id')} has image_id {image_id}, which is not among the images; "
                    "remove it or add its image"
                )
        for image_id, (_, image) in sorted(images.items(), key=lambda item: (item[1][0], item[0])):
            yield annotations.make_picture(image, people.get(image_id, []), name, skeleton, order)


def _write_split(
    folder: Path,
    split: str,
    count: int,
    pictures: Iterator[Picture],
    size: Callable[[str], int],
    skeleton: Skeleton,
    bar: progress.Bar,
) -> IndexedSplit:
    counts = dict.fromkeys(COUNTED, 0)
    keypoints = np.zeros(len(skeleton.source_parts), np.int64)
    looks = None if skeleton.of_people else Looks(skeleton)
    table = np.lib.format.open_memmap(folder / f"{split}.npy", mode="w+", dtype=np.int64, shape=(count + 1, 2))
    with (folder / f"{split}.examples").open("wb") as file:
        for number in range(count):
            picture = next(pictures)
            table[number] = file.tell(), size(picture.file_name)
            file.write(schema.serialize(picture))
            for key, value in total_counts([picture]).items():
                counts[key] += value
            keypoints += (picture.visibility >= 1).sum(0)
            if looks:
                looks.add(picture)
            bar.update(1)
        table[count] = file.tell(), 0
    table.flush()
    per_keypoint = dict(zip(skeleton.source_parts, keypoints.tolist(), strict=True))
    extents = looks.extents() if looks else None
    return IndexedSplit(f"{split}.examples", f"{split}.npy", counts, per_keypoint, extents)
