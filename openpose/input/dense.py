"""Dense targets: the maps and masks of whole pictures, computed once and stored in the records."""

from collections.abc import Callable

import tensorflow as tf

from openpose.errors import InputError
from openpose.input import regions, render
from openpose.input.parameters import InputParameters
from openpose.input.regions import Tensors
from openpose.records import schema
from openpose.records.manifest import RecordsManifest
from openpose.records.parse import parse
from openpose.skeleton import Skeleton


def make_targets(skeleton: Skeleton, parameters: InputParameters) -> Callable[[bytes], bytes]:
    """Makes the function that computes the features of an Example's dense targets, for `write_shards`."""

    @tf.function(input_signature=[tf.TensorSpec([], tf.string)])
    def encode(serialized: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        example = parse(serialized, skeleton)
        # TensorFlow skips what the result does not need: the picture is not decoded.
        whole = whole_sample(example, skeleton, parameters, stored=False)
        return whole["maps"], whole["mask"]

    def features(serialized: bytes) -> bytes:
        maps, mask = encode(tf.constant(serialized))
        return schema.dense_features(maps.numpy(), mask.numpy(), parameters.size)

    return features


def has_targets(manifest: RecordsManifest, parameters: InputParameters) -> bool:
    """Whether the records hold the dense targets of these parameters."""
    return manifest.targets == parameters.dense_targets()


def is_static(manifest: RecordsManifest, parameters: InputParameters) -> bool:
    """Whether training uses the records' dense targets, and so does not augment.

    Raises:
        InputError: the dense targets are those of other parameters.
    """
    stored, asked = manifest.targets, parameters.dense_targets()
    if stored and stored != asked:
        raise InputError(
            f"the records in {manifest.folder} have dense targets for {stored}, but the training asks for {asked}; "
            "train with that size and sigma, or make the records again for this size, or without dense targets"
        )
    return bool(stored)


def whole_sample(example: Tensors, skeleton: Skeleton, parameters: InputParameters, stored: bool) -> Tensors:
    """The sample of an Example (`records.parse`) with its whole picture; its targets are the stored ones or made."""
    region = regions.whole(example, skeleton, parameters)
    if not stored:
        return render.render_one(region, parameters.size, skeleton, parameters.targets)
    image = render.render_image(region, parameters.size)
    maps, mask = _stored_targets(example, skeleton, parameters.grid)
    return {"image": image, "maps": maps, "mask": mask, "id": example["id"]}


def _stored_targets(example: Tensors, skeleton: Skeleton, grid: tuple[int, int]) -> tuple[tf.Tensor, tf.Tensor]:
    maps = tf.io.decode_raw(tf.io.decode_compressed(example["target_maps"], "ZLIB"), tf.float32)
    mask = tf.io.decode_raw(tf.io.decode_compressed(example["target_mask"], "ZLIB"), tf.uint8)
    return tf.reshape(maps, [*grid, skeleton.num_maps]), tf.reshape(tf.cast(mask, tf.float32), [*grid, 1])
