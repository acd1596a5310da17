"""Records to batches for training and validation (tf.data).

A batch is a dict of B samples (`render.py`): `image` uint8 [B, H, W, 3] (RGB), `maps` float32 [B, h, w, maps] (heatmap,
then vectmap), `mask` float32 [B, h, w, 1] and `id` int64 [B]; or, for a device that renders, of B padded regions.
"""

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import tensorflow as tf

from openpose.errors import InputError
from openpose.input import dense, regions, render
from openpose.input.parameters import InputParameters
from openpose.input.regions import Tensors
from openpose.records import cache, read
from openpose.records.manifest import RecordsManifest
from openpose.records.parse import has_main_person, parse_batch
from openpose.records.shards import sample_counts, shard_paths
from openpose.skeleton import Skeleton

SHUFFLE_IMAGES = 512  # encoded images that wait in memory; shards are shuffled when they are written
GRAPH_SEED = 87654321  # TensorFlow's own value where the process has no global seed


@dataclass(frozen=True)
class WorkerShare:
    """One worker's share of each global batch; the shares of all workers add up to the batch.

    Attributes:
        worker: the worker's number, from 0.
        workers: number of workers.
        replicas: number of replicas of all workers; each gets its own batches, of an equal share of the global batch.
    """

    worker: int = 0
    workers: int = 1
    replicas: int = 1


ALL = WorkerShare()

# These functions have no Python control flow on tensors, and translating them with AutoGraph takes seconds.
_as_written = tf.autograph.experimental.do_not_convert


@_as_written
def training(
    manifest: RecordsManifest,
    skeleton: Skeleton,
    parameters: InputParameters,
    batch_size: int,
    first_step: int = 0,
    share: WorkerShare = ALL,
    on_device: bool = False,
    files: cache.Files = cache.local,
) -> tf.data.Dataset:
    """Endless batches of augmented samples; each epoch has every sample once, without the last partial batch.

    Records with dense targets give static samples: the whole picture, not augmented.

    The order depends on (seed, epoch, batch) and the augmentation on (seed, epoch, image id), so the batches from
    `first_step` on are the same whether or not this process has drawn the earlier ones.

    Args:
        manifest: of the split's records.
        skeleton: of the people.
        parameters: of the network's input.
        batch_size: samples in a global batch.
        first_step: the step of the first batch, counted from the start of the training.
        share: this worker's share. A worker reads only its own part of the shards if the number of workers divides
            that of the streams (`_streams`); otherwise it also reads samples of others and drops them.
        on_device: makes padded batches of regions, for `render.render_batch`.
        files: `cache.local`, or `cache.copied` for a data service's workers.

    Raises:
        InputError: the split has too few samples, dense targets for another input, or an older format.
    """
    static = dense.is_static(manifest, parameters)

    def regions_of(serialized: tf.Tensor, epoch: tf.Tensor) -> Tensors:
        examples = parse_batch(serialized, skeleton)
        if static:
            return dense.whole_regions(examples, skeleton, parameters, stored=True)
        return regions.augmented(examples, epoch, skeleton, parameters)

    records = _training_records(manifest, parameters.seed, batch_size, first_step, share, files)
    found = records.map(regions_of, num_parallel_calls=tf.data.AUTOTUNE)
    return _decoded(found) if on_device else _rendered(found, skeleton, parameters)


def _training_records(
    manifest: RecordsManifest,
    seed: int,
    batch_size: int,
    first_step: int,
    share: WorkerShare,
    files: cache.Files,
) -> tf.data.Dataset:
    """Endless pairs of a batch of serialized Examples and its epoch: a replica's training samples in their order."""
    steps = steps_per_epoch(manifest, batch_size)
    streams = _streams(manifest, batch_size)
    common = math.gcd(streams, share.workers)
    shards, counts = tf.constant(shard_paths(manifest)), sample_counts(manifest)
    length, left_out = steps * batch_size // streams, sum(counts) - steps * batch_size
    skipped = (first_step % steps) * batch_size // streams

    def epoch_samples(epoch: tf.Tensor) -> tf.data.Dataset:
        """This worker's samples of an epoch: one of each stream in turn; all streams have the same length."""
        epoch_seed = tf.stack([tf.constant(seed, tf.int64), epoch])
        order = tf.random.experimental.stateless_shuffle(tf.range(len(counts)), epoch_seed)
        paths, sizes = tf.gather(shards, order), tf.gather(tf.constant(counts, tf.int64), order)
        # What does not fill a batch is left out at the beginning or at the end, so that some epoch has each sample.
        start = tf.random.stateless_uniform([], epoch_seed, 0, left_out + 1, tf.int64)
        # Skipped before decoding, so that resuming in the middle of an epoch only costs reading.
        done = tf.where(epoch == first_step // steps, tf.constant(skipped, tf.int64), 0)

        def stream(number: tf.Tensor) -> tf.data.Dataset:
            bounds = start + tf.stack([number, number + 1]) * length
            samples = read.records_of(manifest, paths, sizes, bounds, has_main_person, files)
            drawn = tf.random.stateless_uniform([streams], epoch_seed, None, None, tf.int64)
            # Otherwise the process's global seed counts too, and a global seed of 0 fails beside a tensor.
            tf.compat.v1.set_random_seed(GRAPH_SEED)
            return samples.shuffle(SHUFFLE_IMAGES // streams, drawn[number], reshuffle_each_iteration=False).skip(done)

        mine = tf.data.Dataset.range(share.worker % common, streams, common).interleave(
            stream, cycle_length=streams // common, num_parallel_calls=streams // common, deterministic=True
        )
        mine = mine.shard(share.workers // common, share.worker // common)
        return mine.batch(batch_size // share.replicas, drop_remainder=True).map(lambda records: (records, epoch))

    return tf.data.Dataset.counter(first_step // steps).flat_map(epoch_samples)


@_as_written
def rendered(batches: tf.data.Dataset, skeleton: Skeleton, parameters: InputParameters) -> tf.data.Dataset:
    """Renders batches of regions on the CPU: the same batches of samples as `training` makes without `on_device`."""

    def with_images(batch: Tensors) -> tf.data.Dataset:
        each = tf.data.Dataset.from_tensor_slices(batch)
        made = each.map(lambda region: render.with_image(region, parameters.size), tf.data.AUTOTUNE)
        return made.batch(tf.shape(batch["id"], tf.int64)[0])

    return _samples(batches.flat_map(with_images), skeleton, parameters)


@_as_written
def validation(
    manifest: RecordsManifest,
    skeleton: Skeleton,
    parameters: InputParameters,
    batch_size: int,
    share: WorkerShare = ALL,
    pictures: range | None = None,
) -> tf.data.Dataset:
    """Batches of each whole picture of the split once, in a fixed order; the last batch may be smaller.

    Several replicas all get the same number of full batches; the last ones are filled up with samples whose mask is 0
    everywhere, which add nothing to a loss.

    Args:
        manifest: of the split's records.
        skeleton: of the people.
        parameters: of the network's input.
        batch_size: pictures in a global batch.
        share: this worker's share of each batch.
        pictures: only these pictures of the split, by their place in it.
    """
    asked = range(manifest.counts["images"]) if pictures is None else pictures
    steps = validation_steps(len(asked), batch_size)
    piece = steps * batch_size // share.workers
    first = asked.start + share.worker * piece
    mine = read.records(manifest, min(first, asked.stop), min(first + piece, asked.stop))
    stored, size = dense.has_targets(manifest, parameters), batch_size // share.replicas

    def regions_of(serialized: tf.Tensor) -> Tensors:
        return dense.whole_regions(parse_batch(serialized, skeleton), skeleton, parameters, stored)

    found = mine.batch(size).map(regions_of, num_parallel_calls=tf.data.AUTOTUNE)
    dataset = _rendered(found, skeleton, parameters)
    if share.replicas > 1:
        samples = dataset.unbatch()
        nothing = {name: tf.zeros(spec.shape, spec.dtype) for name, spec in samples.element_spec.items()}
        filling = tf.data.Dataset.from_tensors(nothing).repeat()
        dataset = samples.concatenate(filling).take(piece).batch(size)
    return dataset.prefetch(2)


def validation_steps(pictures: int, batch_size: int) -> int:
    """Number of batches of `validation`; the last one may be smaller."""
    return -(-pictures // batch_size)


def _rendered(batches: tf.data.Dataset, skeleton: Skeleton, parameters: InputParameters) -> tf.data.Dataset:
    """Batches of samples of batches of regions that are not decoded yet."""
    with_images = _decoded(batches, lambda region: render.with_image(region, parameters.size))
    return _samples(with_images, skeleton, parameters)


def _samples(with_images: tf.data.Dataset, skeleton: Skeleton, parameters: InputParameters) -> tf.data.Dataset:
    """Batches of samples of batches of regions that have their images."""
    targets = partial(render.with_targets, size=parameters.size, skeleton=skeleton, parameters=parameters.targets)
    return with_images.map(targets, num_parallel_calls=tf.data.AUTOTUNE)


def _decoded(batches: tf.data.Dataset, finish: Callable[[Tensors], Tensors] | None = None) -> tf.data.Dataset:
    """Decodes batches of regions; warns and uses `regions.blank` where a picture cannot be decoded.

    The records step checks a JPEG's header and end only. Damage in between must not end a training after hours, nor
    move later samples to other batches.

    Args:
        batches: of regions from `regions.augmented` or `regions.whole`.
        finish: what to do with each region before the batch is made.
    """

    def warned(region: Tensors) -> Tensors:
        text = "cannot be decoded; it does not count"
        tf.print("warning:", region["filename"], text, output_stream=sys.stderr)
        return regions.blank(region)

    def one_by_one(region: Tensors) -> tf.data.Dataset:
        single = tf.data.Dataset.from_tensors(region)
        return single.map(regions.decoded).ignore_errors().concatenate(single.map(warned)).take(1)

    def whole(batch: Tensors) -> tf.data.Dataset:
        each, size = tf.data.Dataset.from_tensor_slices(batch), batch["id"].shape[0] or tf.size(batch["id"], tf.int64)

        def padded(samples: tf.data.Dataset) -> tf.data.Dataset:
            if finish:
                samples = samples.map(finish, tf.data.AUTOTUNE)
            # Only pixels differ in size; they become grey, as outside of a picture.
            values = {name: regions.GREY if name == "pixels" else None for name in samples.element_spec}
            return samples.padded_batch(size, padding_values=values, drop_remainder=True)

        # A batch whose pictures can all be decoded, which is nearly each, needs no dataset for each of its pictures;
        # where one is missing, there is no full batch.
        made = padded(each.map(regions.decoded, tf.data.AUTOTUNE).ignore_errors())
        return made.concatenate(padded(each.flat_map(one_by_one))).take(1)

    return batches.interleave(whole, cycle_length=2, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)


def _streams(manifest: RecordsManifest, batch_size: int) -> int:
    """Number of streams that give samples to a batch in turn: a divisor of the batch, at most one per shard."""
    most = min(cache.STREAMS, len(manifest.shards))
    return max(number for number in range(1, most + 1) if batch_size % number == 0)


def steps_per_epoch(manifest: RecordsManifest, batch_size: int) -> int:
    """Number of training steps in an epoch.

    Raises:
        InputError: the split has fewer samples than a batch.
    """
    samples = manifest.counts["samples"]
    if samples < batch_size:
        raise InputError(
            f"the records in {manifest.folder} have {samples} training samples (images with a main person: "
            f"at least 5 keypoints and 32² pixels), less than one batch of {batch_size}; "
            "use more data or a smaller batch"
        )
    return samples // batch_size
