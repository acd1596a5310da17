"""JSON documents, fingerprints and manifests.

A manifest is a JSON document that a step writes last, so its presence means that the work beside it is done.
"""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, ClassVar, Generic, TypeVar

from openpose.errors import InputError
from openpose.storage.atomic import MANIFEST, temporary_path, write_text
from openpose.storage.documents import from_json, to_json
from openpose.storage.files import read_bytes
from openpose.storage.path import StoragePath, is_local, path, store
from openpose.storage.user_errors import bucket_errors

SCHEMA = 1

AnyManifest = TypeVar("AnyManifest", bound="Manifest")
Document = TypeVar("Document")


def write_json(place: StoragePath, document: Any) -> None:
    """Writes a JSON document atomically, indented for people."""
    write_text(place, json.dumps(document, indent=1, ensure_ascii=False) + "\n")


def read_json(place: str | StoragePath, cure: str = "remove it and rerun the step that makes it") -> Any:
    """Reads a JSON document.

    Args:
        place: the file.
        cure: what the message about a damaged file says to do.

    Raises:
        InputError: it is missing or not valid JSON; the message names the file.
    """
    place = path(place)
    try:
        return json.loads(read_bytes(place))
    except FileNotFoundError as error:
        raise InputError(f"{place}: no such file") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{place}: not valid JSON ({error}); {cure}") from error


def read_as(place: StoragePath, kind: type[Document]) -> Document:
    """Reads a JSON document without a schema version as a dataclass, or as a dict or list of dataclasses.

    Raises:
        InputError: it is missing or not valid JSON, or a field is missing or of another type; the message names the
            file and the field.
    """
    document = read_json(place)
    try:
        return from_json(kind, document)
    except InputError as error:
        raise InputError(f"{place}: {error}; remove it and rerun the step that makes it") from error


def write_latest(name: StoragePath, folder: StoragePath) -> None:
    """Makes a name stand for a folder; the name can be given to another folder later.

    `<name>.json` says where the folder is. In a file system with links, `name` is one too: a relative link, so that
    it still works after the whole root was moved.
    """
    write_json(name.with_name(f"{name.name}.json"), {"folder": str(folder)})
    if is_local(name) and is_local(folder):
        with temporary_path(name) as temporary, suppress(OSError):
            temporary.symlink_to(os.path.relpath(folder, name.parent), target_is_directory=True)
            temporary.replace(name)


def checksum(content: bytes) -> str:
    """SHA-256 of some bytes, hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def sha256(file_path: Path) -> str:
    """SHA-256 of a file's content, hexadecimal."""
    with file_path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def stream_sha256(file: IO[bytes]) -> str:
    """SHA-256 of the rest of an open file, hexadecimal."""
    digest = hashlib.sha256()
    while chunk := file.read(1 << 20):
        digest.update(chunk)
    return digest.hexdigest()


def fingerprint(document: Any) -> str:
    """Checksum of a JSON document's content; the order of its keys does not matter.

    Names of files that are not UTF-8 have characters that cannot be encoded; these are written as escapes.
    """
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return checksum(text.encode(errors="backslashreplace"))


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What all manifests have; each kind is a subclass with the fields of its own.

    Attributes:
        KIND: `data`, `records`, `run`, `evaluation` or `model`.
        fingerprint: hash of kind, schema and inputs.
        folder: where the output's files are.
        inputs: everything that decides the output: parameters, and the fingerprints of what the step reads.
    """

    KIND: ClassVar[str]
    fingerprint: str
    folder: str
    inputs: Any

    @property
    def path(self) -> StoragePath:
        """Where the manifest itself is."""
        return path(self.folder) / MANIFEST

    def as_document(self) -> dict[str, Any]:
        """The manifest as it is written."""
        return {"kind": self.KIND, "schema": SCHEMA, **to_json(self)}


class StepOutput(Generic[AnyManifest]):
    """The output folder of one step; its name and manifest carry the fingerprint of the step's inputs.

    Args:
        root: the storage root.
        kind: the kind of the manifest.
        inputs: everything that decides the output: parameters, and the fingerprints of what the step reads.
        where: folder below the root; the first digits of the fingerprint complete its name.

    Attributes:
        fingerprint: of kind, schema and inputs.
        folder: where the output's files go.
        manifest_path: the manifest, which exists once the output is complete.
    """

    def __init__(self, root: StoragePath, kind: type[AnyManifest], inputs: Any, where: str) -> None:
        self._manifest, self.kind, self.inputs = kind, kind.KIND, inputs
        self.fingerprint = fingerprint({"kind": self.kind, "schema": SCHEMA, "inputs": to_json(inputs)})
        self.folder = root / f"{where}{self.fingerprint[:12]}"
        self.manifest_path = self.folder / MANIFEST

    def cached(self) -> AnyManifest | None:
        """The manifest, if the output is complete already."""
        if not self.manifest_path.exists():
            return None
        manifest = open_manifest(self.manifest_path, self._manifest)
        return manifest if manifest.fingerprint == self.fingerprint else None

    def finish(self, temporary: Path | None = None, **content: Any) -> AnyManifest:
        """Writes the manifest, which must be the step's last file, and returns it.

        Args:
            temporary: folder of `atomic_folder` that will replace the output folder, so that both appear at once.
            content: the fields that this kind of manifest has in addition to those of all.
        """
        manifest = self._manifest(fingerprint=self.fingerprint, folder=str(self.folder), inputs=self.inputs, **content)
        write_json((temporary or self.folder) / MANIFEST, manifest.as_document())
        return manifest


def open_manifest(place: str | StoragePath, kind: type[AnyManifest]) -> AnyManifest:
    """Reads a manifest of a kind.

    Raises:
        InputError: it is missing, damaged, of another kind or of another schema version.
    """
    place = path(place)
    document = read_json(place)
    found = document.get("kind") if isinstance(document, dict) else None
    if found != kind.KIND:
        raise InputError(f"{place}: `kind` is {found!r}, but a manifest of kind {kind.KIND!r} is needed here")
    return read_document(document, place, kind)


def read_document(document: Any, place: StoragePath, kind: type[Document], cure: str = "") -> Document:
    """Turns a JSON document with a schema version into a dataclass.

    Args:
        document: the JSON.
        place: where it was read.
        kind: the dataclass.
        cure: what to do about a document that cannot be used; by default to make its folder again.

    Raises:
        InputError: the schema version is another, or a field is missing or of another type; the message names the
            file, the field and the cure.
    """
    cure = cure or f"remove the folder {place.parent} and rerun the step that makes it"
    schema = document.get("schema") if isinstance(document, dict) else None
    if schema != SCHEMA:
        newer = "use the newer version that made it, or " if isinstance(schema, int) and schema > SCHEMA else ""
        raise InputError(f"{place}: `schema` is {schema!r}, this version reads {SCHEMA}; {newer}{cure}")
    try:
        return from_json(kind, document)
    except InputError as error:
        raise InputError(f"{place}: {error}; {cure}") from error


def newest_manifest(folder: StoragePath) -> StoragePath:
    """The manifest that was written last in the folders directly below.

    Raises:
        InputError: there is no manifest.
    """
    written = _written(folder)
    if not written:
        raise InputError(f"{folder}: no manifest is there; run the step before this one first")
    return max(written, key=lambda manifest: written[manifest])


def _written(folder: StoragePath) -> dict[StoragePath, float]:
    """When each manifest in the folders directly below was written, in seconds."""
    if is_local(folder):
        return {manifest: manifest.stat().st_mtime for manifest in folder.glob("*/manifest.json")}
    with bucket_errors(folder):
        found = store(folder).listed(folder, manifests_only=True)
        return {folder / name: entry.changed for name, entry in found}
