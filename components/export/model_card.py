"""The model card: inputs, outputs, origin and quality of an exported network, for people and for programs."""

import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import keras
import tensorflow as tf

from components.export.compare import Figures
from components.export.examples import example
from openpose import storage
from openpose.evaluation.manifest import EvaluationManifest
from openpose.records.manifest import RecordsManifest
from openpose.records.picture import counted
from openpose.skeleton import Skeleton
from openpose.training.manifest import RunDescription, RunManifest

COCO_LICENCE = (
    "COCO's annotations are under CC BY 4.0 (COCO Consortium). Its pictures belong to their authors and have their own "
    "licences, some of which exclude commercial use; these files contain no picture. If the data was COCO, or the "
    "first weights came from a network trained on it, say so when you pass this model on, and judge for yourself what "
    "that means for your use. Another data set has its own terms."
)

OWN_LICENCE = "The terms of the data, and of the network that the first weights came from, decide how you may use this."


@dataclass(frozen=True)
class Inputs:
    """The manifests that an export is made from.

    Attributes:
        run: of the training.
        evaluation: of the run's evaluation.
        split: of the validation split's records.
        calibration: of the training split's records; None when no format rounds to integers.
    """

    run: RunManifest
    evaluation: EvaluationManifest
    split: RecordsManifest
    calibration: RecordsManifest | None


def describe(
    inputs: Inputs,
    measured: dict[str, Figures],
    skeleton: Skeleton,
    pixels: str,
    stride: int,
    images: int,
    limits: dict[str, Any],
) -> dict[str, Any]:
    """The card for programs, `model_card.json`.

    Args:
        inputs: manifests of the run, its evaluation and its validation split.
        measured: figures of Keras and of each format, in their order.
        skeleton: of the maps.
        pixels: the channel order that the files take.
        stride: input pixels per cell.
        images: number of validation pictures on which the formats were compared.
        limits: and thresholds of the decoder in the files that contain one.
    """
    run, parameters = inputs.run, inputs.run.inputs.parameters.filled()
    return {
        "network": parameters.model,
        **_maps(skeleton, pixels, stride, parameters.predict_height),
        "limits": limits,
        "data": {
            "train_records": run.inputs.records[0],
            "valid_records": run.inputs.records[1],
            "valid_counts": {counted(name, skeleton.category): n for name, n in inputs.split.counts.items()},
            "licence": COCO_LICENCE if skeleton.of_people else OWN_LICENCE,
        },
        "parameters": parameters.as_dict(),
        "losses": run.losses,
        "figures": inputs.evaluation.figures,
        "formats": {name: figures.as_dict() for name, figures in measured.items()},
        "compared_on": images,
        "provenance": _provenance(run, inputs.evaluation),
        "measured_on": f"{platform.machine()}, {platform.system()}, each runtime's default number of threads",
    }


def _maps(skeleton: Skeleton, pixels: str, stride: int, height: int) -> dict[str, Any]:
    heatmaps = skeleton.num_heatmaps
    return {
        "input": {
            "shape": ["N", "H", "W", 3],
            "values": [0, 255],
            "pixels": pixels,
            "height and width": f"any multiples of {stride}; it was trained for pictures of height {height}",
        },
        "output": {
            "shape": ["N", f"H/{stride}", f"W/{stride}", skeleton.num_maps],
            "heatmap": {"channels": [0, heatmaps], "parts": [*skeleton.parts, "background"]},
            "vectmap": {
                "channels": [heatmaps, skeleton.num_maps],
                "limbs": [list(limb) for limb in skeleton.limb_names],
                "order": "x and y of each limb, a unit vector from its first part to its second",
            },
        },
        "skeleton": skeleton.to_document(),
        "category": skeleton.category,
        "stride": stride,
    }


def _provenance(run: RunManifest, evaluation: EvaluationManifest) -> dict[str, Any]:
    path = storage.path(run.folder) / "run.json"
    run_json = storage.read_as(path, RunDescription) if storage.size(path) is not None else None
    return {
        "git": run_json.git if run_json else None,
        "command": run_json.command if run_json else None,
        "run": run.fingerprint,
        "evaluation": evaluation.fingerprint,
        "revision": run.inputs.revision,
        "versions": {"tensorflow": tf.__version__, "keras": keras.__version__}
        | (run_json.versions if run_json else {}),
    }


def markdown(card: dict[str, Any]) -> str:
    """The card for people, `model_card.md`."""
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    environment = jinja2.Environment(loader=loader, undefined=jinja2.StrictUndefined)
    exported = {name: figures for name, figures in card["formats"].items() if name != "keras"}
    return environment.get_template("model_card.md.j2").render(
        card,
        checksums={file: digest for figures in exported.values() for file, digest in figures["sha256"].items()},
        examples=[(figures["title"], _example(name, figures["file"], card)) for name, figures in exported.items()],
        number=lambda value: "undefined" if value is None else f"{value:.3f}",
        range=lambda maps: f"{maps['channels'][0]}–{maps['channels'][1] - 1}",
    )


def _example(name: str, file: str, card: dict[str, Any]) -> str:
    heatmaps = card["output"]["heatmap"]["channels"][1]
    return example(name, file, card["input"]["pixels"], card["parameters"]["predict_height"], card["stride"], heatmaps)
