"""Curves of a training and points of a sweep as SVG."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    # Imported where curves are drawn: Matplotlib takes a second, and a step that finds its work done draws none.
    from matplotlib.axes import Axes

_CHARTS = {
    "loss": "loss, all stages",
    "loss_lastlayer_heat": "heatmap, last stage",
    "loss_lastlayer_paf": "PAF, last stage",
}
# Readable on a light page and on a dark one.
_COLOURS, _AXES = {"training": "#3b82f6", "validation": "#f97316"}, "#888888"
_LOGARITHMIC = 5  # the axis is logarithmic when the largest loss is more than this many times the smallest


def losses(history: Sequence[Mapping[str, float]], steps: Sequence[Mapping[str, float]] = ()) -> str | None:
    """Draws the losses, and COCO AP when the history has it, over the training steps.

    Args:
        history: values at the end of each epoch, with their `step`.
        steps: values between the ends of epochs, with their `step`.

    Returns:
        An SVG drawing; None when the history is empty.
    """
    if not history:
        return None
    charts = {caption: {"training": name, "validation": f"valid_{name}"} for name, caption in _CHARTS.items()}
    if any("valid_ap" in epoch for epoch in history):
        charts["COCO AP"] = {"validation": "valid_ap"}

    def draw(axis: Axes, caption: str) -> None:
        _draw(axis, caption, charts[caption], history, steps)

    return _svg(list(charts), draw)


def over_parameters(points: Mapping[str, Sequence[tuple[Any, float]]], figure: str) -> str | None:
    """Draws a figure over each parameter of a sweep.

    Args:
        points: of each parameter: its value and the figure, for each trial.
        figure: name of the figure.

    Returns:
        An SVG drawing; None when there is no point.
    """

    def draw(axis: Axes, parameter: str) -> None:
        values, figures = zip(*sorted(points[parameter], key=lambda point: str(point[0])), strict=True)
        try:
            numbers = [float(value) for value in values]
        except ValueError:
            axis.scatter([str(value) for value in values], figures, color=_COLOURS["training"], s=24)
        else:
            axis.scatter(numbers, figures, color=_COLOURS["training"], s=24)
            if 0 < _LOGARITHMIC * min(numbers) < max(numbers):
                axis.set_xscale("log")
        axis.set_ylabel(figure.replace("_", " "), color=_AXES)
        _style(axis, parameter.replace("_", " "))

    return _svg(list(points), draw) if any(points.values()) else None


def _svg(captions: Sequence[str], draw: Callable[[Axes, str], None]) -> str:
    """Charts beside each other, each drawn by a function that gets its axes and caption."""
    import matplotlib
    from matplotlib.figure import Figure

    # Text stays text, in the page's own font; a fixed salt gives the same ids to the same curves.
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "openpose", "font.family": "sans-serif"}):
        figure = Figure(figsize=(12, 3.6 if len(captions) < 4 else 3.0), layout="constrained")
        for axis, caption in zip(figure.subplots(1, len(captions), squeeze=False)[0], captions, strict=True):
            draw(axis, caption)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = buffer.getvalue()
    return svg[svg.index("<svg") :]


def _draw(
    axis: Axes,
    caption: str,
    curves: Mapping[str, str],
    history: Sequence[Mapping[str, float]],
    steps: Sequence[Mapping[str, float]],
) -> None:
    """Draws curves (label -> name of the value) into one chart; those of single steps thin and without a label."""
    from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

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
    axis.set_xlabel("step", color=_AXES)
    axis.legend(labelcolor=_AXES, frameon=False, fontsize=8)
    _style(axis, caption)


def _style(axis: Axes, caption: str) -> None:
    axis.set_title(caption, color=_AXES, fontsize=10)
    axis.tick_params(which="both", colors=_AXES, labelsize=8)
    axis.grid(True, color=_AXES, alpha=0.2)
    for spine in axis.spines.values():
        spine.set_color(_AXES)
