"""Records to tensors; `schema.py` says what each feature is."""

import tensorflow as tf

from openpose.skeleton import Skeleton

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


def parse(serialized: tf.Tensor, skeleton: Skeleton) -> dict[str, tf.Tensor]:
    """Parses an Example into tensors; the image and dense targets stay encoded.

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
