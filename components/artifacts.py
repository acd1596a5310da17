"""Writes the steps' results to KFP's artifacts: manifests, metrics and pages. The components' bodies use it."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from openpose import storage
from openpose.errors import InputError
from openpose.evaluation.registry import Champion


@contextmanager
def clear_errors() -> Iterator[None]:
    """Turns an InputError into a one-line message and exit code 1 instead of a traceback."""
    try:
        yield
    except InputError as error:
        sys.exit(f"error: {error}")


def write_manifest(artifact: Any, manifest: storage.Manifest | Champion | dict[str, Any]) -> None:
    """Writes a manifest as the artifact's JSON document, and its counts to the artifact's metadata."""
    if not isinstance(manifest, dict):
        manifest = manifest.as_document()
    storage.write_json(Path(artifact.path), manifest)
    artifact.metadata |= {"folder": manifest["folder"], "fingerprint": manifest["fingerprint"]}
    artifact.metadata |= manifest.get("counts", {})


def copy_file(artifact: Any, path: str) -> None:
    """Copies a file to an artifact; Kubeflow's UI shows pages."""
    storage.download(storage.path(path), Path(artifact.path))


def write_metrics(artifact: Any, figures: Mapping[str, float | None]) -> None:
    """Logs figures as metrics for Kubeflow's UI; leaves out undefined ones."""
    for name, value in figures.items():
        if value is not None:
            artifact.log_metric(name, value)
