"""Manages runs on a cluster: `python -m pipelines.runs list`, `cancel RUN`, `logs RUN [STEP]` and `follow RUN`."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import tyro

from openpose.errors import InputError, reports_errors
from pipelines import kfp_api
from pipelines.follow import OVER, follow, own_lines, steps, verdict, was_stopped
from pipelines.kfp_api import Api
from pipelines.pod_logs import NOWHERE, PodLogs


@dataclass(frozen=True)
class List:
    """List the newest runs."""

    count: int = 20
    """Number of runs."""


@dataclass(frozen=True)
class OfRun:
    """The run that a command is about."""

    run: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="RUN")]
    """Identifier of the run, as list prints it."""


@dataclass(frozen=True)
class Cancel(OfRun):
    """Stop a run."""


@dataclass(frozen=True)
class Follow(OfRun):
    """Follow a run, as make submit does."""


@dataclass(frozen=True)
class Logs(OfRun):
    """Show the logs of a run's steps."""

    step: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="STEP")] = ""
    """Show only this step."""


@dataclass(frozen=True)
class Options:
    """Manages runs on a cluster."""

    command: List | Cancel | Follow | Logs
    namespace: str = ""
    """Namespace of the user, in a Kubeflow with several users."""


@reports_errors
def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns the exit code."""
    options = tyro.cli(
        Options,
        prog="python -m pipelines.runs",
        args=arguments,
        config=(tyro.conf.OmitSubcommandPrefixes, tyro.conf.OmitArgPrefixes),
    )
    try:
        return _do(options.command, kfp_api.connect(options.namespace))
    except KeyboardInterrupt:
        return 130


def _do(command: List | Cancel | Follow | Logs, api: Api) -> int:
    match command:
        case List(count):
            return _list(api, count)
        case Follow(run):
            end = follow(api, run, 168.0)
            print(end.text)
            return end.code
        case Cancel(run):
            api.terminate(run)
            print(f"{run} is being stopped; finished work is kept")
            return 0
        case Logs(run, step):
            return _logs(api, run, step)


def _list(api: Api, count: int) -> int:
    for run in api.runs(count):
        print(
            f"{run['run_id']}  {run['created_at'][:19].replace('T', ' ')}  {_state(api, run):<13}{run['display_name']}"
        )
    return 0


def _state(api: Api, run: dict[str, Any]) -> str:
    """How a run went: the verdict of one that ended; Kubeflow calls a rejected one SUCCEEDED, a stopped one FAILED."""
    state = run.get("state", "PENDING")
    if state == "SUCCEEDED":
        return verdict(run) or "succeeded"
    if state in OVER and was_stopped(api.workflow(run["run_id"])):
        return "cancelled"
    return state.lower()


def _logs(api: Api, run: str, wanted: str) -> int:
    api.run(run)  # raises if the run does not exist
    found = [step for step in steps(api.nodes(run)) if wanted in ("", step.name)]
    if wanted and not found:
        raise InputError(f"run {run} has no step {wanted!r}; leave out the step to see all logs")
    logs = PodLogs(api, run)
    for step in found:
        print(f"== {step.name}: {step.state} {step.why}".rstrip())
        if step.pod and step.state != "waiting":
            print("\n".join(own_lines(logs.read(step.pod) or NOWHERE)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
