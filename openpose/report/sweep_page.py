"""The report on a sweep: all trials, the best first, and the figure over each parameter."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from openpose import progress
from openpose.report import charts, page


@dataclass(frozen=True)
class Trial:
    """One run of a sweep.

    Attributes:
        number: of the trial.
        values: of the parameters that the sweep varies.
        figures: of the run, by name; None where it has none.
        verdict: of the run, or why it failed.
        seconds: that its steps took.
    """

    number: int
    values: dict[str, Any]
    figures: dict[str, float | None]
    verdict: str
    seconds: float


def sweep_page(name: str, by: str, trials: Sequence[Trial], smaller_is_better: bool) -> str:
    """Renders the report on a sweep.

    Args:
        name: of the sweep.
        by: name of the figure by which trials are compared.
        trials: those that have ended.
        smaller_is_better: whether the best one has the smallest figure.
    """

    def rank(trial: Trial) -> tuple[bool, float]:
        value = trial.figures[by]
        return value is None, 0.0 if value is None else value if smaller_is_better else -value

    ordered = sorted(trials, key=rank)
    parameters = list(dict.fromkeys(key for trial in ordered for key in trial.values))
    figures = [by, *(figure for figure in ("ap", "valid_loss", "rmse", "found") if figure != by)]
    rows = {
        f"trial {trial.number}": [
            *(page.number(trial.figures[figure]) for figure in figures),
            *(_text(trial.values.get(parameter, "")) for parameter in parameters),
            progress.duration(trial.seconds),
            trial.verdict,
        ]
        for trial in ordered
    }
    points = {
        parameter: [(trial.values[parameter], value) for trial in ordered if (value := trial.figures[by]) is not None]
        for parameter in parameters
    }
    return page.render(
        title=f"{name}: {len(trials)} trials by {by.replace('_', ' ')}",
        scatter=charts.over_parameters(points, by),
        split_names=[*figures, *parameters, "time", "verdict"],
        tables={"Trials, the best first": rows},
    )


def _text(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
