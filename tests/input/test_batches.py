"""Batches: reproducible, resumable, and image, maps and mask of the same place."""

import dataclasses
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from openpose import skeleton
from openpose.errors import InputError
from openpose.input import batches, dense, render
from openpose.input.batches import WorkerShare
from openpose.input.parameters import InputParameters
from openpose.records.manifest import RecordShard, RecordsManifest
from openpose.records.parse import parse
from openpose.records.shards import shard_paths

pytestmark = pytest.mark.slow

OPENPOSE = skeleton.get("openpose18")
PARAMETERS = InputParameters(size=(64, 72), seed=5)
Manifests = dict[str, RecordsManifest]
Batches = list[dict[str, np.ndarray]]


def take(manifest: RecordsManifest, count: int, first_step: int = 0, **parameters: Any) -> Batches:
    chosen = dataclasses.replace(PARAMETERS, **parameters)
    dataset = batches.training(manifest, OPENPOSE, chosen, batch_size=4, first_step=first_step)
    return list(itertools.islice(dataset.as_numpy_iterator(), count))


@pytest.fixture(scope="module")
def drawn(sample_records: Manifests) -> Batches:
    """The first 12 batches of the training split."""
    return take(sample_records["train"], 12)


def test_shapes_and_ranges(drawn: Batches) -> None:
    batch = drawn[0]
    assert batch["image"].shape == (4, 64, 72, 3)
    assert batch["maps"].shape == (4, 8, 9, 57)
    assert batch["mask"].shape == (4, 8, 9, 1)
    assert 0 <= batch["image"].min() < 100 < batch["image"].max() <= 255
    assert batch["maps"].max() <= 1
    assert set(np.unique(batch["mask"])) <= {0, 1}


def test_same_seed_same_batches_and_another_differs(drawn: Batches, sample_records: Manifests) -> None:
    again, other = (take(sample_records["train"], 3, seed=seed) for seed in (5, 6))
    for a, b in zip(drawn[:3], again, strict=True):
        np.testing.assert_array_equal(a["image"], b["image"])
    assert any((a["id"] != b["id"]).any() for a, b in zip(drawn[:3], other, strict=True))


@pytest.mark.parametrize("global_seed", [0, 1])
def test_the_process_global_seed_changes_nothing(drawn: Batches, sample_records: Manifests, global_seed: int) -> None:
    tf.random.set_seed(global_seed)
    try:
        after = take(sample_records["train"], 3)
    finally:
        tf.random.set_seed(None)
    for a, b in zip(drawn[:3], after, strict=True):
        np.testing.assert_array_equal(a["id"], b["id"])


@pytest.mark.parametrize("first_step", [1, 5, 7])
def test_going_on_in_the_middle_gives_the_same_batches(
    drawn: Batches, sample_records: Manifests, first_step: int
) -> None:
    rest = take(sample_records["train"], 12 - first_step, first_step)
    for a, b in zip(drawn[first_step:], rest, strict=True):
        np.testing.assert_array_equal(a["id"], b["id"])
        np.testing.assert_array_equal(a["maps"], b["maps"])


def test_an_epoch_has_each_sample_once_and_the_next_is_different(drawn: Batches, sample_records: Manifests) -> None:
    steps = batches.steps_per_epoch(sample_records["train"], 4)
    assert len(drawn) >= 2 * steps
    epochs = [[i for batch in drawn[e * steps : (e + 1) * steps] for i in batch["id"]] for e in (0, 1)]
    assert all(len(set(epoch)) == 4 * steps for epoch in epochs)
    assert epochs[0] != epochs[1]


@pytest.fixture(scope="module")
def many_shards(tmp_path_factory: pytest.TempPathFactory, sample_records: Manifests) -> RecordsManifest:
    """The sample's training split in shards of uneven sizes."""
    manifest, folder = sample_records["train"], tmp_path_factory.mktemp("many")
    everything = list(tf.data.TFRecordDataset(shard_paths(manifest)).as_numpy_iterator())
    sizes = itertools.cycle([1, 4, 2, 3])
    made: list[RecordShard] = []
    while everything:
        chosen, everything = everything[: (size := next(sizes))], everything[size:]
        path = folder / f"train-{len(made):05}.tfrecord"
        with tf.io.TFRecordWriter(str(path)) as writer:
            for example in chosen:
                writer.write(example)
        samples = sum(bool(parse(example, OPENPOSE)["main"].numpy().any()) for example in chosen)
        made.append(
            RecordShard(name=path.name, bytes=path.stat().st_size, sha256="", images=len(chosen), samples=samples)
        )
    return dataclasses.replace(manifest, folder=str(folder), shards=made)


def test_workers_together_make_the_batches_of_one(many_shards: RecordsManifest) -> None:
    steps = batches.steps_per_epoch(many_shards, 12)

    def ids(share: WorkerShare) -> list[list[int]]:
        drawn = batches.training(many_shards, OPENPOSE, PARAMETERS, 12, first_step=1, share=share)
        return [batch["id"].tolist() for batch in drawn.take(2 * steps).as_numpy_iterator()]

    whole = ids(batches.ALL)
    for epoch in (whole[: steps - 1], whole[steps - 1 : 2 * steps - 1]):
        assert len(set(itertools.chain(*epoch))) == 12 * len(epoch)
    for workers in (2, 3):
        shares = [ids(WorkerShare(worker, workers, workers)) for worker in range(workers)]
        for batch, *parts in zip(whole, *shares, strict=True):
            assert sorted(itertools.chain(*parts)) == sorted(batch), workers
            assert len({len(part) for part in parts}) == 1, workers


@pytest.mark.parametrize("workers", [2, 3])
def test_workers_validate_each_image_once(many_shards: RecordsManifest, workers: int) -> None:
    seen = []
    for worker in range(workers):
        drawn = batches.validation(many_shards, OPENPOSE, PARAMETERS, 12, WorkerShare(worker, workers, workers))
        parts = list(drawn.as_numpy_iterator())
        assert len(parts) == -(-many_shards.counts["images"] // 12)
        seen += [int(i) for part in parts for i, mask in zip(part["id"], part["mask"], strict=True) if mask.any()]
    assert len(seen) == len(set(seen)) == many_shards.counts["images"]


def test_worker_reads_its_own_share_of_the_shards(many_shards: RecordsManifest) -> None:
    opened: list[bytes] = []

    def noted(_: RecordsManifest, paths: tf.data.Dataset) -> tf.data.Dataset:
        def note(path: bytes) -> bytes:
            opened.append(path)
            return path

        return paths.map(lambda path: tf.ensure_shape(tf.numpy_function(note, [path], tf.string), []))

    steps = batches.steps_per_epoch(many_shards, 8)

    def count(share: WorkerShare) -> int:
        opened.clear()
        drawn = batches.training(many_shards, OPENPOSE, PARAMETERS, 8, share=share, on_device=True, files=noted)
        list(drawn.take(20 * steps))  # and tf.data reads a few epochs further
        return len(opened)

    whole = count(batches.ALL)
    assert count(WorkerShare(0, 2, 2)) < 0.65 * whole
    assert count(WorkerShare(0, 4, 4)) < 0.4 * whole


def test_records_of_an_older_format_are_refused(sample_records: Manifests) -> None:
    manifest = sample_records["train"]
    older = [dataclasses.replace(shard, samples=None) for shard in manifest.shards]
    with pytest.raises(InputError, match=r"manifest.json: the records are of an older format; make them again"):
        batches.training(dataclasses.replace(manifest, shards=older), OPENPOSE, PARAMETERS, 4)


def test_every_sample_is_seen_in_some_epoch(sample_records: Manifests) -> None:
    """Also where the last batch would never be full, and there is one shard only."""
    manifest = sample_records["train"]
    samples = manifest.counts["samples"]
    size = next(size for size in range(samples // 2 - 1, 1, -1) if samples % size)
    drawn = batches.training(manifest, OPENPOSE, PARAMETERS, size).take(8 * (samples // size))
    assert len({i for batch in drawn.as_numpy_iterator() for i in batch["id"]}) == samples


def test_validation_has_every_image_once(sample_records: Manifests) -> None:
    manifest = sample_records["val"]
    drawn = list(batches.validation(manifest, OPENPOSE, PARAMETERS, batch_size=4).as_numpy_iterator())
    assert [len(batch["id"]) for batch in drawn] == [4, 2]
    assert len({i for batch in drawn for i in batch["id"]}) == manifest.counts["images"] == 6


def test_dense_targets_are_those_that_are_made_on_the_way(sample_records: Manifests, tmp_path: Path) -> None:
    sparse = sample_records["val"]
    static = with_targets(sparse, tmp_path)
    for manifest in (sparse, static):
        assert dense.has_targets(manifest, PARAMETERS) == (manifest is static)
    made, stored = (
        list(batches.validation(manifest, OPENPOSE, PARAMETERS, batch_size=4).as_numpy_iterator())
        for manifest in (sparse, static)
    )
    for a, b in zip(made, stored, strict=True):
        for name in ("id", "image", "maps", "mask"):
            np.testing.assert_allclose(a[name], b[name], atol=1e-6)
    # Of another size they are made on the way.
    other = dataclasses.replace(PARAMETERS, size=(32, 32))
    batch = next(batches.validation(static, OPENPOSE, other, batch_size=4).as_numpy_iterator())
    assert batch["maps"].shape == (4, 4, 4, 57)


def test_training_on_dense_targets_is_static_and_of_their_size(sample_records: Manifests, tmp_path: Path) -> None:
    static = with_targets(sample_records["val"], tmp_path)
    whole = {
        int(image_id): maps
        for batch in batches.validation(static, OPENPOSE, PARAMETERS, batch_size=4).as_numpy_iterator()
        for image_id, maps in zip(batch["id"], batch["maps"], strict=True)
    }
    for batch in take(static, 3):
        for image_id, maps in zip(batch["id"], batch["maps"], strict=True):
            np.testing.assert_array_equal(maps, whole[int(image_id)])
    with pytest.raises(InputError, match=r"dense targets for .*but the training asks for"):
        take(static, 1, size=(32, 32))


def with_targets(manifest: RecordsManifest, folder: Path) -> RecordsManifest:
    """The same records with dense targets."""
    add = dense.make_targets(OPENPOSE, PARAMETERS)
    for path, shard in zip(shard_paths(manifest), manifest.shards, strict=True):
        with tf.io.TFRecordWriter(str(folder / shard.name)) as writer:
            for serialized in tf.data.TFRecordDataset(path).as_numpy_iterator():
                writer.write(serialized + add(serialized))
    shards = [dataclasses.replace(shard, bytes=(folder / shard.name).stat().st_size) for shard in manifest.shards]
    targets = PARAMETERS.dense_targets()
    return dataclasses.replace(manifest, folder=str(folder), shards=shards, targets=targets)


def test_picture_that_cannot_be_decoded_is_blank_and_moves_nothing(
    drawn: Batches,
    sample_records: Manifests,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    spoilt = take(damaged(sample_records["train"], tmp_path), 6)
    blank = 0
    for a, b in zip(drawn[:6], spoilt, strict=True):
        np.testing.assert_array_equal(a["id"], b["id"])
        for sample in range(4):
            if b["mask"][sample].any() or not a["mask"][sample].any():
                np.testing.assert_array_equal(a["image"][sample], b["image"][sample])
            else:
                blank += 1
                assert (b["image"][sample] == 128).all()
    assert blank >= 1
    assert "cannot be decoded; it does not count" in capfd.readouterr().err


def damaged(manifest: RecordsManifest, folder: Path) -> RecordsManifest:
    """The same records; in one image of each shard the tables of its JPEG's header are damaged."""
    for path, shard in zip(shard_paths(manifest), manifest.shards, strict=True):
        with tf.io.TFRecordWriter(str(folder / shard.name)) as writer:
            done = False
            for serialized in tf.data.TFRecordDataset(path).as_numpy_iterator():
                example = tf.train.Example.FromString(serialized)
                feature = example.features.feature
                if not done and any(feature["image/object/is_main"].int64_list.value):
                    encoded = bytearray(feature["image/encoded"].bytes_list.value[0])
                    tables = encoded.index(b"\xff\xc4")
                    encoded[tables + 4 : tables + 24] = b"\xff" * 20
                    feature["image/encoded"].bytes_list.value[0] = bytes(encoded)
                    done = True
                writer.write(example.SerializeToString())
    shards = [dataclasses.replace(shard, bytes=(folder / shard.name).stat().st_size) for shard in manifest.shards]
    return dataclasses.replace(manifest, folder=str(folder), shards=shards)


def test_a_device_makes_the_same_samples_of_regions(drawn: Batches, sample_records: Manifests) -> None:
    manifest = sample_records["train"]
    padded_batches = batches.training(manifest, OPENPOSE, PARAMETERS, batch_size=4, on_device=True)
    unpadded = itertools.islice(batches.rendered(padded_batches, OPENPOSE, PARAMETERS).as_numpy_iterator(), 6)
    for here, again, padded in zip(drawn[:6], unpadded, padded_batches.take(6), strict=True):
        there = render.render_batch(padded, PARAMETERS.size, OPENPOSE, PARAMETERS.targets)
        for name in ("id", "maps", "mask"):
            np.testing.assert_array_equal(again[name], here[name])
            np.testing.assert_allclose(there[name], here[name], atol=1e-5)
        np.testing.assert_array_equal(again["image"], here["image"])
        np.testing.assert_allclose(there["image"], here["image"], atol=0.51)  # there it is not rounded


def test_dense_records_give_regions_too(sample_records: Manifests, tmp_path: Path) -> None:
    static = with_targets(sample_records["val"], tmp_path)
    padded_batches = batches.training(static, OPENPOSE, PARAMETERS, batch_size=4, on_device=True)
    for here, region in zip(take(static, 2), padded_batches.take(2), strict=True):
        there = render.render_batch(region, PARAMETERS.size, OPENPOSE, PARAMETERS.targets)
        for name, close in (("id", 0), ("maps", 1e-5), ("mask", 0), ("image", 0.51)):
            np.testing.assert_allclose(there[name], here[name], atol=close)


def test_size_must_be_a_multiple_of_the_stride() -> None:
    with pytest.raises(InputError, match="input size 70×64: both sides must be multiples of 8"):
        InputParameters(size=(64, 70))


def test_less_samples_than_a_batch(sample_records: Manifests) -> None:
    with pytest.raises(InputError, match="less than one batch of 1000"):
        batches.steps_per_epoch(sample_records["train"], 1000)
