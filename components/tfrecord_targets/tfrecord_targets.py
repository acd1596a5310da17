"""The second step: a data set's images, people and masks as sharded TFRecords, made by one worker or several."""

from collections.abc import Callable
from typing import Any

from components import status
from components.tfrecord_targets.parameters import DENSE_SPLITS, SplitParameters
from openpose import skeleton, storage
from openpose.coco.index import Split
from openpose.coco.manifest import DataManifest
from openpose.coco.pictures import PictureStore
from openpose.errors import InputError
from openpose.input.parameters import InputParameters
from openpose.records.manifest import RecordsInputs, RecordsManifest
from openpose.records.parameters import RecordParameters
from openpose.records.shards import FORMAT, check_bad_images, finished_shards, merge, plan_shards


def tfrecord_targets(
    root: str,
    split: str,
    data: str = "",
    parameters: SplitParameters = SplitParameters(),
    worker: int = 0,
    workers: int = 1,
) -> RecordsManifest | None:
    """Writes one worker's share of a split's TFRecord shards.

    Args:
        root: Storage root: a folder that all steps see, or gs://bucket/prefix.
        split: train or val.
        data: The data set's manifest; by default the newest one under the root.
        parameters: what decides the records, besides the data.
        worker: This worker's number, from 0.
        workers: How many share the split.

    Returns:
        The records' manifest when all shards of the split are there now, else None.

    Raises:
        InputError: something cannot be used; the message names the file and the field.
    """
    folder = storage.open_root(root)
    if not 0 <= worker < workers:
        raise InputError(f"worker {worker} of {workers}: `worker` counts from 0 to workers - 1")
    with status.step(folder, f"tfrecord_targets-{split}-{worker}") as step:
        work = _SplitWork(folder, split, data, parameters)
        manifest = step.cached(work.work)
        if manifest is None:
            from openpose.records.write import write_shards  # here, as it imports TensorFlow

            with PictureStore(work.source.pictures) as pictures:
                write_shards(
                    work.people(), pictures, work.work.folder, split, work.parameters, worker, workers, work.dense()
                )
            manifest = work.finish()
        return manifest


def collect_records(
    root: str,
    split: str,
    data: str = "",
    parameters: SplitParameters = SplitParameters(),
) -> RecordsManifest:
    """The manifest of a split's records after all workers are done.

    Args:
        root: Storage root: a folder that all steps see, or gs://bucket/prefix.
        split: train or val.
        data: The data set's manifest; by default the newest one under the root.
        parameters: what decides the records, besides the data.

    Raises:
        InputError: shards are missing, or too many images were bad over all workers.
    """
    folder = storage.open_root(root)
    with status.step(folder, f"tfrecord_targets-{split}-collect") as step:
        work = _SplitWork(folder, split, data, parameters)
        manifest = work.work.cached()
        step.found = manifest is not None
        manifest = manifest or work.finish()
        if manifest is None:
            raise InputError(
                f"{work.work.folder}: not all shards of {split} are there; run tfrecord_targets for each worker again"
            )
        return manifest


def plan(workers: int) -> list[dict[str, Any]]:
    """The pieces of work that the pipeline spreads over its workers: the validation split, and shares of the other."""
    if workers < 1:
        raise InputError(f"workers is {workers}; at least 1 is needed")
    train = [{"split": "train", "worker": worker, "workers": workers} for worker in range(workers)]
    return [{"split": "val", "worker": 0, "workers": 1}, *train]


class _SplitWork:
    """A split's records: what they are made of, and how."""

    def __init__(self, root: storage.StoragePath, split: str, data: str, parameters: SplitParameters) -> None:
        manifest = storage.open_manifest(data or storage.newest_manifest(root / "data"), DataManifest)
        if split not in manifest.splits:
            raise InputError(f"the data set has no split {split!r}; choose one of: {', '.join(manifest.splits)}")
        self.split, self.source, self.skeleton = split, manifest.splits[split], skeleton.OPENPOSE18
        self.parameters = RecordParameters.select(parameters.as_dict())
        size = parameters.size
        self._input = InputParameters(size=(size, size)) if split in DENSE_SPLITS[parameters.dense] else None
        self._targets = self._input.described_targets() if self._input else None
        inputs = RecordsInputs(
            data=self.source.fingerprint,
            split=split,
            skeleton=self.skeleton.name,
            targets=self._targets,
            format=FORMAT,
            **self.parameters.as_dict(),
        )
        self.work = storage.StepOutput(root, RecordsManifest, inputs, f"records/{split}-")

    def people(self) -> Split:
        return Split(self.source.people, self.source.index)

    def dense(self) -> Callable[[bytes], bytes] | None:
        """What makes an image's dense targets, when the split has them."""
        if self._input is None:
            return None
        from openpose.input import dense  # here, as it imports TensorFlow

        return dense.make_targets(self.skeleton, self._input)

    def finish(self) -> RecordsManifest | None:
        """Writes the manifest when all shards are there. Whichever worker sees that first does it."""
        planned = plan_shards(self.split, self.people().picture_bytes, self.parameters)
        shards = finished_shards(self.work.folder, planned)
        if len(shards) < len(planned):
            return None
        merged = merge(shards.values())
        images = self.source.counts["images"]
        check_bad_images(merged["bad_images"], images, self.parameters.max_bad_share)
        if merged["counts"]["images"] == 0:
            raise InputError(f"the {self.split} split has no image that can be used")
        print(f"records of {self.split} in {self.work.folder}", flush=True)
        for bad in merged["bad_images"]:
            print(f"left out {bad.file_name}: {bad.reason}", flush=True)
        return self.work.finish(split=self.split, skeleton=self.skeleton.name, targets=self._targets, **merged)
