"""How fast each network is in each exported format, as the table of docs/speed.md.

`python -m benchmarks.speed` exports every network, with random weights, and measures each format at 368×368, one
picture at a time, on one and on two cores: milliseconds of the network, and of the whole way from a picture to the
people in it (resize, network, and the decoder on the true maps of a drawn picture); the memory of a process that does
this; and the file's size. `--write` puts the table into docs/speed.md. The reference is plain Keras in the same run;
there is no bound.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from openpose import networks, skeleton, storage
from openpose.model_files.formats import FORMATS

PAGE = Path(__file__).resolve().parent.parent / "docs" / "speed.md"
BEGIN = "<!-- from here to the end: python -m benchmarks.speed --write -->\n"
SIZE, CORES = 368, (1, 2)
LONG = 5.0  # seconds
OPENPOSE = skeleton.get("openpose18")
KERAS = "model.keras"
HEAD = """| network | format | MB | network, 1 core | 2 cores | people, 1 core | 2 cores | memory/MB |
|---|---|---|---|---|---|---|---|
"""


def main() -> int:
    """Prints the table; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed", description=__doc__)
    parser.add_argument("--models", nargs="+", choices=networks.NAMES, default=networks.NAMES, help="default: all")
    parser.add_argument("--rounds", type=int, default=10, help="pictures for each measurement (default: %(default)s)")
    parser.add_argument("--write", action="store_true", help="put the table into docs/speed.md")
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)  # measures one file in this process
    parser.add_argument("--export", help=argparse.SUPPRESS)  # exports one network into --file in this process
    options = parser.parse_args()
    if options.export:
        export(options.export, options.file)
    elif options.file:
        print(json.dumps(measure(options.file, options.rounds)))
    else:
        table = "".join(rows(model, options.rounds) for model in options.models)
        if options.write:
            page = PAGE.read_text()
            PAGE.write_text(page[: page.index(BEGIN)] + BEGIN + f"\n{about()}\n\n{HEAD}{table}")
        print("speed: written" if options.write else "speed: done")
    return 0


def about() -> str:
    """What the figures were measured on."""
    names = [line.partition(": ")[2] for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line]
    return f"Measured on {os.cpu_count()} cores of {next(iter(names), platform.machine())}. Times are milliseconds."


def rows(model: str, rounds: int) -> str:
    """Exports a network and measures each of its files, each in a process of its own; prints and returns the rows."""
    made = ""
    with tempfile.TemporaryDirectory() as folder:
        run(["--export", model, "--file", folder], CORES[-1])
        files = {"Keras": KERAS} | {format.title: format.file for format in FORMATS.values()}
        for title, file in files.items():
            path = Path(folder) / file
            size = sum(storage.sizes(path).values()) if path.is_dir() else path.stat().st_size
            found = {n: json.loads(run(["--file", str(path), "--rounds", str(rounds)], n)) for n in CORES}
            cells = [f"{found[n][what]:.0f}" for what in ("network", "people") for n in CORES]
            made += f"| `{model}` | {title} | {size / 1e6:.1f} | {' | '.join(cells)} | {found[1]['memory']:.0f} |\n"
    print(made, end="", flush=True)
    return made


def run(flags: list[str], cores: int) -> str:
    """Runs this module in a process that sees only so many cores; returns the last line that it prints."""
    allowed = sorted(os.sched_getaffinity(0))[:cores]
    command = [sys.executable, "-m", "benchmarks.speed", *flags]
    done = subprocess.run(
        command,
        preexec_fn=lambda: os.sched_setaffinity(0, allowed),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=True,
    )
    return done.stdout.rstrip().rpartition("\n")[2]


def export(model: str, folder: Path) -> None:
    """Writes a network with random weights in each format."""
    from openpose.model_files import keras_file
    from openpose.model_files.inference import Source

    network = networks.build(model, OPENPOSE)
    keras_file.write(network, folder / KERAS, OPENPOSE.name, SIZE)
    pictures = [np.random.default_rng(0).uniform(0, 255, (1, SIZE, SIZE, 3)).astype(np.float32)]
    source = Source(network, "rgb", OPENPOSE.name, networks.get(model).stride, SIZE, pictures)
    for format in FORMATS.values():
        format.write(source, folder / format.file)


def measure(path: Path, rounds: int) -> dict[str, float]:
    """Milliseconds of the network and from picture to people, and this process's memory in MB."""
    from openpose import model_files
    from openpose.drawn_people import dataset
    from openpose.drawn_people.scene import Sample
    from openpose.predict.predictor import Predictor

    predictor = Predictor(model_files.load(path), SIZE)
    image, annotations = dataset.draw(Sample(), "val2017", 0)
    image = np.asarray(image)
    views = predictor.views(image)
    network = median(lambda: predictor.maps_of([views]), rounds)
    maps = true_maps(annotations, image.shape[0], predictor)
    decoder = median(lambda: predictor.people_in(maps), rounds)
    resize = median(lambda: predictor.views(image), rounds)
    status = Path("/proc/self/status").read_text().splitlines()
    memory = next(float(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1e3
    return {"network": network, "people": resize + network + decoder, "memory": memory}


def median(call: Callable[[], Any], rounds: int) -> float:
    """Median milliseconds of a call, after one that traces; of fewer rounds when they take longer than `LONG`."""
    call()
    seconds: list[float] = []
    while len(seconds) < rounds and sum(seconds) < LONG:
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return 1e3 * statistics.median(seconds)


def true_maps(annotations: list[dict[str, Any]], height: int, predictor: Any) -> Any:
    """The maps that a perfect network would give for a drawn picture."""
    from openpose.codec.encode import encode
    from openpose.codec.parameters import TargetParameters
    from openpose.predict.predictor import Maps

    rows = np.array([each["keypoints"] for each in annotations], np.float32).reshape(len(annotations), -1, 3)
    keypoints, labelled = OPENPOSE.part_keypoints(rows[..., :2], rows[..., 2])
    stride = predictor.model.stride
    scale, cells = SIZE / height, SIZE // stride
    parameters = TargetParameters(stride=stride)
    heatmap, vectmap = encode((keypoints + 0.5) * scale - 0.5, labelled, (cells, cells), OPENPOSE, parameters)
    return Maps(heatmap.numpy(), vectmap.numpy(), stride, (scale, scale))


if __name__ == "__main__":
    sys.exit(main())
