"""How fast each network is in each exported format: the table of docs/speed.md.

`python -m benchmarks.speed` exports every network with random weights, and runs each file in a process of its own on
one core and on two, one picture of 368×368 at a time. It prints milliseconds for the maps and for people (maps
that NumPy decodes; in files that return people: all in one), the memory of the process beyond one that has only
imported the runtimes, and the size of the file. `--write docs/speed.md` writes the page; it takes 40 minutes. With
`--networks` it replaces only their tables. The reference is the frozen graph of the same network on the same cores; the
figure is the worst ratio of a float32 file to it.
"""

import argparse
import multiprocessing
import os
import platform
import re
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

NAME = "speed"
BOUND = 3.0  # times the frozen graph's time
SIDE = 368
ROUNDS, LEAST, SECONDS = 10, 3, 4.0  # timed calls of a file: at most, at least, and how long they may take
RUNTIMES = ["tensorflow", "onnxruntime", "ai_edge_litert.interpreter", "openpose.predict.predictor"]
FLOAT32 = ("graph", "saved_model", "onnx", "tflite")
HEAD = (
    "| format | MB | 1 core: maps | people | 2 cores: maps | people | memory |\n|---|---:|---:|---:|---:|---:|---:|\n"
)
PAGE = """\
# Speed

Milliseconds for one picture of {side}×{side}, for the maps, and for people from pixels. Where a file returns people by
itself, the time is that of the file; elsewhere the maps are decoded with NumPy. Measured on one core and on two of a
virtual machine ({machine}), whose speed varies by a third.

{contents}

Weights and picture are random, so there is hardly anybody to put together: for a picture with people add 1 to 2 ms, and
[prediction.md](prediction.md) has the times on real pictures. `memory` is what the process needs beyond its runtimes,
in MB. Networks of stride 4 make four times as many cells; [training.md](training.md#networks) says what each is good
for. `python -m benchmarks.speed --write docs/speed.md` makes this page.
{tables}"""


@dataclass(frozen=True)
class Row:
    """What was measured of one file.

    Attributes:
        network: its name.
        format: name of the format.
        megabytes: size of the file.
        maps: milliseconds, by the number of cores; None for a file that returns people.
        people: milliseconds, by the number of cores.
        memory: megabytes beyond the runtime's own.
    """

    network: str
    format: str
    megabytes: float
    maps: dict[int, float | None]
    people: dict[int, float]
    memory: float

    def line(self) -> str:
        """The row of its network's table."""
        cells = [self.format, f"{self.megabytes:.1f}"]
        for cores in self.people:
            maps = self.maps[cores]
            cells += ["–" if maps is None else f"{maps:.0f}", f"{self.people[cores]:.0f}"]
        return f"| {' | '.join([*cells, f'{self.memory:.0f}'])} |\n"


def main() -> int:
    """Prints the table; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed", description=__doc__)
    parser.add_argument("--networks", nargs="*", default=[], help="some of them (default: all)")
    parser.add_argument("--write", type=Path, help="file to write the page to")
    options = parser.parse_args()
    from openpose import networks

    rows = []
    for network in options.networks or networks.NAMES:
        print(f"{network}\n{HEAD}", end="")
        with tempfile.TemporaryDirectory() as folder:
            for name, file in apart(written, network, Path(folder)).items():
                rows.append(row(network, name, file))
                print(rows[-1].line(), end="", flush=True)
        if options.write:
            write(options.write, rows, networks.NAMES)
    worst = slowest(rows)
    print(f"{NAME}: {worst:.2f} (bound {BOUND:.2f})")
    return 0 if worst <= BOUND else 1


def write(page: Path, rows: list[Row], names: Sequence[str]) -> None:
    """Writes the page; tables of networks that were not measured now stay."""
    tables = dict(re.findall(r"^## (\w+)\n\n((?:\|.*\n)+)", page.read_text() if page.exists() else "", re.MULTILINE))
    for name in {row.network for row in rows}:
        tables[name] = HEAD + "".join(row.line() for row in rows if row.network == name)
    there = [name for name in names if name in tables]
    contents = f"**Contents:** {' · '.join(f'[{name}](#{name})' for name in there)}"
    text = PAGE.format(
        side=SIDE,
        machine=machine(),
        contents=textwrap.fill(contents, 120, break_on_hyphens=False),
        tables="".join(f"\n## {name}\n\n{tables[name]}" for name in there),
    )
    page.write_text(text)


def apart(work: Callable[..., Any], *arguments: object) -> Any:
    """What a function returns in a process of its own, which has imported the runtimes and done nothing else yet."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(RUNTIMES)
    with ProcessPoolExecutor(1, context) as process:
        return process.submit(work, *arguments).result()


def written(network: str, folder: Path) -> dict[str, Path]:
    """The network in each format, and in each that returns people, by name."""
    import keras
    import numpy as np

    from openpose import networks, skeleton
    from openpose.model_files.formats import FORMATS
    from openpose.model_files.inference import Source

    keras.utils.set_random_seed(0)
    openpose = skeleton.get("openpose18")
    random = np.random.default_rng(0)
    picture = random.uniform(0, 255, (1, SIDE, SIDE, 3)).astype(np.float32)
    stride = networks.get(network).stride
    model = networks.build(network, openpose)
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D | keras.layers.DepthwiseConv2D):
            # As large as a trained one (He et al., arXiv:1502.01852): small ones give denormal numbers, which are slow.
            shape = layer.kernel.shape
            inputs = np.prod(shape[:2] if isinstance(layer, keras.layers.DepthwiseConv2D) else shape[:3])
            of_maps = layer.output.shape[-1] in (openpose.num_heatmaps, openpose.num_vectmaps)
            size = 1e-6 if of_maps else np.sqrt(2 / inputs)  # so that the maps show nobody
            layer.kernel.assign(random.normal(0, size, shape))
    source = Source(model, "rgb", openpose.name, stride, SIDE, [picture])
    files = {}
    for name, format in FORMATS.items():
        format.write(source, folder / format.file)
        files[name] = folder / format.file
        if format.people:
            format.write_people(source, folder)
            files[f"{name}_people"] = folder / format.people
    return files


def row(network: str, name: str, file: Path) -> Row:
    """Measures a file on one core and on two."""
    from openpose import storage

    size = sum(storage.sizes(file).values()) if file.is_dir() else file.stat().st_size
    found = {cores: apart(measured, name, file, cores) for cores in (1, 2)}
    return Row(
        network,
        name,
        size / 1e6,
        {cores: one["maps"] for cores, one in found.items()},
        {cores: one["people"] or 0.0 for cores, one in found.items()},
        max(one["memory"] or 0.0 for one in found.values()),
    )


def measured(name: str, file: Path, cores: int) -> dict[str, float | None]:
    """Milliseconds of a file in this process, and its memory in megabytes."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    import numpy as np

    from openpose import model_files
    from openpose.model_files.formats import FORMATS
    from openpose.predict.predictor import Predictor

    before = resident()
    image = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3)).astype(np.uint8)
    if name.endswith("_people"):
        find = FORMATS[name.removesuffix("_people")].open_people(file.parent)
        people = milliseconds(lambda: find(image[None]))
        return {"maps": None, "people": people, "memory": resident() - before}
    predictor = Predictor(model_files.load(file), SIDE)
    return {
        "maps": milliseconds(lambda: predictor.maps(image)),
        "people": milliseconds(lambda: predictor.people(image)),
        "memory": resident() - before,
    }


def milliseconds(ask: Callable[[], object]) -> float:
    """The median time of a call, after two that prepare."""
    ask()
    ask()
    times: list[float] = []
    while len(times) < LEAST or (len(times) < ROUNDS and sum(times) < SECONDS):
        start = time.perf_counter()
        ask()
        times.append(time.perf_counter() - start)
    return 1e3 * median(times)


def resident() -> float:
    """Megabytes of memory that this process has."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def machine() -> str:
    """The processor's name."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def slowest(rows: list[Row]) -> float:
    """The largest time of a float32 file relative to the frozen graph of its network, on as many cores."""
    graphs = {
        (each.network, cores): maps for each in rows if each.format == "graph" for cores, maps in each.maps.items()
    }
    return max(
        (maps or 0.0) / (graphs[each.network, cores] or 1.0)
        for each in rows
        if each.format in FLOAT32
        for cores, maps in each.maps.items()
    )


if __name__ == "__main__":
    sys.exit(main())
