"""How exact a network for other keypoints is that the pipeline trains with its own defaults, from random weights.

`python -m benchmarks.animals DATA…` takes folders of data as `make run` does, one after the other, and gives no
parameter. Two sets have bounds, by the names of their folders: `mouse`, DeepLabCut's example of one mouse (93 pictures
to train on), and `flies`, SLEAP's test film of two flies (208). Their published figures are of other splits, and of
networks with ImageNet's weights that were trained on a GPU. The defaults were chosen on a fifth of the training
pictures that was held out; only the upright samples of the last epochs were tried, with one value, on the validation
pictures. CPU time is bounded, as other programs may share the cores: 50 minutes are 25 on two idle ones.

`--model` measures another network. Its steps may take ten times as long, so `--epochs` and `--passes` can shorten its
training to the time of the default's.
"""

import argparse
import os
import sys
import time
from pathlib import Path

from components.coco_download.coco_download import coco_download
from components.coco_download.parameters import DataParameters
from components.evaluate.evaluate import evaluate
from components.tfrecord_targets.tfrecord_targets import tfrecord_targets
from components.train.train import train
from openpose import networks
from openpose.evaluation.manifest import EvaluationManifest
from openpose.training.parameters import AUTO, AUTO_WORD, TrainParameters

SHOWN = ("rmse", "median_error", "p90_error", "pck_5", "pck_10", "found", "AP", "AR50")
#: Least or largest values; AR50 is 1 when every animal is found with an OKS of at least 0.5.
AT_MOST = {"mouse": {"rmse": 4.0, "median_error": 2.5}, "flies": {"median_error": 2.0}}
AT_LEAST = {"mouse": {"found": 0.97}, "flies": {"AP": 0.80, "AR50": 1.0}}
PUBLISHED = {
    "mouse": "test RMSE 2.0 px (DeepLabCut 3, ResNet-50), 2.8 px (its TensorFlow), about 3 px (2018)",
    "flies": "none; the labels are those of SLEAP's own network",
}
CPU_MINUTES = 50.0


def main() -> int:
    """Trains on each set and prints its figures; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.animals", description=__doc__)
    parser.add_argument("data", nargs="*", type=Path, help="folders of data")
    parser.add_argument("--model", choices=networks.NAMES, help="default: as the data decide")
    parser.add_argument("--epochs", type=int, default=AUTO, help="of the training; default: as the data decide")
    parser.add_argument("--passes", type=int, default=AUTO, help="over the data in an epoch")
    parser.add_argument("--out", type=Path, default=Path("build/animals"), help="folder for records and trainings")
    options = parser.parse_args()
    if not options.data:
        print("animals: skipped: it takes half an hour for each set; give their folders")
    chosen = TrainParameters(model=options.model or AUTO_WORD, epochs=options.epochs, passes=options.passes)
    missed = []
    for source in options.data:
        missed += trained(source, options.out / source.name, chosen)
    for miss in missed:
        print(f"animals: {miss}")
    return 1 if missed else 0


def trained(source: Path, root: Path, parameters: TrainParameters) -> list[str]:
    """Trains on a set and prints its figures; returns what missed its bound, in words."""
    data = coco_download(str(source.absolute()), str(root), DataParameters())
    records = {split: tfrecord_targets(str(root), split, data=str(data.path)) for split in ("train", "val")}
    paths = {split: str(manifest.path) for split, manifest in records.items() if manifest is not None}
    began, before = time.monotonic(), os.times()
    run = train(str(root), train_records=paths["train"], valid_records=paths["val"], parameters=parameters)
    minutes, after = (time.monotonic() - began) / 60, os.times()
    cpu = (after.user + after.system - before.user - before.system) / 60
    assert run is not None
    made = evaluate(str(root), paths["val"], run=str(run.path))
    print(
        f"{source.name}: {run.inputs.parameters.model}, {run.history[-1]['step']:.0f} steps: {_row(made)}  "
        f"minutes {minutes:.1f} (CPU {cpu:.1f})  images/s {made.images_per_second:.1f}"
    )
    print(f"{source.name}: published: {PUBLISHED.get(source.name, 'not known here')}", flush=True)
    return _misses(source.name, made.figures, cpu)


def _row(made: EvaluationManifest) -> str:
    values = {name: made.figures[name] for name in SHOWN}
    return "  ".join(f"{name} {'–' if value is None else f'{value:.3f}'}" for name, value in values.items())


def _misses(name: str, figures: dict[str, float | None], cpu: float) -> list[str]:
    misses = []
    for bounds, sign, word in ((AT_MOST, 1, "most"), (AT_LEAST, -1, "least")):
        for figure, bound in bounds.get(name, {}).items():
            value = figures[figure]
            if value is None or sign * value > sign * bound:
                misses.append(f"{name}: {figure} is {value}; it must be at {word} {bound:g}")
    if name in AT_MOST and cpu > CPU_MINUTES:
        misses.append(f"{name}: the training took {cpu:.1f} CPU minutes; it may take {CPU_MINUTES:g}")
    return misses


if __name__ == "__main__":
    sys.exit(main())
