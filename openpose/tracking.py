"""Figures, parameters and pages of a run for MLflow, Kubeflow's tracker, where its variables are set.

Kubeflow Pipelines with its MLflow plugin gives each step's container MLFLOW_TRACKING_URI and MLFLOW_RUN_ID, so each
step has a run of MLflow to itself. On one machine, `pipeline` makes one run for all steps. Without the variables
nothing is sent. MLflow never stops a step: the first failure is a warning, and after each one nothing is sent for a
minute.
"""

import functools
import math
import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlflow import MlflowClient

URI, RUN, EXPERIMENT = "MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_NAME"
DEFAULT_EXPERIMENT = "openpose"
TAG = "openpose."  # before the names of our tags
LONGEST = 500  # characters of a value, which every server takes
# A server that does not answer may take seconds, not minutes; MLflow refuses folders (file:) without the last one.
_DEFAULTS = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_ALLOW_FILE_STORE": "true",
}
PAUSE = 60.0  # seconds without another try after a failure
_failures: list[float] = []  # when MLflow has failed, monotonic seconds


def figures(values: Mapping[str, float | None], step: int = 0, before: str = "") -> None:
    """Logs figures of a step of the training, or of a whole run.

    Args:
        values: by name; those that are undefined, NaN or infinite are left out.
        step: number of training steps done.
        before: of the names, such as "evaluation/".
    """

    def call(client: "MlflowClient", run: str) -> None:
        from mlflow.entities import Metric

        now = round(time.time() * 1000)
        client.log_batch(
            run,
            metrics=[
                Metric(before + name, float(value), now, step)
                for name, value in values.items()
                if value is not None and math.isfinite(value)
            ],
        )

    _send(call)


def parameters(values: Mapping[str, Any], before: str = "") -> None:
    """Logs parameters by name; `before` keeps them apart from those that Kubeflow's plugin logs."""

    def call(client: "MlflowClient", run: str) -> None:
        from mlflow.entities import Param

        client.log_batch(run, params=[Param(before + name, str(value)[:LONGEST]) for name, value in values.items()])

    _send(call)


def tags(values: Mapping[str, Any]) -> None:
    """Sets tags by name, such as `openpose.data`; those without a value are left out."""

    def call(client: "MlflowClient", run: str) -> None:
        from mlflow.entities import RunTag

        given = {name: str(value)[:LONGEST] for name, value in values.items() if value}
        client.log_batch(run, tags=[RunTag(TAG + name, value) for name, value in given.items()])

    _send(call)


def page(name: str, text: Callable[[], str]) -> None:
    """Keeps a page among the run's artifacts; `text` is only called where it is sent."""
    _send(lambda client, run: client.log_text(run, text(), name))


def place() -> dict[str, str]:
    """Where MLflow keeps this run: `tracking`, the server's address, and `tracked`, the run's id; or nothing."""
    uri, run = os.environ.get(URI), os.environ.get(RUN)
    return {"tracking": _without_password(uri), "tracked": run} if uri and run else {}


@contextmanager
def pipeline(name: str) -> Iterator[Callable[[bool], None]]:
    """Makes a run of MLflow for all steps that the block starts as processes, which get its id as a variable.

    Args:
        name: of the run.

    Yields:
        A function that says whether the pipeline failed; without it the run of MLflow ends as stopped.
    """
    state = "KILLED"

    def end(failed: bool) -> None:
        nonlocal state
        state = "FAILED" if failed else "FINISHED"

    if os.environ.get(RUN):  # the caller has a run, which is the caller's to end
        yield end
        return
    os.environ[RUN] = _created(name)
    try:
        yield end
    finally:
        _send(lambda client, run: client.set_terminated(run, state))
        del os.environ[RUN]


def _created(name: str) -> str:
    """The id of a new run; empty where nothing is sent."""
    made: list[str] = []

    def call(client: "MlflowClient", _: str) -> None:
        wanted = os.environ.get(EXPERIMENT, DEFAULT_EXPERIMENT)
        found = client.get_experiment_by_name(wanted)
        experiment = found.experiment_id if found else client.create_experiment(wanted)
        made.append(client.create_run(experiment, run_name=name).info.run_id)

    _send(call, needs_run=False)
    return "".join(made)


def _send(call: Callable[["MlflowClient", str], object], needs_run: bool = True) -> None:
    uri, run = os.environ.get(URI), os.environ.get(RUN, "")
    if not uri or (needs_run and not run) or (_failures and time.monotonic() < _failures[-1] + PAUSE):
        return
    try:
        call(_client(), run)
    except Exception as error:  # whatever it is, no step may fail by it
        if not _failures:
            print(_without_password(f"warning: MLflow at {uri} gets no figures: {_reason(error)}"), file=sys.stderr)
        _failures.append(time.monotonic())


@functools.cache
def _client() -> "MlflowClient":
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)
    from mlflow import MlflowClient  # an extra, which takes seconds to import

    return MlflowClient()


def _reason(error: Exception) -> str:
    if isinstance(error, ModuleNotFoundError):
        return f"{error}; pip install openpose-kubeflow[mlflow]"
    return next(iter(str(error).splitlines()), type(error).__name__)


def _without_password(text: str) -> str:
    """A text in which addresses have no user and password."""
    return re.sub(r"//[^/@\s]+@", "//", text)
