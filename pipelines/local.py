"""Runs the DAG on this machine, in place or in containers: `python -m pipelines.local`, or `make run`.

The same DAG as on a cluster, through KFP's local runner with each step in a process of its own, or in a container.
Without data it draws a sample data set and trains a small network on it. Exit code: 0 accepted, 1 failed, 3 rejected
by the verdict.
"""

import argparse
import os
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from components import revision
from components.finish.summary import Summary, summarise
from openpose import drawn_people, progress, storage
from openpose.coco import source as data_source
from openpose.errors import InputError
from pipelines import images, in_place
from pipelines.training import training

# What the sample needs to be learnt in some minutes on two cores: a small input that the figures fill, little
# rotation, and many small steps.
SAMPLE: dict[str, Any] = {
    "width": 0.75,
    "stages": 2,
    "size": 128,
    "batch_size": 4,
    "epochs": 10,
    "learning_rate": "0.002",
    "decay": "cosine",
    "min_scale": 0.8,
    "max_scale": 1.6,
    "max_rotation": 10.0,
    "images_per_shard": 200,
    "ap_images": 50,
}


def parser() -> argparse.ArgumentParser:
    """Flags made from the DAG's own parameters; `source` and `root` are called data and out here."""
    made = argparse.ArgumentParser(
        prog="python -m pipelines.local",
        description="Runs the whole pipeline on this machine.",
        allow_abbrev=False,
    )
    made.add_argument(
        "--data", help="folder with COCO's official layout, an address of one, or coco2017 (default: a sample is drawn)"
    )
    made.add_argument("--out", type=Path, default=Path("out"), help="folder for everything (default: %(default)s)")
    made.add_argument(
        "--runner",
        choices=("in-place", "docker"),
        default="in-place",
        help="where the steps run: as processes, or in containers of the image that `make images` built "
        "(default: %(default)s)",
    )
    types = {"String": str, "Integer": int, "Float": float}
    for name, spec in training.component_spec.inputs.items():
        if name in ("source", "root", "revision", "only_new"):  # here what is done is found in seconds
            continue
        if spec.type == "Boolean":
            made.add_argument(f"--{name.replace('_', '-')}", action="store_true", default=None, help=spec.description)
            continue
        kind = types[spec.type]
        text = f"{spec.description} (default: {spec.default}"
        text += f"; {SAMPLE[name]} for the sample)" if name in SAMPLE else ")"
        made.add_argument(f"--{name.replace('_', '-')}", type=kind, metavar=kind.__name__.upper(), help=text)
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the DAG; returns the exit code."""
    options = vars(parser().parse_args(arguments))
    data, out, runner = options.pop("data"), options.pop("out").absolute(), options.pop("runner")
    given = {name: value for name, value in options.items() if value is not None}
    try:
        storage.open_root(out)
        with in_place.alone(out) as lock:
            return run(data, out, given, lock, built_image() if runner == "docker" else None)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, in_place.Stopped) as stopped:
        print("stopped; finished work is kept, and the same command goes on from there", file=sys.stderr)
        return stopped.exit_code if isinstance(stopped, in_place.Stopped) else 130


def run(data: str | None, out: Path, parameters: dict[str, Any], lock: int, image: str | None = None) -> int:
    """Runs the DAG on the data, or on a drawn sample, and writes `summary.json` and `report.html` to `out`.

    With an image the steps run in containers of it.
    """
    start = time.time()
    if data is None:
        drawn_people.make(out / "sample", seed=parameters.get("seed", 0))
        parameters = SAMPLE | parameters
    storage.sweep(out)
    for old in ("status", "kfp"):
        shutil.rmtree(out / old, ignore_errors=True)
    for old in ("summary.json", "report.html"):  # what is there belongs to this run, also when it fails
        (out / old).unlink(missing_ok=True)
    source = data_source.absolute(data or str(out / "sample"))
    arguments = {"source": source, "root": str(out), "revision": revision.fingerprint(), **parameters}
    if image is None:
        outcome = in_place.run(training, arguments, out / "kfp", lock)
    else:
        from pipelines import in_docker  # most runs need none of Docker's package

        if parameters.get("init"):
            arguments["init"] = _absolute(parameters["init"])
        seen = [Path(arguments[name]) for name in ("source", "init") if Path(arguments.get(name, "")).is_absolute()]
        outcome = in_docker.run(training, arguments, out / "kfp", image, out, seen)
    state = "FAILED" if outcome.failed else "SUCCEEDED"
    summary = summarise(out, state, exit_codes=outcome.failed, seconds=outcome.seconds)
    if summary.report:
        shutil.copyfile(summary.report, out / "report.html")
        summary = replace(summary, report=str(out / "report.html"))
    storage.write_json(out / "summary.json", summary.document())
    print(describe(summary, out, time.time() - start), flush=True)
    return summary.exit_code


def built_image() -> str:
    """The image for steps on CPUs, which `make images` built from the code as it is now.

    Raises:
        InputError: it did not, or the code was changed since.
    """
    built = images.read(images.BUILT)["cpu"]
    if built["digest"] is None:
        raise InputError(f"{images.BUILT}: no image for CPUs was built yet; run `make images VARIANT=cpu` first")
    if built["code"] != revision.fingerprint():
        raise InputError(f"{built['image']}: the code was changed since it was built; run `make images` again")
    return str(built["image"])


def _absolute(init: str) -> str:
    """A file's path as a container sees it; other values of `init` as they are."""
    return str(Path(init).absolute()) if Path(init).exists() else init


def describe(summary: Summary, out: Path, seconds: float) -> str:
    """The summary, for people."""
    lines = ["", f"OpenPose on Kubeflow: {summary.verdict} after {progress.duration(seconds)}"]
    lines += [f"  {summary.reason}", "", *summary.step_lines()]
    if figures := summary.figure_lines():
        lines += ["", *figures]
    lines += ["", *summary.place_lines(_short, for_programs=str(out / "summary.json"))]
    return "\n".join(lines) + "\n"


def _short(path: str) -> str:
    """Relative to the current folder when that is shorter."""
    return min(path, os.path.relpath(path), key=len)


if __name__ == "__main__":
    sys.exit(main())
