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
_MAIN = "image/object/is_main"
ENDLESS_RUN = 1 << 40  # more than any picture has pixels


def has_main_person(serialized: tf.Tensor) -> tf.Tensor:
    """Whether an Example has a main person, on whom a training sample can be centred: bool []."""
    return tf.reduce_any(tf.io.parse_single_example(serialized, {_MAIN: FEATURES[_MAIN]})[_MAIN] > 0)


def parse(serialized: tf.Tensor, skeleton: Skeleton) -> dict[str, tf.Tensor]:
    """Parses an Example into tensors: `parse_batch` without the first dimension."""
    return {name: value[0] for name, value in parse_batch(tf.expand_dims(serialized, 0), skeleton).items()}


def parse_batch(serialized: tf.Tensor, skeleton: Skeleton) -> dict[str, tf.Tensor]:
    """Parses Examples, text [B], into tensors; images and dense targets stay encoded.

    Returns:
        `encoded`, `filename` (strings [B]), `id`, `height`, `width` (int64 [B]), `mask_runs` int64 [B, R]; for the
        people `ids` int64 [B, P], `bbox` float32 [B, P, 4], `area` [B, P], `crowd` and `main` bool [B, P], `centre`
        float32 [B, P, 2], `scale` [B, P], `keypoints` float32 [B, P, S, 2], `visibility` int64 [B, P, S];
        `target_size` int64 [B, 2] or [B, 0], `target_maps` and `target_mask` (strings [B], empty without dense
        targets). R and P are the largest of the batch; shorter ones are filled up with an endless run, and with 0.
    """
    example = tf.io.parse_example(serialized, FEATURES)
    batch, parts = tf.shape(serialized)[0], len(skeleton.source_parts)

    def of_people(name: str, *each: int) -> tf.Tensor:
        return tf.reshape(example[f"image/object/{name}"].to_tensor(), [batch, -1, *each])

    return {
        "encoded": example["image/encoded"],
        "filename": example["image/filename"],
        "id": example["image/source_id"],
        "height": example["image/height"],
        "width": example["image/width"],
        "mask_runs": example["image/loss_mask/runs"].to_tensor(ENDLESS_RUN),
        "ids": of_people("id"),
        "bbox": of_people("bbox", 4),
        "area": of_people("area"),
        "crowd": of_people("is_crowd") > 0,
        "main": of_people("is_main") > 0,
        "centre": of_people("centre", 2),
        "scale": of_people("scale"),
        "keypoints": of_people("keypoint/xy", parts, 2),
        "visibility": of_people("keypoint/visibility", parts),
        "target_size": example["image/targets/size"].to_tensor(),
        "target_maps": example["image/targets/maps"],
        "target_mask": example["image/targets/mask"],
    }
