"""Runs the DAG on this machine, in place or in containers: `python -m pipelines.local`, or `make run`.

The same DAG as on a cluster, through KFP's local runner with each step in a process of its own, or in a container.
Without data it draws a sample data set and trains a small network on it. Exit code: 0 accepted, 1 failed, 3 rejected
by the verdict.
"""

import argparse
import os
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from openpose import drawn_people, progress, storage
from openpose.coco import source as data_source
from openpose.errors import InputError
from pipelines import images, in_place
from pipelines.images import revision
from pipelines.in_place import Outcome
from pipelines.training import training

REJECTED = 3

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

# The pipeline's steps in their order, and the DAG's components that belong to them. The names of a step's files
# under `<root>/status/` begin with its name.
STEPS = {
    "check": ("check",),
    "coco_download": ("coco_download",),
    "tfrecord_targets": ("tfrecord_targets", "collect_records"),
    "train": ("train",),
    "evaluate": ("evaluate",),
    "export": ("export",),
    "register": ("register",),
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
    arguments = {"source": source, "root": str(out), "revision": revision(), **parameters}
    if image is None:
        outcome = in_place.run(training, arguments, out / "kfp", lock)
    else:
        from pipelines import in_docker  # most runs need none of Docker's package

        if parameters.get("init"):
            arguments["init"] = _absolute(parameters["init"])
        seen = [Path(arguments[name]) for name in ("source", "init") if Path(arguments.get(name, "")).is_absolute()]
        outcome = in_docker.run(training, arguments, out / "kfp", image, out, seen)
    summary = summarise(out, outcome)
    storage.write_json(out / "summary.json", summary)
    if summary["report"]:
        shutil.copyfile(Path(summary["evaluation"]) / "report.html", out / "report.html")
    print(describe(summary, out, time.time() - start), flush=True)
    if outcome.failed:
        return 1
    return 0 if summary["verdict"] == "accepted" else REJECTED


def built_image() -> str:
    """The image for steps on CPUs, which `make images` built from the code as it is now.

    Raises:
        InputError: it did not, or the code was changed since.
    """
    built = images.read(images.BUILT)["cpu"]
    if built["digest"] is None:
        raise InputError(f"{images.BUILT}: no image for CPUs was built yet; run `make images VARIANT=cpu` first")
    if built["code"] != revision():
        raise InputError(f"{built['image']}: the code was changed since it was built; run `make images` again")
    return str(built["image"])


def _absolute(init: str) -> str:
    """A file's path as a container sees it; other values of `init` as they are."""
    return str(Path(init).absolute()) if Path(init).exists() else init


def summarise(out: Path, outcome: Outcome) -> dict[str, Any]:
    """What came out, for programs: `summary.json`."""
    steps = {name: _step(out / "status", name, outcome) for name in STEPS}
    trained, judged, exported, champion = (
        _manifest(steps[name]) for name in ("train", "evaluate", "export", "register")
    )
    losses = dict(trained["losses"]) if trained else {}
    if trained and judged:  # of the weights that were saved: with early stopping not those of the last epoch
        losses |= {name: judged["figures"][name] for name in losses if judged["figures"].get(name) is not None}
    errors = [f"{name}: {step['error']}" for name, step in steps.items() if step["error"]]
    return {
        "ap": judged["figures"]["AP"] if judged else None,
        "valid_loss": judged["figures"]["valid_loss"] if judged else None,
        "verdict": judged["verdict"] if judged and not outcome.failed else "failed",
        "reason": judged["reason"] if judged and not outcome.failed else " ".join(errors),
        "graph": exported["graph"] if exported else None,
        "champion": champion["entry"] if champion else None,
        "steps": {name: {key: step[key] for key in ("state", "seconds")} for name, step in steps.items()},
        "figures": judged["figures"] if judged else None,
        "losses": losses or None,
        "report": str(out / "report.html") if judged else None,
        "evaluation": judged["folder"] if judged else None,
        "records": str(out / "records"),
        "run": trained["folder"] if trained else None,
        "root": str(out),
    }


def _step(status: Path, name: str, outcome: Outcome) -> dict[str, Any]:
    """State, seconds, error and manifest of a step, over all its workers."""
    parts = [storage.read_json(path) for path in sorted(status.glob(f"{name}*.json"))]
    states = {part["state"] for part in parts}
    errors = [part["error"] for part in parts if part["error"]]
    for component in STEPS[name]:
        if component in outcome.failed and not errors:  # it was killed before it could say anything
            states.add("failed")
            errors.append(f"its process ended with {_exit_text(outcome.failed[component])}")
    return {
        "state": next((state for state in ("failed", "done", "found") if state in states), "skipped"),
        "seconds": round(sum(outcome.seconds.get(component, 0.0) for component in STEPS[name]), 1),
        "error": " ".join(errors),
        "manifest": parts[-1]["manifest"] if parts else None,
    }


def _exit_text(code: int) -> str:
    """An exit code in words; a shell gives 128 + the signal's number for a process that was killed."""
    if code == 128 + signal.SIGKILL:
        return "signal SIGKILL; the system does that when the memory is full: try a smaller batch or input"
    return f"exit code {code}; what it said last is above"


def _manifest(step: dict[str, Any]) -> dict[str, Any] | None:
    done = step["state"] in ("done", "found") and step["manifest"]
    return storage.read_json(step["manifest"]) if done else None


def describe(summary: dict[str, Any], out: Path, seconds: float) -> str:
    """The summary, for people."""
    lines = ["", f"OpenPose on Kubeflow: {summary['verdict']} after {progress.duration(seconds)}"]
    lines += [f"  {summary['reason']}", ""]
    for name, step in summary["steps"].items():
        took = progress.duration(step["seconds"]) if step["state"] in ("done", "failed") else ""
        lines.append(f"  {name:<18}{step['state']:<10}{took}".rstrip())
    if summary["figures"]:
        figures = ((name, summary["figures"][name]) for name in ("AP", "AP50", "AP75", "AR"))
        shown = "  ".join(f"{name} {'undefined' if value is None else f'{value:.3f}'}" for name, value in figures)
        lines += ["", f"  COCO {shown}"]
    if summary["losses"]:
        shown = "  ".join(f"{name} {summary['losses'][name]:.2f}" for name in ("loss", "valid_loss"))
        lines += [f"  {shown}"]
    places = {
        "report": summary["report"],
        "graph": summary["graph"],
        "records": summary["records"],
        "checkpoints": f"{summary['run']}/checkpoints" if summary["run"] else None,
        "TensorBoard logs": f"{summary['run']}/logs" if summary["run"] else None,
        "for programs": str(out / "summary.json"),
    }
    lines += [""] + [f"  {name:<18}{_short(place)}" for name, place in places.items() if place]
    return "\n".join(lines) + "\n"


def _short(path: str) -> str:
    """Relative to the current folder when that is shorter."""
    return min(path, os.path.relpath(path), key=len)


if __name__ == "__main__":
    sys.exit(main())
