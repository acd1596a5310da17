"""After the last step, also when one failed: what the steps left under the storage root, in one summary."""

import json
import os
from typing import Any

from components import status
from components.coco_download.champion_check import NOTHING_NEW
from openpose import storage
from openpose.errors import InputError

MARK = "openpose-summary: "  # begins the log's line with the summary for programs

# An end without failure has many names: SUCCEEDED here, COMPLETE in Kubeflow Pipelines 2.17, RUNNING where it is early.
_BAD = ("FAILED", "CANCELED", "CANCELLED")


def finish(root: str, state: str, message: str = "") -> dict[str, Any]:
    """Sums up how the run went, prints it on a cluster, and writes `<root>/summaries/<run>.json`.

    Args:
        root: Storage root: a folder that all steps see, or gs://bucket/prefix.
        state: The run's state as Kubeflow has it, such as SUCCEEDED, COMPLETE or FAILED.
        message: What Kubeflow says about it, if anything.

    Returns:
        `state` (accepted, rejected, nothing new or failed), `step` that failed and its `error` in one line, `reason` of
        the verdict, `figures`, `graph`, `report`, `champion`, `logs`, and the `steps` with their states and seconds.
    """
    try:
        folder = storage.open_root(root)
        summary = summarise(folder, state, message)
        storage.write_json(folder / "summaries" / f"{os.environ.get(status.RUN) or 'last'}.json", summary)
    except InputError as error:  # this step must say so and not fail too
        summary = summarise(None, state, message or str(error))
    if status.RUN in os.environ:  # else `pipelines.local` says it
        print(describe(summary))
        print(f"{MARK}{json.dumps(summary)}", flush=True)
    return summary


def summarise(root: storage.StoragePath | None, state: str, message: str) -> dict[str, Any]:
    """The summary for programs, from the steps' notes."""
    steps = status.steps(root) if root else {}
    judged, exported, champion = (_manifest(steps.get(name)) for name in ("evaluate", "export", "register"))
    trained = _manifest(steps.get("train"))
    if known := _manifest(steps.get("champion")):  # of a run that would only have made it again
        reason = f"The champion {known['entry']} was made by this code, from this data and with these parameters."
        judged = {"verdict": NOTHING_NEW, "reason": reason, "figures": known["figures"], "report": None}
        exported, champion = known["export"], known
    verdict = judged["verdict"] if judged else ""
    owed = {"export": exported, "register": champion} if verdict == "accepted" else {}
    missing = next((name for name, made in owed.items() if not made), "")
    fault = _fault(list(steps.values()), missing, message)
    if not fault and (state in _BAD or not verdict):
        fault = {"step": None, "error": message}
    error = " ".join(fault["error"].split()) or "no step left a message; see the log of the failed one" if fault else ""
    return {
        "state": "failed" if fault else verdict,
        "step": fault["step"] if fault else None,
        "error": error,
        "reason": judged["reason"] if judged and not fault else "",
        "figures": judged["figures"] if judged else {},
        "graph": exported["graph"] if exported else None,
        "report": judged["report"] if judged else None,
        "champion": champion["entry"] if champion else None,
        "logs": trained["logs"] if trained else None,
        "root": str(root) if root else None,
        "steps": {name: {key: step[key] for key in ("state", "seconds")} for name, step in steps.items()},
    }


def _fault(steps: list[dict[str, Any]], missing: str, message: str) -> dict[str, Any] | None:
    """The `step` that spoilt the run (None: it left no note) and its `error`; None where the notes show no fault."""
    for step in steps:
        if step["state"] == "failed":
            return step
    for step in steps:
        if step["state"] == "running":
            error = "it ended without a word: it was stopped, or killed because its memory was full"
            return {"step": step["step"], "error": error}
    if missing:
        error = message or f"the model was accepted, but the step {missing} did not start; its driver's log says why"
        return {"step": None, "error": error}
    return None


def _manifest(step: dict[str, Any] | None) -> dict[str, Any] | None:
    """What a step has made or found; None when it failed, or found nothing."""
    if not step or step["state"] not in ("done", "found") or not step["manifest"]:
        return None
    return storage.read_json(step["manifest"])


def describe(summary: dict[str, Any]) -> str:
    """The summary for people, as Markdown."""
    lines = [f"# {summary['state']}", ""]
    if summary["error"]:
        lines += [f"**{summary['step'] or 'The run'}**: {summary['error']}", ""]
    if summary["reason"]:
        lines += [summary["reason"], ""]
    shown = [(name, value) for name, value in summary["figures"].items() if isinstance(value, int | float)]
    if shown:
        lines += ["| figure | value |", "|---|---|", *(f"| {name} | {value:.3f} |" for name, value in shown), ""]
    lines += ["| step | state | seconds |", "|---|---|---|"]
    lines += [f"| {name} | {step['state']} | {step['seconds']} |" for name, step in summary["steps"].items()]
    lines += [""]
    for name in ("graph", "champion", "report", "logs", "root"):
        if summary[name]:
            lines += [f"- {name}: `{summary[name]}`"]
    return "\n".join(lines) + "\n"
