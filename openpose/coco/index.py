"""Indexes a COCO keypoint file of any size in little memory: checks it, groups people by image, shuffles the images.

COCO's JSON lists all images, then all annotations. `index` streams it into `Partitions`, by a hash of the image's id
and the seed. Then it reads one partition after the other and joins the images with their people. It writes one file
with an Example of each image in shuffled order (see `records`; without the picture's bytes) and one with the offsets of
these Examples, so that each worker reads only its own part.
"""

import itertools
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from openpose import progress, storage
from openpose.coco import annotations, partitions
from openpose.coco.box_form import BoxForm
from openpose.coco.categories import Labels, labels_of
from openpose.coco.extents import Looks
from openpose.coco.fates import Correction, Fate, Tally
from openpose.coco.json_stream import OpenFile, items
from openpose.coco.partitions import Partitions
from openpose.coco.person import Form
from openpose.coco.values import shown, whole_number
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
        tally: what became of the annotations.
        pictures: uint64 [N], hashes of name and size of the pictures that are there, sorted.
        repeated: how many images have the file name of another one.
        repeated_at: number of one of them in the order; None without any.
        extents: of the animals; None for people.
    """

    people: str
    index: str
    counts: dict[str, int]
    keypoints: dict[str, int]
    tally: Tally
    pictures: np.ndarray
    repeated: int = 0
    repeated_at: int | None = None
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
    measure: Callable[[str], tuple[int, int]] | None = None,
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
        measure: gives the width and height of a picture whose entry has none; raises InputError if it cannot.

    Raises:
        InputError: the file is not valid JSON, or a field is missing or wrong; the message names the file, the entry
            and what to do.
    """
    if categories is None:
        categories = list(items(open_source, "categories", name))
    labels = labels_of(categories, name, skeleton, category)
    with (
        tempfile.TemporaryDirectory(prefix="index-", dir=storage.scratch_folder()) as temporary,
        storage.no_space_is_clear(folder / "index"),
    ):
        entries = Partitions(Path(temporary), seed)
        filled = _fill(entries, open_source, name, labels)
        counts = _split_sizes(shares, filled.images, name)
        form = Form(name, labels.order, filled.corners)
        pictures = _pictures(entries, skeleton, form, filled.loose, measure)
        with progress.bar(filled.images, f"index {' and '.join(shares)}", "image") as bar:
            written = {
                split: _write_split(folder, split, count, pictures, size, skeleton, bar)
                for split, count in counts.items()
            }
            for _ in pictures:  # none is left, but annotations of images that are not there may be
                pass
        next(iter(written.values())).tally.add(filled.loose)
        return written


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


@dataclass(frozen=True)
class _Filled:
    """What the partitions hold.

    Attributes:
        images: how many.
        corners: whether boxes are two corners each.
        loose: what became of annotations of other categories that name no image.
    """

    images: int
    corners: bool
    loose: Tally


def _fill(entries: Partitions, open_source: OpenFile, name: str, labels: Labels) -> _Filled:
    """Adds all images and annotations to the partitions."""
    images, boxes, loose = 0, BoxForm(), Tally()
    with progress.bar(None, f"read {Path(name).name}", "object") as bar:
        for image in items(open_source, "images", name):
            entries.add(whole_number(image, "id", name, f"number {images + 1} of `images`"), partitions.IMAGE, image)
            boxes.add_image(image)
            images += 1
            bar.update(1)
        for annotation in items(open_source, "annotations", name):
            fate = labels.fate(annotation, name)
            if fate is Fate.OTHER:
                _add_other(entries, annotation, loose)
            else:
                image_id = whole_number(annotation, "image_id", name, f"annotation {shown(annotation.get('id'))}")
                kind = partitions.ANNOTATION if fate is None else partitions.SAME_KIND
                entries.add(image_id, kind, annotation)
                boxes.add(annotation)
            bar.update(1)
    entries.flush()
    return _Filled(images, boxes.corners, loose)


def _add_other(entries: Partitions, annotation: dict[str, Any], loose: Tally) -> None:
    """Counts an annotation of another category with its image, so that it counts in the image's split."""
    try:
        entries.add(whole_number(annotation, "image_id", "", ""), partitions.OTHER, {})
    except InputError:
        loose.fates[Fate.OTHER] += 1


def _pictures(
    entries: Partitions,
    skeleton: Skeleton,
    form: Form,
    loose: Tally,
    measure: Callable[[str], tuple[int, int]] | None,
) -> Iterator[tuple[Picture, Tally]]:
    """Yields all images with their people and what became of these, in the order of their keys."""
    for number in range(partitions.COUNT):
        images: dict[int, tuple[int, dict[str, Any]]] = {}
        people: dict[int, tuple[list[dict[str, Any]], ...]] = {}
        for key, image_id, kind, entry in entries.take(number):
            if kind != partitions.IMAGE:
                people.setdefault(image_id, ([], [], []))[kind - partitions.ANNOTATION].append(entry)
            elif image_id in images:
                raise InputError(
                    f"{form.path}: two images have the id {image_id}; give each image a number of its own, which its "
                    "annotations have as `image_id`"
                )
            else:
                images[image_id] = (key, entry)
        for image_id, (own, same_kind, others) in people.items():
            if image_id not in images:
                if own or same_kind:
                    raise InputError(
                        f"{form.path}: annotation {shown((own or same_kind)[0].get('id'))} has image_id {image_id}, "
                        "which is not among the images; remove it or add its image"
                    )
                loose.fates[Fate.OTHER] += len(others)
        for image_id, (_, image) in sorted(images.items(), key=lambda item: (item[1][0], item[0])):
            own, same_kind, others = people.get(image_id, ([], [], []))
            tally = Tally(Counter([Fate.OTHER] * len(others)))
            sized = _with_size(image, form.path, measure, tally)
            yield annotations.make_picture(sized, own, skeleton, form, same_kind, tally), tally


def _with_size(
    image: dict[str, Any], name: str, measure: Callable[[str], tuple[int, int]] | None, tally: Tally
) -> dict[str, Any]:
    """The image with the width and height of its picture, if its entry lacks them."""
    lacks = [field for field in ("width", "height") if image.get(field) in (None, 0)]
    file_name = image.get("file_name")
    if not lacks or measure is None or not isinstance(file_name, str):
        return image
    try:
        width, height = measure(file_name)
    except InputError as error:
        raise InputError(
            f"{name}: image {shown(image.get('id'))} has no {' and no '.join(f'`{field}`' for field in lacks)}, which "
            f"cannot be read from its picture {file_name} either: {error}; write them, or remove the image"
        ) from error
    tally.corrections[Correction.NO_SIZE] += 1
    return {**image, "width": width, "height": height}


def _write_split(
    folder: Path,
    split: str,
    count: int,
    pictures: Iterator[tuple[Picture, Tally]],
    size: Callable[[str], int],
    skeleton: Skeleton,
    bar: progress.Bar,
) -> IndexedSplit:
    counts, tally = dict.fromkeys(COUNTED, 0), Tally()
    keypoints = np.zeros(len(skeleton.source_parts), np.int64)
    looks = None if skeleton.of_people else Looks(skeleton)
    table = np.lib.format.open_memmap(folder / f"{split}.npy", mode="w+", dtype=np.int64, shape=(count + 1, 2))
    known, names = np.zeros(count, np.uint64), np.zeros(count, np.uint64)
    with (folder / f"{split}.examples").open("wb") as file:
        for number in range(count):
            picture, became = next(pictures)
            there = size(picture.file_name)
            table[number] = file.tell(), there
            known[number] = _hash(PurePosixPath(picture.file_name.replace("\\", "/")).name, there) if there else 0
            names[number] = _hash(picture.file_name, 0)
            file.write(schema.serialize(picture))
            for key, value in total_counts([picture]).items():
                counts[key] += value
            tally.add(became)
            keypoints += (picture.visibility >= 1).sum(0)
            if looks:
                looks.add(picture)
            bar.update(1)
        table[count] = file.tell(), 0
    table.flush()
    first = np.unique(names, return_index=True)[1]
    again = np.setdiff1d(np.arange(count), first)
    return IndexedSplit(
        people=f"{split}.examples",
        index=f"{split}.npy",
        counts=counts,
        keypoints=dict(zip(skeleton.source_parts, keypoints.tolist(), strict=True)),
        tally=tally,
        pictures=np.unique(known[known > 0]),
        repeated=len(again),
        repeated_at=int(again[0]) if len(again) else None,
        extents=looks.extents() if looks else None,
    )


def _hash(name: str, size: int) -> int:
    """A number above 0 that is the same for pictures of the same name and size."""
    return int.from_bytes(blake2b(f"{size}:{name}".encode(errors="replace"), digest_size=8).digest()) or 1


def in_both(one: IndexedSplit, other: IndexedSplit) -> int:
    """How many pictures both splits have, by name and size."""
    return len(np.intersect1d(one.pictures, other.pictures, assume_unique=True))
