"""The verdict on a model: compares its figures with the thresholds and with the champion's."""

from collections.abc import Mapping, Sequence

from components.evaluate.parameters import AcceptanceThresholds

Verdict = tuple[str, str]  # accepted or rejected, and why in one sentence


def judge(
    figures: Mapping[str, float | None],
    champion: Mapping[str, float | None] | None,
    thresholds: AcceptanceThresholds,
    nan_pictures: Sequence[str] = (),
) -> Verdict:
    """Accepts or rejects a model, and gives the reason in one sentence.

    Args:
        figures: of the model (`measure.Measured`).
        champion: figures of the champion; None without one.
        thresholds: what the model must reach.
        nan_pictures: names of the pictures with NaN or infinity in their maps.
    """
    ap, name, loss = figures["AP"], "validation loss", figures.get("valid_loss")
    if "valid_loss" not in figures:
        name, loss = "validation loss of the last stage", figures["valid_loss_lastlayer"]
    if nan_pictures:
        count = f"{len(nan_pictures)} {'picture' if len(nan_pictures) == 1 else 'pictures'}"
        return "rejected", f"The network's maps contain NaN or infinity in {count}, such as {nan_pictures[0]}."
    if loss is None:
        return "rejected", f"The {name} is NaN or infinite."
    if thresholds.min_ap >= 0 and (refusal := _too_low(ap, thresholds.min_ap)):
        return "rejected", refusal
    if thresholds.max_valid_loss and loss > thresholds.max_valid_loss:
        return "rejected", f"The {name} {loss:.2f} is above the allowed {thresholds.max_valid_loss:.2f}."
    if thresholds.max_rmse and (refusal := _too_far(figures, thresholds.max_rmse)):
        return "rejected", refusal
    if ap is None:
        return "accepted", f"COCO AP is undefined (no keypoint is labelled); the {name} {loss:.2f} passes."
    best = champion["AP"] if champion else None
    if best is not None and ap < best - thresholds.tolerance:
        difference = f"{best - ap:.3f} below the champion's {best:.3f}"
        return "rejected", f"COCO AP {ap:.3f} is {difference}, more than the tolerance of {thresholds.tolerance:.3f}."
    passed = "both pass"
    if thresholds.max_rmse:
        passed = f"the RMSE is {figures['rmse']:.2f} px; all pass"
    return "accepted", f"COCO AP is {ap:.3f}{_compared(ap, best)}; the {name} is {loss:.2f}; {passed}."


def _too_low(ap: float | None, least: float) -> str:
    """Why COCO AP is too low; empty if it is high enough."""
    if ap is None:
        return "COCO AP is undefined because no keypoint of the validation split is labelled; label some there."
    if ap < least:
        return f"COCO AP {ap:.3f} is below the required {least:.3f}."
    return "COCO AP is 0, so the network finds nothing that is labelled." if ap == 0 else ""


def _too_far(figures: Mapping[str, float | None], most: float) -> str:
    """Why the keypoints are too far from their labels; empty if they are near enough."""
    rmse, found = figures["rmse"], figures["found"]
    if rmse is None or found is None:
        cause = "no keypoint is labelled" if found is None else "no labelled keypoint was found"
        return f"The RMSE is undefined because {cause}, but at most {most:.2f} px is allowed."
    if rmse <= most:
        return ""
    share = f"{100 * found:.1f} % of the labelled keypoints were found"
    return f"The RMSE {rmse:.2f} px is above the allowed {most:.2f} px; {share}."


def _compared(ap: float, best: float | None) -> str:
    """Compares an accepted AP with the champion's."""
    if best is None:
        return ", the first on this data set"
    if ap < best:
        return f", {best - ap:.3f} below the champion's {best:.3f}, which is within the tolerance"
    return f", {ap - best:.3f} above the champion's {best:.3f}"
