"""Runs the DAG on this machine, in place or in containers: `python -m pipelines.local`, or `make run`.

The DAG is the same as on a cluster; KFP's local runner starts each step in a process or a container. Without data, the
command draws a sample data set and trains a small network on it. Exit code: 0 accepted, 1 failed, 3 rejected.
"""

import os
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from components import command, revision
from components.finish.summary import Summary, summarise
from components.parameters import SAMPLE_REGISTRY, dag_parameters
from openpose import progress, storage, tracking
from openpose.coco import source as data_source
from openpose.drawn_people import dataset
from openpose.drawn_people.scene import Sample
from openpose.errors import InputError, reports_errors
from openpose.skeleton.files import SUFFIXES
from pipelines import images

if TYPE_CHECKING:
    # At runtime imported to run the DAG only: KFP takes seconds, which --help and the drawing should not spend.
    from pipelines import in_place

PROGRAM = "python -m pipelines.local"

# These parameters train a network on the sample in minutes on two cores: a small input that the drawn people fill,
# little rotation, and a high learning rate that ends at 0. Whole pictures are predicted at the height at which people
# have about the mean size of the training's samples. Peaks smaller than usual gave a higher AP.
SAMPLE: dict[str, Any] = {
    "width": 0.5,
    "stages": 2,
    "size": 112,
    "predict_height": 144,
    "sigma": 5.0,
    "batch_size": 8,
    "epochs": 8,
    "learning_rate": "0.008",
    "decay": "cosine",
    "warmup": 100,
    "min_scale": 0.9,
    "max_scale": 1.8,
    "max_rotation": 10.0,
    "images_per_shard": 200,
    "ap_images": 50,
    "registry": SAMPLE_REGISTRY,
}

# Importing these takes seconds, which several steps would spend one after the other.
_PACKAGES = ("tensorflow", "keras", "cv2")

# The command's options set these. `only_new` is for clusters: a run here finds finished work in seconds anyway.
_NOT_FLAGS = ("source", "root", "revision", "only_new")
PARAMETERS = {name: each for name, each in dag_parameters().items() if name not in _NOT_FLAGS}


@dataclass(frozen=True)
class Options:
    """Runs the whole pipeline on this machine."""

    data: Annotated[str | None, tyro.conf.arg(metavar="DATA")] = None
    """Folder, file or address of data: COCO, DeepLabCut, SLEAP, Ultralytics, LabelMe; or coco2017; by default drawn."""
    out: Path = Path("out")
    """Folder for all output."""
    runner: Literal["in-place", "docker"] = "in-place"
    """How to run the steps: as processes, or in containers of the image that `make images` built."""


def _flags(defaults: dict[str, Any]) -> type[Options]:
    """The command's options, and a flag for each of the DAG's parameters."""
    notes = {name: f"For the sample: {value}." for name, value in SAMPLE.items()}
    return command.flags(Options, PARAMETERS.values(), defaults, notes)


FLAGS = _flags({})


def parse(arguments: Sequence[str], program: str = PROGRAM) -> tuple[Options, dict[str, Any]]:
    """The command's options and the DAG's parameters; without data, the sample's defaults apply."""
    words = command.with_config(PARAMETERS, arguments)
    sample = not any(word.partition("=")[0] in ("--data", "--help", "-h") for word in words)
    description = f"{Options.__doc__}\n\n{command.CONFIG_NOTE}"
    options: Options = tyro.cli(_flags(SAMPLE) if sample else FLAGS, prog=program, description=description, args=words)
    return options, {name: getattr(options, name) for name in PARAMETERS}


@reports_errors
def main(arguments: Sequence[str] | None = None, program: str = PROGRAM) -> int:
    """Runs the DAG; returns the exit code."""
    options, parameters = parse(sys.argv[1:] if arguments is None else arguments, program)
    from pipelines import in_place

    try:
        out = options.out.absolute()
        storage.open_root(out)
        with in_place.alone(out) as lock:
            image = built_image() if options.runner == "docker" else None
            return run(options.data, out, parameters, lock, image)
    except (KeyboardInterrupt, in_place.Stopped) as stopped:
        print("stopped; finished work is kept, and the same command resumes from there", file=sys.stderr)
        return stopped.exit_code if isinstance(stopped, in_place.Stopped) else 130


def run(data: str | None, out: Path, parameters: dict[str, Any], lock: int, image: str | None = None) -> int:
    """Runs the DAG on the data, or on a drawn sample, and writes `summary.json` and `report.html` to `out`.

    Args:
        data: folder or address; None for the sample.
        out: the storage root.
        parameters: of the DAG.
        lock: from `in_place.alone`.
        image: for the steps' containers; None runs them as processes.

    Returns:
        The exit code.
    """
    start = time.time()
    if image is None:
        outcome = _run_in_place(data, out, parameters, lock)
    else:
        outcome = _run_in_docker(_prepared(data, out, parameters), out, image)
    state = "FAILED" if outcome.failed else "SUCCEEDED"
    summary = summarise(out, state, exit_codes=outcome.failed, seconds=outcome.seconds)
    if summary.report:
        shutil.copyfile(summary.report, out / "report.html")
        summary = replace(summary, report=str(out / "report.html"))
    storage.write_json(out / "summary.json", summary.document())
    print(describe(summary, out, time.time() - start), flush=True)
    return summary.exit_code


def _prepared(data: str | None, out: Path, parameters: dict[str, Any]) -> dict[str, Any]:
    """Draws the sample, removes what an earlier run left, and returns the DAG's arguments."""
    if data is None:
        dataset.make(out / "sample", Sample(seed=parameters["seed"]))
    storage.sweep(out)
    for old in ("status", "kfp"):
        shutil.rmtree(out / old, ignore_errors=True)
    for old in ("summary.json", "report.html"):  # so that no old result remains if this run fails
        (out / old).unlink(missing_ok=True)
    source = data_source.absolute(data or str(out / "sample"))
    parameters = parameters | {"skeleton": _absolute(parameters["skeleton"])}
    return {"source": source, "root": str(out), "revision": revision.fingerprint(), **parameters}


def _absolute(skeleton: str) -> str:
    """The path of a skeleton file as every step finds it; the name of a skeleton, or of a file elsewhere, stays."""
    return str(Path(skeleton).absolute()) if skeleton.endswith(SUFFIXES) and Path(skeleton).is_file() else skeleton


def _run_in_place(data: str | None, out: Path, parameters: dict[str, Any], lock: int) -> "in_place.Outcome":
    from pipelines import in_place
    from pipelines.training import training

    with in_place.processes(lock, _PACKAGES) as steps:
        arguments = _prepared(data, out, parameters)
        with tracking.pipeline(out.name) as end:
            tracking.parameters(arguments)
            outcome = in_place.run(training, arguments, out / "kfp", steps)
            end(bool(outcome.failed))
    return outcome


def _run_in_docker(arguments: dict[str, Any], out: Path, image: str) -> "in_place.Outcome":
    from pipelines import in_docker  # here because most runs do not need Docker's package
    from pipelines.training import training

    if arguments.get("init") and Path(arguments["init"]).exists():
        arguments = arguments | {"init": str(Path(arguments["init"]).absolute())}  # the path in a container
    seen = [
        Path(arguments[name]) for name in ("source", "init", "skeleton") if Path(arguments.get(name, "")).is_absolute()
    ]
    beside = (".slp", ".yaml", ".yml")  # files of tools, which name others beside them
    seen = [path.parent if path.suffix in beside else path for path in seen]
    return in_docker.run(training, arguments, out / "kfp", image, out, seen)


def built_image() -> str:
    """The CPU image that `make images` built from the present code.

    Raises:
        InputError: the image was not built, or the code has changed since.
    """
    built = images.read(images.BUILT)["cpu"]
    if built["digest"] is None:
        raise InputError(
            f"{images.BUILT}: the CPU image is not built yet; run `make images VARIANT=cpu`{images.WHERE} first"
        )
    if built["code"] != revision.fingerprint():
        raise InputError(
            f"{built['image']}: the code has changed since the build; run `make images`{images.WHERE} again"
        )
    return str(built["image"])


def describe(summary: Summary, out: Path, seconds: float) -> str:
    """The summary for a terminal."""
    lines = ["", f"OpenPose on Kubeflow: {summary.verdict} after {progress.duration(seconds)}"]
    lines += [f"  {summary.reason}", "", *summary.step_lines()]
    if figures := summary.figure_lines():
        lines += ["", *figures]
    lines += ["", *summary.place_lines(_short, for_programs=str(out / "summary.json"))]
    return "\n".join(lines) + "\n"


def _short(path: str) -> str:
    """Shortens a path to one relative to the current folder, if that is shorter."""
    return min(path, os.path.relpath(path), key=len)


if __name__ == "__main__":
    sys.exit(main())
