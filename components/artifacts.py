"""Between KFP's artifacts and the steps: small manifests, figures and pages. Used inside the components' bodies."""

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
    """Ends the process with one clear line instead of a traceback when something given cannot be used."""
    try:
        yield
    except InputError as error:
        sys.exit(f"error: {error}")


def write_manifest(artifact: Any, manifest: storage.Manifest | Champion | dict[str, Any]) -> None:
    """Hands a manifest on: the artifact is the small JSON document, its metadata the counts."""
    if not isinstance(manifest, dict):
        manifest = manifest.as_document()
    storage.write_json(Path(artifact.path), manifest)
    artifact.metadata |= {"folder": manifest["folder"], "fingerprint": manifest["fingerprint"]}
    artifact.metadata |= manifest.get("counts", {})


def write_page(artifact: Any, path: str) -> None:
    """Hands a report on, as Kubeflow's pages show it."""
    storage.download(storage.path(path), Path(artifact.path))


def write_metrics(artifact: Any, figures: Mapping[str, float | None]) -> None:
    """Hands figures on, as Kubeflow's pages show them; undefined ones are left out."""
    for name, value in figures.items():
        if value is not None:
            artifact.log_metric(name, value)
