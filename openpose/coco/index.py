"""A split's annotations, checked, grouped by image and shuffled, for any number of images in little memory.

COCO's JSON lists all images, then all annotations. `index` reads it as a stream and sorts it with files: every image
gets a key that is a hash of its id and the seed; images and annotations go to the bucket of their image's key;
bucket by bucket, in the order of the keys, the images are put together with their people. The result is one file
with an Example of each image (see `records`, all but the picture) in shuffled order, and one with their places in
it, so that a worker reads only its own part.
"""

import itertools
import marshal
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import IO, Any, TypeAlias

import ijson
import numpy as np

from openpose import progress, records, storage
from openpose.coco import annotations
from openpose.errors import InputError
from openpose.records.picture import COUNTED, Picture, total_counts
from openpose.skeleton import Skeleton

#: Opens a file's bytes, in a `with` block.
Source: TypeAlias = Callable[[], AbstractContextManager[IO[bytes]]]

BUCKETS = 1024  # of 1 000 images each when there are a million
BUFFER = 16_000_000  # bytes that wait for being written to the buckets


class Split:
    """A split of an index: N images in shuffled order.

    Args:
        people: the file of Examples.
        index: their places.

    Attributes:
        picture_bytes: int64 [N], size of each image's file; 0 when it is missing.
    """

    def __init__(self, people: storage.StoragePath | str, index: storage.StoragePath | str) -> None:
        self._people = storage.path(people)
        with storage.local_copy(storage.path(index)) as path:
            table = np.load(path)
        self._offsets, self.picture_bytes = table[:, 0], table[:-1, 1]

    def __len__(self) -> int:
        return len(self.picture_bytes)

    def read(self, start: int, stop: int) -> list[bytes]:
        """The Examples, without `image/encoded`, of the images from `start` to `stop`."""
        offsets = self._offsets[start : stop + 1]
        content = storage.read_range(self._people, int(offsets[0]), int(offsets[-1] - offsets[0]))
        bounds = (offsets - offsets[0]).tolist()
        return [content[low:high] for low, high in itertools.pairwise(bounds)]


def index(
    open_source: Source,
    name: str,
    folder: Path,
    skeleton: Skeleton,
    shares: Mapping[str, float],
    size: Callable[[str], int],
    seed: int = 0,
) -> dict[str, dict[str, Any]]:
    """Checks an annotation file and writes its images with their people in shuffled order.

    Args:
        open_source: opens the JSON's bytes; called several times.
        name: what messages call the file.
        folder: gets `<split>.examples` and `<split>.npy` of each split.
        skeleton: of the keypoints.
        shares: for each split its share of the images; they add up to 1.
        size: file name -> bytes of the picture, 0 when it is missing.
        seed: of the order, and so of the shares.

    Returns:
        For each split `people` and `index` (names of its files), `counts` and `keypoints` (how often each is labelled).

    Raises:
        InputError: no JSON, or a field is missing or wrong; the message names the file, the entry and what to do.
    """
    try:
        return _index(open_source, name, folder, skeleton, shares, size, seed)
    except _NoNumberError:
        # Python writes NaN into JSON, which has no such thing. Read as null it is found again, with its entry.
        _index(lambda: _null_for_nan(open_source), name, folder, skeleton, shares, size, seed)
        raise


class _NoNumberError(InputError):
    """The JSON has NaN or Infinity."""


class _NullForNaN:
    """A file in which NaN and Infinity are null, with the one method that ijson needs."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def read(self, size: int) -> bytes:
        return re.sub(rb"NaN|-?Infinity", b"null", self._file.read(size))


@contextmanager
def _null_for_nan(open_source: Source) -> Iterator[IO[bytes]]:
    with open_source() as file:
        yield _NullForNaN(file)  # type: ignore[misc]


def _index(
    open_source: Source,
    name: str,
    folder: Path,
    skeleton: Skeleton,
    shares: Mapping[str, float],
    size: Callable[[str], int],
    seed: int,
) -> dict[str, dict[str, Any]]:
    categories = list(_items(open_source, "categories", name))
    category = annotations.person_category(categories, name, skeleton)
    with (
        tempfile.TemporaryDirectory(prefix="openpose-index-") as temporary,
        storage.no_space_is_clear(folder / "index"),
    ):
        buckets = _Buckets(Path(temporary), seed)
        images = _distribute(buckets, open_source, name, category)
        if not images:
            raise InputError(f"{name}: `images` is empty; a split needs at least one image")
        pictures = _pictures(buckets, name, skeleton)
        result = {}
        with progress.bar(images, f"index {' and '.join(shares)}", "image") as bar:
            for split, count in _whole_counts(shares, images, name).items():
                result[split] = _write_split(folder, split, count, pictures, size, skeleton, bar)
    return result


def _whole_counts(shares: Mapping[str, float], images: int, name: str) -> dict[str, int]:
    """Images of each split: the share, rounded, at least one."""
    bounds = np.rint(np.cumsum([0.0, *shares.values()]) * images).astype(int)
    counts = dict(zip(shares, np.diff(bounds).tolist(), strict=True))
    for split, count in counts.items():
        if count < 1:
            raise InputError(
                f"{name}: {shares[split]:.1%} of its {images} images are none for {split}; give a larger share"
            )
    return counts


def _distribute(buckets: "_Buckets", open_source: Source, name: str, category: Any) -> int:
    """Puts images and annotations into their buckets; returns the number of images."""
    images = 0
    with progress.bar(None, f"read {Path(name).name}", "object") as bar:
        for image in _items(open_source, "images", name):
            buckets.add(annotations.whole_number(image, "id", name, "image"), (_IMAGE, image))
            images += 1
            bar.update(1)
        for annotation in _items(open_source, "annotations", name):
            if annotation.get("category_id", category) == category:
                what = f"annotation {annotation.get('id')}"
                buckets.add(annotations.whole_number(annotation, "image_id", name, what), (_ANNOTATION, annotation))
            bar.update(1)
    buckets.flush()
    return images


_IMAGE, _ANNOTATION = 0, 1
_LENGTH = 8  # bytes of the number before an entry in a bucket


def _items(open_source: Source, field: str, name: str) -> Iterator[dict[str, Any]]:
    """The objects of a top-level list, one at a time."""
    number, last = 0, None
    try:
        with open_source() as file:
            for item in ijson.items(file, f"{field}.item", use_float=True):
                if not isinstance(item, dict):
                    raise _no_list_error(field, name)
                number, last = number + 1, item.get("id")
                yield item
        if number == 0:  # an empty list, or something else?
            with open_source() as file:
                if next(ijson.items(file, field), None) != []:
                    raise _no_list_error(field, name)
    except (ijson.JSONError, UnicodeDecodeError) as error:
        place = f"after {number} of `{field}` (the last one's id is {last})" if number else f"before `{field}`"
        text = " ".join(str(error).split())
        if "NaN" in text or "nfinity" in text:
            raise _NoNumberError(f"{name}: not valid JSON {place}: {text}. JSON has no NaN and no Infinity") from error
        raise InputError(
            f"{name}: not valid JSON {place}: {text}. Is the file cut off? Fetch or export it again"
        ) from error


def _no_list_error(field: str, name: str) -> InputError:
    return InputError(f"{name}: `{field}` must be a list of objects, as in COCO's person_keypoints files")


class _Buckets:
    """Entries by the key of their image, in files: the keys of a bucket lie between those of its neighbours."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._folder, self._seed = folder, seed
        self._waiting: dict[int, list[bytes]] = {}
        self._bytes = 0

    def add(self, image_id: int, entry: tuple[int, dict[str, Any]]) -> None:
        key = self._key(image_id)
        content = marshal.dumps((key, image_id, *entry))
        # With its length before it: marshal reads bytes ten times as fast as a file.
        content = len(content).to_bytes(_LENGTH) + content
        self._waiting.setdefault(key * BUCKETS >> 64, []).append(content)
        self._bytes += len(content)
        if self._bytes > BUFFER:
            self.flush()

    def flush(self) -> None:
        for bucket, contents in self._waiting.items():
            with (self._folder / str(bucket)).open("ab") as file:
                file.writelines(contents)
        self._waiting, self._bytes = {}, 0

    def entries(self, bucket: int) -> Iterator[tuple[int, int, int, dict[str, Any]]]:
        """(key, image id, kind, entry) of a bucket, in the order in which they came; once."""
        path = self._folder / str(bucket)
        if path.exists():
            with path.open("rb") as file:
                while length := file.read(_LENGTH):
                    yield marshal.loads(file.read(int.from_bytes(length)))
            path.unlink()

    def _key(self, image_id: int) -> int:
        return int.from_bytes(blake2b(f"{self._seed}:{image_id}".encode(), digest_size=8).digest(), "big")


def _pictures(buckets: _Buckets, name: str, skeleton: Skeleton) -> Iterator[Picture]:
    """All images with their people, in the order of their keys."""
    for bucket in range(BUCKETS):
        images: dict[int, tuple[int, dict[str, Any]]] = {}
        people: dict[int, list[dict[str, Any]]] = {}
        for key, image_id, kind, entry in buckets.entries(bucket):
            if kind == _ANNOTATION:
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
            yield annotations.make_picture(image, people.get(image_id, []), name, skeleton)


def _write_split(
    folder: Path,
    split: str,
    count: int,
    pictures: Iterator[Picture],
    size: Callable[[str], int],
    skeleton: Skeleton,
    bar: progress.Bar,
) -> dict[str, Any]:
    counts = dict.fromkeys(COUNTED, 0)
    keypoints = np.zeros(len(skeleton.source_parts), np.int64)
    table = np.lib.format.open_memmap(folder / f"{split}.npy", mode="w+", dtype=np.int64, shape=(count + 1, 2))
    with (folder / f"{split}.examples").open("wb") as file:
        for number in range(count):
            picture = next(pictures)
            table[number] = file.tell(), size(picture.file_name)
            file.write(records.serialize(picture))
            for key, value in total_counts([picture]).items():
                counts[key] += value
            keypoints += (picture.visibility >= 1).sum(0)
            bar.update(1)
        table[count] = file.tell(), 0
    table.flush()
    per_keypoint = dict(zip(skeleton.source_parts, keypoints.tolist(), strict=True))
    return {"people": f"{split}.examples", "index": f"{split}.npy", "counts": counts, "keypoints": per_keypoint}
