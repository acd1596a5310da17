"""Reports: one HTML file each that opens alone, with its pictures and curves inside."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import jinja2
import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter
from PIL import Image

from openpose import draw
from openpose.coco import Picture
from openpose.decode import People
from openpose.predict import Maps
from openpose.score import true_people
from openpose.skeleton import Skeleton

PICTURE_HEIGHT = 300  # pixels of a picture in a report; twelve rows of four stay below 3 MB
PICTURE_MAX_WIDTH = 600
SAMPLES_SHOWN = 12  # of a data set, over all splits
JPEG_QUALITY = 82

_CURVES = {
    "loss": "loss, all stages",
    "loss_lastlayer_heat": "heatmap, last stage",
    "loss_lastlayer_paf": "PAF, last stage",
}

# Readable on a light page and on a dark one.
_TRAINED, _VALIDATED, _AXES = "#3b82f6", "#f97316", "#888888"
_LOGARITHMIC = 5  # largest loss over smallest from which the axis is logarithmic


@dataclass(frozen=True)
class Example:
    """One picture of the validation split with what is true and what was found.

    Attributes:
        name: of its file.
        image: RGB uint8 [H, W, 3].
        truth: the labelled people, in pixels.
        found: the network's people, in pixels.
        maps: the network's maps.
        note: one line below its name.
    """

    name: str
    image: np.ndarray
    truth: People
    found: People
    maps: Maps
    note: str = ""


@dataclass(frozen=True)
class Sample:
    """A picture of a data set with its people.

    Attributes:
        picture: size and people.
        encoded: its file.
    """

    picture: Picture
    encoded: bytes


def data_page(
    title: str,
    splits: Mapping[str, Mapping[str, Any]],
    samples: Mapping[str, Sequence[Sample]],
    skeleton: Skeleton,
) -> str:
    """What a data set holds: counts, labelled keypoints, and pictures with their people.

    Args:
        title: of the page.
        splits: for each split `counts` and `keypoints` by name.
        samples: for each split some pictures.
        skeleton: of the people.
    """
    tables = {
        caption: {name: [f"{split[field][name]:,}" for split in splits.values()] for name in _names_of(splits, field)}
        for caption, field in (("Counts", "counts"), ("Labelled keypoints", "keypoints"))
    }
    chosen = {split: list(samples[split])[: SAMPLES_SHOWN // len(samples)] for split in samples}
    shown = [(split, sample) for split, some in chosen.items() for sample in some]
    gallery = [(f"{split}: {sample.picture.file_name}", _sample_picture(sample, skeleton)) for split, sample in shown]
    return _TEMPLATE.render(title=title, split_names=list(splits), tables=tables, gallery=gallery)


def _names_of(splits: Mapping[str, Mapping[str, Any]], field: str) -> list[str]:
    return list(next(iter(splits.values()))[field])


def _sample_picture(sample: Sample, skeleton: Skeleton) -> str:
    """The picture with its people, as a data URI."""
    with Image.open(io.BytesIO(sample.encoded)) as opened:
        image = np.asarray(opened.convert("RGB"))
    return _picture(draw.skeletons(image, true_people(sample.picture, skeleton), skeleton))


def training_page(title: str, facts: Mapping[str, str], history: Sequence[Mapping[str, float]]) -> str:
    """The curves of a training.

    Args:
        title: of the page.
        facts: parameters and the like, name -> value.
        history: for each epoch its step, losses and valid losses, as the training loop writes it.
    """
    return _TEMPLATE.render(title=title, facts=facts, curves=_curves(history), epochs=_epochs(history))


def evaluation_page(
    title: str,
    verdict: str,
    reason: str,
    facts: Mapping[str, str],
    figures: Mapping[str, float | None],
    history: Sequence[Mapping[str, float]],
    examples: Sequence[Example],
    skeleton: Skeleton,
) -> str:
    """What a model can do: verdict, figures, pictures and the curves of its training.

    Args:
        title: of the page.
        verdict: accepted or rejected.
        reason: for it, one sentence.
        facts: parameters and the like, name -> value.
        figures: AP and losses by their names; None is undefined.
        history: as for `training_page`.
        examples: pictures to show.
        skeleton: of the people and the maps.
    """
    return _TEMPLATE.render(
        title=title,
        verdict=verdict,
        reason=reason,
        facts=facts,
        figures={name: _number(value) for name, value in figures.items()},
        curves=_curves(history),
        epochs=_epochs(history),
        examples=[_panels(example, skeleton) for example in examples],
    )


def _panels(example: Example, skeleton: Skeleton) -> dict[str, object]:
    """An example's four pictures, each with its caption."""
    image, maps = example.image, example.maps
    pictures = {
        "found": draw.skeletons(image, example.found, skeleton),
        "true": draw.skeletons(image, example.truth, skeleton),
        "heatmap: the likeliest part at each point": draw.heatmap(image, maps.heatmap, maps.cell),
        "PAF: colour is the limb's direction": draw.vectmap(image, maps.vectmap, maps.cell),
    }
    panels = [(caption, _picture(picture)) for caption, picture in pictures.items()]
    return {"name": example.name, "note": example.note, "panels": panels}


def _picture(image: np.ndarray) -> str:
    """An image as a data URI, small enough to have many of them in a page."""
    height, width = image.shape[:2]
    scale = min(PICTURE_HEIGHT / height, PICTURE_MAX_WIDTH / width)
    if scale < 1:
        size = max(1, round(width * scale)), max(1, round(height * scale))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    encoded = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1]
    return "data:image/jpeg;base64," + base64.b64encode(encoded.tobytes()).decode()


def _curves(history: Sequence[Mapping[str, float]]) -> str | None:
    """The losses over the steps as an SVG drawing; None when there are none."""
    if not history:
        return None
    # Text stays text, in the page's own font, and ids are the same for the same curves.
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "openpose", "font.family": "sans-serif"}):
        figure = Figure(figsize=(12, 3.6), layout="constrained")
        for axis, (name, caption) in zip(figure.subplots(1, 3), _CURVES.items(), strict=True):
            _draw_curves(axis, name, caption, history)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = buffer.getvalue()
    return svg[svg.index("<svg") :]


def _draw_curves(axis: Axes, name: str, caption: str, history: Sequence[Mapping[str, float]]) -> None:
    steps = [epoch["step"] for epoch in history]
    values = [[epoch[key] for epoch in history] for key in (name, f"valid_{name}")]
    for curve, label, colour in zip(values, ("training", "validation"), (_TRAINED, _VALIDATED), strict=True):
        axis.plot(steps, curve, color=colour, label=label, marker="o", markersize=3)
    lowest, highest = min(map(min, values)), max(map(max, values))
    if 0 < _LOGARITHMIC * lowest < highest:
        axis.set_yscale("log")
        axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.yaxis.set_major_formatter("{x:g}")
        axis.yaxis.set_minor_formatter(NullFormatter())
    axis.set_title(caption, color=_AXES, fontsize=10)
    axis.set_xlabel("step", color=_AXES)
    axis.tick_params(which="both", colors=_AXES, labelsize=8)
    axis.grid(True, color=_AXES, alpha=0.2)
    for spine in axis.spines.values():
        spine.set_color(_AXES)
    axis.legend(labelcolor=_AXES, frameon=False, fontsize=8)


def _epochs(history: Sequence[Mapping[str, float]]) -> dict[str, list[str]]:
    """The history as a table: column -> one value for each epoch."""
    if not history:
        return {}
    columns = {"epoch": [str(number) for number in range(1, len(history) + 1)]}
    columns["step"] = [f"{epoch['step']:.0f}" for epoch in history]
    names = [name for name in history[-1] if name != "step"]
    return columns | {name: [_number(epoch.get(name)) for epoch in history] for name in names}


def _number(value: float | None) -> str:
    if value is None:
        return "undefined"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"


_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }}</title>
<style>
:root { color-scheme: light dark; --line: #8884; --soft: #8882; --text: #1d2430; --page: #fff;
  --good: #15803d; --bad: #b91c1c }
@media (prefers-color-scheme: dark) {
  :root { --text: #dde3ea; --page: #14181e; --good: #4ade80; --bad: #f87171 } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--text); background: var(--page);
  max-width: 1200px; margin: 2rem auto; padding: 0 1.2rem }
h1 { font-size: 1.7rem; margin: 0 0 .6rem } h2 { font-size: 1.2rem; margin: 2.2rem 0 .7rem }
.verdict { border-left: 5px solid; padding: .6rem 1rem; background: var(--soft); border-radius: 0 6px 6px 0 }
.accepted { border-color: var(--good) } .rejected { border-color: var(--bad) }
.accepted b { color: var(--good) } .rejected b { color: var(--bad) }
.figures { display: grid; grid-template-columns: repeat(auto-fill, minmax(9.5rem, 1fr)); gap: .6rem }
.figures div { border: 1px solid var(--line); border-radius: 6px; padding: .45rem .7rem;
  overflow-wrap: anywhere }
.figures span { display: block; font-size: .78rem; opacity: .75 }
.figures b { font-size: 1.25rem; font-weight: 600; font-variant-numeric: tabular-nums }
article { border-top: 1px solid var(--line); padding: .8rem 0 1rem } article p { margin: 0 0 .5rem }
.panels { display: grid; grid-template-columns: repeat(4, 1fr); gap: .6rem }
@media (max-width: 800px) { .panels { grid-template-columns: repeat(2, 1fr) } }
figure { margin: 0 } figure img { width: 100%; border-radius: 4px; display: block }
figcaption { font-size: .8rem; opacity: .75; margin-top: .2rem }
svg { width: 100%; height: auto }
.scroll { overflow-x: auto }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .88rem }
th, td { padding: .25rem .8rem .25rem 0; text-align: left; border-bottom: 1px solid var(--line) }
th { font-weight: 600; white-space: nowrap } td { overflow-wrap: anywhere }
details summary { cursor: pointer; margin: .8rem 0 }
</style>
</head>
<body>
<h1>{{ title }}</h1>
{% if verdict %}
<p class="verdict {{ verdict }}"><b>{{ verdict }}</b>: {{ reason }}</p>
{% endif %}
{% if figures %}
<h2>Figures</h2>
<div class="figures">
{% for name, value in figures.items() %}
<div><span>{{ name }}</span><b>{{ value }}</b></div>
{% endfor %}
</div>
{% endif %}
{% if curves %}
<h2>Losses</h2>
{{ curves | safe }}
<details><summary>Every epoch</summary>
<div class="scroll"><table>
<tr>{% for name in epochs %}<th>{{ name }}</th>{% endfor %}</tr>
{% for row in zip(*epochs.values()) %}
<tr>{% for value in row %}<td>{{ value }}</td>{% endfor %}</tr>
{% endfor %}
</table></div>
</details>
{% endif %}
{% if examples %}
<h2>Validation pictures</h2>
{% for example in examples %}
<article>
<p><b>{{ example.name }}</b>{% if example.note %} – {{ example.note }}{% endif %}</p>
<div class="panels">
{% for caption, picture in example.panels %}
<figure><img alt="{{ caption }}" src="{{ picture }}"><figcaption>{{ caption }}</figcaption></figure>
{% endfor %}
</div>
</article>
{% endfor %}
{% endif %}
{% for caption, rows in (tables or {}).items() %}
<h2>{{ caption }}</h2>
<table>
<tr><th></th>{% for name in split_names %}<th>{{ name }}</th>{% endfor %}</tr>
{% for name, values in rows.items() %}
<tr><th>{{ name | replace("_", " ") }}</th>{% for value in values %}<td>{{ value }}</td>{% endfor %}</tr>
{% endfor %}
</table>
{% endfor %}
{% if gallery %}
<h2>Pictures with their people</h2>
<div class="panels">
{% for caption, picture in gallery %}
<figure><img alt="{{ caption }}" src="{{ picture }}"><figcaption>{{ caption }}</figcaption></figure>
{% endfor %}
</div>
{% endif %}
{% if facts %}
<h2>Parameters</h2>
<table>
{% for name, value in facts.items() %}
<tr><th>{{ name }}</th><td>{{ value }}</td></tr>
{% endfor %}
</table>
{% endif %}
</body>
</html>
"""
_ENVIRONMENT = jinja2.Environment(
    autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.ChainableUndefined
)
_ENVIRONMENT.globals["zip"] = zip
_TEMPLATE = _ENVIRONMENT.from_string(_PAGE)
