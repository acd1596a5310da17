"""Reads records: parsed Examples, pictures, and the ground truth for scoring."""

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from openpose.records import cache
from openpose.records.manifest import RecordsManifest
from openpose.records.parse import parse
from openpose.records.shards import shard_paths
from openpose.skeleton import Skeleton


def examples(manifest: RecordsManifest, skeleton: Skeleton, first: int = 0, end: int | None = None) -> tf.data.Dataset:
    """Parsed Examples of a split in the order of the shards; the arguments are those of `records` and a skeleton."""
    return records(manifest, first, end).map(lambda serialized: parse(serialized, skeleton))


def records(manifest: RecordsManifest, first: int = 0, end: int | None = None) -> tf.data.Dataset:
    """Serialized Examples of a split in the order of the shards.

    Args:
        manifest: of the split's records.
        first: index of the first Example.
        end: index after the last one; None reads all. Shards outside the range are not opened.
    """
    counts = [shard.images for shard in manifest.shards]
    bounds = tf.constant([first, sum(counts) if end is None else end], tf.int64)
    return records_of(manifest, tf.constant(shard_paths(manifest)), tf.constant(counts, tf.int64), bounds)


def records_of(
    manifest: RecordsManifest,
    paths: tf.Tensor,
    counts: tf.Tensor,
    bounds: tf.Tensor,
    only: Callable[[tf.Tensor], tf.Tensor] = lambda _: tf.constant(True),
    files: cache.Files = cache.local,
) -> tf.data.Dataset:
    """A range of the serialized Examples in some shards; shards outside the range are not opened.

    Args:
        manifest: of the records.
        paths: of the shards, in the order in which their Examples are counted.
        counts: int64, number of Examples in each shard.
        bounds: int64 [2], index of the first Example and index after the last one.
        only: selects Examples; `counts` and `bounds` count only the selected ones.
        files: makes the shards local files.
    """
    starts = tf.cumsum(counts, exclusive=True)
    within = [tf.clip_by_value(bound - starts, 0, counts) for bound in tf.unstack(bounds)]
    opened = within[0] < within[1]
    ranges = tf.data.Dataset.from_tensor_slices(tf.boolean_mask(tf.stack(within, 1), opened))
    local = files(manifest, tf.data.Dataset.from_tensor_slices(tf.boolean_mask(paths, opened)))

    def part(file: tf.Tensor, range_: tf.Tensor) -> tf.data.Dataset:
        return tf.data.TFRecordDataset(file).filter(only).skip(range_[0]).take(range_[1] - range_[0])

    return tf.data.Dataset.zip((local, ranges)).flat_map(part)


def decode_picture(example: dict[str, Any]) -> np.ndarray:
    """Decodes a parsed Example's picture as RGB uint8 [H, W, 3]; warns and returns grey if it is damaged."""
    try:
        return tf.io.decode_jpeg(example["encoded"], channels=3).numpy()  # decodes PNG as well
    except tf.errors.InvalidArgumentError:
        print(f"warning: {example['filename'].decode()} cannot be decoded; it is shown grey", file=sys.stderr)
        return np.full((example["height"], example["width"], 3), 128, np.uint8)


def ground_truth(records: tf.data.Dataset, skeleton: Skeleton) -> dict[str, Any]:
    """Makes a COCO keypoint document from parsed Examples, for scoring with pycocotools.

    Args:
        records: from `examples`.
        skeleton: of the people.
    """
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for example in records.as_numpy_iterator():
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
                    "id": len(annotations) + 1,  # ids in the data need not be unique
                    "image_id": image_id,
                    "category_id": 1,
                    "iscrowd": int(example["crowd"][person]),
                    "area": float(example["area"][person]),
                    "bbox": example["bbox"][person].tolist(),
                    "keypoints": np.hstack([example["keypoints"][person], visibility[:, None]]).ravel().tolist(),
                    "num_keypoints": int((visibility >= 1).sum()),
                }
            )
    return {"images": images, "annotations": annotations, "categories": [skeleton.coco_category()]}
