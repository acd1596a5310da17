"""The model card: what a network takes and gives, where it comes from, and how good it is, for people and programs."""

import platform
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from components.export.compare import JPEG, Figures
from components.export.examples import example
from openpose import storage
from openpose.skeleton import Skeleton
from openpose.training.manifest import RunManifest

COCO_LICENCE = (
    "COCO's annotations are under CC BY 4.0 (COCO Consortium). Its pictures are their authors' and have licences of "
    "their own, some of which exclude commercial use; no picture is in these files. If the data were COCO, or the "
    "first weights came from a network that was trained on it, say so when you pass this model on, and judge for "
    "yourself what that means for your use. Another data set has its own terms."
)


def describe(
    trained: RunManifest,
    judged: dict[str, Any],
    split: dict[str, Any],
    measured: dict[str, Figures],
    skeleton: Skeleton,
    pixels: str,
    stride: int,
    images: int,
) -> dict[str, Any]:
    """The card for programs, `model_card.json`.

    Args:
        trained: manifest of the run.
        judged: manifest of its evaluation.
        split: manifest of the validation split's records.
        measured: figures of Keras, and of each format in its order.
        skeleton: of the maps.
        pixels: the order of the channels that the files take.
        stride: input pixels per cell.
        images: of the validation split, on which the formats were compared.
    """
    parameters = trained.inputs.parameters
    about = storage.path(trained.folder) / "run.json"
    run = storage.read_json(about) if storage.size(about) is not None else {}
    heatmaps = skeleton.num_heatmaps
    return {
        "network": parameters.model,
        "input": {
            "shape": ["N", "H", "W", 3],
            "values": [0, 255],
            "pixels": pixels,
            "height and width": f"any multiples of {stride}; it was trained at {parameters.size}",
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
        "skeleton": skeleton.name,
        "stride": stride,
        "data": {
            "train_records": trained.inputs.records[0],
            "valid_records": trained.inputs.records[1],
            "valid_counts": split["counts"],
            "licence": COCO_LICENCE,
        },
        "parameters": parameters.as_dict(),
        "losses": trained.losses,
        "figures": judged["figures"],
        "formats": {name: figures.as_dict() for name, figures in measured.items()},
        "compared_on": images,
        "provenance": {
            "git": run.get("git"),
            "command": run.get("command"),
            "run": trained.fingerprint,
            "evaluation": judged["fingerprint"],
            "revision": trained.inputs.revision,
            "versions": {"tensorflow": tf.__version__, "keras": keras.__version__, **run.get("versions", {})},
        },
        "measured_on": f"{platform.machine()}, {platform.system()}, the threads that each runtime takes by itself",
    }


def markdown(card: dict[str, Any]) -> str:
    """The card for people, `model_card.md`."""
    takes, gives, data, provenance = card["input"], card["output"], card["data"], card["provenance"]
    parts = gives["heatmap"]["parts"]
    limbs = ", ".join(f"{first}–{second}" for first, second in gives["vectmap"]["limbs"])
    order = takes["pixels"].upper()
    sections = [
        f"# OpenPose, network `{card['network']}`",
        "Finds the parts of people in a picture (heatmap) and what connects them (vectmap, part affinity fields).",
        "## What it takes and gives",
        f"Takes float32 [{_sides(takes['shape'])}], **{order}**, {takes['values'][0]}–{takes['values'][1]}: "
        f"{takes['height and width']}. Gives float32 [{_sides(gives['shape'])}]; a cell is {card['stride']} pixels, "
        f"and cell g stands for pixel {card['stride']}·g + {card['stride'] / 2 - 0.5:g}.",
        _table(
            ("channels", "what"),
            [
                (_range(gives["heatmap"]["channels"]), f"heatmap: {', '.join(parts)}"),
                (_range(gives["vectmap"]["channels"]), f"vectmap, {gives['vectmap']['order']}: {limbs}"),
            ],
        ),
        "## Files",
        f"Each was loaded again in its own runtime and compared with the Keras model on {card['compared_on']} "
        f"validation pictures at height {card['parameters']['size']}. Differences are in proportion to the largest "
        "value of the Keras model's maps, or to 1 if that is less. The signature for JPEG turns no picture by its "
        f"EXIF; do that before. Speeds are from {card['measured_on']}.",
        _formats(card["formats"]),
        "## Examples",
        *_examples(card),
        "## How good it is",
        _table(("figure", "value"), [(name, _number(value)) for name, value in card["figures"].items()]),
        _table(("loss", "value"), [(name, _number(value)) for name, value in card["losses"].items()]),
        "## Data",
        f"Training records `{data['train_records']}`, validation records `{data['valid_records']}`: "
        + ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in data["valid_counts"].items())
        + ".",
        data["licence"],
        "## How it was made",
        _table(("parameter", "value"), [(name, f"`{value}`") for name, value in card["parameters"].items()]),
        f"Git revision `{provenance['git'] or 'unknown'}`, run `{provenance['run']}`, "
        + ", ".join(f"{name} {version}" for name, version in provenance["versions"].items())
        + ".",
    ]
    if provenance["command"]:
        sections.append(f"    {provenance['command']}")
    return "\n\n".join(sections) + "\n"


def _examples(card: dict[str, Any]) -> list[str]:
    """A title and a program for each format."""
    heatmaps = card["output"]["heatmap"]["channels"][1]
    sections = []
    for name, figures in card["formats"].items():
        if name != "keras":
            program = example(
                name, figures["file"], card["input"]["pixels"], card["parameters"]["size"], card["stride"], heatmaps
            )
            sections += [f"### {figures['title']}", f"```python\n{program}```"]
    return sections


def _formats(formats: dict[str, dict[str, Any]]) -> str:
    rows = [
        (
            figures["title"],
            f"`{figures['file']}`",
            f"{figures['bytes'] / 1e6:.2f} MB",
            f"{figures['largest']:.1e}",
            f"{figures['mean']:.1e}",
            _number(figures["ap"]),
            f"{figures['images_per_second']:.1f}",
        )
        for figures in formats.values()
    ]
    names = ("format", "file", "size", "largest difference", "mean difference", "COCO AP", "images/s")
    sums = [
        f"    {digest}  {file}"
        for name, figures in formats.items()
        if name != JPEG
        for file, digest in figures["sha256"].items()
    ]
    return "\n".join([_table(names, rows), "", "SHA-256:", "", *sums])


def _table(names: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (names, ["---"] * len(names), *rows))


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3f}"


def _sides(shape: Sequence[object]) -> str:
    return ", ".join(str(side) for side in shape)


def _range(channels: Sequence[int]) -> str:
    return f"{channels[0]}–{channels[1] - 1}"
