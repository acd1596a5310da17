"""Reports: one HTML file each that opens alone, with its pictures and curves inside."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import cv2
import jinja2
import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter
from PIL import Image

from openpose import draw, image_file
from openpose.codec.decode import People
from openpose.evaluation.keypoint_errors import KINDS, ErrorCounts
from openpose.evaluation.score import true_people
from openpose.predict.predictor import Maps
from openpose.records.picture import Picture
from openpose.skeleton import Skeleton

PICTURE_HEIGHT, PICTURE_MAX_WIDTH = 300, 500  # pixels of a picture in a report
SAMPLES_SHOWN = 12  # of a data set, over all splits
MAX_BYTES = 5_000_000  # of a page
JPEG_QUALITIES = (82, 65, 45, 25, 10)  # the first with which the page is small enough

_CURVES = {
    "loss": "loss, all stages",
    "loss_lastlayer_heat": "heatmap, last stage",
    "loss_lastlayer_paf": "PAF, last stage",
}

# Readable on a light page and on a dark one.
_COLOURS, _AXES = {"training": "#3b82f6", "validation": "#f97316"}, "#888888"
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

    def shrunk(self) -> "Example":
        """The same, as large as a report shows it."""
        image = _shrunk(self.image)
        by = [after / before for before, after in zip(self.image.shape[1::-1], image.shape[1::-1], strict=True)]
        truth, found = (people.in_pixels(1.0, (1 / by[0], 1 / by[1])) for people in (self.truth, self.found))
        maps = replace(self.maps, scale=(self.maps.scale[0] / by[0], self.maps.scale[1] / by[1]))
        return replace(self, image=image, truth=truth, found=found, maps=maps)


@dataclass(frozen=True)
class Evaluation:
    """What a model can do, for its page.

    Attributes:
        verdict: accepted or rejected.
        reason: for it, one sentence.
        facts: parameters and the like, name -> value.
        figures: AP, losses and speed by their names; None is undefined.
        champion: the same of the model that it was compared with; empty when there is none.
        parts: AP of each keypoint, by name.
        errors: what becomes of the labelled keypoints.
        history: as for `training_page`; empty when nothing is known of the training.
        steps: losses of the training between the epochs' ends, with their `step`.
        best: the pictures in which it is best, the best first.
        worst: those in which it is worst, the worst first.
        notes: sentences on what a reader should know about the figures.
    """

    verdict: str
    reason: str
    facts: Mapping[str, str]
    figures: Mapping[str, float | None]
    champion: Mapping[str, float | None]
    parts: Mapping[str, float | None]
    errors: ErrorCounts
    history: Sequence[Mapping[str, float]] = ()
    steps: Sequence[Mapping[str, float]] = ()
    best: Sequence[Example] = ()
    worst: Sequence[Example] = ()
    notes: Sequence[str] = field(default_factory=tuple)


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
    return _picture(_shrunk(draw.skeletons(image, true_people(sample.picture, skeleton), skeleton)), JPEG_QUALITIES[0])


def _shrunk(image: np.ndarray) -> np.ndarray:
    """The image, as large as a report shows it."""
    height, width = image.shape[:2]
    scale = min(PICTURE_HEIGHT / height, PICTURE_MAX_WIDTH / width)
    if scale >= 1:
        return image
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def training_page(title: str, facts: Mapping[str, str], history: Sequence[Mapping[str, float]]) -> str:
    """The curves of a training.

    Args:
        title: of the page.
        facts: parameters and the like, name -> value.
        history: for each epoch its step, losses and valid losses, as the training loop writes it.
    """
    return _TEMPLATE.render(title=title, facts=facts, curves=_curves(history), epochs=_epochs(history))


def evaluation_page(title: str, evaluation: Evaluation, skeleton: Skeleton) -> str:
    """What a model can do: verdict, figures, the curves of its training, its errors, and pictures; below `MAX_BYTES`.

    Args:
        title: of the page.
        evaluation: what to show.
        skeleton: of the people and the maps.
    """
    content = {
        "title": title,
        "verdict": evaluation.verdict,
        "reason": evaluation.reason,
        "notes": evaluation.notes,
        "facts": evaluation.facts,
        "figures": [
            (name, _number(value), _number(evaluation.champion[name]) if name in evaluation.champion else "")
            for name, value in evaluation.figures.items()
        ],
        "curves": _curves(evaluation.history, evaluation.steps),
        "epochs": _epochs(evaluation.history),
        "kinds": list(KINDS.items()),
        "errors": _error_rows(evaluation.errors, evaluation.parts, skeleton),
    }
    groups = {"Best pictures": evaluation.best, "Worst pictures": evaluation.worst}
    drawn = {title: [_panels(example, skeleton) for example in examples] for title, examples in groups.items()}
    for quality in JPEG_QUALITIES:
        shown = {title: [_encoded(panels, quality) for panels in group] for title, group in drawn.items()}
        page = _TEMPLATE.render(content, example_groups=shown)
        if len(page.encode()) < MAX_BYTES:
            break
    return page


def _panels(example: Example, skeleton: Skeleton) -> dict[str, Any]:
    """An example's four pictures, each with its caption."""
    example = example.shrunk()
    image, maps = example.image, example.maps
    panels = {
        "found": draw.skeletons(image, example.found, skeleton),
        "true": draw.skeletons(image, example.truth, skeleton),
        "heatmap: the likeliest part at each point": draw.heatmap(image, maps.heatmap, maps.cell),
        "PAF: colour is the limb's direction": draw.vectmap(image, maps.vectmap, maps.cell),
    }
    return {"name": example.name, "note": example.note, "panels": panels}


def _encoded(example: dict[str, Any], quality: int) -> dict[str, Any]:
    panels = [(caption, _picture(picture, quality)) for caption, picture in example["panels"].items()]
    return example | {"panels": panels}


def _picture(image: np.ndarray, quality: int) -> str:
    """An image as a data URI."""
    return "data:image/jpeg;base64," + base64.b64encode(image_file.jpeg(image, quality)).decode()


def _error_rows(errors: ErrorCounts, parts: Mapping[str, float | None], skeleton: Skeleton) -> list[dict[str, Any]]:
    """The table of errors: all keypoints together, then each, with the shares of the kinds in per cent."""
    labelled, names = errors.labelled, skeleton.source_parts
    if not labelled.sum():
        return []
    columns: list[tuple[str, Any, Any, Any, float | None]] = [
        ("all", errors.kinds.sum(1), errors.background.sum(), errors.found.sum(), None)
    ]
    columns += [
        (name, errors.kinds[:, part], errors.background[part], errors.found[part], parts[name])
        for part, name in enumerate(names)
    ]
    return [
        {
            "name": name.replace("_", " "),
            "ap": "" if name == "all" else _number(ap),
            "labelled": f"{kinds.sum():,}",
            "shares": [float(100 * count / max(kinds.sum(), 1)) for count in kinds],
            "background": f"{100 * background / max(found, 1):.0f} %",
        }
        for name, kinds, background, found, ap in columns
    ]


def _curves(history: Sequence[Mapping[str, float]], steps: Sequence[Mapping[str, float]] = ()) -> str | None:
    """The losses over the steps as an SVG drawing; None when there are none."""
    if not history:
        return None
    charts = {caption: {"training": name, "validation": f"valid_{name}"} for name, caption in _CURVES.items()}
    if any("valid_ap" in epoch for epoch in history):
        charts["COCO AP"] = {"validation": "valid_ap"}
    # Text stays text, in the page's own font, and ids are the same for the same curves.
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "openpose", "font.family": "sans-serif"}):
        figure = Figure(figsize=(12, 3.6 if len(charts) < 4 else 3.0), layout="constrained")
        for axis, (caption, curves) in zip(figure.subplots(1, len(charts)), charts.items(), strict=True):
            _draw_curves(axis, caption, curves, history, steps)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = buffer.getvalue()
    return svg[svg.index("<svg") :]


def _draw_curves(
    axis: Axes,
    caption: str,
    curves: Mapping[str, str],
    history: Sequence[Mapping[str, float]],
    steps: Sequence[Mapping[str, float]],
) -> None:
    """Draws curves, label -> name of the value, into a chart; those of single steps thin and without a label."""
    drawn = []
    for label, name in curves.items():
        for points, style in ((steps, {"linewidth": 1, "alpha": 0.6}), (history, {"marker": "o", "label": label})):
            values = [(point["step"], point[name]) for point in points if name in point]
            if values:
                axis.plot(*zip(*values, strict=True), color=_COLOURS[label], markersize=3, **style)
            drawn += [value for _, value in values]
    if 0 < _LOGARITHMIC * min(drawn) < max(drawn):
        axis.set_yscale("log")
        axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.yaxis.set_major_formatter("{x:g}")
        axis.yaxis.set_minor_formatter(NullFormatter())
    axis.xaxis.set_major_locator(MaxNLocator(5, integer=True))
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
  overflow-wrap: break-word }
.figures span { display: block; font-size: .78rem; opacity: .75 }
.figures b { font-size: 1.25rem; font-weight: 600; font-variant-numeric: tabular-nums }
article { border-top: 1px solid var(--line); padding: .8rem 0 1rem } article p { margin: 0 0 .5rem }
.panels { display: grid; grid-template-columns: repeat(4, 1fr); gap: .6rem }
@media (max-width: 800px) { .panels { grid-template-columns: repeat(2, 1fr) } }
figure { margin: 0 } figure img { max-width: 100%; max-height: 16rem; border-radius: 4px; display: block }
figcaption { font-size: .8rem; opacity: .75; margin-top: .2rem }
svg { width: 100%; height: auto }
.scroll { overflow-x: auto }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .88rem }
th, td { padding: .25rem .8rem .25rem 0; text-align: left; border-bottom: 1px solid var(--line) }
th { font-weight: 600; white-space: nowrap } td { overflow-wrap: anywhere }
.kinds { list-style: none; padding: 0; display: grid; gap: .1rem 1.5rem; font-size: .88rem;
  grid-template-columns: repeat(auto-fill, minmax(19rem, 1fr)) }
.kinds li { padding-left: 1.3rem; text-indent: -1.3rem }
.kinds i { display: inline-block; width: .8rem; height: .8rem; border-radius: 2px; margin-right: .4rem }
.errors td { white-space: nowrap } .errors tr:nth-child(2) > * { border-bottom-width: 3px }
.errors .wide { width: 100% }
.bar { display: flex; height: 1rem; min-width: 14rem; border-radius: 3px; overflow: hidden }
.k1 { background: #22a06b } .k2 { background: #a3d977 } .k3 { background: #8b5cf6 } .k4 { background: #e879a6 }
.k5 { background: #f97316 } .k6 { background: #9aa5b1 } .k7 { background: #5b6673 }
.small { font-size: .8rem; opacity: .75 }
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
{% for name, value, champion in figures %}
<div><span>{{ name.split("_") | join("_<wbr>" | safe) }}</span><b>{{ value }}</b>
{%- if champion %}<span>champion {{ champion }}</span>{% endif %}</div>
{% endfor %}
</div>
{% for note in notes %}
<p>{{ note }}</p>
{% endfor %}
{% endif %}
{% if curves %}
<h2>Curves</h2>
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
{% if errors %}
<h2>What becomes of the labelled keypoints</h2>
<ul class="kinds">
{% for kind, meaning in kinds %}
<li><i class="k{{ loop.index }}"></i><b>{{ kind }}</b> {{ "%.1f" % errors[0].shares[loop.index0] }} %: {{ meaning }}
</li>
{% endfor %}
</ul>
<div class="scroll"><table class="errors">
<tr><th></th><th>AP</th><th>labelled</th><th class="wide">share of each kind</th><th>background</th></tr>
{% for row in errors %}
<tr><th>{{ row.name }}</th><td>{{ row.ap }}</td><td>{{ row.labelled }}</td><td><div class="bar">
{%- for share in row.shares %}
{% if share %}
<i class="k{{ loop.index }}" style="width:{{ "%.2f" % share }}%"
 title="{{ kinds[loop.index0][0] }} {{ "%.1f" % share }} %"></i>
{% endif %}
{%- endfor %}</div></td><td>{{ row.background }}</td></tr>
{% endfor %}
</table></div>
<p class="small">AP is that of the keypoint by itself. Background: of all that was found, the share on people who are no
labelled person.</p>
{% endif %}
{% for heading, examples in (example_groups or {}).items() if examples %}
<h2>{{ heading }}</h2>
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
{% endfor %}
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
