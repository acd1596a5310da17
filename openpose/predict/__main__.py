"""`python -m openpose.predict --model graph.pb --image photos/ --out found/` finds people in files."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from openpose import model_files, storage
from openpose.errors import InputError, print_any_text
from openpose.model_files.formats import Pixels
from openpose.predict import files, in_batches
from openpose.predict.parts import Share
from openpose.predict.predictor import Passes, Predictor
from openpose.predict.run import Run
from openpose.predict.table import Kind


@dataclass(frozen=True)
class Flags:
    """Finds people, or what else the model was trained for, in pictures and videos; draws them and writes JSON."""

    model: Annotated[str, tyro.conf.arg(aliases=["--graph"])]
    """A model trained or exported by this project, or a graph of tf-pose-estimation."""
    image: str
    """A picture, a video, a folder of them, or a pattern ('a/*.jpg')."""
    out: str
    """A folder for all results, or a file (.jpg, …) for one drawn picture."""
    pixels: Annotated[Pixels | None, tyro.conf.DisallowNone] = None
    """Channel order that the model takes; by default what its file says."""
    height: Annotated[int | None, tyro.conf.DisallowNone] = None
    """Height in pixels to which pictures are resized for the network; by default what its file says, or 368."""
    flip: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Run the network on the mirrored picture too, which finds more."""
    scales: Annotated[tuple[float, ...], tyro.conf.arg(metavar="FACTOR [FACTOR ...]")] = (1.0,)
    """Run the network at each of these multiples of the height; several find more."""
    batch_size: Annotated[int, tyro.conf.arg(aliases=["--batch"])] = in_batches.BATCH
    """Pictures of one size that go through the network together."""
    tracking: Annotated[bool, tyro.conf.FlagCreatePairsOff] = True
    """Give people in videos the same id from frame to frame, drawn and in all files."""
    table: Annotated[Kind | None, tyro.conf.DisallowNone] = None
    """Write a table beside each drawn video: csv as DeepLabCut's, or h5 as SLEAP's analysis files."""
    threads: int = in_batches.THREADS
    """Threads that read, decode and write."""
    share: str = "1/1"
    """Do only a share of the files, such as 3/8, the third of eight; other machines do the others."""


def main(arguments: Sequence[str] | None = None, program: str = "python -m openpose.predict") -> int:
    """Runs the command line; returns the exit code: 1 if any file could not be used."""
    print_any_text()
    flags = tyro.cli(Flags, prog=program, args=arguments)
    try:
        run = _predict(flags)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for kind, messages in (("error", run.failures), ("warning", run.warnings)):
        for message in messages:
            print(f"{kind}: {message}", file=sys.stderr)
    if run.pictures:
        print(run.summary(flags.image, flags.out))
    return 1 if run.failures else 0


def _predict(flags: Flags) -> Run:
    for name in ("height", "batch_size", "threads"):
        if (value := getattr(flags, name)) is not None and value < 1:
            raise InputError(f"--{name.replace('_', '-')} is {value}; it must be 1 or more")
    if flags.table and not flags.tracking:
        raise InputError("--table has a column for each person, so it needs --tracking")
    passes, share = Passes(flags.scales, flags.flip), Share.of_text(flags.share)
    jobs = files.plan(files.find(flags.image), Path(flags.out))
    model = model_files.load(flags.model, pixels=flags.pixels)
    predictor = Predictor(model, flags.height or model.height, passes=passes)
    run = Run(predictor, flags.batch_size, flags.threads, flags.tracking, flags.table, share)
    run.do(jobs, _about(flags, predictor, jobs))
    return run


def _about(flags: Flags, predictor: Predictor, jobs: list[files.Job]) -> dict[str, Any]:
    """What the results depend on."""
    # Not their whole paths: machines that share the files may have them in different places.
    states = [(job.file_name, (state := job.source.stat()).st_size, state.st_mtime_ns) for job in jobs]
    return {
        "model": model_files.checksum(storage.path(flags.model)),
        "pixels": predictor.model.pixels,
        "height": predictor.height,
        "passes": [list(flags.scales), flags.flip],
        "tracking": [flags.tracking, flags.table],
        "files": storage.fingerprint(states),
    }


if __name__ == "__main__":
    sys.exit(main())
