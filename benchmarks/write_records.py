"""Speed of writing sparse shards, against a plain loop that copies the same JPEGs from the archive into a TFRecord.

`python -m benchmarks.write_records` replicates validation pictures (the developers' `../shared/coco` if present, else a
drawn sample) into one archive, indexes them and writes them as four sparse shards, half the default size for pictures
of COCO's size. The plain loop only reads and writes: it decodes nothing, has no people and computes no checksum.

A shard with its final name is complete even after a power cut, so ours waits for the disk (fsync). The plain loop is
timed with and without waiting; the bound refers to the loop that waits, because then both write the same bytes to the
same disk. Each time is the best of several rounds, in which the three take turns.

Then it times one and two workers, each a process on its own core, and one worker on all cores.
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
from openpose.records.manifest import ShardDescription
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

    def write(self, out: Path, worker: int = 0, workers: int = 1) -> list[ShardDescription]:
        """Writes a worker's shards with our code."""
        people = index.Split(self.folder / f"{SPLIT}.examples", self.folder / f"{SPLIT}.npy")
        with PictureStore(self.archive) as pictures:
            parameters = RecordParameters(images_per_shard=self.images // SHARDS)
            return write_shards(people, pictures, out, SPLIT, parameters, worker, workers)

    def copy(self, out: Path, wait: bool) -> None:
        """The plain loop; with `wait` it waits for the disk at the end."""
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
    """What some workers did together: their time, the largest peak memory in MB, name and checksum of each shard."""

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
    """Replicates a validation split's pictures under other names into one archive, and indexes it."""
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
    """The COCO document with every image and its people once per copy."""
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
    """Times our code and the plain loop in turn; returns our speed relative to the loop that waits for the disk."""
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
    """Seconds of writing to a new folder; flushes what earlier work left to write first."""
    os.sync()
    start = time.perf_counter()
    write(out)
    seconds = time.perf_counter() - start
    shutil.rmtree(out)
    return seconds


def print_workers(data: Data) -> None:
    """Prints times and peak memory of one worker, of two, and of one worker on all cores."""
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
    """Writes the split with several processes that start together."""
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
    """Runs one worker: its start and end, its peak memory in MB, and its shards' names and checksums."""
    os.sched_setaffinity(0, cores)
    start = time.monotonic()
    shards = data.write(data.folder / "out", worker, workers)
    stop = time.monotonic()
    return start, stop, peak_mb(), {(shard.name, shard.sha256) for shard in shards}


if __name__ == "__main__":
    sys.exit(main())
