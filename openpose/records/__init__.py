"""TFRecords: one Example for each image with its people and loss mask. The one place that writes and reads them.

The names follow the TensorFlow object detection API. P people of S keypoints; coordinates in pixels of the
upright image, where an integer is the centre of a pixel.

| feature | dtype, shape | what |
|---|---|---|
| image/encoded | bytes | the image file's own bytes (JPEG or PNG) |
| image/filename | bytes | its name in the split |
| image/source_id | int64 | the image's id |
| image/height, image/width | int64 | pixels |
| image/loss_mask/runs | int64 [R] | runs of 1 (the loss counts), 0, 1, …, down the columns; none: all 1 |
| image/object/id | int64 [P] | annotation ids |
| image/object/bbox | float32 [4 P] | x, y, width, height of each, pixels |
| image/object/area | float32 [P] | pixels² |
| image/object/is_crowd | int64 [P] | 1: a region of people that were not labelled one by one |
| image/object/is_main | int64 [P] | 1: a training sample may be centred on this person |
| image/object/centre | float32 [2 P] | x, y of the box's centre (`objpos` of the field's other tools) |
| image/object/scale | float32 [P] | height of the box in units of 368 pixels (their `scale_provided`) |
| image/object/keypoint/xy | float32 [2 S P] | x, y of each keypoint of each person |
| image/object/keypoint/visibility | int64 [S P] | COCO's v |
| image/targets/size | int64 [2] | only with dense targets: height and width of the network's input, pixels |
| image/targets/maps | bytes | zlib of float32 [h, w, maps]: heatmap, then vectmap, of the whole image |
| image/targets/mask | bytes | zlib of uint8 [h, w]: the loss mask at the cells |
"""

import io
import itertools
import math
import os
import sys
import threading
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import tensorflow as tf
from PIL import Image, ImageOps, UnidentifiedImageError

from openpose import progress, storage
from openpose.errors import InputError
from openpose.records import cache as shards
from openpose.records.loss_mask import loss_mask
from openpose.records.parameters import RecordParameters
from openpose.records.picture import COUNTED, Picture, count_image
from openpose.records.record_file import RecordFile
from openpose.skeleton import Skeleton

FORMAT = 2  # of shards and manifest; what was made in another one is made again
SCALE_UNIT = 368  # pixels of `image/object/scale`, the input height of the field's networks

_INTS = tf.io.RaggedFeature(tf.int64, row_splits_dtype=tf.int64)
_FLOATS = tf.io.RaggedFeature(tf.float32, row_splits_dtype=tf.int64)
_BYTES = tf.io.FixedLenFeature([], tf.string)
_BYTES_OR_NONE = tf.io.FixedLenFeature([], tf.string, "")
_INT = tf.io.FixedLenFeature([], tf.int64)
FEATURES = {
    "image/encoded": _BYTES,
    "image/filename": _BYTES,
    "image/source_id": _INT,
    "image/height": _INT,
    "image/width": _INT,
    "image/loss_mask/runs": _INTS,
    "image/object/id": _INTS,
    "image/object/bbox": _FLOATS,
    "image/object/area": _FLOATS,
    "image/object/is_crowd": _INTS,
    "image/object/is_main": _INTS,
    "image/object/centre": _FLOATS,
    "image/object/scale": _FLOATS,
    "image/object/keypoint/xy": _FLOATS,
    "image/object/keypoint/visibility": _INTS,
    "image/targets/size": _INTS,
    "image/targets/maps": _BYTES_OR_NONE,
    "image/targets/mask": _BYTES_OR_NONE,
}


class BadImage(Exception):
    """One image cannot be used; the message says why."""


class Pictures(Protocol):
    """Where a split's pictures are: `pictures.PictureStore`."""

    def read(self, file_name: str) -> bytes:
        """A picture's bytes; raises OSError or ValueError when it is missing or damaged."""

    def position(self, file_name: str) -> int:
        """Where it lies, so that pictures are read in the order in which they lie."""


class People(Protocol):
    """A split's images without their pictures: `coco_index.Split`."""

    picture_bytes: np.ndarray

    def read(self, start: int, stop: int) -> list[bytes]:
        """The Examples, without `image/encoded`, of some images."""


@dataclass(frozen=True)
class Shard:
    """A shard: its name, and its images as a range of the split's shuffled order."""

    name: str
    start: int
    stop: int


def plan_shards(split: str, picture_bytes: np.ndarray, parameters: RecordParameters) -> list[Shard]:
    """A split's shards, as `train-00000-of-00064.tfrecord`: all of about the same size, whoever writes them.

    Args:
        split: begins the names.
        picture_bytes: int64 [N], of each image in the shuffled order.
        parameters: how large a shard is.
    """
    images = len(picture_bytes)
    # Missing pictures weigh a little too, so that a shard of nothing but them has an end.
    weight = np.ones(images) if parameters.images_per_shard else picture_bytes + 1.0
    count = math.ceil(weight.sum() / (parameters.images_per_shard or parameters.shard_mb * 1e6))
    middle = np.cumsum(weight) - weight / 2
    starts = np.unique(np.searchsorted(middle, np.arange(count) * (weight.sum() / count)))
    bounds = [*starts[starts < images].tolist(), images]
    return [
        Shard(f"{split}-{number:05d}-of-{len(starts):05d}.tfrecord", start, stop)
        for number, (start, stop) in enumerate(itertools.pairwise(bounds))
    ]


def write_shards(
    people: People,
    pictures: Pictures,
    folder: storage.StoragePath,
    split: str,
    parameters: RecordParameters,
    worker: int = 0,
    workers: int = 1,
    dense: Callable[[bytes], bytes] | None = None,
) -> list[dict[str, Any]]:
    """Writes this worker's shards of a split; shards that an earlier try finished are kept.

    A shard's content depends on the data and the parameters, not on the number of workers.

    Args:
        people: the split's images.
        pictures: their files.
        folder: where the shards go; each is written under a temporary name and renamed, then described in a
            JSON file beside it.
        split: begins the shards' names.
        parameters: what decides the content.
        worker: this worker's number; it writes the shards `worker`, `worker + workers`, …
        workers: how many share the split.
        dense: a whole Example -> the features of its dense targets, as the bytes of an Example (`with_features`).

    Returns:
        Descriptions of this worker's shards, as they stand in the manifest.

    Raises:
        InputError: too many images cannot be read, or there is no space left.
    """
    images = len(people.picture_bytes)
    mine = plan_shards(split, people.picture_bytes, parameters)[worker::workers]
    finished = finished_shards(folder, mine)
    lock, bad = threading.Lock(), list[dict[str, str]]()

    def note(more: dict[str, str]) -> None:
        with lock:
            bad.append(more)
            # Now, so that no shard of a split that cannot be used is finished.
            check_bad_images(bad, images, parameters.max_bad_share)

    def write(shard: Shard) -> dict[str, Any]:
        description = finished.get(shard.name)
        if description is None:
            return _write_shard(folder / shard.name, people.read(shard.start, shard.stop), pictures, dense, note, step)
        for earlier in description["bad_images"]:
            note(earlier)
        step(shard.stop - shard.start)
        return description

    with progress.bar(sum(shard.stop - shard.start for shard in mine), f"records {split}", "image") as bar:

        def step(count: int = 1) -> None:
            with lock:
                bar.update(count)

        return list(_by_all_cores(write, mine))


def _by_all_cores(function: Callable[[Shard], Any], shards: Sequence[Shard]) -> Iterator[Any]:
    """`map` by a thread for each core: reading, writing and checksums let the others run."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        try:
            yield from pool.map(function, shards)
        finally:
            pool.shutdown(cancel_futures=True)


def check_bad_images(bad: list[dict[str, str]], images: int, max_share: float) -> None:
    """Raises InputError when more images are bad than the share allows; the message names the first of them."""
    if len(bad) > max_share * images:
        named = "; ".join(f"{entry['file_name']}: {entry['reason']}" for entry in bad[:5])
        more = f"; and {len(bad) - 5} more" if len(bad) > 5 else ""
        raise InputError(
            f"{len(bad)} of {images} images cannot be used, more than the {max_share:.0%} allowed: {named}{more}. "
            "Mend or remove them, or allow more with max_bad_share"
        )


def finished_shards(folder: storage.StoragePath, planned: Sequence[Shard]) -> dict[str, dict[str, Any]]:
    """Descriptions of the shards that are whole, by name."""
    sizes = storage.sizes(folder)
    found = {}
    for shard in planned:
        description_name = Path(shard.name).with_suffix(".json").name
        if shard.name in sizes and description_name in sizes:
            description = storage.read_json(folder / description_name)
            if description["bytes"] == sizes[shard.name]:
                found[shard.name] = description
    return found


def _write_shard(
    path: storage.StoragePath,
    examples: list[bytes],
    pictures: Pictures,
    dense: Callable[[bytes], bytes] | None,
    note: Callable[[dict[str, str]], None],
    step: Callable[[], None],
) -> dict[str, Any]:
    images = [(tf.train.Example.FromString(example), example) for example in examples]
    # In the order in which the pictures lie: it saves a disk the way to and fro.
    images.sort(key=lambda image: (pictures.position(_file_name(image[0])), _integer(image[0], "image/source_id")))
    bad = []
    counts = Counter(dict.fromkeys(COUNTED, 0))
    with storage.atomic_file(path) as temporary, RecordFile(temporary) as file:
        for image, people in images:
            size = _integer(image, "image/width"), _integer(image, "image/height")
            try:
                encoded = upright(pictures.read, _file_name(image), size)
            except BadImage as error:
                bad.append({"file_name": _file_name(image), "reason": str(error)})
                note(bad[-1])
            else:
                # No copy of the picture: protobuf makes three, and each is as much as reading it.
                pieces = people, _encoded_head(len(encoded)), encoded
                file.write(*pieces, *([dense(b"".join(pieces))] if dense else []))
                counts.update(count_people(image))
            step()
    description = {"name": path.name, "bytes": file.bytes, "sha256": file.sha256, **counts, "bad_images": bad}
    storage.write_json(path.with_suffix(".json"), description)
    return description


def _file_name(image: tf.train.Example) -> str:
    return image.features.feature["image/filename"].bytes_list.value[0].decode()


def _integer(image: tf.train.Example, name: str) -> int:
    return image.features.feature[name].int64_list.value[0]


def count_people(image: tf.train.Example) -> Counter[str]:
    """The counts of one image, see `count_image`."""
    crowd, main, visibility = (
        list(image.features.feature[f"image/object/{name}"].int64_list.value)
        for name in ("is_crowd", "is_main", "keypoint/visibility")
    )
    parts = len(visibility) // max(1, len(crowd))
    labelled = [any(visibility[n * parts : (n + 1) * parts]) and not crowd[n] for n in range(len(crowd))]
    return count_image(crowd, labelled, main)


def upright(read: Callable[[str], bytes], file_name: str, expected: tuple[int, int]) -> bytes:
    """An image's bytes after checking them; turned upright when the annotations are of the turned image.

    The bytes are the original ones, except where EXIF turns the image by 90° and the annotations' width and
    height say that they follow EXIF.

    Args:
        read: file name -> bytes; raises OSError or ValueError when it is missing or damaged.
        file_name: of the image.
        expected: (width, height) that the annotations say.

    Raises:
        BadImage: missing, no image, truncated, or of another size.
    """
    try:
        encoded = read(file_name)
    except FileNotFoundError as error:
        raise BadImage("it is missing") from error
    except (OSError, ValueError) as error:
        raise BadImage(str(error)) from error
    if jpeg_size(encoded) == expected:
        return encoded
    # Something else than a usual JPEG from its beginning to its end: only decoding tells.
    try:
        with Image.open(io.BytesIO(encoded), formats=("JPEG", "PNG")) as image:
            size = image.size
            # A draft reads all of a JPEG's data, and so notices damage, but computes few pixels.
            image.draft("L", (1, 1))
            image.load()
            turned = image.getexif().get(0x0112, 1) >= 5
    except UnidentifiedImageError as error:
        raise BadImage("it is not a JPEG or PNG image") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise BadImage(f"it cannot be decoded ({error})") from error
    if size == expected:
        return encoded
    if turned and size[::-1] == expected:
        return _turned(encoded)
    raise BadImage(f"it is {size[0]}×{size[1]}, its annotations say {expected[0]}×{expected[1]}")


def jpeg_size(encoded: bytes) -> tuple[int, int] | None:
    """(width, height) of a JPEG of 8 bits, baseline or progressive, with a whole header and an end; else None.

    Pillow reads a header too, in fifty times the time, which is as much as copying the picture takes.
    """
    if not encoded.startswith(b"\xff\xd8") or not encoded.endswith(b"\xff\xd9"):
        return None
    size, at = None, 2
    while at + 9 < len(encoded) and encoded[at] == 0xFF:
        marker, length = encoded[at + 1], int.from_bytes(encoded[at + 2 : at + 4], "big")
        if marker == 0xDA:  # the header's end: image data follow
            return size
        if marker in (0xC0, 0xC1, 0xC2) and encoded[at + 4] == 8:
            size = int.from_bytes(encoded[at + 7 : at + 9], "big"), int.from_bytes(encoded[at + 5 : at + 7], "big")
        at += 2 + length
    return None


def _turned(encoded: bytes) -> bytes:
    with Image.open(io.BytesIO(encoded)) as image:
        buffer = io.BytesIO()
        ImageOps.exif_transpose(image).convert("RGB").save(buffer, "JPEG", quality=95, subsampling=0)
    return buffer.getvalue()


def serialize(picture: Picture) -> bytes:
    """The image's Example without `image/encoded`. See the table above.

    Raises:
        InputError: a segmentation does not fit its picture.
    """
    corner, size = picture.bbox[:, :2], picture.bbox[:, 2:]
    return with_features(
        {
            "image/filename": picture.file_name.encode(),
            "image/source_id": picture.id,
            "image/height": picture.height,
            "image/width": picture.width,
            "image/loss_mask/runs": loss_mask(picture),
            "image/object/id": picture.ids,
            "image/object/bbox": picture.bbox,
            "image/object/area": picture.area,
            "image/object/is_crowd": picture.crowd,
            "image/object/is_main": picture.main,
            "image/object/centre": corner + size / 2 - 0.5,  # a box's corner is at a pixel's edge
            "image/object/scale": size[:, 1] / SCALE_UNIT,
            "image/object/keypoint/xy": picture.keypoints,
            "image/object/keypoint/visibility": picture.visibility,
        }
    )


def with_features(values: dict[str, Any]) -> bytes:
    """Features as a serialized Example. Such bytes one behind the other are one Example with the features of all."""
    features = {name: _feature(value) for name, value in values.items()}
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString(deterministic=True)


def _encoded_head(length: int) -> bytes:
    """What `with_features({"image/encoded": encoded})` has before the picture's bytes, which are the rest of it.

    The fields are those of tensorflow/core/example/*.proto: Example, Features, map entry, Feature, BytesList.
    """
    name = b"\x0a\x0dimage/encoded"
    head = b""
    for outer in (b"\x0a", b"\x0a", b"\x12", b"\x0a", b"\x0a"):  # from the innermost field to the outermost
        head = outer + _varint(len(head) + length) + head
        if outer == b"\x12":  # the map entry's value; its key stands before it
            head = name + head
    return head


def _varint(value: int) -> bytes:
    content = bytearray()
    while value > 127:
        content.append(value & 127 | 128)
        value >>= 7
    content.append(value)
    return bytes(content)


def _feature(value: Any) -> tf.train.Feature:
    if isinstance(value, bytes):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
    array = np.atleast_1d(value).ravel()
    if array.dtype.kind == "f":
        return tf.train.Feature(float_list=tf.train.FloatList(value=array.tolist()))
    return tf.train.Feature(int64_list=tf.train.Int64List(value=array.astype(np.int64).tolist()))


def to_picture(serialized: bytes, skeleton: Skeleton) -> Picture:
    """An image and its people from its Example, which may lack `image/encoded`; without segmentations."""
    feature = tf.train.Example.FromString(serialized).features.feature
    people = len(feature["image/object/id"].int64_list.value)
    parts = len(skeleton.source_parts)
    return Picture(
        id=feature["image/source_id"].int64_list.value[0],
        file_name=feature["image/filename"].bytes_list.value[0].decode(),
        width=feature["image/width"].int64_list.value[0],
        height=feature["image/height"].int64_list.value[0],
        ids=_ints(feature, "image/object/id"),
        keypoints=_floats(feature, "image/object/keypoint/xy").reshape(people, parts, 2),
        visibility=_ints(feature, "image/object/keypoint/visibility").astype(np.uint8).reshape(people, parts),
        bbox=_floats(feature, "image/object/bbox").reshape(people, 4),
        area=_floats(feature, "image/object/area"),
        crowd=_ints(feature, "image/object/is_crowd").astype(bool),
        main=_ints(feature, "image/object/is_main").astype(bool),
        segmentations=(None,) * people,
    )


def _ints(feature: Any, name: str) -> np.ndarray:
    return np.array(feature[name].int64_list.value, np.int64)


def _floats(feature: Any, name: str) -> np.ndarray:
    return np.array(feature[name].float_list.value, np.float32)


def dense_features(maps: np.ndarray, mask: np.ndarray, size: tuple[int, int]) -> bytes:
    """Dense targets as the bytes of an Example: maps float32 [h, w, maps], mask [h, w], input size (height, width)."""
    return with_features(
        {
            "image/targets/size": np.array(size),
            "image/targets/maps": zlib.compress(np.ascontiguousarray(maps, np.float32).tobytes()),
            "image/targets/mask": zlib.compress(np.ascontiguousarray(mask, np.uint8).tobytes()),
        }
    )


def parse(serialized: tf.Tensor, skeleton: Skeleton) -> dict[str, tf.Tensor]:
    """One Example as tensors; the image and dense targets stay encoded.

    Returns:
        `encoded`, `filename` (strings), `id`, `height`, `width` (int64), `mask_runs` int64 [R]; for the people
        `ids` int64 [P], `bbox` float32 [P, 4], `area` [P], `crowd` and `main` bool [P], `centre` float32 [P, 2],
        `scale` [P], `keypoints` float32 [P, S, 2], `visibility` int64 [P, S]; `target_size` int64 [2] or [0],
        `target_maps` and `target_mask` (strings, empty without dense targets).
    """
    example = tf.io.parse_single_example(serialized, FEATURES)
    parts = len(skeleton.source_parts)
    return {
        "encoded": example["image/encoded"],
        "filename": example["image/filename"],
        "id": example["image/source_id"],
        "height": example["image/height"],
        "width": example["image/width"],
        "mask_runs": example["image/loss_mask/runs"],
        "ids": example["image/object/id"],
        "bbox": tf.reshape(example["image/object/bbox"], [-1, 4]),
        "area": example["image/object/area"],
        "crowd": tf.cast(example["image/object/is_crowd"], tf.bool),
        "main": tf.cast(example["image/object/is_main"], tf.bool),
        "centre": tf.reshape(example["image/object/centre"], [-1, 2]),
        "scale": example["image/object/scale"],
        "keypoints": tf.reshape(example["image/object/keypoint/xy"], [-1, parts, 2]),
        "visibility": tf.reshape(example["image/object/keypoint/visibility"], [-1, parts]),
        "target_size": example["image/targets/size"],
        "target_maps": example["image/targets/maps"],
        "target_mask": example["image/targets/mask"],
    }


def decode_picture(example: dict[str, Any]) -> np.ndarray:
    """The picture of a parsed Example as RGB uint8 [H, W, 3]; grey, with a warning, when it cannot be decoded."""
    try:
        return tf.io.decode_jpeg(example["encoded"], channels=3).numpy()  # decodes PNG as well
    except tf.errors.InvalidArgumentError:
        print(f"warning: {example['filename'].decode()} cannot be decoded; it is shown grey", file=sys.stderr)
        return np.full((example["height"], example["width"], 3), 128, np.uint8)


def merge(described: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Shards' descriptions as the manifest's `shards`, `counts` and `bad_images`."""
    ordered = sorted(described, key=lambda shard: shard["name"])
    return {
        "shards": [{key: shard[key] for key in ("name", "bytes", "sha256", "images", "samples")} for shard in ordered],
        "counts": {name: sum(shard[name] for shard in ordered) for name in COUNTED},
        "bad_images": [bad for shard in ordered for bad in shard["bad_images"]],
    }


def shard_paths(manifest: dict[str, Any]) -> list[str]:
    """Where the shards of a records manifest are.

    Raises:
        InputError: a shard is missing or has another size than the manifest says.
    """
    folder = storage.path(manifest["folder"])
    found_sizes = storage.sizes(folder)
    for shard in manifest["shards"]:
        size = found_sizes.get(shard["name"])
        if size != shard["bytes"]:
            found = "it is missing" if size is None else f"it has {size} bytes instead of {shard['bytes']}"
            raise InputError(
                f"{folder / shard['name']}: {found}; remove the folder {folder} and make the records again"
            )
    return [str(folder / shard["name"]) for shard in manifest["shards"]]


def sample_counts(manifest: dict[str, Any]) -> list[int]:
    """How many training samples each shard has.

    Raises:
        InputError: the records are of a format that did not say so.
    """
    shards_of_it = manifest["shards"]
    if any("samples" not in shard for shard in shards_of_it):
        folder = manifest["folder"]
        raise InputError(f"{folder}/manifest.json: the records are of an older format; make them again")
    return [shard["samples"] for shard in shards_of_it]


def examples(manifest: dict[str, Any], skeleton: Skeleton, first: int = 0, end: int | None = None) -> tf.data.Dataset:
    """Examples of a split in the order of the shards, parsed.

    Args:
        manifest: of the split's records.
        skeleton: of the people.
        first: number of the first one.
        end: that of the first one that is left out; None for all. Only the shards between are read.
    """
    counts = [shard["images"] for shard in manifest["shards"]]
    bounds = tf.constant([first, sum(counts) if end is None else end], tf.int64)
    return read(manifest, skeleton, tf.constant(shard_paths(manifest)), tf.constant(counts, tf.int64), bounds)


def read(
    manifest: dict[str, Any],
    skeleton: Skeleton,
    paths: tf.Tensor,
    counts: tf.Tensor,
    bounds: tf.Tensor,
    only: Callable[[dict[str, tf.Tensor]], tf.Tensor] = lambda _: tf.constant(True),
) -> tf.data.Dataset:
    """Some of the Examples that shards hold, parsed; other shards are not opened.

    Args:
        manifest: of the records.
        skeleton: of the people.
        paths: of the shards, in any order; they are counted through in this one.
        counts: int64, how many Examples each of them has.
        bounds: int64 [2], the numbers of the first Example and of the first one behind.
        only: which Examples are meant, here and in `counts`.
    """
    starts = tf.cumsum(counts, exclusive=True)
    within = [tf.clip_by_value(bound - starts, 0, counts) for bound in tf.unstack(bounds)]
    opened = within[0] < within[1]
    ranges = tf.data.Dataset.from_tensor_slices(tf.boolean_mask(tf.stack(within, 1), opened))
    files = shards.local(manifest, tf.data.Dataset.from_tensor_slices(tf.boolean_mask(paths, opened)))

    def part(file: tf.Tensor, range_: tf.Tensor) -> tf.data.Dataset:
        parsed = tf.data.TFRecordDataset(file).map(lambda serialized: parse(serialized, skeleton), num_parallel_calls=1)
        return parsed.filter(only).skip(range_[0]).take(range_[1] - range_[0])

    return tf.data.Dataset.zip((files, ranges)).flat_map(part)


def ground_truth(manifest: dict[str, Any], skeleton: Skeleton, first: int = -1) -> dict[str, Any]:
    """The split as a COCO keypoint document, made from the records, for scoring with pycocotools.

    Args:
        manifest: of the split's records.
        skeleton: of the people.
        first: only so many of the records' images, from the first on; -1 for all.
    """
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for example in examples(manifest, skeleton).take(first).as_numpy_iterator():
        image_id = int(example["id"])
        images.append(
            {
                "id": image_id,
                "file_name": example["filename"].decode(),
                "width": int(example["width"]),
                "height": int(example["height"]),
            }
        )
        for person in range(len(example["ids"])):
            visibility = example["visibility"][person]
            annotations.append(
                {
                    "id": len(annotations) + 1,  # the data's own ids need not be unique
                    "image_id": image_id,
                    "category_id": 1,
                    "iscrowd": int(example["crowd"][person]),
                    "area": float(example["area"][person]),
                    "bbox": example["bbox"][person].tolist(),
                    "keypoints": np.hstack([example["keypoints"][person], visibility[:, None]]).ravel().tolist(),
                    "num_keypoints": int((visibility >= 1).sum()),
                }
            )
    category = {
        "id": 1,
        "name": "person",
        "keypoints": list(skeleton.source_parts),
        "skeleton": [list(limb) for limb in skeleton.source_limbs],
    }
    return {"images": images, "annotations": annotations, "categories": [category]}
