"""Runs on a cluster: `python -m pipelines.runs list`, `cancel RUN`, `logs RUN [STEP]` and `follow RUN`."""

import argparse
import sys
from collections.abc import Sequence

from openpose.errors import InputError
from pipelines import kfp_api
from pipelines.follow import follow, own_lines, steps
from pipelines.kfp_api import Api


def main(arguments: Sequence[str] | None = None) -> int:
    """Does what the command says; returns the exit code."""
    made = argparse.ArgumentParser(prog="python -m pipelines.runs", description=__doc__)
    made.add_argument("--namespace", default="", help="of the user, in a Kubeflow with several")
    commands = made.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="the newest runs").add_argument("--count", type=int, default=20)
    commands.add_parser("cancel", help="stop a run").add_argument("run")
    commands.add_parser("follow", help="follow a run, as make submit does").add_argument("run")
    logs = commands.add_parser("logs", help="what the steps of a run have printed")
    logs.add_argument("run")
    logs.add_argument("step", nargs="?", help="only this one")
    options = made.parse_args(arguments)
    try:
        api = kfp_api.connect(options.namespace)
        if options.command == "list":
            return _list(api, options.count)
        if options.command == "follow":
            end = follow(api, options.run, 168.0)
            print(end.text)
            return end.code
        if options.command == "cancel":
            api.terminate(options.run)
            print(f"{options.run} is being stopped; finished work is kept")
            return 0
        return _logs(api, options.run, options.step)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _list(api: Api, count: int) -> int:
    for run in api.runs(count):
        state = run.get("state", "PENDING").lower()
        print(f"{run['run_id']}  {run['created_at'][:19].replace('T', ' ')}  {state:<10}{run['display_name']}")
    return 0


def _logs(api: Api, run: str, wanted: str | None) -> int:
    api.run(run)  # says when there is none
    found = [step for step in steps(api.nodes(run)) if wanted in (None, step.name)]
    if wanted and not found:
        raise InputError(f"run {run} has no step {wanted!r}; leave it out to see all")
    for step in found:
        print(f"== {step.name}: {step.state} {step.why}".rstrip())
        print("\n".join(own_lines(api.log(run, step.pod))) if step.pod else "")
    return 0


if __name__ == "__main__":
    sys.exit(main())
