"""Dense targets: the maps and masks of whole pictures, computed once and stored in the records."""

from collections.abc import Callable

import tensorflow as tf

from openpose.errors import InputError
from openpose.input import regions, render
from openpose.input.parameters import InputParameters
from openpose.input.regions import Tensors
from openpose.records import schema
from openpose.records.manifest import RecordsManifest
from openpose.records.parse import parse_batch
from openpose.skeleton import Skeleton


def make_targets(skeleton: Skeleton, parameters: InputParameters) -> Callable[[bytes], bytes]:
    """Makes the function that computes the features of an Example's dense targets, for `write_shards`."""

    @tf.function(input_signature=[tf.TensorSpec([1], tf.string)])
    def encode(serialized: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        found = regions.whole(parse_batch(serialized, skeleton), skeleton, parameters)
        return render.targets(found, parameters.size, skeleton, parameters.targets)

    def features(serialized: bytes) -> bytes:
        (maps,), (mask,) = encode(tf.constant([serialized]))
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
    found = whole_regions({name: value[None] for name, value in example.items()}, skeleton, parameters, stored)
    region = render.with_image(regions.decoded({name: value[0] for name, value in found.items()}), parameters.size)
    batch = {name: value[None] for name, value in region.items()}
    sample = render.with_targets(batch, parameters.size, skeleton, parameters.targets)
    return {name: value[0] for name, value in sample.items()}


def whole_regions(examples: Tensors, skeleton: Skeleton, parameters: InputParameters, stored: bool) -> Tensors:
    """The regions of Examples (`records.parse_batch`) with their whole pictures, not decoded, and stored targets."""
    found = regions.whole(examples, skeleton, parameters)
    if not stored:
        return found
    maps = tf.io.decode_raw(tf.io.decode_compressed(examples["target_maps"], "ZLIB"), tf.float32)
    mask = tf.io.decode_raw(tf.io.decode_compressed(examples["target_mask"], "ZLIB"), tf.uint8)
    return found | {
        "maps": tf.reshape(maps, [-1, *parameters.grid, skeleton.num_maps]),
        "mask": tf.reshape(tf.cast(mask, tf.float32), [-1, *parameters.grid, 1]),
    }
