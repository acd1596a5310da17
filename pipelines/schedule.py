"""Runs the DAG at fixed times: `python -m pipelines.schedule`, or `make schedule` and `make unschedule`.

A schedule is a recurring run of Kubeflow Pipelines, with the pipeline's version for this git revision. A new schedule
replaces the old one of the same name. Runs of a schedule never overlap, and missed runs are not repeated.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Annotated

import tyro
from cronsim import CronSim, CronSimError

from openpose.errors import InputError, reports_errors
from pipelines import kfp_api, submit, training
from pipelines.follow import OVER
from pipelines.kfp_api import Api


@dataclass(frozen=True, kw_only=True)
class Create(submit.Request):
    """Run the pipeline at fixed times."""

    cron: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="CRON")]
    """Time as: minute hour day month weekday, such as '0 3 * * *' for 3:00 every day."""
    name: str = training.DAG.name
    """Name of the schedule."""


@dataclass(frozen=True)
class Remove:
    """Remove a schedule."""

    namespace: str = ""
    """Namespace of the user, in a Kubeflow with several users."""
    name: str = training.DAG.name
    """Name of the schedule."""


@reports_errors
def main(arguments: Sequence[str] | None = None) -> int:
    """Creates or removes a schedule; returns the exit code."""
    options = tyro.extras.subcommand_cli_from_dict(
        {"create": Create, "remove": Remove}, prog="python -m pipelines.schedule", description=__doc__, args=arguments
    )
    if isinstance(options, Create):
        create(options)
    else:
        remove(kfp_api.connect(options.namespace), options.name)
    return 0


def create(options: Create) -> None:
    """Creates a schedule, then removes the old one of the same name.

    After an interruption, both exist until the next call removes the old one. In the opposite order, an interruption
    would leave none, which nobody would notice.

    Raises:
        InputError: an option cannot be used, the server refuses it, or a run of the old schedule is not finished.
    """
    times = next_times(options.cron, 3)
    plan = submit.planned(options, only_new=True)  # otherwise each run would evaluate and export the same model again
    api = kfp_api.connect(options.namespace)
    old = [schedule["recurring_run_id"] for schedule in api.schedules(options.name)]
    if run := _at_work(api, old):
        raise InputError(
            f"run {run} of the schedule {options.name} is not finished, and a run of the new one could overlap it; "
            f"wait until it ends, or stop it with `make cancel RUN={run}`"
        )
    made = api.schedule(
        submit.sendable(api, plan, options.experiment)
        | {
            "display_name": options.name,
            "trigger": {"cron_schedule": {"cron": f"0 {options.cron}"}},  # Kubeflow's cron starts with seconds
            "mode": "ENABLE",
            "no_catchup": True,
            "max_concurrency": "1",
        }
    )
    try:
        for identifier in old:
            api.unschedule(identifier)
    except InputError as error:
        raise InputError(
            f"the new schedule was created, but the old one, {identifier}, was not removed ({error}), and both would "
            "start runs; run the same command again"
        ) from error
    done = "changed" if old else "created"
    print(f"{done} the schedule {options.name} ({made}), version {plan.version}: {options.cron}")
    print(f"next: {', '.join(f'{time:%a %Y-%m-%d %H:%M}' for time in times)}")
    print("in the time zone of Kubeflow's scheduler: UTC, unless its CRON_SCHEDULE_TIMEZONE says otherwise")


def remove(api: Api, name: str) -> None:
    """Removes a schedule; its current run continues.

    Raises:
        InputError: no schedule has that name.
    """
    found = [schedule["recurring_run_id"] for schedule in api.schedules(name)]
    if not found:
        known = sorted({schedule["display_name"] for schedule in api.schedules()})
        raise InputError(f"unknown schedule {name}; existing schedules: {', '.join(known) or 'none'}")
    run = _at_work(api, found)
    for identifier in found:
        api.unschedule(identifier)
    print(f"removed the schedule {name}{f'; its run {run} continues' if run else ''}")


def next_times(cron: str, count: int) -> list[datetime]:
    """The next times of a cron expression, in UTC.

    Raises:
        InputError: the expression does not have five fields, or a field is wrong.
    """
    try:
        if len(cron.split()) != 5:
            raise CronSimError("there must be five fields: minute hour day month weekday")
        return list(islice(CronSim(cron, datetime.now(UTC)), count))
    except CronSimError as error:
        raise InputError(f'CRON is "{cron}": {error}; write it as in "0 3 * * *", 3:00 every day') from error


def _at_work(api: Api, schedules: Sequence[str]) -> str:
    """An unfinished run of the schedules, else empty. Only a schedule's newest run can be unfinished."""
    runs = [run for schedule in schedules for run in api.runs(1, schedule)]
    return next((run["run_id"] for run in runs if run.get("state") not in OVER), "")


if __name__ == "__main__":
    sys.exit(main())
