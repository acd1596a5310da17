"""The images of the steps: which ones `make images` built."""

from pathlib import Path
from typing import Any

from openpose import storage

REPOSITORY = Path(__file__).resolve().parent.parent
BUILT = REPOSITORY / "build/images.json"
VARIANTS = ("cpu", "gpu")
PLACEHOLDER = "openpose-kubeflow:dev"


def read(path: str | Path) -> dict[str, dict[str, Any]]:
    """What each variant's image is called: {"cpu": {"image", "digest"}, "gpu": {…}}.

    Where none was built, the image is PLACEHOLDER and the digest None.

    Raises:
        InputError: the file is damaged.
    """
    built = storage.read_json(path) if Path(path).exists() else {}
    return {variant: built.get(variant, {"image": PLACEHOLDER, "digest": None}) for variant in VARIANTS}


def revision() -> str:
    """Fingerprint of the code that decides results, so that changed code trains anew."""
    files = sorted(path for layer in ("openpose", "components") for path in (REPOSITORY / layer).rglob("*.py"))
    return storage.fingerprint([(str(path.relative_to(REPOSITORY)), path.read_text()) for path in files])[:12]
