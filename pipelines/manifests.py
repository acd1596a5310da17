"""What the pipeline needs on a cluster, rendered: `python -m pipelines.manifests`, or `make manifests`.

Runs `kubectl kustomize` on an overlay of manifests/, and puts the built image where it names one.
"""

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from openpose import storage
from openpose.errors import InputError
from pipelines import images

OVERLAYS = images.REPOSITORY / "manifests/overlays"
IMAGE = "image: openpose-kubeflow-cpu\n"


def render(overlay: str, image: str) -> str:
    """The objects of an overlay, as YAML.

    Raises:
        InputError: there is no such overlay, or kubectl cannot be run or refuses it.
    """
    folder = OVERLAYS / overlay
    if not folder.is_dir():
        known = ", ".join(sorted(path.name for path in OVERLAYS.iterdir()))
        raise InputError(f"overlay {overlay!r}: there is none of that name; choose one of: {known}")
    try:
        done = subprocess.run(["kubectl", "kustomize", str(folder)], capture_output=True, text=True)
    except OSError as error:
        raise InputError("there is no `kubectl`, which renders the manifests; install it") from error
    if done.returncode:
        raise InputError(f"{folder}: {' '.join(done.stderr.split())}")
    return done.stdout.replace(IMAGE, f"image: {image}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Renders; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m pipelines.manifests", description="Renders an overlay's objects.")
    parser.add_argument("--overlay", default="local", help="a folder of manifests/overlays (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("build/manifests.yaml"), help="file (default: %(default)s)")
    options = parser.parse_args(arguments)
    try:
        storage.write_text(options.out, render(options.overlay, images.read(images.BUILT)["cpu"]["image"]))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"wrote {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
