"""The second step: writes a data set's images, people and masks to sharded TFRecords, with one worker or several."""

from collections.abc import Callable
from typing import Any

from components import status
from components.tfrecord_targets.parameters import DENSE_SPLITS, SplitParameters
from openpose import storage
from openpose.coco.index import Split
from openpose.coco.manifest import DataManifest
from openpose.coco.pictures import PictureStore
from openpose.errors import InputError
from openpose.input.parameters import InputParameters
from openpose.records.exif import Follows
from openpose.records.manifest import RecordsInputs, RecordsManifest
from openpose.records.parameters import RecordParameters
from openpose.records.shards import FORMAT, check_bad_images, finished_shards, merge, plan_shards
from openpose.records.write import write_shards
from openpose.skeleton import Skeleton
from openpose.training import recipe
from openpose.training.parameters import AUTO


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
        root: Storage root: a folder that all steps see, gs://bucket/prefix or s3://bucket/prefix.
        split: train or val.
        data: The data set's manifest; by default the newest one under the root.
        parameters: of the records.
        worker: This worker's number, from 0.
        workers: Number of workers that share the split.

    Returns:
        The records' manifest if all shards of the split now exist, else None.

    Raises:
        InputError: the input cannot be used; the message names the file and the field.
    """
    folder = storage.open_root(root)
    if not 0 <= worker < workers:
        raise InputError(f"worker {worker} of {workers}: `worker` counts from 0 to workers - 1")
    with status.step(folder, f"tfrecord_targets-{split}-{worker}") as step:
        work = _SplitWork(folder, split, data, parameters)
        manifest = step.cached(work.work)
        if manifest is None:
            with PictureStore(work.source.pictures) as pictures:
                write_shards(
                    work.people(),
                    pictures,
                    work.work.folder,
                    split,
                    work.parameters,
                    worker,
                    workers,
                    work.dense(),
                    Follows(work.source.exif or Follows.STORED),  # older data manifests do not say it
                )
            manifest = work.finish()
        return manifest


def collect_records(
    root: str,
    split: str,
    data: str = "",
    parameters: SplitParameters = SplitParameters(),
) -> RecordsManifest:
    """Collects the manifest of a split's records after all workers have finished.

    Args:
        root: Storage root: a folder that all steps see, gs://bucket/prefix or s3://bucket/prefix.
        split: train or val.
        data: The data set's manifest; by default the newest one under the root.
        parameters: of the records.

    Raises:
        InputError: shards are missing, or all workers together found too many bad images.
    """
    folder = storage.open_root(root)
    with status.step(folder, f"tfrecord_targets-{split}-collect") as step:
        work = _SplitWork(folder, split, data, parameters)
        manifest = work.work.cached()
        step.found = manifest is not None
        manifest = manifest or work.finish()
        if manifest is None:
            raise InputError(
                f"{work.work.folder}: some shards of {split} are missing; run tfrecord_targets for each worker again"
            )
        return manifest


def plan(workers: int) -> list[dict[str, Any]]:
    """The shares of work that the pipeline runs in parallel: the validation split, and parts of the training split."""
    train = [{"split": "train", "worker": worker, "workers": workers} for worker in range(workers)]
    return [{"split": "val", "worker": 0, "workers": 1}, *train]


class _SplitWork:
    """The work on one split: its data, its parameters and the place of its records."""

    def __init__(self, root: storage.StoragePath, split: str, data: str, parameters: SplitParameters) -> None:
        manifest = storage.open_manifest(data or storage.newest_manifest(root / "data"), DataManifest)
        if split not in manifest.splits:
            raise InputError(f"the data set has no split {split!r}; choose one of: {', '.join(manifest.splits)}")
        self.split, self.source, self.skeleton = split, manifest.splits[split], manifest.skeleton
        self.parameters = RecordParameters.select(parameters.as_dict())
        self._input = _dense_input(parameters, self.skeleton) if split in DENSE_SPLITS[parameters.dense] else None
        self._targets = self._input.dense_targets() if self._input else None
        inputs = RecordsInputs(
            data=self.source.fingerprint,
            split=split,
            skeleton=self.skeleton,
            targets=self._targets,
            format=FORMAT,
            **self.parameters.as_dict(),
        )
        self.work = storage.StepOutput(root, RecordsManifest, inputs, f"records/{split}-")

    def people(self) -> Split:
        return Split(self.source.people, self.source.index)

    def dense(self) -> Callable[[bytes], bytes] | None:
        """The function that makes an image's dense targets; None if the split has no dense targets."""
        if self._input is None:
            return None
        from openpose.input import dense  # here because it imports TensorFlow

        return dense.make_targets(self.skeleton, self._input)

    def finish(self) -> RecordsManifest | None:
        """Writes the manifest if all shards exist, else returns None. The worker that finishes last does this."""
        planned = plan_shards(self.split, self.people().picture_bytes, self.parameters)
        shards = finished_shards(self.work.folder, planned)
        if len(shards) < len(planned):
            return None
        merged = merge(shards.values())
        images = self.source.counts["images"]
        check_bad_images(merged["bad_images"], images, self.parameters.max_bad_share)
        if merged["counts"]["images"] == 0:
            raise InputError(f"the {self.split} split has no usable image")
        print(f"records of {self.split} in {self.work.folder}", flush=True)
        for bad in merged["bad_images"]:
            print(f"left out {bad.file_name}: {bad.reason}", flush=True)
        return self.work.finish(
            split=self.split, skeleton=self.skeleton, targets=self._targets, extents=self.source.extents, **merged
        )


def _dense_input(parameters: SplitParameters, skeleton: Skeleton) -> InputParameters | None:
    """The input of dense targets; None for other keypoints than people's when their size is left to the training.

    Raises:
        InputError: the training split wants dense targets, but the size is left to the training.
    """
    size = parameters.size
    if size == AUTO and skeleton.of_people:
        size = recipe.PEOPLE["size"]
    if size != AUTO:
        return InputParameters(size=(size, size))
    if parameters.dense == "both":
        raise InputError(f"dense is both, but the size for {skeleton.category} is left to the training; give size")
    return None
