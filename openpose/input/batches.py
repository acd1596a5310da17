"""Records to batches for training and validation (tf.data).

A batch is a dict: `image` uint8 [B, H, W, 3] (RGB), `maps` float32 [B, h, w, maps] (heatmap, then vectmap), `mask`
float32 [B, h, w, 1] and `id` int64 [B]. For a device that makes these itself (`render.batch`) it is a padded batch of
what `openpose/input/render.py` calls regions.
"""

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import tensorflow as tf

from openpose.errors import InputError
from openpose.input import augment, render
from openpose.input.parameters import InputParameters
from openpose.input.render import Tensors
from openpose.records import cache, read, schema
from openpose.records.shards import sample_counts, shard_paths
from openpose.skeleton import Skeleton

SHUFFLE_IMAGES = 512  # encoded images that wait in memory; shards are shuffled when they are written
GRAPH_SEED = 87654321  # what TensorFlow takes where the process has no global seed


@dataclass(frozen=True)
class WorkerShare:
    """What one of several workers takes of each global batch; together they take all of it.

    Attributes:
        worker: its number, from 0.
        workers: how many there are.
        replicas: of all workers. Each gets batches of its own, of its share of the global batch.
    """

    worker: int = 0
    workers: int = 1
    replicas: int = 1


ALL = WorkerShare()


def _rendering(parameters: InputParameters, skeleton: Skeleton) -> Callable[[Tensors], Tensors]:
    """`render.render_one` for this input."""
    return partial(render.render_one, size=parameters.size, skeleton=skeleton, parameters=parameters.targets)


def training(
    manifest: dict[str, Any],
    skeleton: Skeleton,
    parameters: InputParameters,
    batch: int,
    first_step: int = 0,
    share: WorkerShare = ALL,
    on_device: bool = False,
) -> tf.data.Dataset:
    """Endless batches of augmented samples; every epoch has each sample once, the last partial batch left out.

    Records with dense targets are plain static samples: the whole image, not augmented.

    The order is a function of (seed, epoch, batch), and what happens to a sample of (seed, epoch, image id): the
    batches from `first_step` on are the same whether or not those before were drawn in this process.

    With `on_device` they are batches of regions, for `render.batch`.

    Of several workers each reads its own share of the shards, where their number and that of the streams
    (`_streams`) allow it, and otherwise some that it leaves to others.

    Raises:
        InputError: the split has too few samples, or dense targets for another input, or is of an older format.
    """
    static = _is_static(manifest, parameters)
    steps = steps_per_epoch(manifest, batch)
    streams = _streams(manifest, batch)
    common = math.gcd(streams, share.workers)
    paths, counts = tf.constant(shard_paths(manifest)), sample_counts(manifest)
    length, left_out = steps * batch // streams, sum(counts) - steps * batch

    def epoch_samples(epoch: tf.Tensor) -> tf.data.Dataset:
        """This worker's samples: every streams-th one of an epoch is of one stream, all of them of equal length."""
        seed = tf.stack([tf.constant(parameters.seed, tf.int64), epoch])
        order = tf.random.experimental.stateless_shuffle(tf.range(len(counts)), seed)
        files, sizes = tf.gather(paths, order), tf.gather(tf.constant(counts, tf.int64), order)
        # What does not fill a batch is left out at the beginning or at the end, so that all are seen in some epoch.
        start = tf.random.stateless_uniform([], seed, 0, left_out + 1, tf.int64)
        # Skipped before they are decoded, so that going on in the middle of an epoch costs reading only.
        done = tf.where(epoch == first_step // steps, tf.constant((first_step % steps) * batch // streams, tf.int64), 0)

        def stream(number: tf.Tensor) -> tf.data.Dataset:
            bounds = start + tf.stack([number, number + 1]) * length
            samples = read.examples_of(
                manifest, skeleton, files, sizes, bounds, lambda example: tf.reduce_any(example["main"])
            )
            drawn = tf.random.stateless_uniform([streams], seed, None, None, tf.int64)
            # The process's global seed would be mixed in, and a global seed of 0 is an error with a tensor beside it.
            tf.compat.v1.set_random_seed(GRAPH_SEED)
            return samples.shuffle(SHUFFLE_IMAGES // streams, drawn[number], reshuffle_each_iteration=False).skip(done)

        mine = tf.data.Dataset.range(share.worker % common, streams, common).interleave(
            stream, cycle_length=streams // common, num_parallel_calls=streams // common, deterministic=True
        )
        return mine.shard(share.workers // common, share.worker // common).map(lambda example: (example, epoch))

    epochs = tf.data.Dataset.counter(first_step // steps)

    def region(example: Tensors, epoch: tf.Tensor) -> Tensors:
        transform = _whole_affine(example, parameters) if static else _drawn_affine(example, epoch, parameters)
        return _region(example, *transform, skeleton, parameters)

    examples, size = epochs.flat_map(epoch_samples), batch // share.replicas
    if static and not on_device:
        samples = _whole_samples(examples, skeleton, parameters, stored=True)
    else:
        regions = _map_or_blank(examples, region, lambda example: render.blank(example["id"], skeleton))
        if on_device:
            return regions.padded_batch(size, padding_values=render.PADDING, drop_remainder=True).prefetch(2)
        samples = regions.map(_rendering(parameters, skeleton), num_parallel_calls=tf.data.AUTOTUNE)
    return samples.batch(size, drop_remainder=True).prefetch(2)


def rendered_here(regions: tf.data.Dataset, skeleton: Skeleton, parameters: InputParameters) -> tf.data.Dataset:
    """Batches of regions as the batches of samples that `training` makes without `on_device`."""

    def samples(batch: Tensors) -> tf.data.Dataset:
        each = tf.data.Dataset.from_tensor_slices(batch)
        made = each.map(_rendering(parameters, skeleton), num_parallel_calls=tf.data.AUTOTUNE)
        return made.batch(tf.shape(batch["id"], tf.int64)[0])

    return regions.flat_map(samples).prefetch(2)


def validation(
    manifest: dict[str, Any],
    skeleton: Skeleton,
    parameters: InputParameters,
    batch: int,
    share: WorkerShare = ALL,
) -> tf.data.Dataset:
    """Every image of the split once, whole, in a fixed order; the last batch may be smaller.

    With several replicas all have the same number of full batches: samples whose mask is 0 everywhere, which add
    nothing to a loss, fill the last ones.
    """
    images = manifest["counts"]["images"]
    steps = -(-images // batch)
    piece = steps * batch // share.workers
    first = share.worker * piece
    mine = read.examples(manifest, skeleton, min(first, images), min(first + piece, images))
    numbered = mine.map(lambda example: (example, tf.constant(0, tf.int64)))
    dataset = _whole_samples(numbered, skeleton, parameters, has_targets(manifest, parameters))
    if share.replicas > 1:
        nothing = {name: tf.zeros(spec.shape, spec.dtype) for name, spec in dataset.element_spec.items()}
        filling = tf.data.Dataset.from_tensors(nothing).repeat()
        dataset = dataset.concatenate(filling).take(piece)
    return dataset.batch(batch // share.replicas).prefetch(2)


def _whole_samples(
    examples: tf.data.Dataset, skeleton: Skeleton, parameters: InputParameters, stored: bool
) -> tf.data.Dataset:
    here = _rendering(parameters, skeleton)
    return _map_or_blank(
        examples,
        lambda example, _: whole_sample(example, skeleton, parameters, stored),
        lambda example: here(render.blank(example["id"], skeleton)),
    )


def _map_or_blank(
    examples: tf.data.Dataset,
    made: Callable[[Tensors, tf.Tensor], Tensors],
    blank: Callable[[Tensors], Tensors],
) -> tf.data.Dataset:
    """What is made of (example, epoch), in order; a blank one that no loss counts where a picture cannot be decoded.

    The records step looks at a JPEG's header and end, not at all of its content. What is damaged in between must not
    end a training after hours, nor move the samples after it to other batches.
    """

    def warned(example: Tensors, _: tf.Tensor) -> Tensors:
        text = "cannot be decoded; it does not count"
        tf.print("warning:", example["filename"], text, output_stream=sys.stderr)
        return blank(example)

    def one(example: Tensors, epoch: tf.Tensor) -> tf.data.Dataset:
        single = tf.data.Dataset.from_tensors((example, epoch))
        return single.map(made).ignore_errors().concatenate(single.map(warned)).take(1)

    return examples.interleave(one, cycle_length=16, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)


def _streams(manifest: dict[str, Any], batch: int) -> int:
    """How many parts of the shards make a batch, each a sample in turn: a divisor of it, at most one per shard."""
    most = min(cache.STREAMS, len(manifest["shards"]))
    return max(number for number in range(1, most + 1) if batch % number == 0)


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
    """A function from an image's Example to the features of its dense targets, for `write_shards`."""

    @tf.function(input_signature=[tf.TensorSpec([], tf.string)])
    def encode(serialized: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        example = schema.parse(serialized, skeleton)
        # TensorFlow leaves out what does not reach the result: the picture is not decoded.
        whole = whole_sample(example, skeleton, parameters, stored=False)
        return whole["maps"], whole["mask"]

    def features(serialized: bytes) -> bytes:
        maps, mask = encode(tf.constant(serialized))
        return schema.dense_features(maps.numpy(), mask.numpy(), parameters.size)

    return features


def has_targets(manifest: dict[str, Any], parameters: InputParameters) -> bool:
    """Whether the records hold the dense targets that these parameters would make."""
    return manifest.get("targets") == parameters.described_targets()


def _is_static(manifest: dict[str, Any], parameters: InputParameters) -> bool:
    stored, asked = manifest.get("targets"), parameters.described_targets()
    if stored and stored != asked:
        raise InputError(
            f"the records in {manifest['folder']} have dense targets for {stored}, but the training asks for {asked}; "
            "train with that size and sigma, or make the records again for this size, or without dense targets"
        )
    return bool(stored)


def _drawn_affine(example: Tensors, epoch: tf.Tensor, parameters: InputParameters) -> tuple[tf.Tensor, tf.Tensor]:
    # Image ids are unique in a split, so (seed, epoch) and the id make a seed of its own for each sample.
    seed = tf.stack([tf.constant(parameters.seed, tf.int64) * 1_000_003 + epoch, example["id"]])
    centre, scale = (tf.boolean_mask(example[name], example["main"]) for name in ("centre", "scale"))
    return augment.random_affine(centre, scale * schema.SCALE_UNIT, parameters.size, seed, parameters.augment)


def _whole_affine(example: Tensors, parameters: InputParameters) -> tuple[tf.Tensor, tf.Tensor]:
    return augment.fit_affine(example["height"], example["width"], parameters.size), tf.constant(False)


def whole_sample(example: Tensors, skeleton: Skeleton, parameters: InputParameters, stored: bool) -> Tensors:
    """The sample of an Example (`schema.parse`) with the whole image, its targets taken from it or made."""
    region = _region(example, *_whole_affine(example, parameters), skeleton, parameters)
    if not stored:
        return _rendering(parameters, skeleton)(region)
    image = render.image_here(region, parameters.size)
    maps, mask = _stored_targets(example, skeleton, parameters.grid)
    return {"image": image, "maps": maps, "mask": mask, "id": example["id"]}


def _region(
    example: Tensors, matrix: tf.Tensor, flip: tf.Tensor, skeleton: Skeleton, parameters: InputParameters
) -> Tensors:
    """An Example as `render` wants it, for a transform from the picture to the input."""
    picture, ratio = tf.stack([example["height"], example["width"]]), augment.averaged_pixels(matrix)
    window = augment.region(matrix, picture, parameters.size, ratio)
    keypoints, labelled = _parts(example, skeleton)
    keypoints = augment.warp_points(keypoints, matrix)
    return {
        "pixels": _decoded(example["encoded"], picture, window, ratio),
        "place": augment.place(window, ratio),
        "matrix": matrix,
        "picture": picture,
        "mask_runs": example["mask_runs"],
        "keypoints": tf.where(flip, tf.gather(keypoints, skeleton.flip_parts, axis=1), keypoints),
        "labelled": tf.where(flip, tf.gather(labelled, skeleton.flip_parts, axis=1), labelled),
        "id": example["id"],
    }


def _decoded(encoded: tf.Tensor, picture: tf.Tensor, window: tf.Tensor, ratio: tf.Tensor) -> tf.Tensor:
    """Pixels uint8 [height, width, 3] of a window (y, x, height, width) of a JPEG or PNG of a size (height, width).

    Each is the mean of ratio × ratio pixels of the picture, and the window is counted in these. The decoder of JPEG
    makes means of up to 8 × 8 by itself, from the frequencies.
    """

    def jpeg(by_decoder: int) -> Callable[[], tf.Tensor]:
        decode = partial(tf.io.decode_and_crop_jpeg, encoded, channels=3, ratio=by_decoder)
        return lambda: _means(decode, -(-picture // by_decoder), window, ratio // by_decoder)

    def png(part: tf.Tensor) -> tf.Tensor:
        return tf.slice(tf.io.decode_png(encoded, channels=3), [*tf.unstack(part[:2]), 0], [*tf.unstack(part[2:]), 3])

    halvings = tf.reduce_sum(tf.cast(ratio >= [2, 4, 8], tf.int32))
    return tf.cond(
        tf.io.is_jpeg(encoded),
        lambda: tf.switch_case(halvings, [jpeg(1), jpeg(2), jpeg(4), jpeg(8)]),
        lambda: _means(png, picture, window, ratio),
    )


def _means(
    decode: Callable[[tf.Tensor], tf.Tensor], picture: tf.Tensor, window: tf.Tensor, ratio: tf.Tensor
) -> tf.Tensor:
    """A window of means of ratio × ratio of the pixels that `decode` gives for a window of a picture of such a size."""
    factor = tf.cast(ratio, tf.int32)
    start, whole = window[:2] * factor, window[2:] * factor
    inside = tf.minimum(whole, tf.cast(picture, tf.int32) - start)
    pixels = decode(tf.concat([start, inside], 0))

    def means() -> tf.Tensor:
        # At the picture's edge there are fewer to average: a fourth channel counts them.
        counted = tf.pad(tf.cast(pixels, tf.float32), [[0, 0], [0, 0], [0, 1]], constant_values=1.0)
        filled = tf.pad(counted, [[0, whole[0] - inside[0]], [0, whole[1] - inside[1]], [0, 0]])
        sums = tf.reduce_sum(tf.reshape(filled, [window[2], factor, window[3], factor, 4]), [1, 3])
        return tf.cast(tf.round(sums[..., :3] / sums[..., 3:]), tf.uint8)

    return tf.cond(factor > 1, means, lambda: pixels)


def _stored_targets(example: Tensors, skeleton: Skeleton, grid: tuple[int, int]) -> tuple[tf.Tensor, tf.Tensor]:
    maps = tf.io.decode_raw(tf.io.decode_compressed(example["target_maps"], "ZLIB"), tf.float32)
    mask = tf.io.decode_raw(tf.io.decode_compressed(example["target_mask"], "ZLIB"), tf.uint8)
    return tf.reshape(maps, [*grid, skeleton.num_maps]), tf.reshape(tf.cast(mask, tf.float32), [*grid, 1])


def _parts(example: Tensors, skeleton: Skeleton) -> tuple[tf.Tensor, tf.Tensor]:
    """The skeleton's parts of the people that have any and were labelled one by one; as `Skeleton.part_keypoints`."""
    seen = example["visibility"] >= 1
    people = tf.where(tf.reduce_any(seen, -1) & ~example["crowd"])[:, 0]
    seen = tf.gather(seen, people)
    source = tf.where(seen[..., None], tf.gather(example["keypoints"], people), 0.0)
    keypoints = tf.einsum("ks,psc->pkc", skeleton.source_weights, source)
    return keypoints, tf.reduce_all(seen[:, None, :] | (skeleton.source_weights == 0), -1)
