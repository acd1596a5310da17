"""`python -m openpose.report`, also `python -m openpose.records`: shows the content of records, or verifies them."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import tyro

from openpose import storage
from openpose.errors import InputError


def show(
    path: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="PATH")],
    draw: Annotated[Path | None, tyro.conf.DisallowNone, tyro.conf.arg(metavar="FOLDER")] = None,
    count: int = 12,
    size: int = 368,
) -> int:
    """Prints the content of records.

    Args:
        path: The manifest.json of records, or one shard.
        draw: Also draw images with people, mask and targets into this folder.
        count: How many images to draw.
        size: Input size of the drawn targets.
    """
    if storage.size(storage.path(path)) is None:
        raise InputError(f"{path}: no such file; give a records manifest (…/manifest.json) or a shard (….tfrecord)")
    # Imported here, as TensorFlow takes ten seconds and --help needs none of it.
    from openpose.report import show_records

    show_records.show_path(path)
    if draw:
        show_records.draw_path(path, draw, count, size)
    return 0


def verify(
    path: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="PATH")],
    more: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="[PATH ...]")] = (),
) -> int:
    """Checks every checksum, count and record; the exit code is 1 on damage.

    Args:
        path: The manifest.json of records.
        more: More manifests.
    """
    from openpose.records.verify import verify_manifest

    return max(verify_manifest(each) for each in (path, *more))


COMMANDS: dict[str, Callable[..., int]] = {"show": show, "verify": verify}


def main(arguments: Sequence[str] | None = None, program: str = "python -m openpose.records") -> int:
    """Runs the command line; returns the exit code."""
    try:
        return tyro.extras.subcommand_cli_from_dict(
            COMMANDS,
            prog=program,
            description="Looks into TFRecords.",
            args=arguments,
        )
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
