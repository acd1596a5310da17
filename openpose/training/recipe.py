"""Values of the parameters that are left to the data: COCO's recipe for people, and rules for any other keypoints.

The rules were made on training pictures alone: a fifth of them was held out to compare settings. `UPRIGHT` was tried
once, with one value, on the two validation splits of `benchmarks.animals`.
"""

import math
from collections.abc import Mapping
from typing import Any

from openpose import networks
from openpose.input.parameters import AugmentParameters
from openpose.records.manifest import Extents, RecordsManifest

_USUAL = AugmentParameters()

#: Every parameter that may be left to the data, with its value for people. The rest follows from the network.
PEOPLE: dict[str, Any] = {
    "model": "mobilenet_thin",
    "size": 368,
    "batch_size": 16,
    "epochs": 30,
    "passes": 1,
    "learning_rate": "0.001",
    "decay": "exponential",
    "min_scale": _USUAL.min_scale,
    "max_scale": _USUAL.max_scale,
    "max_rotation": _USUAL.max_rotation,
    "background": _USUAL.anywhere,
    "mirror": "yes",
    "upright_epochs": 0,
}
NAMES = (*PEOPLE, "predict_height", "sigma")

NETWORK = "unet"
CELLS = 30  # of the maps, that the longer side of a usual animal spans in prediction
INPUT = (48, 64)  # cells of the training's input: least and most
ROUND = 8  # cells, of which the input is a multiple
ENLARGED = 512  # pixels of height to which small pictures are enlarged, by no more than a factor of 2
LOWEST, HIGHEST = 256, 1536  # pixels of a picture in prediction; smaller ones are not enlarged to this
NEARLY = 0.1  # pictures whose size would change by less are left as they are
WITHOUT_EXTENT = 256  # pixels of the input, where the animals are single points
BATCH = 8
STEPS = 4500  # about 20 minutes on two cores
EPOCH_STEPS = 250  # at least, before a validation: a few pictures pass several times
LEAST_EPOCHS = 10  # of large data sets, so that every picture is seen that often
RATE = "0.002"
BEYOND = 1.25  # factor on the data's range of sizes
_SCALES = ("min_scale", "max_scale")
BACKGROUND = 0.25  # share of samples at any place of the picture
UPRIGHT = 0.2  # of the epochs, the last ones; as YOLOX (arXiv:2107.08430) ends without its strong augmentation


def of_people(given: Mapping[str, Any]) -> dict[str, Any]:
    """All values for people."""
    chosen = PEOPLE | dict(given)
    return {"predict_height": chosen["size"], "sigma": networks.get(chosen["model"]).sigma} | chosen


def of_others(given: Mapping[str, Any], records: RecordsManifest) -> dict[str, Any]:
    """All values for other keypoints, by their data.

    Args:
        given: the values that are not left to the data, by name.
        records: manifest of the training split's records.
    """
    looks, chosen = records.extents, {"model": NETWORK, "learning_rate": RATE, "decay": "cosine"} | dict(given)
    network = networks.get(chosen["model"])
    chosen = {"sigma": network.sigma, "background": BACKGROUND} | chosen
    if looks is None:
        chosen = {"size": WITHOUT_EXTENT} | chosen
        chosen = {"predict_height": chosen["size"], **{name: PEOPLE[name] for name in _SCALES}} | chosen
    else:
        chosen = {"predict_height": _height(looks, network.stride)} | chosen
        chosen = {"size": _input(looks.largest * chosen["predict_height"], network.stride)} | chosen
        chosen = _scales(looks, chosen["predict_height"] / chosen["size"]) | chosen
    chosen = {"max_rotation": 180.0 if looks and looks.turned else _USUAL.max_rotation} | chosen
    chosen = _length(records.counts["samples"], chosen) | chosen
    return {"upright_epochs": round(UPRIGHT * chosen["epochs"])} | chosen


def _height(looks: Extents, stride: int) -> int:
    """Height of the pictures in prediction: a usual animal spans `CELLS` cells, but not by inventing pixels."""
    height = CELLS * stride / math.sqrt(looks.smallest * looks.largest)
    own = looks.height or HIGHEST  # of the pictures
    height = min(max(height, min(own, LOWEST)), max(own, min(2 * own, ENLARGED)), HIGHEST)
    return own if abs(height / own - 1) < NEARLY else round(height)


def _input(largest: float, stride: int) -> int:
    """Side of the training's input, pixels: the largest animals fit in."""
    unit = ROUND * stride
    least, most = (cells * stride for cells in INPUT)
    return min(most, max(least, math.ceil(BEYOND * largest / unit) * unit))


def _scales(looks: Extents, heights: float) -> dict[str, float]:
    """The range from the data's smallest to its largest size in prediction, and a quarter beyond.

    Args:
        looks: of the data.
        heights: of the pictures in prediction / of the input.
    """
    factor = heights / _USUAL.target_height
    return {
        "min_scale": max(0.01, round(looks.smallest / BEYOND * factor, 3)),
        "max_scale": round(looks.largest * BEYOND * factor, 3),
    }


def _length(samples: int, chosen: Mapping[str, Any]) -> dict[str, int]:
    """Batch and epochs: `STEPS` steps, but no fewer than `LEAST_EPOCHS` passes; given epochs are single passes."""
    batch = chosen.get("batch_size", max(1, min(BATCH, samples)))
    steps = max(1, samples // batch)
    passes = chosen.get("passes", 1 if "epochs" in chosen else max(1, round(EPOCH_STEPS / steps)))
    epochs = max(math.ceil(STEPS / (steps * passes)), math.ceil(LEAST_EPOCHS / passes))
    return {"batch_size": batch, "passes": passes, "epochs": epochs}


def words(chosen: Mapping[str, Any], records: RecordsManifest) -> str:
    """The values that the data decide or could have decided, in lines for people.

    Args:
        chosen: all parameters of the training, by name.
        records: manifest of the training split's records.
    """
    category, per_pass = records.skeleton.category, records.counts["samples"] // chosen["batch_size"]
    low, high = (100 * _USUAL.target_height * chosen[name] for name in _SCALES)
    scale = f"scale {chosen['min_scale']:g}–{chosen['max_scale']:g}"
    above = ", as they lie in all directions" if records.extents and records.extents.turned else ""
    lines = (
        f"network for {category}: {chosen['model']}, input of {chosen['size']} pixels, sigma {chosen['sigma']:g}; "
        f"whole pictures at height {chosen['predict_height']}",
        f"training for {category}: {chosen['epochs']} epochs of {_passes(chosen['passes'])}, "
        f"{chosen['epochs'] * chosen['passes'] * per_pass:,} steps of {chosen['batch_size']}, learning rate "
        f"{chosen['learning_rate']} ({chosen['decay']})",
        f"augmentation for {category}: {low:.0f}–{high:.0f} % of the input's height ({scale}), "
        f"±{chosen['max_rotation']:g}°{above}, {'half mirrored' if chosen['mirror'] == 'yes' else 'not mirrored'}, "
        f"{100 * chosen['background']:.0f} % of the samples at any place; "
        f"the last {chosen['upright_epochs']} epochs neither rotate nor mirror",
    )
    return "\n".join(lines)


def _passes(count: int) -> str:
    return f"{count} passes" if count > 1 else "1 pass"
