"""`python -m openpose.serving --model graph.pb` serves a model, with a page to try it at http://localhost:8080/."""

import functools
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import tyro

from openpose import model_files, storage
from openpose.errors import InputError, reports_errors
from openpose.evaluation.registry import Registry
from openpose.model_files.formats import Pixels
from openpose.predict import in_batches
from openpose.predict.predictor import Predictor
from openpose.report.lineage_page import lineage_page

if TYPE_CHECKING:
    from openpose.serving.pose_model import PoseModel

PROGRAM = "python -m openpose.serving"
GRAPH = "graph.pb"


@dataclass(frozen=True)
class Flags:
    """Serves a model by KServe's protocols, with health, metrics and a page to try it."""

    model: str = ""
    """A model trained or exported by this project, or a graph of tf-pose-estimation."""
    root: str = ""
    """Instead of a model: the storage root; its newest accepted model is served, and each newer one."""
    registry: str = "openpose"
    """Registry below the root."""
    port: int = 8080
    """Port of the server."""
    pixels: Annotated[Pixels | None, tyro.conf.DisallowNone] = None
    """Channel order that the model takes; by default what its file says."""
    height: Annotated[int | None, tyro.conf.DisallowNone] = None
    """Height in pixels to which pictures are resized for the network; by default what its file says, or 368."""
    batch_size: int = in_batches.BATCH
    """Pictures of one size that go through the network together when many wait."""
    threads: int = in_batches.THREADS
    """Threads that decode and resize pictures and group keypoints into people."""
    follow_seconds: float = 60.0
    """Seconds between two looks for another accepted model."""


@dataclass
class Served:
    """The model that answers, and its file."""

    model: "PoseModel"
    place: str


@reports_errors
def main(arguments: Sequence[str] | None = None, program: str = PROGRAM) -> int:
    """Runs the command line; returns the exit code."""
    flags = tyro.cli(Flags, prog=program, args=arguments)
    if bool(flags.model) == bool(flags.root):
        raise InputError("give --model, a file, or --root, a storage root whose newest accepted model is served")
    try:
        from openpose.serving.pose_model import PoseModel  # here because KServe is an extra
        from openpose.serving.server import serve
    except ImportError as error:
        raise InputError(f"{error}; the server needs KServe: pip install openpose-kubeflow[serve]") from error
    place = flags.model or _newest(flags)
    model = PoseModel(_predictor(place, flags), flags.batch_size, flags.threads)
    served = Served(model, place)
    print(f"serving {place} at http://localhost:{flags.port}/", flush=True)
    if flags.root:
        threading.Thread(target=_follow, args=(flags, served), daemon=True).start()
    serve(model, flags.port, functools.partial(_lineage, flags, served) if flags.root else None)
    return 0


def _newest(flags: Flags) -> str:
    """The graph of the model that was accepted last."""
    return f"{Registry(storage.path(flags.root), flags.registry).newest()}/{GRAPH}"


def _predictor(place: str, flags: Flags) -> Predictor:
    model = model_files.load(place, pixels=flags.pixels)
    return Predictor(model, flags.height or model.height)


def _lineage(flags: Flags, served: Served) -> str:
    """The page that shows where the served model comes from.

    Raises:
        InputError: the registry has no entry of it.
    """
    registry, place = Registry(storage.path(flags.root), flags.registry), storage.path(served.place)
    champion = registry.entry_of(place.parent.name)
    if champion is None:
        raise InputError(f"{registry.folder}: no entry says where {place} comes from")
    return lineage_page(champion, served.place)


def _follow(flags: Flags, served: Served) -> None:
    """Serves another model as soon as it is accepted; the present one stays if that fails."""
    pause = threading.Event()
    while not pause.wait(flags.follow_seconds):
        try:
            newest = _newest(flags)
            if newest != served.place:
                served.model.predictor = _predictor(newest, flags)
                served.place = newest
                print(f"serving {served.place}, the newest accepted model", flush=True)
        except (InputError, OSError) as error:
            print(f"warning: {error}; still serving {served.place}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
