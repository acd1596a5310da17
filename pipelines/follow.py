"""Follows a run on a cluster to its end, and reports the outcome."""

import json
import re
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TextIO

from components.coco_download.champion_check import NOTHING_NEW
from components.finish.summary import DONE, FAILED, MARK, Summary, exit_code
from openpose import progress
from pipelines.kfp_api import Api
from pipelines.pod_logs import PodLogs

CANCELLED, NOT_FINISHED = "cancelled", "not finished"
ENDED = 4  # exit code: cancelled, or not finished in time
OVER = ("SUCCEEDED", "FAILED", "CANCELED", "SKIPPED")
PATIENCE = 1800.0  # seconds for which the server may be unreachable while following a run
PAUSE = 5.0  # seconds between two looks at a run
LOG_LINES = 15  # lines to show of the failed step's log

_STATES = {
    "Pending": "waiting",
    "Running": "running",
    "Succeeded": "done",
    "Failed": "failed",
    "Error": "failed",
    "Skipped": "cached",
    "Omitted": "skipped",
}
# Lines that KFP and Argo add to a step's log, some of them followed by multi-line JSON.
_ADDED = re.compile(
    r"^(?:[IWEF]\d{4} \d\d:|time=\"|\[KFP Executor |Error: exit status)[^\n]*(?:(?:\n\{|(?<=\{))\n.*?^\})?(?:\n|\Z)",
    re.MULTILINE | re.DOTALL,
)
# Task -> the verdict of a run in which it ran; the first that fits counts.
_OUTCOMES = {
    "register": "accepted",
    "explain-rejection": "rejected",
    "coco-download": NOTHING_NEW,
    "collect-predictions": DONE,
}
_DRIVER_DIED = re.compile(r"^F\d{4} .* failed: (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Step:
    """A task of the run.

    Attributes:
        name: of the task, with a number if a loop made several.
        state: waiting, running, done, cached, skipped or failed.
        why: Kubernetes' reason for waiting or failing; else empty.
        pod: the last pod that ran the task; empty before the first.
        seconds: from the start to the end, or until now.
    """

    name: str
    state: str
    why: str
    pod: str
    seconds: float


def steps(nodes: Iterable[dict[str, Any]]) -> list[Step]:
    """Finds the tasks among a workflow's nodes, in the order in which they started.

    A task is a node with a child `executor`, which has the pods. Drivers, which prepare tasks, are listed only if they
    failed.
    """
    ordered = sorted(nodes, key=lambda node: (node.get("startedAt") or "9", node["name"]))
    executors: dict[str, list[dict[str, Any]]] = {}
    for node in ordered:
        if found := re.fullmatch(r"(.+)\.executor(\(\d+\))?", node["name"]):
            executors.setdefault(found[1], []).append(node)
    made, count = [], dict[str, int]()
    for parent, parts in executors.items():
        title = re.sub(r"\(\d+\)$", "", parent.rpartition(".")[2])
        count[title] = count.get(title, 0) + 1
        made.append(_step(title if count[title] == 1 else f"{title} {count[title]}", parts))
    for node in ordered:
        if node["type"] == "Pod" and "driver" in node["displayName"] and node["phase"] in ("Failed", "Error"):
            made.append(_step(node["displayName"], [node]))
    return made


def _step(name: str, parts: list[dict[str, Any]]) -> Step:
    """Makes a task from its executor's nodes: with retries, one node for all tries and one for each try."""
    whole = next((part for part in parts if part["type"] == "Retry"), parts[-1])
    last = next((part for part in reversed(parts) if part["type"] == "Pod"), None)
    state = _STATES.get(whole["phase"], "waiting")
    if last and state == "running" and last["phase"] == "Pending":
        state = "waiting"
    why = (last or whole).get("message") or whole.get("message") or ""
    start, end = _time(whole.get("startedAt")), _time(whole.get("finishedAt")) or time.time()
    return Step(
        name=name,
        state=state,
        why=" ".join(why.split()) if state in ("waiting", "failed") else "",
        pod=_pod(last) if last else "",
        seconds=end - start if start else 0.0,
    )


def _pod(node: dict[str, Any]) -> str:
    """The name that Argo gives a node's pod; a node's id is the workflow's name and a number."""
    workflow, _, digits = node["id"].rpartition("-")
    return f"{workflow}-{node['templateName']}-{digits}"


def _time(text: str | None) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() if text else 0.0


class Table:
    """Shows the steps: redraws a table on a terminal, else prints a line for each change."""

    def __init__(self, out: TextIO) -> None:
        self._out, self._known, self._drawn = out, dict[str, tuple[str, str]](), 0

    def show(self, now: list[Step]) -> None:
        """Shows the present state of the steps."""
        changed = [step for step in now if self._known.get(step.name) != (step.state, step.why)]
        self._known = {step.name: (step.state, step.why) for step in now}
        if self._out.isatty():
            up = f"\x1b[{self._drawn}A\x1b[J" if self._drawn else ""
            self._out.write(up + "".join(f"{_line(step)}\n" for step in now))
            self._drawn = len(now)
        else:
            clock = time.strftime("%H:%M:%S")
            self._out.write("".join(f"{clock}  {_line(step)}\n" for step in changed))
        self._out.flush()


def _line(step: Step) -> str:
    took = progress.duration(step.seconds) if step.state in ("done", "failed") else ""
    return f"{step.name:<25}{step.state:<9}{took:<13}{step.why[:160]}".rstrip()


@dataclass(frozen=True)
class End:
    """The end of a run.

    Attributes:
        verdict: accepted, nothing new, rejected, failed, cancelled or not finished.
        text: report for a terminal.
        page: report in Markdown.
        summary: of the run; None if it cannot be read.
    """

    verdict: str
    text: str
    page: str
    summary: Summary | None = None

    @property
    def code(self) -> int:
        """The exit code: ACCEPTED (also if nothing was new), REJECTED, FAILED or ENDED."""
        return ENDED if self.verdict in (CANCELLED, NOT_FINISHED) else exit_code(self.verdict)


def follow(api: Api, run: str, hours: float) -> End:
    """Follows a run to its end.

    Args:
        api: the server; it may be unreachable for half an hour.
        run: its identifier.
        hours: time limit, after which the run continues but is no longer followed.

    Raises:
        InputError: the server does not know the run, or is unreachable for too long.
    """
    api.patience, deadline, table = PATIENCE, time.monotonic() + hours * 3600, Table(sys.stdout)
    stopped = False
    while True:
        now = api.run(run)
        stopped = stopped or now["state"] in ("CANCELING", "CANCELED")
        found = steps(api.nodes(run))
        table.show(found)
        if now["state"] in OVER:
            return _end(api, now, found, stopped or was_stopped(api.workflow(run)))
        if time.monotonic() > deadline:
            text = f"not finished after {hours:g} hours; it continues, see `make runs` and `make cancel RUN={run}`"
            return _without_summary(NOT_FINISHED, text)
        time.sleep(PAUSE)


def was_stopped(workflow: dict[str, Any]) -> bool:
    """Whether a run was terminated: Kubeflow Pipelines 2.17 then sets this deadline and the state FAILED."""
    return workflow.get("spec", {}).get("activeDeadlineSeconds") == 0


def _end(api: Api, run: dict[str, Any], found: list[Step], stopped: bool) -> End:
    if stopped:
        return _without_summary(CANCELLED, "cancelled: finished work is kept, and the same command resumes from there")
    logs = PodLogs(api, run["run_id"])
    summary = _summary(logs, found)
    if run["state"] == "SUCCEEDED":
        if summary and summary.exit_code != FAILED:
            return End(summary.verdict, _result(summary), summary.markdown(), summary)
        if not summary and (known := verdict(run)):  # the model's figures are on the run's page
            text = f"{known}; the summary of the last step cannot be read, see the run's page"
            if known == DONE:
                text = f"{known}; the run's page says where the result is"
            return _without_summary(known, text)
    text = _failure(summary, found, logs.read)
    if summary and summary.error:
        return End("failed", text, summary.markdown(), summary)
    return _without_summary("failed", text)  # the last step missed the failure, so its summary is wrong


def verdict(run: dict[str, Any]) -> str:
    """The verdict of a run that succeeded, from the branch that it took; empty if it is not a run of this pipeline.

    No log decides it: a server may be unable to read one.

    Args:
        run: as the API describes it, with its tasks.
    """
    tasks = run.get("run_details", {}).get("task_details", [])
    done = {task["display_name"] for task in tasks if task.get("state") in ("SUCCEEDED", "SKIPPED")}
    for task, outcome in _OUTCOMES.items():
        if task in done:
            return outcome
    return ""


def _without_summary(verdict: str, text: str) -> End:
    return End(verdict, text, f"# {verdict}\n\n{text.strip()}\n")


def _summary(logs: PodLogs, found: list[Step]) -> Summary | None:
    """The summary that the run's last step printed; None if its log cannot be read."""
    last = next((step for step in found if step.name == "finish"), None)
    log = logs.read(last.pod) if last and last.pod else ""
    line = next((line for line in log.splitlines() if line.startswith(MARK)), None)
    return Summary.read(json.loads(line.removeprefix(MARK))) if line else None


def _result(summary: Summary) -> str:
    lines = [f"\n{summary.verdict}: {summary.reason}", *summary.figure_lines()]
    return "\n".join(lines + summary.place_lines(champion=summary.champion))


def _failure(summary: Summary | None, found: list[Step], log: Callable[[str], str]) -> str:
    """The step that failed, its error, and the end of its log."""
    failed = next((step for step in found if step.state == "failed" and step.name != "finish"), None)
    text = log(failed.pod) if failed and failed.pod else ""
    name = failed.name if failed else (summary and summary.step) or "the run"
    lines = [f"\nfailed: {name}: {_error(summary, failed, text)}"]
    if own := own_lines(text):
        lines += [f"  the end of its log ({failed.pod if failed else ''}):"]
        lines += [f"    {line}" for line in own[-LOG_LINES:]]
    return "\n".join(lines)


def _error(summary: Summary | None, failed: Step | None, log: str) -> str:
    """Why a run failed, from the step's last error line, its status file, or Kubeflow's and Kubernetes' messages."""
    own = [line.removeprefix("error: ") for line in log.splitlines() if line.startswith("error: ")]
    noted = summary.error if summary and summary.step else ""
    theirs = _DRIVER_DIED.findall(log) + ([failed.why] if failed and failed.why else [])
    rest = summary.error if summary else "Kubeflow does not say why; see the run's page"
    return next(filter(None, [*own[-1:], noted, *theirs, rest]))


def own_lines(log: str) -> list[str]:
    """The lines of a log, without those that KFP's launcher and Argo add."""
    return [line for line in _ADDED.sub("", log).splitlines() if line.strip()]
