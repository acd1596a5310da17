"""Writing sparse shards, against a plain loop that copies the same JPEGs from the archive into one TFRecord.

`python -m benchmarks.write_records` replicates validation pictures (the developers' `../shared/coco`, where it is
there, else a drawn sample) into one archive, indexes them and writes them as four sparse shards, which have half the
default size when the pictures have COCO's. The plain loop reads and writes, no more: it decodes nothing, knows no
people and computes no checksum.

A shard that has its final name is whole, also after a power cut, so ours waits for the disk (fsync). The plain loop is
timed both ways; the bound is about the one that waits too, because both then bring the same bytes to the same disk.
Each time is the best of several rounds, in which the three take turns.

Then the times of one and of two workers, each a process on a core of its own, and of one worker that has all cores.
"""

import json
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf

from benchmarks import oracle
from benchmarks.index_memory import peak_mb
from openpose import skeleton
from openpose.coco import index
from openpose.coco.pictures import PictureStore
from openpose.errors import InputError
from openpose.records.parameters import RecordParameters
from openpose.records.write import write_shards

BOUND = 0.8  # of the plain loop's images/s
IMAGES = 1_600  # about 250 MB of COCO's
SHARDS = 4  # so that two workers with two threads each have even shares
ROUNDS = 5
WORKER_ROUNDS = 3
SPLIT = "val"


@dataclass(frozen=True)
class Data:
    """A split to write: the archive of its pictures, the folder of its index, its size."""

    archive: Path
    folder: Path
    images: int
    bytes: int

    def write(self, out: Path, worker: int = 0, workers: int = 1) -> list[dict[str, Any]]:
        """Ours: a worker's shards."""
        people = index.Split(self.folder / f"{SPLIT}.examples", self.folder / f"{SPLIT}.npy")
        with PictureStore(self.archive) as pictures:
            parameters = RecordParameters(images_per_shard=self.images // SHARDS)
            return write_shards(people, pictures, out, SPLIT, parameters, worker, workers)

    def copy(self, out: Path, wait: bool) -> None:
        """The plain loop; at the end it waits for the disk, or not."""
        out.mkdir()
        with zipfile.ZipFile(self.archive) as archive, tf.io.TFRecordWriter(str(out / "all.tfrecord")) as writer:
            for name in archive.namelist():
                writer.write(archive.read(name))
        if wait:
            with (out / "all.tfrecord").open("rb") as file:
                os.fsync(file.fileno())

    def row(self, name: str, seconds: float) -> str:
        """A line of a table."""
        return f"  {name:46}{self.images / seconds:9.0f}{self.bytes / seconds / 1e6:8.0f}"


@dataclass(frozen=True)
class Run:
    """What some workers did together: their time, the largest one's memory in MB, name and sum of each shard."""

    seconds: float
    peak: float
    shards: set[tuple[str, str]]


def main() -> int:
    """Prints the tables; returns the exit code."""
    try:
        with tempfile.TemporaryDirectory(prefix="write-records-") as folder:
            data = make_data(Path(folder))
            figure = print_rates(data)
            print_workers(data)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"write_records: {figure:.2f} (bound {BOUND:.2f})")
    return 0 if figure >= BOUND else 1


def make_data(folder: Path) -> Data:
    """A validation split, its pictures replicated under other names into one archive, and indexed."""
    annotations, place = oracle.SHARED / "coco" / oracle.ANNOTATIONS, oracle.SHARED / "coco" / "val2017"
    if not annotations.exists():
        annotations, place = oracle.draw_sample(folder), folder / "val2017.zip"
    document = json.loads(annotations.read_bytes())
    copies = range(-(-IMAGES // len(document["images"])))
    archive, json_path = folder / "copies.zip", folder / "copies.json"
    with PictureStore(place) as pictures, zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as file:
        for copy in copies:
            for image in document["images"]:
                file.writestr(f"copies/{copy}/{image['file_name']}", pictures.read(image["file_name"]))
    json_path.write_text(json.dumps(replicated(document, copies)))
    with PictureStore(archive) as pictures:
        index.index(
            lambda: json_path.open("rb"), json_path.name, folder, skeleton.OPENPOSE18, {SPLIT: 1.0}, pictures.size
        )
        images = [f"{copy}/{image['file_name']}" for copy in copies for image in document["images"]]
        return Data(archive, folder, len(images), sum(map(pictures.size, images)))


def replicated(document: dict[str, Any], copies: Sequence[int]) -> dict[str, Any]:
    """COCO's document with every image and its people once for each copy."""
    images, annotations = document["images"], document["annotations"]
    step = 1 + max(image["id"] for image in images)
    return {
        "categories": document["categories"],
        "images": [
            {**image, "id": image["id"] + step * copy, "file_name": f"{copy}/{image['file_name']}"}
            for copy in copies
            for image in images
        ],
        "annotations": [
            {**person, "image_id": person["image_id"] + step * copy} for copy in copies for person in annotations
        ],
    }


def print_rates(data: Data) -> float:
    """Ours and the plain loop in turn; the ratio of ours to the one that waits for the disk."""
    contestants: dict[str, Callable[[Path], object]] = {
        "plain loop": lambda out: data.copy(out, wait=False),
        "plain loop that waits for the disk": lambda out: data.copy(out, wait=True),
        "sparse shards, checked, with people and sums": data.write,
    }
    best = dict.fromkeys(contestants, float("inf"))
    for _ in range(ROUNDS):
        for name, write in contestants.items():
            best[name] = min(best[name], timed(write, data.folder / "out"))
    load = os.getloadavg()[0]
    print(f"{data.images} images, {data.bytes / 1e6:.0f} MB; {os.cpu_count()} cores, load {load:.1f}")
    print(f"  {f'best of {ROUNDS}':46}{'images/s':>9}{'MB/s':>8}{'ratio':>8}")
    _, waits, ours = best.values()
    for name, seconds in best.items():
        print(f"{data.row(name, seconds)}{seconds / ours:8.2f}", flush=True)
    return waits / ours


def timed(write: Callable[[Path], object], out: Path) -> float:
    """Seconds of writing to a new folder; nobody pays for what the one before left to write."""
    os.sync()
    start = time.perf_counter()
    write(out)
    seconds = time.perf_counter() - start
    shutil.rmtree(out)
    return seconds


def print_workers(data: Data) -> None:
    """Times of one worker, of two, and of one that has all cores; their peak memory."""
    print(f"  {f'workers, best of {WORKER_ROUNDS}':46}{'images/s':>9}{'MB/s':>8}{'speed':>8}{'peak MB':>9}")
    single, shards = 0.0, set[tuple[str, str]]()
    for name, workers, cores in (
        ("1 worker on one core", 1, [[0]]),
        ("2 workers, each on one core", 2, [[0], [1]]),
        ("1 worker on all cores", 1, [range(os.cpu_count() or 1)]),
    ):
        runs = [run_workers(data, workers, cores) for _ in range(WORKER_ROUNDS)]
        seconds = min(run.seconds for run in runs)
        single, shards = single or seconds, shards or runs[0].shards
        if any(run.shards != shards for run in runs):
            raise InputError(f"{name}: the shards differ from those of one worker")
        print(f"{data.row(name, seconds)}{single / seconds:7.2f}×{max(run.peak for run in runs):9.0f}", flush=True)


def run_workers(data: Data, workers: int, cores: Sequence[Sequence[int]]) -> Run:
    """Writes the split with some processes that begin together."""
    context = multiprocessing.get_context("spawn")
    together = context.Barrier(workers)
    os.sync()
    with ProcessPoolExecutor(workers, context, initializer=together.wait) as pool:
        tasks = [pool.submit(work, data, n, workers, cores[n]) for n in range(workers)]
        done = [task.result() for task in tasks]
    shutil.rmtree(data.folder / "out")
    starts, stops, peaks, sums = zip(*done, strict=True)
    return Run(max(stops) - min(starts), max(peaks), set().union(*sums))


def work(
    data: Data, worker: int, workers: int, cores: Sequence[int]
) -> tuple[float, float, float, set[tuple[str, str]]]:
    """One worker: when it began and ended, its peak memory in MB, and its shards' names and sums."""
    os.sched_setaffinity(0, cores)
    start = time.monotonic()
    shards = data.write(data.folder / "out", worker, workers)
    stop = time.monotonic()
    return start, stop, peak_mb(), {(shard["name"], shard["sha256"]) for shard in shards}


if __name__ == "__main__":
    sys.exit(main())
