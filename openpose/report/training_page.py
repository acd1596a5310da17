"""The report on a training: its curves, every epoch, and its parameters."""

from collections.abc import Mapping, Sequence

from openpose.report import charts, page


def training_page(title: str, facts: Mapping[str, str], history: Sequence[Mapping[str, float]]) -> str:
    """Renders the report on a training.

    Args:
        title: page title.
        facts: parameters and other facts, name -> value.
        history: `step`, losses and validation losses of every epoch, as the training loop writes them.
    """
    return page.render(title=title, facts=facts, curves=charts.losses(history), epochs=epoch_table(history))


def epoch_table(history: Sequence[Mapping[str, float]]) -> dict[str, list[str]]:
    """The history as a table: column -> one value for each epoch."""
    if not history:
        return {}
    columns = {"epoch": [str(number) for number in range(1, len(history) + 1)]}
    columns["step"] = [f"{epoch['step']:.0f}" for epoch in history]
    names = [name for name in history[-1] if name != "step"]
    return columns | {name: [page.number(epoch.get(name)) for epoch in history] for name in names}
