"""What each step leaves under the storage root about how it went, for the end of the run to read.

KFP's exit handler and API know that a step failed but not why; `<root>/status/<step>.json` does.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from openpose import storage
from openpose.errors import InputError


class Step:
    """How a step is going; `found` is set when its work was there already."""

    def __init__(self) -> None:
        self.found = False
        self.manifest_path: storage.Place | None = None

    def finished(self, work: storage.Work) -> dict[str, Any] | None:
        """The work's manifest when it is done already; says so."""
        self.manifest_path = work.manifest_path
        manifest = work.finished()
        if manifest is not None:
            self.found = True
            print(f"found {work.kind} in {work.folder}: nothing to do", flush=True)
        return manifest


@contextmanager
def step(root: storage.Place, name: str) -> Iterator[Step]:
    """Notes how the step in the block went: `<root>/status/<name>.json` with its state, seconds and error."""
    current, start = Step(), time.time()
    state, error = "failed", "it was stopped"
    try:
        with storage.trouble_is_clear(root):
            yield current
        state, error = "found" if current.found else "done", ""
    except InputError as problem:
        error = str(problem)
        raise
    except Exception as problem:
        error = f"{type(problem).__name__}: {str(problem).splitlines()[0] if str(problem) else ''}"
        raise
    finally:
        seconds = round(time.time() - start, 1)
        document = {
            "step": name,
            "state": state,
            "start": start,
            "seconds": seconds,
            "error": error,
            "manifest": str(current.manifest_path) if current.manifest_path else None,
        }
        try:
            storage.write_json(root / "status" / f"{name}.json", document)
        except InputError as problem:  # it must not hide how the step went
            print(f"warning: {problem}", file=sys.stderr)
