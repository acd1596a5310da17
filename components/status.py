"""What each step leaves under the storage root about how it went, for the end of the run to read.

KFP's exit handler and API know that a step failed but not why; `<root>/status/<step>.json` does. On a cluster, where
several runs may share a root, it is `<root>/status/<run>/<step>.json`.
"""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from openpose import storage
from openpose.errors import InputError

RUN = "OPENPOSE_RUN"  # environment variable with the run's identifier


class Step:
    """How a step is going; `found` is set when its work was there already."""

    def __init__(self) -> None:
        self.found = False
        self.manifest_path: storage.StoragePath | None = None

    def cached(self, work: storage.StepOutput) -> dict[str, Any] | None:
        """The work's manifest when it is done already; says so."""
        self.manifest_path = work.manifest_path
        manifest = work.cached()
        if manifest is not None:
            self.found = True
            print(f"found {work.kind} in {work.folder}: nothing to do", flush=True)
        return manifest


@contextmanager
def step(root: storage.StoragePath, name: str) -> Iterator[Step]:
    """Notes how the step in the block went: `<root>/status/<name>.json` with its state, seconds and error."""
    current, start = Step(), time.time()
    state, error = "failed", "it was stopped"
    _note(root, name, start, "running", "", current)
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
        _note(root, name, start, state, error, current)


def _note(root: storage.StoragePath, name: str, start: float, state: str, error: str, step: Step) -> None:
    document = {
        "step": name,
        "state": state,
        "start": start,
        "seconds": round(time.time() - start, 1),
        "error": error,
        "manifest": str(step.manifest_path) if step.manifest_path else None,
    }
    try:
        storage.write_json(_folder(root) / f"{name}.json", document)
    except InputError as problem:  # it must not hide how the step went
        print(f"warning: {problem}", file=sys.stderr)


def _folder(root: storage.StoragePath) -> storage.StoragePath:
    return root / "status" / os.environ.get(RUN, "")


def steps(root: storage.StoragePath) -> dict[str, dict[str, Any]]:
    """What the steps of this run have left, by their names, in the order in which they started."""
    folder = _folder(root)
    names = [name for name in storage.sizes(folder) if name.endswith(".json") and "/" not in name]
    found = [storage.read_json(folder / name) for name in names]
    return {step["step"]: step for step in sorted(found, key=lambda step: step["start"])}
