"""Records to batches for training and validation (tf.data).

A batch is a dict: `image` float32 [B, H, W, 3] (RGB, 0–255), `maps` float32 [B, h, w, maps] (heatmap, then
vectmap), `mask` float32 [B, h, w, 1] and `id` int64 [B].
"""

from dataclasses import dataclass, field
from typing import Any

import tensorflow as tf

from openpose import augment, records, targets
from openpose.augment import AugmentParameters
from openpose.errors import InputError
from openpose.skeleton import Skeleton
from openpose.targets import TargetParameters

SHUFFLE_IMAGES = 512  # encoded images that wait in memory; shards are shuffled when they are written
READ_SHARDS = 4  # shards read in turn


@dataclass(frozen=True)
class InputParameters:
    """The network's input.

    Attributes:
        size: (height, width) in pixels, multiples of the stride.
        targets: how the true maps look.
        augment: how training samples vary.
        seed: of the order and of the samples.
    """

    size: tuple[int, int]
    targets: TargetParameters = field(default_factory=TargetParameters)
    augment: AugmentParameters = field(default_factory=AugmentParameters)
    seed: int = 0

    def __post_init__(self) -> None:
        if any(side < self.targets.stride or side % self.targets.stride for side in self.size):
            raise InputError(
                f"input size {self.size[1]}×{self.size[0]}: both sides must be multiples of {self.targets.stride}"
            )

    @property
    def grid(self) -> tuple[int, int]:
        """(h, w) cells of the maps."""
        return self.size[0] // self.targets.stride, self.size[1] // self.targets.stride


def training(
    manifest: dict[str, Any], skeleton: Skeleton, parameters: InputParameters, batch: int, first_step: int = 0
) -> tf.data.Dataset:
    """Endless batches of augmented samples; every epoch has each sample once, the last partial batch left out.

    The order is a function of (seed, epoch), and what happens to a sample of (seed, epoch, image id): the batches
    from `first_step` on are the same whether or not those before were drawn in this process.
    """
    steps = steps_per_epoch(manifest, batch)
    paths = records.shard_paths(manifest)

    def epoch_samples(epoch: tf.Tensor) -> tf.data.Dataset:
        seed = tf.stack([tf.constant(parameters.seed, tf.int64), epoch])
        files = tf.random.experimental.stateless_shuffle(tf.constant(paths), seed)
        read = tf.data.Dataset.from_tensor_slices(files).interleave(
            tf.data.TFRecordDataset, cycle_length=READ_SHARDS, num_parallel_calls=READ_SHARDS
        )
        parsed = read.map(lambda s: records.parse(s, skeleton), num_parallel_calls=tf.data.AUTOTUNE)
        samples = parsed.filter(lambda example: tf.reduce_any(example["main"]))
        order = tf.random.stateless_uniform([], seed, None, None, tf.int64)
        samples = samples.shuffle(SHUFFLE_IMAGES, seed=order, reshuffle_each_iteration=False).take(steps * batch)
        # Skipped before they are decoded, so that going on in the middle of an epoch costs reading only.
        done = tf.where(epoch == first_step // steps, tf.constant((first_step % steps) * batch, tf.int64), 0)
        return samples.skip(done).map(lambda example: (example, epoch))

    epochs = tf.data.Dataset.counter(first_step // steps)
    samples = epochs.flat_map(epoch_samples).map(
        lambda example, epoch: _training_sample(example, epoch, skeleton, parameters),
        num_parallel_calls=tf.data.AUTOTUNE,
    )
    return samples.batch(batch, drop_remainder=True).prefetch(2)


def validation(
    manifest: dict[str, Any], skeleton: Skeleton, parameters: InputParameters, batch: int
) -> tf.data.Dataset:
    """Every image of the split once, whole, in a fixed order; the last batch may be smaller."""
    dataset = records.examples(manifest, skeleton).map(
        lambda example: _validation_sample(example, skeleton, parameters), num_parallel_calls=tf.data.AUTOTUNE
    )
    return dataset.batch(batch).prefetch(2)


def steps_per_epoch(manifest: dict[str, Any], batch: int) -> int:
    """Training steps that see each sample once.

    Raises:
        InputError: the split has no sample, or fewer than a batch.
    """
    samples = manifest["counts"]["samples"]
    if samples < batch:
        raise InputError(
            f"the records in {manifest['folder']} have {samples} training samples (images with a main person: "
            f"at least 5 keypoints and 32² pixels), less than one batch of {batch}; use more data or a smaller batch"
        )
    return samples // batch


def _training_sample(
    example: dict[str, tf.Tensor], epoch: tf.Tensor, skeleton: Skeleton, parameters: InputParameters
) -> dict[str, tf.Tensor]:
    # Image ids are unique in a split, so (seed, epoch) and the id make a seed of its own for each sample.
    seed = tf.stack([tf.constant(parameters.seed, tf.int64) * 1_000_003 + epoch, example["id"]])
    matrix, flip = augment.random_affine(example["bbox"], example["main"], parameters.size, seed, parameters.augment)
    return _sample(example, matrix, flip, skeleton, parameters)


def _validation_sample(
    example: dict[str, tf.Tensor], skeleton: Skeleton, parameters: InputParameters
) -> dict[str, tf.Tensor]:
    matrix = augment.fit_affine(example["height"], example["width"], parameters.size)
    return _sample(example, matrix, tf.constant(False), skeleton, parameters)


def _sample(
    example: dict[str, tf.Tensor],
    matrix: tf.Tensor,
    flip: tf.Tensor,
    skeleton: Skeleton,
    parameters: InputParameters,
) -> dict[str, tf.Tensor]:
    image = tf.cast(tf.io.decode_jpeg(example["encoded"], channels=3), tf.float32)  # decodes PNG as well
    keypoints, labelled = _parts(example, skeleton)
    keypoints = augment.warp_points(keypoints, matrix)
    keypoints = tf.where(flip, tf.gather(keypoints, skeleton.flip_parts, axis=1), keypoints)
    labelled = tf.where(flip, tf.gather(labelled, skeleton.flip_parts, axis=1), labelled)
    heatmap, vectmap = targets.encode(keypoints, labelled, parameters.grid, skeleton, parameters.targets)
    mask_matrix = augment.to_cells(matrix, parameters.targets.stride)
    return {
        "image": augment.warp_image(image, matrix, parameters.size),
        "maps": tf.concat([heatmap, vectmap], -1),
        "mask": augment.warp_mask(_mask(example), mask_matrix, parameters.grid),
        "id": example["id"],
    }


def _parts(example: dict[str, tf.Tensor], skeleton: Skeleton) -> tuple[tf.Tensor, tf.Tensor]:
    """The skeleton's parts of the people that were labelled one by one; as `Skeleton.part_keypoints`."""
    single = ~example["crowd"]
    seen = tf.boolean_mask(example["visibility"], single) >= 1
    source = tf.where(seen[..., None], tf.boolean_mask(example["keypoints"], single), 0.0)
    keypoints = tf.einsum("ks,psc->pkc", skeleton.source_weights, source)
    return keypoints, tf.reduce_all(seen[:, None, :] | (skeleton.source_weights == 0), -1)


def _mask(example: dict[str, tf.Tensor]) -> tf.Tensor:
    """float32 [H, W, 1]: 1 where the loss counts."""
    shape = tf.stack([example["height"], example["width"], 1])
    return tf.cond(
        tf.strings.length(example["loss_mask"]) > 0,
        lambda: tf.cast(tf.io.decode_png(example["loss_mask"], channels=1) > 0, tf.float32),
        lambda: tf.ones(shape, tf.float32),
    )
