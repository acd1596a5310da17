"""The images that the steps run in: what `make images` built."""

from pathlib import Path
from typing import Any

from openpose import storage
from openpose.errors import InputError

BUILT = Path("build/images.json")
PLACEHOLDER = {"cpu": {"image": "openpose-kubeflow:dev"}, "gpu": {"image": "openpose-kubeflow:dev"}}


def read(path: Path) -> dict[str, Any]:
    """What was built: `cpu` and `gpu`, each with `image` (a unique tag or digest) and `digest`.

    Raises:
        InputError: nothing was built, or the file cannot be used.
    """
    if not path.exists():
        raise InputError(f"{path}: there is none; run `make images` first, or give another file with --images")
    images = storage.read_json(path)
    for kind in ("cpu", "gpu"):
        if not isinstance(images, dict) or not images.get(kind, {}).get("image"):
            raise InputError(f"{path}: `{kind}.image` is missing; run `make images` again")
    return images
