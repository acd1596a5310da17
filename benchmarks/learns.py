"""COCO AP of the sample's validation split after the whole pipeline, from scratch, for several seeds, and time to AP.

The reference is the oracle in the same run: the true maps of the same pictures at the same size, decoded and scored by
the same code. A perfect network would reach it. Time to AP counts from the start of the command, with an empty folder,
to the end of each epoch, whose AP is that of the first `ap_images` validation pictures.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import _pictures, oracle
from openpose import storage
from openpose.codec.decode import decode
from pipelines import local

BOUND = 0.6


def main() -> int:
    """Runs the whole pipeline for each seed; returns 0 when all of them reach the bound."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.learns", description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="default: 0 1 2")
    seeds = parser.parse_args().seeds
    rows = []
    with tempfile.TemporaryDirectory(prefix="learns-") as temporary:
        for seed in seeds:
            start = time.time()
            out = Path(temporary) / str(seed)
            code = local.main(["--out", str(out), "--seed", str(seed)])
            if code:
                return code
            rows.append((seed, storage.read_json(out / "summary.json"), time.time() - start))
            reference(seed, out)
            epochs = "  ".join(f"{ap:.3f} ({seconds:.0f} s)" for seconds, ap in times_to_ap(out, start))
            print(f"seed {seed}: AP after each epoch: {epochs}", flush=True)
    print(f"{'seed':>4} {'AP':>7} {'AP50':>7} {'valid_loss':>11} {'train':>8} {'whole run':>10}")
    for seed, summary, seconds in rows:
        figures, steps = summary["figures"], summary["steps"]
        print(
            f"{seed:>4} {figures['AP']:>7.3f} {figures['AP50']:>7.3f} {summary['valid_loss']:>11.2f} "
            f"{steps['train']['seconds']:>6.0f} s {seconds:>8.0f} s"
        )
    worst = min(summary["ap"] for _, summary, _ in rows)
    print(f"learns: {worst:.3f} (bound {BOUND:.3f})")
    return 0 if worst >= BOUND else 1


def times_to_ap(out: Path, start: float) -> list[tuple[float, float]]:
    """For each epoch of a run, the seconds from `start` to its last training step, and its AP."""
    run = next((out / "runs").glob("*/manifest.json")).parent
    lines = map(json.loads, (run / "logs" / "steps.jsonl").read_text().splitlines())
    ends = {line["step"]: line["time"] for line in lines}
    history = map(json.loads, (run / "history.jsonl").read_text().splitlines())
    return [(ends[epoch["step"]] - start, epoch["valid_ap"]) for epoch in history]


def reference(seed: int, out: Path) -> None:
    """Prints the oracle's figures for the validation split of a run."""
    path = oracle.unpacked(out / "sample")
    pictures = _pictures.read(path, oracle.OPENPOSE)
    height = local.SAMPLE["predict_height"]
    scenes = [oracle.encode(picture, height=height) for picture in pictures]
    found = [decode(scene.heatmap, scene.vectmap, oracle.OPENPOSE, oracle.PARAMETERS) for scene in scenes]
    oracle.print_row(f"seed {seed}: reference (true maps, {height} high)", path, scenes, found)


if __name__ == "__main__":
    sys.exit(main())
