"""Records to batches for training and validation (tf.data).

A batch is a dict: `image` float32 [B, H, W, 3] (RGB, 0–255), `maps` float32 [B, h, w, maps] (heatmap, then
vectmap), `mask` float32 [B, h, w, 1] and `id` int64 [B].
"""

import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import tensorflow as tf

from openpose import augment, records, shards, targets
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

    def described_targets(self) -> dict[str, Any]:
        """What decides dense targets, as it stands in a records manifest."""
        return {"size": list(self.size), **asdict(self.targets)}

    @property
    def grid(self) -> tuple[int, int]:
        """(h, w) cells of the maps."""
        return self.size[0] // self.targets.stride, self.size[1] // self.targets.stride


@dataclass(frozen=True)
class Share:
    """What one of several workers takes of each global batch; together they take all of it.

    Attributes:
        worker: its number, from 0.
        workers: how many there are.
        replicas: of all workers. Each gets batches of its own, of its share of the global batch.
    """

    worker: int = 0
    workers: int = 1
    replicas: int = 1


WHOLE = Share()


def training(
    manifest: dict[str, Any],
    skeleton: Skeleton,
    parameters: InputParameters,
    batch: int,
    first_step: int = 0,
    share: Share = WHOLE,
) -> tf.data.Dataset:
    """Endless batches of augmented samples; every epoch has each sample once, the last partial batch left out.

    Records with dense targets are plain static samples: the whole image, not augmented.

    The order is a function of (seed, epoch), and what happens to a sample of (seed, epoch, image id): the batches
    from `first_step` on are the same whether or not those before were drawn in this process.

    Raises:
        InputError: the split has too few samples, or dense targets for another input.
    """
    static = _is_static(manifest, parameters)
    steps = steps_per_epoch(manifest, batch)
    paths = records.shard_paths(manifest)

    def epoch_samples(epoch: tf.Tensor) -> tf.data.Dataset:
        seed = tf.stack([tf.constant(parameters.seed, tf.int64), epoch])
        files = tf.random.experimental.stateless_shuffle(tf.constant(paths), seed)
        read = shards.local(manifest, tf.data.Dataset.from_tensor_slices(files)).interleave(
            tf.data.TFRecordDataset, cycle_length=READ_SHARDS, num_parallel_calls=READ_SHARDS
        )
        parsed = read.map(lambda s: records.parse(s, skeleton), num_parallel_calls=tf.data.AUTOTUNE)
        samples = parsed.filter(lambda example: tf.reduce_any(example["main"]))
        order = tf.random.stateless_uniform([], seed, None, None, tf.int64)
        samples = samples.shuffle(SHUFFLE_IMAGES, seed=order, reshuffle_each_iteration=False).take(steps * batch)
        # Skipped before they are decoded, so that going on in the middle of an epoch costs reading only.
        done = tf.where(epoch == first_step // steps, tf.constant((first_step % steps) * batch, tf.int64), 0)
        mine = samples.skip(done).shard(share.workers, share.worker)
        return mine.map(lambda example: (example, epoch))

    epochs = tf.data.Dataset.counter(first_step // steps)

    def sample(example: dict[str, tf.Tensor], epoch: tf.Tensor) -> dict[str, tf.Tensor]:
        if static:
            return whole_sample(example, skeleton, parameters, stored=True)
        return _training_sample(example, epoch, skeleton, parameters)

    samples = _map_or_blank(epochs.flat_map(epoch_samples), sample, skeleton, parameters)
    return samples.batch(batch // share.replicas, drop_remainder=True).prefetch(2)


def validation(
    manifest: dict[str, Any],
    skeleton: Skeleton,
    parameters: InputParameters,
    batch: int,
    share: Share = WHOLE,
) -> tf.data.Dataset:
    """Every image of the split once, whole, in a fixed order; the last batch may be smaller.

    With several replicas all have the same number of full batches: samples whose mask is 0 everywhere, which add
    nothing to a loss, fill the last ones.
    """
    stored = has_targets(manifest, parameters)

    def sample(example: dict[str, tf.Tensor], _: tf.Tensor) -> dict[str, tf.Tensor]:
        return whole_sample(example, skeleton, parameters, stored)

    mine = records.examples(manifest, skeleton).shard(share.workers, share.worker)
    numbered = mine.map(lambda example: (example, tf.constant(0, tf.int64)))
    dataset = _map_or_blank(numbered, sample, skeleton, parameters)
    if share.replicas > 1:
        steps = -(-manifest["counts"]["images"] // batch)
        nothing = {name: tf.zeros(spec.shape, spec.dtype) for name, spec in dataset.element_spec.items()}
        filling = tf.data.Dataset.from_tensors(nothing).repeat()
        dataset = dataset.concatenate(filling).take(steps * batch // share.workers)
    return dataset.batch(batch // share.replicas).prefetch(2)


def _map_or_blank(
    examples: tf.data.Dataset,
    sample: Callable[[dict[str, tf.Tensor], tf.Tensor], dict[str, tf.Tensor]],
    skeleton: Skeleton,
    parameters: InputParameters,
) -> tf.data.Dataset:
    """The samples of (example, epoch) in order; a blank one that no loss counts where a picture cannot be decoded.

    The records step looks at a JPEG's header and end, not at all of its content. What is damaged in between must not
    end a training after hours, nor move the samples after it to other batches.
    """

    def one(example: dict[str, tf.Tensor], epoch: tf.Tensor) -> tf.data.Dataset:
        single = tf.data.Dataset.from_tensors((example, epoch))
        blank = single.map(lambda example, _: _blank_sample(example, skeleton, parameters))
        return single.map(sample).ignore_errors().concatenate(blank).take(1)

    return examples.interleave(one, cycle_length=16, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)


def _blank_sample(
    example: dict[str, tf.Tensor], skeleton: Skeleton, parameters: InputParameters
) -> dict[str, tf.Tensor]:
    tf.print("warning:", example["filename"], "cannot be decoded; it does not count", output_stream=sys.stderr)
    return {
        "image": tf.fill([*parameters.size, 3], augment.PADDING_GREY),
        "maps": tf.zeros([*parameters.grid, skeleton.num_maps]),
        "mask": tf.zeros([*parameters.grid, 1]),
        "id": example["id"],
    }


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


def dense_targets(skeleton: Skeleton, parameters: InputParameters) -> Callable[[bytes], bytes]:
    """A function from an image's Example to the features of its dense targets, for `records.write_shards`."""

    @tf.function(input_signature=[tf.TensorSpec([], tf.string)])
    def encode(serialized: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        example = records.parse(serialized, skeleton)
        matrix = augment.fit_affine(example["height"], example["width"], parameters.size)
        return _targets(example, matrix, tf.constant(False), skeleton, parameters)

    def features(serialized: bytes) -> bytes:
        maps, mask = encode(tf.constant(serialized))
        return records.dense_features(maps.numpy(), mask.numpy(), parameters.size)

    return features


def has_targets(manifest: dict[str, Any], parameters: InputParameters) -> bool:
    """Whether the records hold the dense targets that these parameters would make."""
    return manifest.get("targets") == parameters.described_targets()


def _is_static(manifest: dict[str, Any], parameters: InputParameters) -> bool:
    stored, asked = manifest.get("targets"), parameters.described_targets()
    if stored and stored != asked:
        raise InputError(
            f"the records in {manifest['folder']} have dense targets for {stored}, but the training asks for {asked}; "
            "train with that size, or make the records again with this one, or without dense targets"
        )
    return bool(stored)


def _training_sample(
    example: dict[str, tf.Tensor], epoch: tf.Tensor, skeleton: Skeleton, parameters: InputParameters
) -> dict[str, tf.Tensor]:
    # Image ids are unique in a split, so (seed, epoch) and the id make a seed of its own for each sample.
    seed = tf.stack([tf.constant(parameters.seed, tf.int64) * 1_000_003 + epoch, example["id"]])
    centre, scale = (tf.boolean_mask(example[name], example["main"]) for name in ("centre", "scale"))
    matrix, flip = augment.random_affine(centre, scale * records.SCALE_UNIT, parameters.size, seed, parameters.augment)
    return _sample(example, matrix, *_targets(example, matrix, flip, skeleton, parameters), parameters)


def whole_sample(
    example: dict[str, tf.Tensor], skeleton: Skeleton, parameters: InputParameters, stored: bool
) -> dict[str, tf.Tensor]:
    """The sample of an Example (`records.parse`) with the whole image, its targets taken from it or made."""
    matrix = augment.fit_affine(example["height"], example["width"], parameters.size)
    if stored:
        targets_ = _stored_targets(example, skeleton, parameters.grid)
    else:
        targets_ = _targets(example, matrix, tf.constant(False), skeleton, parameters)
    return _sample(example, matrix, *targets_, parameters)


def _sample(
    example: dict[str, tf.Tensor], matrix: tf.Tensor, maps: tf.Tensor, mask: tf.Tensor, parameters: InputParameters
) -> dict[str, tf.Tensor]:
    image = tf.cast(tf.io.decode_jpeg(example["encoded"], channels=3), tf.float32)  # decodes PNG as well
    image = augment.warp_image(image, matrix, parameters.size)
    return {"image": image, "maps": maps, "mask": mask, "id": example["id"]}


def _targets(
    example: dict[str, tf.Tensor], matrix: tf.Tensor, flip: tf.Tensor, skeleton: Skeleton, parameters: InputParameters
) -> tuple[tf.Tensor, tf.Tensor]:
    """Maps float32 [h, w, maps] and mask [h, w, 1] of the transformed image."""
    keypoints, labelled = _parts(example, skeleton)
    keypoints = augment.warp_points(keypoints, matrix)
    keypoints = tf.where(flip, tf.gather(keypoints, skeleton.flip_parts, axis=1), keypoints)
    labelled = tf.where(flip, tf.gather(labelled, skeleton.flip_parts, axis=1), labelled)
    maps = tf.concat(targets.encode(keypoints, labelled, parameters.grid, skeleton, parameters.targets), -1)
    to_cells = augment.to_cells(matrix, parameters.targets.stride)
    mask = augment.warp_mask(example["mask_runs"], example["height"], example["width"], to_cells, parameters.grid)
    return maps, mask


def _stored_targets(
    example: dict[str, tf.Tensor], skeleton: Skeleton, grid: tuple[int, int]
) -> tuple[tf.Tensor, tf.Tensor]:
    maps = tf.io.decode_raw(tf.io.decode_compressed(example["target_maps"], "ZLIB"), tf.float32)
    mask = tf.io.decode_raw(tf.io.decode_compressed(example["target_mask"], "ZLIB"), tf.uint8)
    return tf.reshape(maps, [*grid, skeleton.num_maps]), tf.reshape(tf.cast(mask, tf.float32), [*grid, 1])


def _parts(example: dict[str, tf.Tensor], skeleton: Skeleton) -> tuple[tf.Tensor, tf.Tensor]:
    """The skeleton's parts of the people that were labelled one by one; as `Skeleton.part_keypoints`."""
    single = ~example["crowd"]
    seen = tf.boolean_mask(example["visibility"], single) >= 1
    source = tf.where(seen[..., None], tf.boolean_mask(example["keypoints"], single), 0.0)
    keypoints = tf.einsum("ks,psc->pkc", skeleton.source_weights, source)
    return keypoints, tf.reduce_all(seen[:, None, :] | (skeleton.source_weights == 0), -1)
