"""Identifies the code: git's commit, and a fingerprint of the files that decide results."""

import os
import subprocess
from contextlib import suppress
from pathlib import Path

from openpose import storage

REPOSITORY = Path(__file__).resolve().parent.parent
IMAGE_COMMIT = "OPENPOSE_REVISION"  # environment variable of an image: the commit that it was built from


def git(*arguments: str) -> str | None:
    """Runs a git command on this repository and returns its output; None outside of a checkout."""
    if (REPOSITORY / ".git").exists():  # an installed copy may be inside another project's checkout
        with suppress(OSError, subprocess.CalledProcessError):
            command = ["git", "-C", str(REPOSITORY), *arguments]
            return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    return None


def commit(digits: int = 40) -> str | None:
    """The commit of this code, with -dirty if tracked files have changed since; None if unknown."""
    described = git("describe", "--always", f"--abbrev={digits}", "--dirty", "--exclude=*")
    return described or os.environ.get(IMAGE_COMMIT)


def fingerprint() -> str:
    """Fingerprint of the code in openpose/ and components/, so that changed code trains again."""
    layers = [(REPOSITORY / layer).rglob("*") for layer in ("openpose", "components")]
    files = sorted(path for layer in layers for path in layer if path.suffix in (".py", ".j2"))
    return storage.fingerprint([(str(path.relative_to(REPOSITORY)), path.read_text()) for path in files])[:12]
