"""The summary of a run: made from the steps' status files and manifests, and shown as JSON, Markdown and text."""

import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, TypeVar

from components import disk_use, status
from components.coco_download.champion_check import NOTHING_NEW
from components.status import Status
from components.steps import STEPS
from openpose import progress, storage
from openpose.evaluation import pixel_errors
from openpose.evaluation.manifest import EvaluationManifest
from openpose.evaluation.registry import read_champion
from openpose.model_files.manifest import ModelManifest
from openpose.training.manifest import RunManifest

MARK = "openpose-summary: "  # begins the line with the summary's JSON in the last step's log
ACCEPTED, FAILED, REJECTED = 0, 1, 3  # exit codes
DONE = "done"  # the verdict of a run that judges no model

# KFP's names for a failed run. At the exit handler, the state of a good run is SUCCEEDED, COMPLETE or still RUNNING.
_FAILED_STATES = ("FAILED", "CANCELED", "CANCELLED")


Opened = TypeVar("Opened")


def exit_code(verdict: str) -> int:
    """The exit code of a command that ran the DAG, from the run's verdict."""
    good = dict.fromkeys(("accepted", NOTHING_NEW, DONE), ACCEPTED)
    return {**good, "rejected": REJECTED}.get(verdict, FAILED)


@dataclass(frozen=True)
class StepSummary:
    """The outcome of one step of the DAG, over all its workers.

    Attributes:
        state: done, found (its result already existed), failed or skipped.
        seconds: from the start of its first worker to the end of its last.
        error: cause of a failure, in one line; else empty.
    """

    state: str
    seconds: float
    error: str


@dataclass(frozen=True)
class Summary:
    """The outcome of a run.

    Attributes:
        verdict: accepted, rejected, nothing new or failed.
        reason: for the verdict.
        step: name of the failed step, if any.
        error: of the step or of the run, in one line; empty if nothing failed.
        ap: COCO AP.
        valid_loss: validation loss.
        rmse: root of the mean squared distance of the found keypoints from their labels, pixels.
        median_error: median of these distances, pixels.
        p90_error: 90th percentile of these distances, pixels.
        pck_5: share of the labelled keypoints that were found within 5 % of the animal's size.
        pck_10: the same within 10 %.
        found: share of the labelled keypoints that were found.
        keypoints: AP, the six figures above, and `labelled`, how often it is labelled, of each keypoint; None if they
            are not known.
        figures: all figures of the evaluation; an undefined one is None.
        losses: of the saved weights, for training and validation.
        steps: name -> outcome.
        graph: file of the exported network.
        champion: name of its entry in the registry.
        registry: folder of the champions' entries.
        report: page of the evaluation.
        evaluation: folder of the evaluation.
        records: folder of all records.
        run: folder of the training.
        logs: folder of TensorBoard's files.
        root: the storage root.
        disk_use: bytes of all files below the root by kind, the largest first.
    """

    verdict: str
    reason: str
    step: str | None
    error: str
    ap: float | None
    valid_loss: float | None
    rmse: float | None
    median_error: float | None
    p90_error: float | None
    pck_5: float | None
    pck_10: float | None
    found: float | None
    keypoints: dict[str, dict[str, float | None]] | None
    figures: dict[str, float | None] | None
    losses: dict[str, float] | None
    steps: dict[str, StepSummary]
    graph: str | None
    champion: str | None
    registry: str | None
    report: str | None
    evaluation: str | None
    records: str | None
    run: str | None
    logs: str | None
    root: str | None
    disk_use: dict[str, int] | None

    def document(self) -> dict[str, Any]:
        """The summary for programs."""
        return asdict(self) | {"state": self.verdict}  # older images call the verdict `state`

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> "Summary":
        """Reads a summary from its document; a field that an older image did not write is None."""
        values: dict[str, Any] = {field.name: document.get(field.name) for field in fields(cls)}
        values["verdict"] = document["state"]
        values["steps"] = {
            name: StepSummary(step["state"], step["seconds"], step.get("error", ""))
            for name, step in document["steps"].items()
        }
        return cls(**values)

    @property
    def exit_code(self) -> int:
        """The exit code of a command that ran the DAG."""
        return exit_code(self.verdict)

    def step_lines(self) -> list[str]:
        """The steps' outcomes, for a terminal."""
        lines = []
        for name, step in self.steps.items():
            took = progress.duration(step.seconds) if step.state in ("done", "failed") else ""
            lines.append(f"  {name:<18}{step.state:<10}{took}".rstrip())
        return lines

    def figure_lines(self) -> list[str]:
        """COCO's figures, the pixel errors and the losses, for a terminal."""
        lines = []
        if self.figures:
            figures = {name: self.figures[name] for name in ("AP", "AP50", "AP75", "AR") if name in self.figures}
            lines.append(f"  COCO {_texts(figures)}")
            errors = {name: self.figures[name] for name in pixel_errors.FIGURES if name in self.figures}
            if errors:  # an older evaluation lacks them
                lines.append(f"  {_texts(errors)}")
        if self.losses:
            lines.append("  " + "  ".join(f"{name} {self.losses[name]:.2f}" for name in ("loss", "valid_loss")))
        return lines

    def place_lines(self, shown: Callable[[str], str] = str, **more: str | None) -> list[str]:
        """The paths of the results, for a terminal.

        Args:
            shown: formats a path.
            more: further names and paths.
        """
        places = {
            "report": self.report,
            "graph": self.graph,
            "registry": self.registry,
            "records": self.records,
            "checkpoints": f"{self.run}/checkpoints" if self.run else None,
            "TensorBoard logs": self.logs,
        } | {name.replace("_", " "): place for name, place in more.items()}
        return [f"  {name:<18}{shown(place)}" for name, place in places.items() if place]

    def markdown(self) -> str:
        """The summary as a page."""
        lines = [f"# {self.verdict}", ""]
        if self.error:
            lines += [f"**{self.step or 'The run'}**: {self.error}", ""]
        elif self.reason:
            lines += [self.reason, ""]
        figures = {name: value for name, value in (self.figures or {}).items() if isinstance(value, int | float)}
        if figures:
            rows = [f"| {name} | {value:.3f} |" for name, value in figures.items()]
            lines += ["| figure | value |", "|---|---|", *rows, ""]
        lines += ["| step | state | seconds |", "|---|---|---|"]
        lines += [f"| {name} | {step.state} | {step.seconds} |" for name, step in self.steps.items()]
        lines += [""]
        for name in ("graph", "champion", "registry", "report", "logs", "root"):
            if place := getattr(self, name):
                lines += [f"- {name}: `{place}`"]
        if self.disk_use:
            rows = [f"| {name} | {disk_use.text(size)} |" for name, size in self.disk_use.items()]
            lines += ["", "| below the root | size |", "|---|---|", *rows]
        return "\n".join(lines) + "\n"


def summarise(
    root: storage.StoragePath | None,
    state: str,
    message: str = "",
    exit_codes: Mapping[str, int] | None = None,
    seconds: Mapping[str, float] | None = None,
) -> Summary:
    """Sums up a run from the status files under its root.

    Args:
        root: the storage root; None if it cannot be used.
        state: of the run as KFP names it, such as SUCCEEDED, COMPLETE or FAILED.
        message: KFP's error message, if any.
        exit_codes: of the components whose process failed, if known.
        seconds: durations of the components; by default those in the status files.

    Raises:
        InputError: a file under the root cannot be read.
    """
    statuses = status.steps(root) if root else {}
    steps = _steps(list(statuses.values()), exit_codes or {}, seconds)
    trained = _opened(statuses.get("train"), lambda path: storage.open_manifest(path, RunManifest))
    judged = _opened(statuses.get("evaluate"), lambda path: storage.open_manifest(path, EvaluationManifest))
    exported = _opened(statuses.get("export"), lambda path: storage.open_manifest(path, ModelManifest))
    champion, known = (
        _opened(statuses.get(name), lambda path: read_champion(storage.path(path))) for name in ("register", "champion")
    )
    verdict, reason = (judged.verdict, judged.reason) if judged else ("", "")
    figures = judged.figures if judged else {}
    if known:  # the run ended early, because it would only make the champion again
        verdict, figures, champion = NOTHING_NEW, known.figures, known
        reason = f"The champion {known.entry} was made by this code, from this data and with these parameters."
    made = known.export if known else exported
    failed, error = _fault(steps, state, message, verdict, {"export": exported, "register": champion})
    errors = [f"{name}: {step.error}" for name, step in steps.items() if step.error]
    return Summary(
        verdict="failed" if error else verdict,
        reason=(" ".join(errors) or error) if error else reason,
        step=failed,
        error=error,
        ap=figures.get("AP"),
        valid_loss=figures.get("valid_loss"),
        **{name: figures.get(name) for name in pixel_errors.FIGURES},
        keypoints=(pixel_errors.beside_ap(judged.keypoints, judged.parts) or None) if judged else None,
        figures=figures or None,
        losses=_losses(trained, figures),
        steps=steps,
        graph=made.graph if made else None,
        champion=champion.entry if champion else None,
        registry=f"{root}/registry/{judged.inputs.registry}" if judged else None,
        report=judged.report if judged else None,
        evaluation=judged.folder if judged else None,
        records=str(root / "records") if root else None,
        run=trained.folder if trained else None,
        logs=trained.logs if trained else None,
        root=str(root) if root else None,
        disk_use=disk_use.by_kind(storage.sizes(root)) if root else None,
    )


def _texts(figures: Mapping[Any, float | None]) -> str:
    """Figures in one line."""
    return "  ".join(f"{name} {'undefined' if value is None else f'{value:.3f}'}" for name, value in figures.items())


def _steps(
    statuses: Sequence[Status], exit_codes: Mapping[str, int], seconds: Mapping[str, float] | None
) -> dict[str, StepSummary]:
    made = {}
    for name, components in STEPS.items():
        own = [each for each in statuses if each.step.startswith(name)]
        codes = [exit_codes[component] for component in components if component in exit_codes]
        took = _span(own) if seconds is None else sum(seconds.get(component, 0.0) for component in components)
        made[name] = _step(own, codes, took)
    others = [each for each in statuses if not each.step.startswith(tuple(STEPS))]
    return made | {each.step: _step([each], [], each.seconds) for each in others}


def _span(statuses: Sequence[Status]) -> float:
    """Seconds from the first start to the last end."""
    ends = [each.start + each.seconds for each in statuses]
    return max(ends) - min(each.start for each in statuses) if ends else 0.0


def _step(workers: Sequence[Status], exit_codes: Sequence[int], seconds: float) -> StepSummary:
    states = {each.state for each in workers}
    errors = [each.error or "it left no message; see its log" for each in workers if each.state == "failed"]
    if not errors and exit_codes:  # the process was killed before it could record an error
        errors = [f"its process ended with {_exit_text(exit_codes[0])}"]
    elif not errors and "running" in states:
        errors = ["it ended without a message: it was stopped, or killed because it ran out of memory"]
    state = "failed" if errors else next((each for each in ("done", "found") if each in states), "skipped")
    return StepSummary(state, round(seconds, 1), " ".join(" ".join(errors).split()))


def _exit_text(code: int) -> str:
    """An exit code in words; a shell gives 128 + the signal's number for a process that was killed."""
    if code == 128 + signal.SIGKILL:
        return "signal SIGKILL; it probably ran out of memory: try a smaller batch or input"
    return f"exit code {code}; see its last output above"


def _opened(step: Status | None, read: Callable[[str], Opened]) -> Opened | None:
    """Reads the manifest that a step made or found; None if the step failed or did not run."""
    return read(step.manifest) if step and step.manifest and step.state in ("done", "found") else None


def _fault(
    steps: Mapping[str, StepSummary], state: str, message: str, verdict: str, results: Mapping[str, object]
) -> tuple[str | None, str]:
    """The failed step (None if no status file shows it) and the error (empty if nothing failed).

    An accepted model must have all `results`; one that is None belongs to a step that did not start.
    """
    for name, step in steps.items():
        if step.state == "failed":
            return name, step.error
    message = " ".join(message.split())
    missing = [name for name, result in results.items() if result is None]
    if verdict == "accepted" and missing:
        error = f"the model was accepted, but the step {missing[0]} did not start; see its driver's log"
        return None, message or error
    if state in _FAILED_STATES or not verdict:
        return None, message or "no step left a message; see the failed step's log"
    return None, ""


def _losses(trained: RunManifest | None, figures: Mapping[str, float | None]) -> dict[str, float] | None:
    """The losses of the saved weights, which with early stopping are not the last epoch's."""
    if not trained:
        return None
    measured = {name: value for name, value in figures.items() if name in trained.losses and value is not None}
    return trained.losses | measured
