"""COCO AP of the sample's validation split after the whole pipeline, from scratch, for several seeds.

The reference is the oracle in the same run: the true maps of the same pictures at the same size, decoded and scored by
the same code. A perfect network would reach it.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import _pictures, oracle
from openpose import storage
from openpose.codec.decode import decode
from pipelines import local

BOUND = 0.4


def main() -> int:
    """Runs the whole pipeline for each seed; returns 0 when all of them reach the bound."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.learns", description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="default: 0 1 2")
    seeds = parser.parse_args().seeds
    rows = []
    with tempfile.TemporaryDirectory(prefix="learns-") as temporary:
        for seed in seeds:
            start = time.monotonic()
            out = Path(temporary) / str(seed)
            code = local.main(["--out", str(out), "--seed", str(seed)])
            if code:
                return code
            rows.append((seed, storage.read_json(out / "summary.json"), time.monotonic() - start))
            reference(seed, out)
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


def reference(seed: int, out: Path) -> None:
    """Prints the oracle's figures for the validation split of a run."""
    path = next((out / "data").glob("*/person_keypoints_val2017.json"))
    pictures = _pictures.read(path, oracle.OPENPOSE)
    scenes = [oracle.encode(picture, height=local.SAMPLE["size"]) for picture in pictures]
    found = [decode(scene.heatmap, scene.vectmap, oracle.OPENPOSE, oracle.PARAMETERS) for scene in scenes]
    oracle.print_row(f"seed {seed}: reference (true maps, {local.SAMPLE['size']} high)", path, scenes, found)


if __name__ == "__main__":
    sys.exit(main())
