"""Records the outcome of each step in `<root>/status/<step>.json`, from which the last step makes its summary.

KFP's exit handler and API tell that a step failed, but not why. On a cluster, where several runs may share a root, the
file is `<root>/status/<run>/<step>.json`.
"""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TypeVar

from openpose import storage, tracking
from openpose.errors import InputError

Manifest = TypeVar("Manifest", bound=storage.Manifest)
RUN = "OPENPOSE_RUN"  # environment variable with the run's identifier


@dataclass(frozen=True)
class Status:
    """The outcome of a step.

    Attributes:
        step: name of the step.
        state: running, done, found (its result already existed) or failed.
        start: Unix time.
        seconds: duration.
        error: cause of a failure, in one line; else empty.
        manifest: path of the manifest that the step made or found, if any.
    """

    step: str
    state: str
    start: float
    seconds: float
    error: str
    manifest: str | None


class Step:
    """A running step, which sets `found` if its result already existed, and `manifest_path`."""

    def __init__(self) -> None:
        self.found = False
        self.manifest_path: storage.StoragePath | None = None

    def cached(self, work: storage.StepOutput[Manifest]) -> Manifest | None:
        """Returns the manifest of an output that already exists, and prints that; else None."""
        self.manifest_path = work.manifest_path
        manifest = work.cached()
        if manifest is not None:
            self.found = True
            print(f"found {work.kind} in {work.folder}: nothing to do", flush=True)
        return manifest


@contextmanager
def step(root: storage.StoragePath, name: str) -> Iterator[Step]:
    """Records the outcome of the `with` block as that of a step, at its start and at its end."""
    current, start = Step(), time.time()

    def record(state: str, error: str = "") -> None:
        manifest = str(current.manifest_path) if current.manifest_path else None
        if state != "running":
            tracking.tags({f"{name}.state": state, f"{name}.manifest": manifest})
        _write(root, Status(name, state, start, round(time.time() - start, 1), error, manifest))

    record("running")
    state, error = "failed", "it was stopped"
    try:
        with storage.user_errors(root):
            yield current
        state, error = "found" if current.found else "done", ""
    except InputError as problem:
        error = str(problem)
        raise
    except Exception as problem:
        error = f"{type(problem).__name__}: {str(problem).splitlines()[0] if str(problem) else ''}"
        raise
    finally:
        record(state, error)


def _write(root: storage.StoragePath, status: Status) -> None:
    try:
        storage.write_json(_folder(root) / f"{status.step}.json", asdict(status))
    except InputError as problem:  # must not hide the step's own error
        print(f"warning: {problem}", file=sys.stderr)


def run() -> str:
    """The identifier of the run on a cluster; empty elsewhere."""
    return os.environ.get(RUN, "")


def _folder(root: storage.StoragePath) -> storage.StoragePath:
    return root / "status" / run()


def steps(root: storage.StoragePath) -> dict[str, Status]:
    """Reads the status of this run's steps: name -> status, in the order in which they started."""
    folder = _folder(root)
    names = [name for name in storage.sizes(folder) if name.endswith(".json") and "/" not in name]
    found = [Status(**storage.read_json(folder / name)) for name in names]
    return {status.step: status for status in sorted(found, key=lambda status: status.start)}
