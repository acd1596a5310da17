"""Sizes and speeds of the exported formats: `lightweight` at 368×368, one picture at a time, on this machine's CPU.

The reference is plain Keras, `predict_on_batch` of the same model, in the same run; all take turns. Each runtime uses
its default number of threads. The figure is the frozen graph's images per second relative to the reference. On any CPU,
every float32 format must be at least half as fast as the reference, and no file may be larger than Keras's.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

from openpose import model_files, networks, skeleton, storage
from openpose.model_files.formats import FORMATS
from openpose.model_files.inference import Source

NAME = "formats"
BOUND, BOUND_OTHERS = 1.0, 0.5
SIZE = 368
OPENPOSE = skeleton.get("openpose18")
KERAS = "Keras"


def main() -> int:
    """Times all formats; returns 0 when the bound is reached."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.formats", description=__doc__)
    parser.add_argument("--model", default="lightweight", help="network (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=15, help="pictures for each (default: %(default)s)")
    options = parser.parse_args()
    keras.utils.set_random_seed(0)
    network = networks.build(options.model, OPENPOSE)
    picture = np.random.default_rng(0).uniform(0, 255, (1, SIZE, SIZE, 3)).astype(np.float32)
    asks: dict[str, Callable[[], object]] = {KERAS: lambda: network.predict_on_batch(picture)}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        network.save(folder / "model.keras")
        sizes = {KERAS: (folder / "model.keras").stat().st_size}
        source = Source(network, "rgb", OPENPOSE.name, networks.get(options.model).stride, SIZE, [picture])
        for format in FORMATS.values():
            asks[format.title], sizes[format.title] = written(format.write, source, folder / format.file, picture)
        speeds = take_turns(asks, options.rounds)
    print(f"  {'format':<16}{'MB':>8}{'images/s':>10}{'against Keras':>15}")
    for title, speed in speeds.items():
        print(f"  {title:<16}{sizes[title] / 1e6:8.2f}{speed:10.2f}{speed / speeds[KERAS]:15.2f}")
    figure = speeds[FORMATS["graph"].title] / speeds[KERAS]
    exact = [format.title for format in FORMATS.values() if format.largest <= 1e-4]
    slow = [title for title in exact if speeds[title] < BOUND_OTHERS * speeds[KERAS]]
    large = [title for title, size in sizes.items() if size > sizes[KERAS]]
    for what, titles in (("too slow", slow), ("larger than Keras's", large)):
        if titles:
            print(f"{what}: {', '.join(titles)}")
    print(f"{NAME}: {figure:.2f} (bound {BOUND:.2f})")
    return 0 if figure >= BOUND and not slow and not large else 1


def written(
    write: Callable[[Source, Path], None], source: Source, path: Path, picture: np.ndarray
) -> tuple[Callable[[], object], int]:
    """Writes a format; returns a function that runs it on the picture, and the bytes of its file."""
    write(source, path)
    model = model_files.load(path, OPENPOSE)
    size = sum(storage.sizes(path).values()) if path.is_dir() else path.stat().st_size
    return lambda: model.maps(picture), size


def take_turns(asks: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Images per second of each, from its median time."""
    seconds: dict[str, list[float]] = {title: [] for title in asks}
    for ask in asks.values():  # traces
        ask()
    for _ in range(rounds):
        for title, ask in asks.items():
            start = time.perf_counter()
            ask()
            seconds[title].append(time.perf_counter() - start)
    return {title: 1 / statistics.median(times) for title, times in seconds.items()}


if __name__ == "__main__":
    sys.exit(main())
