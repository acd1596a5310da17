"""The second step: a data set's images, people and masks as sharded TFRecords, made by one worker or several."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from components import status
from openpose import coco, records, skeleton, storage
from openpose.errors import InputError
from openpose.pictures import PictureStore
from openpose.records import RecordParameters


def tfrecord_targets(
    root: str,
    split: str,
    data: str = "",
    images_per_shard: int = 500,
    max_bad_share: float = 0.01,
    seed: int = 0,
    worker: int = 0,
    workers: int = 1,
) -> dict[str, Any] | None:
    """Writes one worker's share of a split's TFRecord shards.

    Args:
        root: Storage root: a folder that all steps see.
        split: train or val.
        data: The data set's manifest; by default the newest one under the root.
        images_per_shard: Images in one shard; 500 of COCO's are about 80 MB.
        max_bad_share: Images that cannot be read are left out and named, up to this share; more are an error.
        seed: Of the one shuffle that makes each shard a fair sample.
        worker: This worker's number, from 0.
        workers: How many share the split.

    Returns:
        The records' manifest when all shards of the split are there now, else None.

    Raises:
        InputError: something cannot be used; the message names the file and the field.
    """
    folder = storage.root_folder(root)
    if not 0 <= worker < workers:
        raise InputError(f"worker {worker} of {workers}: `worker` counts from 0 to workers - 1")
    with status.step(folder, f"tfrecord_targets-{split}-{worker}") as step:
        source, work = _work(folder, split, data, images_per_shard, max_bad_share, seed)
        manifest = step.finished(work)
        if manifest is None:
            annotations = coco.load(source["annotations"], skeleton.OPENPOSE18)
            parameters = _parameters(images_per_shard, max_bad_share, seed)
            with PictureStore(source["pictures"]) as pictures:
                records.write_shards(annotations, pictures.read, work.folder, split, parameters, worker, workers)
            manifest = _finish(work, split, source, parameters)
        return manifest


def collect_records(
    root: str,
    split: str,
    data: str = "",
    images_per_shard: int = 500,
    max_bad_share: float = 0.01,
    seed: int = 0,
) -> dict[str, Any]:
    """The manifest of a split's records after all workers are done.

    Args:
        root: Storage root: a folder that all steps see.
        split: train or val.
        data: As for tfrecord_targets.
        images_per_shard: As for tfrecord_targets.
        max_bad_share: As for tfrecord_targets.
        seed: As for tfrecord_targets.

    Raises:
        InputError: shards are missing, or too many images were bad over all workers.
    """
    folder = storage.root_folder(root)
    with status.step(folder, f"tfrecord_targets-{split}-collect") as step:
        source, work = _work(folder, split, data, images_per_shard, max_bad_share, seed)
        manifest = work.finished()
        step.found = manifest is not None
        manifest = manifest or _finish(work, split, source, _parameters(images_per_shard, max_bad_share, seed))
        if manifest is None:
            raise InputError(
                f"{work.folder}: not all shards of {split} are there; run tfrecord_targets for each worker again"
            )
        return manifest


def plan(workers: int) -> list[dict[str, Any]]:
    """The pieces of work that the pipeline spreads over its workers: the validation split, and shares of the other."""
    if workers < 1:
        raise InputError(f"workers is {workers}; at least 1 is needed")
    train = [{"split": "train", "worker": worker, "workers": workers} for worker in range(workers)]
    return [{"split": "val", "worker": 0, "workers": 1}, *train]


def _parameters(images_per_shard: int, max_bad_share: float, seed: int) -> RecordParameters:
    if images_per_shard < 1:
        raise InputError(f"images_per_shard is {images_per_shard}; at least 1 is needed")
    return RecordParameters(images_per_shard, seed, max_bad_share)


def _work(
    root: Path, split: str, data: str, images_per_shard: int, max_bad_share: float, seed: int
) -> tuple[dict[str, Any], storage.Work]:
    """The split's part of the data manifest, and the folder of its records."""
    manifest = storage.open_manifest(data or storage.newest_manifest(root / "data"), "data")
    if split not in manifest["splits"]:
        raise InputError(f"the data set has no split {split!r}; choose one of: {', '.join(manifest['splits'])}")
    source = manifest["splits"][split]
    inputs = {
        "data": source["fingerprint"],
        "split": split,
        "skeleton": skeleton.OPENPOSE18.name,
        **asdict(_parameters(images_per_shard, max_bad_share, seed)),
    }
    return source, storage.Work(root, "records", inputs, f"records/{split}-")


def _finish(
    work: storage.Work, split: str, source: dict[str, Any], parameters: RecordParameters
) -> dict[str, Any] | None:
    """Writes the manifest when all shards are there. Whichever worker sees that first does it."""
    names = records.shard_names(split, source["counts"]["images"], parameters)
    shards = [records.finished_shard(work.folder / name) for name in names]
    whole = [shard for shard in shards if shard is not None]
    if len(whole) < len(shards):
        return None
    merged = records.merge(whole)
    records.check_bad_images(merged["bad_images"], source["counts"]["images"], parameters.max_bad_share)
    if merged["counts"]["images"] == 0:
        raise InputError(f"the {split} split has no image that can be used")
    print(f"records of {split} in {work.folder}", flush=True)
    for bad in merged["bad_images"]:
        print(f"left out {bad['file_name']}: {bad['reason']}", flush=True)
    return work.finish(split=split, skeleton=work.inputs["skeleton"], **merged)
