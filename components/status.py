"""Records how each step went: `<root>/status/<step>.json`, which the end of the run reads.

KFP's exit handler and API say that a step failed, but not why. On a cluster, where several runs may share a root, the
file is `<root>/status/<run>/<step>.json`.
"""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TypeVar

from openpose import storage
from openpose.errors import InputError

Manifest = TypeVar("Manifest", bound=storage.Manifest)
RUN = "OPENPOSE_RUN"  # environment variable with the run's identifier


@dataclass(frozen=True)
class Status:
    """How a step went.

    Attributes:
        step: its name.
        state: running, done, found (its result was there already) or failed.
        start: Unix time.
        seconds: that it took.
        error: why it failed, in one line; empty otherwise.
        manifest: path of the manifest that it made or found, if any.
    """

    step: str
    state: str
    start: float
    seconds: float
    error: str
    manifest: str | None


class Step:
    """A step at work; it sets `found` when its result was there already, and `manifest_path`."""

    def __init__(self) -> None:
        self.found = False
        self.manifest_path: storage.StoragePath | None = None

    def cached(self, work: storage.StepOutput[Manifest]) -> Manifest | None:
        """The manifest of a step's output if it is complete already, and says so; else None."""
        self.manifest_path = work.manifest_path
        manifest = work.cached()
        if manifest is not None:
            self.found = True
            print(f"found {work.kind} in {work.folder}: nothing to do", flush=True)
        return manifest


@contextmanager
def step(root: storage.StoragePath, name: str) -> Iterator[Step]:
    """Records how the step in the `with` block goes, at its start and at its end."""
    current, start = Step(), time.time()

    def record(state: str, error: str = "") -> None:
        manifest = str(current.manifest_path) if current.manifest_path else None
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


def _folder(root: storage.StoragePath) -> storage.StoragePath:
    return root / "status" / os.environ.get(RUN, "")


def steps(root: storage.StoragePath) -> dict[str, Status]:
    """How the steps of this run went: name -> status, in the order in which they started."""
    folder = _folder(root)
    names = [name for name in storage.sizes(folder) if name.endswith(".json") and "/" not in name]
    found = [Status(**storage.read_json(folder / name)) for name in names]
    return {status.step: status for status in sorted(found, key=lambda status: status.start)}
