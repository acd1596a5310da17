"""Renders the pipeline's Kubernetes objects: `python -m pipelines.manifests`, or `make manifests`.

It runs `kubectl kustomize` on an overlay of manifests/, and inserts the built images.
"""

import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from components.revision import REPOSITORY
from openpose import storage
from openpose.errors import InputError, reports_errors
from pipelines import images, kfp_api

OVERLAYS = REPOSITORY / "manifests/overlays"
NAMESPACE = "kubeflow"  # that of manifests/base
IMAGE = re.compile(r"image: openpose-kubeflow-(\w+)$", re.MULTILINE)


@dataclass(frozen=True)
class Options:
    """Renders the objects of an overlay."""

    overlay: str = "local"
    """A folder of manifests/overlays."""
    out: Path = Path("build/manifests.yaml")
    """File to write."""
    namespace: str = NAMESPACE
    """Namespace in which the pods of runs start: Kubeflow Pipelines' own, or the user's in a Kubeflow with profiles."""


def namespace(given: str) -> str:
    """The given namespace, or that of KF_PIPELINES_NAMESPACE, or that of the manifests."""
    return given or os.environ.get(kfp_api.NAMESPACE) or NAMESPACE


def render(overlay: str, built: Mapping[str, Mapping[str, Any]], namespace: str = NAMESPACE) -> str:
    """The objects of an overlay in a namespace, as YAML.

    Args:
        overlay: a folder of manifests/overlays.
        built: from `pipelines.images.read`.
        namespace: of the objects.

    Raises:
        InputError: this is not a clone, the overlay does not exist, kubectl is missing, or kubectl refuses the overlay.
    """
    folder = OVERLAYS / overlay
    if not OVERLAYS.is_dir():
        raise InputError("manifests/ is in a clone of the repository, not in the installed package; run it there")
    if not folder.is_dir():
        known = ", ".join(sorted(path.name for path in OVERLAYS.iterdir()))
        raise InputError(f"unknown overlay {overlay!r}; choose one of: {known}")
    try:
        done = subprocess.run(["kubectl", "kustomize", str(folder)], capture_output=True, text=True)
    except OSError as error:
        raise InputError("`kubectl`, which renders the manifests, was not found; install it") from error
    if done.returncode:
        raise InputError(f"{folder}: {' '.join(done.stderr.split())}")
    if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", namespace):
        raise InputError(f"namespace {namespace!r}: give the name of a namespace: small letters, digits and dashes")
    of_namespace = done.stdout.replace(f"namespace: {NAMESPACE}\n", f"namespace: {namespace}\n")
    if missing := images.missing(built, set(IMAGE.findall(of_namespace))):
        print(f"warning: pods of {overlay} cannot start: {missing}", file=sys.stderr)
    return IMAGE.sub(lambda found: f"image: {built[found[1]]['image']}", of_namespace)


@reports_errors
def main(arguments: Sequence[str] | None = None) -> int:
    """Renders; returns the exit code."""
    options = tyro.cli(Options, prog="python -m pipelines.manifests", args=arguments)
    storage.write_text(options.out, render(options.overlay, images.read(images.BUILT), options.namespace))
    print(f"wrote {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
