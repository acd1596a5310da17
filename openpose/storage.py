"""The storage root: the one place that knows how files are kept. A folder now; buckets belong here and nowhere else.

What has a final name is whole: everything is written under a temporary name in the same folder and renamed.
A manifest is a JSON document that is written last, so that its presence means that the work beside it is done.
"""

import errno
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from openpose.errors import InputError

SCHEMA = 1
_TEMPORARY = re.compile(r"\.\d+\.")  # how temporary names begin: process number, then the final name


def root_folder(root: str | Path) -> Path:
    """The storage root as a folder that exists.

    Raises:
        InputError: it is a bucket, or cannot be made or written.
    """
    if "://" in str(root):
        raise InputError(
            f"storage root {root}: buckets are not supported yet; give a folder, or mount the bucket as one"
        )
    folder = Path(root).absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"storage root {folder}: cannot be made ({error.strerror}); give a folder that you may write"
        ) from error
    if not os.access(folder, os.W_OK):
        raise InputError(f"storage root {folder}: you may not write there; give another folder")
    return folder


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`; what the block writes there is renamed to `path`, or removed when it fails.

    Raises:
        InputError: there is no space left.
    """
    temporary = _temporary(path)
    with no_space_is_clear(path):
        try:
            yield temporary
            _sync(temporary)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """A temporary folder beside `path` that takes its place at the end, or is removed when the block fails."""
    temporary = _temporary(path)
    with no_space_is_clear(path):
        shutil.rmtree(temporary, ignore_errors=True)
        try:
            temporary.mkdir()
            yield temporary
            shutil.rmtree(path, ignore_errors=True)
            temporary.rename(path)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise


def _temporary(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    # With the process's number, so that two runs at the same place do not write into one file, and with the final
    # name's ending, which some libraries insist on.
    return path.with_name(f".{os.getpid()}.{path.name}")


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


@contextmanager
def no_space_is_clear(path: Path) -> Iterator[None]:
    """Turns the many ways of saying that the disk is full into one clear InputError that names the path."""
    try:
        yield
    except Exception as error:
        reason = _no_space(error)
        if reason is None:
            raise
        free = shutil.disk_usage(path.parent).free / 1e6
        raise InputError(
            f"{path}: cannot be written, {reason.lower()} ({free:.0f} MB free in {path.parent}); "
            "make room and run again, finished work is kept"
        ) from error


def _no_space(error: Exception) -> str | None:
    """The system's words for a full disk, a full quota or a limit on a file's size, when the error is of these."""
    codes = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    if isinstance(error, OSError):
        return os.strerror(error.errno) if error.errno in codes else None
    # TensorFlow raises errors of its own with the system's words in their text.
    return next((os.strerror(code) for code in codes if os.strerror(code) in str(error)), None)


def sweep(root: Path) -> None:
    """Removes what killed writers left below the root. Nobody else may be writing there."""
    for path in list(root.rglob(".*")):
        if _TEMPORARY.match(path.name):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def write_bytes(path: Path, content: bytes) -> None:
    """Writes a whole file atomically."""
    with atomic_file(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, content: str) -> None:
    """Writes a whole text file (UTF-8) atomically."""
    write_bytes(path, content.encode())


def write_json(path: Path, document: Any) -> None:
    """Writes a JSON document atomically, indented for people."""
    write_text(path, json.dumps(document, indent=1, ensure_ascii=False) + "\n")


def read_json(path: str | Path) -> Any:
    """Reads a JSON document.

    Raises:
        InputError: missing or no valid JSON; the message names the file.
    """
    try:
        return json.loads(Path(path).read_bytes())
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except ValueError as error:
        raise InputError(f"{path}: not valid JSON ({error}); remove it and run the step again that makes it") from error


def checksum(content: bytes) -> str:
    """SHA-256 of some bytes, hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def sha256(path: Path) -> str:
    """SHA-256 of a file's content, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint(document: Any) -> str:
    """Checksum of a JSON document's content, whatever the order of its keys."""
    return checksum(json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode())


class Work:
    """One step's piece of work: a folder whose name and manifest carry the fingerprint of everything that decides it.

    Args:
        root: the storage root's folder.
        kind: what the step makes: `data`, `records`, `run`, `evaluation`, `model`.
        inputs: parameters and the fingerprints of what it reads.
        where: folder below the root; the first digits of the fingerprint complete its name.

    Attributes:
        fingerprint: of kind, schema and inputs.
        folder: where the work's files go.
        manifest_path: the manifest's place; it exists when the work is done.
    """

    def __init__(self, root: Path, kind: str, inputs: dict[str, Any], where: str) -> None:
        self.kind, self.inputs = kind, inputs
        self.fingerprint = fingerprint({"kind": kind, "schema": SCHEMA, "inputs": inputs})
        self.folder = root / f"{where}{self.fingerprint[:12]}"
        self.manifest_path = self.folder / "manifest.json"

    def finished(self) -> dict[str, Any] | None:
        """The manifest, when the work is done already."""
        if not self.manifest_path.exists():
            return None
        manifest = open_manifest(self.manifest_path, self.kind)
        return manifest if manifest["fingerprint"] == self.fingerprint else None

    def finish(self, **content: Any) -> dict[str, Any]:
        """Writes the manifest, last of all, and returns it."""
        manifest = {
            "kind": self.kind,
            "schema": SCHEMA,
            "fingerprint": self.fingerprint,
            "folder": str(self.folder),
            "inputs": self.inputs,
            **content,
        }
        write_json(self.manifest_path, manifest)
        return manifest


def open_manifest(path: str | Path, kind: str) -> dict[str, Any]:
    """Reads a manifest of a kind.

    Raises:
        InputError: missing, damaged, of another kind or of another schema version.
    """
    manifest = read_json(path)
    if not isinstance(manifest, dict) or manifest.get("kind") != kind:
        found = manifest.get("kind") if isinstance(manifest, dict) else None
        raise InputError(f"{path}: `kind` is {found!r}, but a manifest of kind {kind!r} is needed here")
    if manifest.get("schema") != SCHEMA:
        raise InputError(
            f"{path}: `schema` is {manifest.get('schema')!r}, this version reads {SCHEMA}; "
            f"remove the folder {Path(path).parent} and run the step again that makes it"
        )
    return manifest


def newest_manifest(folder: Path) -> Path:
    """The manifest that was written last in the folders below.

    Raises:
        InputError: there is none.
    """
    manifests = sorted(folder.glob("*/manifest.json"), key=lambda path: path.stat().st_mtime_ns)
    if not manifests:
        raise InputError(f"{folder}: no manifest is there; run the step before this one first")
    return manifests[-1]
