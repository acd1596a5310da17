"""The verdict on a model: what it must reach, and how it compares with the champion."""

from collections.abc import Mapping, Sequence

from components.evaluate.parameters import AcceptanceThresholds

Verdict = tuple[str, str]  # accepted or rejected, and why in one sentence


def judge(
    figures: Mapping[str, float | None],
    champion: Mapping[str, float | None] | None,
    demands: AcceptanceThresholds,
    no_numbers: Sequence[str] = (),
) -> Verdict:
    """The verdict on a model, `accepted` or `rejected`, and why in one sentence.

    Args:
        figures: of the model (`measure.Measured`).
        champion: figures of the champion; None when there is none.
        demands: what it must reach.
        no_numbers: names of pictures whose maps are no numbers.
    """
    ap, name, loss = figures["AP"], "validation loss", figures.get("valid_loss")
    if "valid_loss" not in figures:
        name, loss = "validation loss of the last stage", figures["valid_loss_lastlayer"]
    if no_numbers:
        count = f"{len(no_numbers)} {'picture' if len(no_numbers) == 1 else 'pictures'}"
        return "rejected", f"The network's maps are not numbers (NaN or infinite) in {count}, such as {no_numbers[0]}."
    if loss is None:
        return "rejected", f"The {name} is not a number."
    if ap is None and demands.min_ap > 0:
        least = f"at least {demands.min_ap:.3f} is asked for"
        return "rejected", f"COCO AP is undefined because nobody is labelled, but {least}."
    if ap is not None and ap < demands.min_ap:
        return "rejected", f"COCO AP {ap:.3f} is below the {demands.min_ap:.3f} asked for."
    if demands.max_valid_loss and loss > demands.max_valid_loss:
        return "rejected", f"The {name} {loss:.2f} is above the {demands.max_valid_loss:.2f} allowed."
    if ap is None:
        return "accepted", f"COCO AP is undefined (nobody is labelled), the {name} {loss:.2f} passes."
    best = champion["AP"] if champion else None
    if best is not None and ap < best - demands.tolerance:
        difference = f"{best - ap:.3f} below the champion's {best:.3f}"
        return "rejected", f"COCO AP {ap:.3f} is {difference}, more than the {demands.tolerance:.3f} tolerated."
    return "accepted", f"COCO AP is {ap:.3f}{_beside(ap, best)}; the {name} is {loss:.2f}; both pass."


def _beside(ap: float, best: float | None) -> str:
    """How an AP that passes stands beside the champion's."""
    if best is None:
        return ", the first on this data set"
    if ap < best:
        return f", {best - ap:.3f} below the champion's {best:.3f}, which is tolerated"
    return f", {ap - best:.3f} above the champion's {best:.3f}"
