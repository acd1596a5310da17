"""Peak memory of indexing annotations, and of a worker that writes a shard, for 10 000 and 1 000 000 images.

`python -m benchmarks.index_memory` writes a COCO file of each size, with a person in every image, and runs `index` and
`write_shards` of one shard on it, each in its own process. All images show the same picture. The reference is the
smaller file in the same run: the bound is on the ratio of the peaks.

A million images take several minutes; `--images` sets other numbers.
"""

import argparse
import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from openpose.coco import index as coco_index
from openpose.records.parameters import RecordParameters
from openpose.records.shards import plan_shards
from openpose.records.write import write_shards
from openpose.skeleton import OPENPOSE18

BOUND = 1.1  # of the peak for the smaller file
IMAGES = (10_000, 1_000_000)
WIDTH, HEIGHT = 640, 480
SPLIT = "train"


@dataclass(frozen=True)
class Cost:
    """What a piece of work in its own process took."""

    peak: float  # MB
    own: float  # MB above the memory after its imports
    rate: float  # images/s


class OnePicture:
    """A picture of COCO's size, shown by all images of a split; see `Pictures`."""

    def __init__(self) -> None:
        noise = np.random.default_rng(0).normal(128, 30, (HEIGHT, WIDTH, 3)).clip(0, 255).astype(np.uint8)
        self._encoded = cv2.imencode(".jpg", noise)[1].tobytes()

    def read(self, _: str) -> bytes:
        return self._encoded

    def size(self, _: str) -> int:
        return len(self._encoded)

    def position(self, _: str) -> int:
        return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the table; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.index_memory")
    parser.add_argument("--images", type=int, nargs=2, default=IMAGES, help="default: %(default)s")
    images = parser.parse_args(arguments).images
    peaks = []
    with tempfile.TemporaryDirectory(prefix="index-memory-") as folder:
        for number in images:
            work = Path(folder) / str(number)
            megabytes = write_annotations(work, number) / 1e6
            indexed, written = alone(index, work), alone(write_shard, work)
            print(f"{number:,} images, JSON of {megabytes:.0f} MB, load {os.getloadavg()[0]:.1f}")
            for what, cost in (("index", indexed), ("a worker's shard", written)):
                print(
                    f"  {what:18}peak {cost.peak:5.0f} MB, {cost.own:5.1f} MB above the imports; "
                    f"{cost.rate:6.0f} images/s",
                    flush=True,
                )
            peaks.append((indexed.peak, written.peak))
    ratios = [large / small for small, large in zip(*peaks, strict=True)]
    print(f"peak for {images[1]:,} images to {images[0]:,}: index {ratios[0]:.3f}, worker {ratios[1]:.3f}")
    print(f"index_memory: {max(ratios):.2f} (bound {BOUND:.2f})")
    return 0 if max(ratios) <= BOUND else 1


def write_annotations(folder: Path, images: int) -> int:
    """Writes `coco.json` with a person in every image; its bytes."""
    folder.mkdir()
    bodies = [json.dumps(person(number))[1:] for number in range(100)]
    category = {"id": 1, "name": "person", "keypoints": OPENPOSE18.source_parts}
    separators = ["", *[",\n"] * (images - 1)]
    with (folder / "coco.json").open("w") as file:
        file.write('{"images": [')
        for number, separator in enumerate(separators):
            file.write(f'{separator}{{"id": {number}, "file_name": "{number:012}.jpg", ')
            file.write(f'"width": {WIDTH}, "height": {HEIGHT}}}')
        file.write('], "annotations": [')
        for number, separator in enumerate(separators):
            # In another order than their images, as in COCO: 7 919 is a prime number.
            image = number * 7919 % images
            file.write(f'{separator}{{"id": {number}, "image_id": {image}, {bodies[number % len(bodies)]}')
        file.write(f'], "categories": [{json.dumps(category)}]}}')
    return (folder / "coco.json").stat().st_size


def person(number: int) -> dict[str, Any]:
    """A person's annotation without its ids: a polygon of 36 points and, but for every tenth, keypoints."""
    rng = np.random.default_rng(number)
    angle = np.linspace(0, 2 * np.pi, 36, endpoint=False)
    outline = np.stack([320 + 80 * np.cos(angle), 240 + 200 * np.sin(angle)], 1) + rng.uniform(-20, 20, (36, 2))
    points = rng.integers([240, 40, 0], [400, 440, 3], (len(OPENPOSE18.source_parts), 3)) * (number % 10 > 0)
    low, size = outline.min(0), np.ptp(outline, 0)
    return {
        "category_id": 1,
        "iscrowd": 0,
        "area": round(size.prod() / 2, 2),
        "bbox": np.concatenate([low, size]).round(2).tolist(),
        "segmentation": [outline.round(2).ravel().tolist()],
        "keypoints": points.ravel().tolist(),
    }


def alone(function: Callable[[Path], int], folder: Path) -> Cost:
    """Calls a function, which returns a number of images, in its own process."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(measured, function, folder).result()


def measured(function: Callable[[Path], int], folder: Path) -> Cost:
    """What the function took in this process."""
    imports, start = peak_mb(), time.perf_counter()
    images = function(folder)
    seconds = time.perf_counter() - start
    return Cost(peak_mb(), peak_mb() - imports, images / seconds)


def peak_mb() -> float:
    """The peak memory of this process so far. `getrusage` would include that of its parent."""
    status = Path("/proc/self/status").read_text().splitlines()
    return next(float(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1e3


def index(folder: Path) -> int:
    """Indexes all images."""
    source, size = folder / "coco.json", OnePicture().size
    made = coco_index.index(lambda: source.open("rb"), source.name, folder, OPENPOSE18, {SPLIT: 1.0}, size)
    return made[SPLIT].counts["images"]


def write_shard(folder: Path) -> int:
    """Writes one shard of the usual size, as one of many workers."""
    people = coco_index.Split(folder / f"{SPLIT}.examples", folder / f"{SPLIT}.npy")
    parameters = RecordParameters()
    shards = len(plan_shards(SPLIT, people.picture_bytes, parameters))
    written = write_shards(people, OnePicture(), folder / "out", SPLIT, parameters, shards // 2, shards)
    return sum(shard.images for shard in written)


if __name__ == "__main__":
    sys.exit(main())
