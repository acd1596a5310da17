"""The report on a model: verdict, figures, the curves of its training, its errors, its best and worst pictures."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from openpose import image_file
from openpose.evaluation import pixel_errors
from openpose.evaluation.gallery import JPEG_QUALITY, Shown
from openpose.evaluation.keypoint_errors import KINDS, ErrorCounts
from openpose.report import charts, page
from openpose.report.training_page import epoch_table
from openpose.skeleton import Skeleton

MAX_BYTES = 5_000_000  # of a page
JPEG_QUALITIES = (JPEG_QUALITY, 65, 45, 25, 10)  # the first that keeps the page below MAX_BYTES is used


@dataclass(frozen=True)
class Evaluation:
    """Everything that the report on a model shows.

    Attributes:
        verdict: accepted or rejected.
        reason: for the verdict, one sentence.
        facts: parameters and other facts, name -> value.
        figures: AP, losses and speed by name; None is undefined.
        champion: figures of the model that it was compared with; empty without one.
        parts: AP of each keypoint, by name.
        keypoints: pixel errors of each keypoint, by name.
        errors: kinds of errors on the labelled keypoints.
        history: as for `training_page`; empty when the training is unknown.
        steps: training losses between the ends of epochs, with their `step`.
        best: the best pictures, the best first.
        worst: the worst pictures, the worst first.
        notes: sentences that a reader of the figures should know.
    """

    verdict: str
    reason: str
    facts: Mapping[str, str]
    figures: Mapping[str, float | None]
    champion: Mapping[str, float | None]
    parts: Mapping[str, float | None]
    keypoints: Mapping[str, Mapping[str, float | None]]
    errors: ErrorCounts
    history: Sequence[Mapping[str, float]] = ()
    steps: Sequence[Mapping[str, float]] = ()
    best: Sequence[Shown] = ()
    worst: Sequence[Shown] = ()
    notes: Sequence[str] = ()


def evaluation_page(title: str, evaluation: Evaluation, skeleton: Skeleton) -> str:
    """Renders the report on a model, with pictures compressed until it is smaller than `MAX_BYTES`.

    Args:
        title: page title.
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
            (name, page.number(value), page.number(evaluation.champion[name]) if name in evaluation.champion else "")
            for name, value in evaluation.figures.items()
        ],
        "curves": charts.losses(evaluation.history, evaluation.steps),
        "epochs": epoch_table(evaluation.history),
        "category": skeleton.category,
        "kinds": [(skeleton.worded(kind), skeleton.worded(meaning)) for kind, meaning in KINDS.items()],
        "errors": _error_rows(evaluation.errors, evaluation.parts, skeleton),
        "distances": _distance_rows(pixel_errors.rows(evaluation.figures, evaluation.keypoints, evaluation.parts)),
        "distances_meaning": pixel_errors.MEANING,
    }
    groups = {"Best pictures": evaluation.best, "Worst pictures": evaluation.worst}
    for quality in JPEG_QUALITIES:
        shown = {heading: [_at_quality(picture, quality) for picture in group] for heading, group in groups.items()}
        html = page.render(**content, example_groups=shown)
        if len(html.encode()) < MAX_BYTES:
            break
    return html


def _at_quality(picture: Shown, quality: int) -> dict[str, Any]:
    """A picture's name, note and panels for the page's template."""
    jpegs = {caption: base64.b64decode(text) for caption, text in picture.panels.items()}
    if quality < JPEG_QUALITY:
        jpegs = {caption: image_file.compressed(jpeg, quality) for caption, jpeg in jpegs.items()}
    return {
        "name": picture.name,
        "note": picture.note,
        "panels": [(name, page.uri(jpeg)) for name, jpeg in jpegs.items()],
    }


def _error_rows(errors: ErrorCounts, parts: Mapping[str, float | None], skeleton: Skeleton) -> list[dict[str, Any]]:
    """Rows of the table of errors: all keypoints together, then each one, with the kinds' shares in per cent."""
    if not errors.labelled.sum():
        return []
    columns: list[tuple[str, Any, Any, Any, float | None]] = [
        ("all", errors.kinds.sum(1), errors.background.sum(), errors.found.sum(), None)
    ]
    columns += [
        (name, errors.kinds[:, part], errors.background[part], errors.found[part], parts[name])
        for part, name in enumerate(skeleton.source_parts)
    ]
    return [
        {
            "name": name.replace("_", " "),
            "ap": "" if name == "all" else page.number(ap),
            "labelled": f"{kinds.sum():,}",
            "shares": [float(100 * count / max(kinds.sum(), 1)) for count in kinds],
            "background": f"{100 * background / max(found, 1):.0f} %",
        }
        for name, kinds, background, found, ap in columns
    ]


def _distance_rows(rows: Mapping[str, Mapping[str, float | None]]) -> list[dict[str, Any]]:
    """Rows of the table of distances; bars to the median and the 90th percentile, in per cent of the widest."""
    widest = max((row["p90_error"] or 0 for row in rows.values()), default=0)
    if not any(row["labelled"] for row in rows.values()):
        return []
    return [
        {
            "name": name.replace("_", " "),
            "labelled": f"{row['labelled']:,.0f}",
            "figures": [page.number(row[figure]) for figure in ("AP", *pixel_errors.FIGURES)],
            "bar": _bar(row["median_error"], row["p90_error"], widest),
        }
        for name, row in rows.items()
    ]


def _bar(median: float | None, most: float | None, widest: float) -> list[float]:
    """Widths of a bar's two pieces, per cent; none where nothing was found."""
    if median is None or most is None or not widest:
        return []
    return [100 * median / widest, 100 * (most - median) / widest]
