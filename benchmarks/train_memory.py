"""Memory of a training: of its input at 368×368 and batch 32, and whether it grows during a long run.

`python -m benchmarks.train_memory` trains a small network for 2 000 steps on a drawn sample, with a checkpoint and a
validation every 200; the reference is the memory of the same process after 400 steps. It also takes 60 batches of 32
pictures at 368×368 in a process whose model has already trained on such a batch; the bound is on the memory they add.
It takes some minutes; the pictures are those of `benchmarks/input.py`.
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

import tensorflow as tf

from benchmarks import input as input_benchmark
from benchmarks import train_step
from benchmarks.index_memory import peak_mb
from openpose import skeleton
from openpose.errors import InputError
from openpose.records.manifest import RecordsManifest
from openpose.training import loop
from openpose.training.parameters import RunParameters, TrainParameters
from openpose.training.step import Trainer

BOUND_GROWTH, BOUND_MB = 1.05, 1500
STEPS, EVERY, SETTLED = 2_000, 200, 400
BATCH, BATCHES = 32, 60
OPENPOSE = skeleton.get("openpose18")
SMALL: dict[str, Any] = {"model": "mobilenet_thin", "width": 0.2, "stages": 1}


def main() -> int:
    """Prints both figures; returns the exit code."""
    try:
        with tempfile.TemporaryDirectory(prefix="train-memory-") as folder:
            manifest = input_benchmark.make_records(Path(folder))
            megabytes = input_mb(manifest)
            growth = growth_over_steps(manifest, Path(folder) / "run")
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"the input of batch {BATCH} adds {megabytes:.0f} MB (bound {BOUND_MB} MB)")
    print(f"train_memory: {growth:.3f} (bound {BOUND_GROWTH:.3f}), {megabytes:.0f} (bound {BOUND_MB})")
    return 0 if growth <= BOUND_GROWTH and megabytes <= BOUND_MB else 1


def input_mb(manifest: RecordsManifest) -> float:
    """MB that the input adds to the peak memory of a process that has trained a step."""
    trainer = Trainer(TrainParameters(**SMALL, batch_size=BATCH), OPENPOSE, 100, tf.distribute.get_strategy())
    one = train_step.any_batch()
    batch = {name: tf.concat([value] * (BATCH // train_step.BATCH), 0) for name, value in one.items()}
    trainer.train_step(batch)
    before = peak_mb()
    samples = trainer.training_batches(manifest, first_step=0)
    for _ in range(BATCHES):
        trainer.train_step(next(samples))
    return peak_mb() - before


def growth_over_steps(manifest: RecordsManifest, folder: Path) -> float:
    """Memory after all steps, relative to that after the first ones."""
    per_epoch = manifest.counts["samples"] // 4
    parameters = TrainParameters(**SMALL, size=64, batch_size=4, epochs=-(-STEPS // per_epoch))
    used = []

    def saved() -> None:
        used.append(resident_mb())

    run = RunParameters(save_steps=EVERY, log_steps=EVERY)
    loop.train(manifest, manifest, folder, parameters, OPENPOSE, run=run, saved=saved)
    print("MB at each checkpoint:", " ".join(f"{megabytes:.0f}" for megabytes in used))
    settled = used[len(used) * SETTLED // STEPS]
    return used[-1] / settled


def resident_mb() -> float:
    """MB that this process uses now."""
    status = Path("/proc/self/status").read_text().splitlines()
    return next(float(line.split()[1]) for line in status if line.startswith("VmRSS")) / 1e3


if __name__ == "__main__":
    sys.exit(main())
