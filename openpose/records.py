"""TFRecords: one Example for each image with its people and loss mask. The one place that writes and reads them.

The names follow the TensorFlow object detection API. P people of S keypoints; coordinates in pixels of the
upright image, where an integer is the centre of a pixel.

| feature | dtype, shape | what |
|---|---|---|
| image/encoded | bytes | the image file's own bytes (JPEG or PNG) |
| image/filename | bytes | its name in the split |
| image/source_id | int64 | the image's id |
| image/height, image/width | int64 | pixels |
| image/loss_mask | bytes | PNG of 1 bit, [height, width]: 1 the loss counts; empty when it counts everywhere |
| image/object/id | int64 [P] | annotation ids |
| image/object/bbox | float32 [4 P] | x, y, width, height of each |
| image/object/area | float32 [P] | pixels² |
| image/object/is_crowd | int64 [P] | 1: a region of people that were not labelled one by one |
| image/object/is_main | int64 [P] | 1: a training sample may be centred on this person |
| image/object/keypoint/xy | float32 [2 S P] | x, y of each keypoint of each person |
| image/object/keypoint/visibility | int64 [S P] | COCO's v |
"""

import io
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from PIL import Image, ImageOps, UnidentifiedImageError

from openpose import coco, progress, storage
from openpose.errors import InputError
from openpose.skeleton import Skeleton

_INTS = tf.io.RaggedFeature(tf.int64, row_splits_dtype=tf.int64)
_FLOATS = tf.io.RaggedFeature(tf.float32, row_splits_dtype=tf.int64)
_BYTES = tf.io.FixedLenFeature([], tf.string)
_INT = tf.io.FixedLenFeature([], tf.int64)
FEATURES = {
    "image/encoded": _BYTES,
    "image/filename": _BYTES,
    "image/source_id": _INT,
    "image/height": _INT,
    "image/width": _INT,
    "image/loss_mask": _BYTES,
    "image/object/id": _INTS,
    "image/object/bbox": _FLOATS,
    "image/object/area": _FLOATS,
    "image/object/is_crowd": _INTS,
    "image/object/is_main": _INTS,
    "image/object/keypoint/xy": _FLOATS,
    "image/object/keypoint/visibility": _INTS,
}


@dataclass(frozen=True)
class RecordParameters:
    """What decides the content of the shards, besides the data.

    Attributes:
        images_per_shard: images in a shard; about 80 MB of COCO at 500.
        seed: of the one shuffle that makes each shard a fair sample of the split.
        max_bad_share: images that cannot be read are left out and named, up to this share of the split.
    """

    images_per_shard: int = 500
    seed: int = 0
    max_bad_share: float = 0.01


class BadImage(Exception):
    """One image cannot be used; the message says why."""


def shard_names(split: str, images: int, parameters: RecordParameters) -> list[str]:
    """File names of a split's shards, as `train-00000-of-00064.tfrecord`."""
    count = max(1, math.ceil(images / parameters.images_per_shard))
    return [f"{split}-{shard:05d}-of-{count:05d}.tfrecord" for shard in range(count)]


def write_shards(
    annotations: coco.Annotations,
    read: Callable[[str], bytes],
    folder: Path,
    split: str,
    parameters: RecordParameters,
    worker: int = 0,
    workers: int = 1,
) -> list[dict[str, Any]]:
    """Writes this worker's shards of a split; shards that an earlier try finished are kept.

    A shard's content depends on the data and the parameters, not on the number of workers.

    Args:
        annotations: of the whole split.
        read: file name -> bytes of the image; raises OSError when it is missing or damaged.
        folder: where the shards go; each is written under a temporary name and renamed, then described in a
            JSON file beside it.
        split: begins the shards' names.
        parameters: what decides the content.
        worker: this worker's number; it writes the shards `worker`, `worker + workers`, …
        workers: how many share the split.

    Returns:
        Descriptions of this worker's shards, as they stand in the manifest.

    Raises:
        InputError: too many images cannot be read, or there is no space left.
    """
    names = shard_names(split, len(annotations.pictures), parameters)
    order = np.random.default_rng(parameters.seed).permutation(len(annotations.pictures))
    parts = np.array_split(order, len(names))
    mine = range(worker, len(names), workers)
    described: list[dict[str, Any]] = []
    bad: list[dict[str, str]] = []

    def check(more: list[dict[str, str]]) -> None:
        check_bad_images(bad + more, len(annotations.pictures), parameters.max_bad_share)

    with progress.bar(sum(len(parts[shard]) for shard in mine), f"records {split}", "image") as bar:
        for shard in mine:
            pictures = [annotations.pictures[index] for index in parts[shard]]
            description = finished_shard(folder / names[shard])
            if description is None:
                description = _write_shard(folder / names[shard], pictures, read, check, bar)
            else:
                bar.update(len(pictures))
            described.append(description)
            bad += description["bad_images"]
            check([])
    return described


def check_bad_images(bad: list[dict[str, str]], images: int, max_share: float) -> None:
    """Raises InputError when more images are bad than the share allows; the message names the first of them."""
    if len(bad) > max_share * images:
        named = "; ".join(f"{entry['file_name']}: {entry['reason']}" for entry in bad[:5])
        more = f"; and {len(bad) - 5} more" if len(bad) > 5 else ""
        raise InputError(
            f"{len(bad)} of {images} images cannot be used, more than the {max_share:.0%} allowed: {named}{more}. "
            "Mend or remove them, or allow more with max_bad_share"
        )


def finished_shard(shard: Path) -> dict[str, Any] | None:
    """The description of a shard that is whole, else None."""
    description = shard.with_suffix(".json")
    return storage.read_json(description) if description.exists() and shard.exists() else None


def _write_shard(
    path: Path,
    pictures: list[coco.Picture],
    read: Callable[[str], bytes],
    check: Callable[[list[dict[str, str]]], None],
    bar: progress.Bar,
) -> dict[str, Any]:
    bad: list[dict[str, str]] = []
    written = []
    with storage.atomic_file(path) as temporary, tf.io.TFRecordWriter(str(temporary)) as writer:
        for picture in pictures:
            try:
                writer.write(serialize(picture, upright(read, picture)))
                written.append(picture)
            except BadImage as error:
                bad.append({"file_name": picture.file_name, "reason": str(error)})
                check(bad)  # here, so that a shard of a split that cannot be used is not finished
            bar.update(1)
    description = {
        "name": path.name,
        "bytes": path.stat().st_size,
        "sha256": storage.sha256(path),
        **coco.Annotations(path, written).counts(),
        "bad_images": bad,
    }
    storage.write_json(path.with_suffix(".json"), description)
    return description


def upright(read: Callable[[str], bytes], picture: coco.Picture) -> bytes:
    """The image's bytes after checking them; turned upright when the annotations are of the turned image.

    The bytes are the original ones, except where EXIF turns the image by 90° and the annotations' width and
    height say that they follow EXIF.

    Raises:
        BadImage: missing, no image, truncated, or of another size than the annotations say.
    """
    try:
        encoded = read(picture.file_name)
    except FileNotFoundError as error:
        raise BadImage("it is missing") from error
    except (OSError, ValueError) as error:
        raise BadImage(str(error)) from error
    expected = (picture.width, picture.height)
    try:
        with Image.open(io.BytesIO(encoded), formats=("JPEG", "PNG")) as image:
            size = image.size
            # A draft reads all of a JPEG's data, and so notices damage, but computes few pixels.
            image.draft("L", (1, 1))
            image.load()
            turned = image.getexif().get(0x0112, 1) >= 5
    except UnidentifiedImageError as error:
        raise BadImage("it is not a JPEG or PNG image") from error
    except (OSError, SyntaxError, ValueError) as error:
        raise BadImage(f"it cannot be decoded ({error})") from error
    if size == expected:
        return encoded
    if turned and size[::-1] == expected:
        return _turned(encoded)
    raise BadImage(f"it is {size[0]}×{size[1]}, its annotations say {picture.width}×{picture.height}")


def _turned(encoded: bytes) -> bytes:
    with Image.open(io.BytesIO(encoded)) as image:
        buffer = io.BytesIO()
        ImageOps.exif_transpose(image).convert("RGB").save(buffer, "JPEG", quality=95, subsampling=0)
    return buffer.getvalue()


def serialize(picture: coco.Picture, encoded: bytes) -> bytes:
    """The image's Example, serialized. See the table above."""
    mask = coco.loss_mask(picture)
    values = {
        "image/encoded": encoded,
        "image/filename": picture.file_name.encode(),
        "image/source_id": picture.id,
        "image/height": picture.height,
        "image/width": picture.width,
        "image/loss_mask": b"" if mask.all() else _png_1bit(mask),
        "image/object/id": picture.ids,
        "image/object/bbox": picture.bbox,
        "image/object/area": picture.area,
        "image/object/is_crowd": picture.crowd,
        "image/object/is_main": picture.main,
        "image/object/keypoint/xy": picture.keypoints,
        "image/object/keypoint/visibility": picture.visibility,
    }
    features = {name: _feature(value) for name, value in values.items()}
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString(deterministic=True)


def _feature(value: Any) -> tf.train.Feature:
    if isinstance(value, bytes):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
    array = np.atleast_1d(value).ravel()
    if array.dtype.kind == "f":
        return tf.train.Feature(float_list=tf.train.FloatList(value=array))
    return tf.train.Feature(int64_list=tf.train.Int64List(value=array.astype(np.int64)))


def _png_1bit(mask: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(mask * np.uint8(255)).convert("1").save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def parse(serialized: tf.Tensor, skeleton: Skeleton) -> dict[str, tf.Tensor]:
    """One Example as tensors; the image and the mask stay encoded.

    Returns:
        `encoded`, `loss_mask`, `filename` (strings), `id`, `height`, `width` (int64), and for the people
        `ids` int64 [P], `bbox` float32 [P, 4], `area` [P], `crowd` bool [P], `main` bool [P],
        `keypoints` float32 [P, S, 2], `visibility` int64 [P, S].
    """
    example = tf.io.parse_single_example(serialized, FEATURES)
    parts = len(skeleton.source_parts)
    return {
        "encoded": example["image/encoded"],
        "loss_mask": example["image/loss_mask"],
        "filename": example["image/filename"],
        "id": example["image/source_id"],
        "height": example["image/height"],
        "width": example["image/width"],
        "ids": example["image/object/id"],
        "bbox": tf.reshape(example["image/object/bbox"], [-1, 4]),
        "area": example["image/object/area"],
        "crowd": tf.cast(example["image/object/is_crowd"], tf.bool),
        "main": tf.cast(example["image/object/is_main"], tf.bool),
        "keypoints": tf.reshape(example["image/object/keypoint/xy"], [-1, parts, 2]),
        "visibility": tf.reshape(example["image/object/keypoint/visibility"], [-1, parts]),
    }


def merge(shards: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Shards' descriptions as the manifest's `shards`, `counts` and `bad_images`."""
    ordered = sorted(shards, key=lambda shard: shard["name"])
    counted = ("images", "people", "people_with_keypoints", "main_persons", "samples", "crowds")
    return {
        "shards": [{key: shard[key] for key in ("name", "bytes", "sha256", "images")} for shard in ordered],
        "counts": {name: sum(shard[name] for shard in ordered) for name in counted},
        "bad_images": [bad for shard in ordered for bad in shard["bad_images"]],
    }


def shard_paths(manifest: dict[str, Any]) -> list[str]:
    """Where the shards of a records manifest are.

    Raises:
        InputError: a shard is missing or has another size than the manifest says.
    """
    paths = [Path(manifest["folder"]) / shard["name"] for shard in manifest["shards"]]
    for path, shard in zip(paths, manifest["shards"], strict=True):
        size = path.stat().st_size if path.exists() else None
        if size != shard["bytes"]:
            found = "it is missing" if size is None else f"it has {size} bytes instead of {shard['bytes']}"
            raise InputError(f"{path}: {found}; remove the folder {path.parent} and make the records again")
    return [str(path) for path in paths]


def examples(manifest: dict[str, Any], skeleton: Skeleton) -> tf.data.Dataset:
    """All Examples of a split in the order of the shards, parsed."""
    dataset = tf.data.TFRecordDataset(shard_paths(manifest))
    return dataset.map(lambda serialized: parse(serialized, skeleton), num_parallel_calls=1)


def ground_truth(manifest: dict[str, Any], skeleton: Skeleton) -> dict[str, Any]:
    """The split as a COCO keypoint document, made from the records, for scoring with pycocotools."""
    images, annotations = [], []
    for example in examples(manifest, skeleton).as_numpy_iterator():
        image_id = int(example["id"])
        images.append(
            {
                "id": image_id,
                "file_name": example["filename"].decode(),
                "width": int(example["width"]),
                "height": int(example["height"]),
            }
        )
        for person, annotation_id in enumerate(example["ids"]):
            visibility = example["visibility"][person]
            annotations.append(
                {
                    "id": int(annotation_id),
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
