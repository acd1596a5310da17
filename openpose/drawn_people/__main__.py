"""`python -m openpose.drawn_people --out DIR --seed 1` draws the sample data set."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated

import tyro

from openpose.drawn_people.dataset import make
from openpose.drawn_people.scene import Sample
from openpose.errors import InputError


@dataclass(frozen=True)
class Flags:
    """Draws a sample data set in COCO's format."""

    out: str
    """Folder for the archives."""
    sample: Annotated[Sample, tyro.conf.OmitArgPrefixes] = field(default_factory=Sample)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit code."""
    try:
        flags = tyro.cli(Flags, prog="python -m openpose.sample", args=arguments)
        drawn = make(flags.out, flags.sample)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{flags.out}: {'drawn' if drawn else 'already there with these parameters, nothing to do'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
