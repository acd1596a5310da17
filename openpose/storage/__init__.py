"""The storage root: the one place that knows how files are kept, in a folder (or mounted volume) or in a bucket.

A `StoragePath` is a `pathlib.Path`, or cloudpathlib's `GSPath` with the same methods, which goes through
google-cloud-storage and its application default credentials. `storage.path` makes one from text.

What has a final name is whole: a file is written under a temporary name in the same folder and renamed; an object
of a bucket appears when its upload is complete. A manifest is a JSON document that is written last, so that its
presence means that the work beside it is done.
"""

from __future__ import annotations

import atexit
import errno
import fcntl
import functools
import hashlib
import http
import json
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeAlias, Union

from openpose.errors import InputError

if TYPE_CHECKING:  # google-cloud-storage takes a second to import, and most runs need none of it
    from cloudpathlib import GSClient, GSPath
    from google.cloud.storage import Blob, Client

StoragePath: TypeAlias = Union[Path, "GSPath"]  # not a text, so that `StoragePath | None` works too

SCHEMA = 1
BUCKET_CHUNK = 1 << 20  # bytes of one ranged read of an open object
BUCKET_THREADS = 8  # files that go to or from a bucket at the same time
BUCKET_CONNECTIONS = 64  # kept for all threads of a process
BUCKET_PATIENCE = 10.0  # seconds for which the first question to a bucket is repeated; later ones are for 120
ATTRIBUTE_CACHE_SECONDS = 90.0  # seconds until NFS clients see a file written elsewhere
_SCRATCH = "openpose-scratch-"  # how processes' temporary folders begin
_TEMPORARY = re.compile(r"\.[0-9a-f]{8}\.")  # how temporary names begin, before the final name


def path(text: str | StoragePath) -> StoragePath:
    """A place from its text: a folder's or file's path, or `gs://bucket/name`.

    Raises:
        InputError: another kind of address.
    """
    if not isinstance(text, str):
        return text
    if text.startswith("gs://"):
        from cloudpathlib import GSPath

        return GSPath(text, client=_bucket_client())
    if "://" in text:
        raise InputError(f"{text}: a storage root is a folder or gs://bucket/prefix, nothing else")
    return Path(text)


@functools.cache
def _bucket_client() -> GSClient:
    from cloudpathlib import GSClient
    from cloudpathlib.enums import FileCacheMode
    from google.auth.exceptions import DefaultCredentialsError
    from google.cloud.storage import Client
    from requests.adapters import HTTPAdapter

    try:
        client = Client(project=None)  # of no use for objects, and not every account has a default one
    except DefaultCredentialsError:
        client = Client.create_anonymous_client()  # enough to read a public bucket
    # With more threads than connections to keep, urllib3 warns about each one that it does not keep.
    client._http.mount("https://", HTTPAdapter(pool_maxsize=BUCKET_CONNECTIONS))
    return GSClient(storage_client=client, file_cache_mode=FileCacheMode.close_file)


def _client() -> Client:
    return _bucket_client().client


def _blob(place: GSPath) -> Blob:
    return _client().bucket(place.bucket).blob(place.blob)


def is_local(place: StoragePath) -> bool:
    """Whether it is in the file system."""
    return isinstance(place, Path)


def open_root(root: str | StoragePath) -> StoragePath:
    """The storage root, which can be written: a folder, made when it is not there, or a prefix of a bucket that is.

    Raises:
        InputError: it cannot be made or written, or there is no such bucket.
    """
    place = path(root)
    if isinstance(place, Path):
        return _made_folder(place.absolute())
    if not place.bucket:
        raise InputError(f"storage root {root}: names no bucket; give gs://bucket/prefix")
    from google.cloud.storage.retry import DEFAULT_RETRY

    with bucket_errors(place):
        # Needs no more than the right to list objects, which every step needs.
        found = _client().list_blobs(
            place.bucket,
            prefix=place.blob,
            max_results=1,
            timeout=BUCKET_PATIENCE / 2,
            retry=DEFAULT_RETRY.with_timeout(BUCKET_PATIENCE),
        )
        list(found)
    return place


def _made_folder(folder: Path) -> Path:
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
def atomic_file(place: StoragePath) -> Iterator[Path]:
    """A temporary file; what the block writes there gets the final name, or is removed when the block fails.

    Raises:
        InputError: there is no space left, or the bucket refuses it.
    """
    with _temporary(place) as temporary, user_errors(place):
        yield temporary
        if isinstance(place, Path):
            _sync(temporary)
            temporary.replace(place)
        else:
            _upload(temporary, place)


@contextmanager
def atomic_folder(place: StoragePath) -> Iterator[Path]:
    """A temporary folder that takes the place of `place` at the end, or is removed when the block fails.

    In a bucket its files appear one by one: who needs all of them waits for a manifest. What lay there before and
    has another name stays.

    Raises:
        InputError: there is no space left, or the bucket refuses it.
    """
    with _temporary(place) as temporary, user_errors(place):
        temporary.mkdir()
        yield temporary
        if isinstance(place, Path):
            _replace_folder(temporary, place)
        else:
            names = [file.relative_to(temporary) for file in temporary.rglob("*") if file.is_file()]
            _parallel(lambda name: _upload(temporary / name, place / name.as_posix()), names)


def _replace_folder(temporary: Path, place: Path) -> None:
    """Renames a folder to a name that may be taken, also by another process that does the same."""
    while True:
        with _temporary(place) as old, suppress(FileNotFoundError):
            place.rename(old)
        try:
            temporary.rename(place)
            return
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise


def _parallel(work: Callable[[Any], object], items: Iterable[Any]) -> None:
    """Does the work for all items, some at a time; the first error is raised."""
    with ThreadPoolExecutor(BUCKET_THREADS) as threads:
        tasks = [threads.submit(work, item) for item in items]
        try:
            for task in tasks:
                task.result()
        finally:
            for task in tasks:
                task.cancel()


def _upload(file: Path, place: GSPath) -> None:
    _blob(place).upload_from_filename(str(file))


@contextmanager
def _temporary(place: StoragePath) -> Iterator[Path]:
    """A name for a file or folder that is not there yet: beside the place, or in this process's temporary folder.

    It keeps the final name's ending, which some libraries insist on, and no two processes have the same.
    """
    if isinstance(place, Path):
        place.parent.mkdir(parents=True, exist_ok=True)
        folder = place.parent
    else:
        folder = scratch_folder()
    temporary = folder / f".{secrets.token_hex(4)}.{place.name}"
    try:
        yield temporary
    finally:
        remove(temporary)


@functools.cache
def scratch_folder() -> Path:
    """This process's own temporary folder, for copies of what lies in a bucket; removed when the process ends.

    That of a process that was killed is removed by the next one: nobody holds its lock any more.
    """
    parent = Path(tempfile.gettempdir())
    for left in parent.glob(f"{_SCRATCH}*/lock"):
        with suppress(OSError), left.open("r+") as file:  # alive, or somebody else's
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(left.parent, ignore_errors=True)
    made = Path(tempfile.mkdtemp(prefix=f".{_SCRATCH}"))
    lock = os.open(made / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC)  # stays open until the process ends
    fcntl.flock(lock, fcntl.LOCK_EX)
    folder = made.rename(made.with_name(made.name.removeprefix(".")))  # not before it is locked
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def remove(place: StoragePath) -> None:
    """Removes a file, a folder or all objects below a prefix; nothing there is fine."""
    if not isinstance(place, Path):
        with bucket_errors(place):
            _parallel(_remove_object, [place, *(place / name for name in sizes(place))])
    elif place.is_dir() and not place.is_symlink():
        shutil.rmtree(place, ignore_errors=True)
    else:
        place.unlink(missing_ok=True)


def _remove_object(place: GSPath) -> None:
    from google.api_core.exceptions import NotFound

    with suppress(NotFound):
        _blob(place).delete()


def size(place: StoragePath) -> int | None:
    """Bytes of a file, None when there is none."""
    if isinstance(place, Path):
        return place.stat().st_size if place.is_file() else None
    with bucket_errors(place):
        blob = _client().bucket(place.bucket).get_blob(place.blob)
    return None if blob is None else blob.size


def sizes(folder: StoragePath) -> dict[str, int]:
    """Bytes of all files in a folder and the folders below, by their names relative to it; {} when it is not there.

    In a bucket this is one request for a thousand files, where `size` is one for each.
    """
    if isinstance(folder, Path):
        found = {}
        for top, _, names in os.walk(folder):
            for name in names:
                with suppress(FileNotFoundError):  # another process has just renamed it
                    found[(Path(top) / name).relative_to(folder).as_posix()] = (Path(top) / name).stat().st_size
        return found
    prefix = f"{folder.blob.rstrip('/')}/".lstrip("/")
    with bucket_errors(folder):
        blobs = _client().list_blobs(folder.bucket, prefix=prefix)
        # Some tools make an object for the folder itself.
        return {blob.name.removeprefix(prefix): blob.size for blob in blobs if not blob.name.endswith("/")}


def open_binary(place: StoragePath) -> IO[bytes]:
    """Opens a file for reading at any position; of an object only the parts that are read are fetched.

    Raises:
        FileNotFoundError: there is none.
    """
    if isinstance(place, Path):
        return place.open("rb")
    with bucket_errors(place):
        blob = _client().bucket(place.bucket).get_blob(place.blob)
    if blob is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(place))
    return blob.open("rb", chunk_size=BUCKET_CHUNK)


def read_range(place: StoragePath, start: int, length: int) -> bytes:
    """Some bytes of a file; less when it ends before.

    Raises:
        FileNotFoundError: there is none.
    """
    if isinstance(place, Path):
        with place.open("rb") as file:
            file.seek(start)
            return file.read(length)
    from google.api_core.exceptions import RequestRangeNotSatisfiable

    if length <= 0:
        return b""
    try:
        with bucket_errors(place):
            return _blob(place).download_as_bytes(start=start, end=start + length - 1)
    except RequestRangeNotSatisfiable:
        return b""


def read_bytes(place: StoragePath) -> bytes:
    """A whole file.

    Raises:
        FileNotFoundError: there is none.
    """
    if isinstance(place, Path):
        return place.read_bytes()
    with bucket_errors(place):
        return _blob(place).download_as_bytes()


@contextmanager
def local_copy(place: StoragePath) -> Iterator[Path]:
    """The file in the file system: itself, or a copy that is removed after the block.

    Raises:
        FileNotFoundError: it is in a bucket and is not there.
        InputError: there is no space left for the copy, or the bucket refuses it.
    """
    if isinstance(place, Path):
        yield place
        return
    with _temporary(place) as temporary:
        download(place, temporary)
        yield temporary


def download(place: StoragePath, file: Path) -> None:
    """Copies a file here; google-cloud-storage goes on where a connection was cut.

    Raises:
        FileNotFoundError: there is none.
        InputError: there is no space left, or the bucket refuses it.
    """
    with user_errors(place):
        if isinstance(place, Path):
            shutil.copyfile(place, file)
        else:
            _blob(place).download_to_filename(str(file))


class Workspace:
    """A folder in which a step works for a long time, kept up to date in its place. See `workspace`.

    Attributes:
        folder: the folder, on this machine.
    """

    def __init__(self, place: StoragePath, folder: Path) -> None:
        self.folder, self._place = folder, place
        self._published = self._files()

    def publish(self) -> None:
        """Brings a bucket up to date; a folder is that always.

        Changed files go there in the order in which they were written, and what was removed is removed after that:
        when it is interrupted, what is there is what an interrupted step would have left in a folder.

        Raises:
            InputError: the bucket refuses it.
        """
        if isinstance(self._place, Path):
            return
        files = self._files()
        with bucket_errors(self._place):
            for name, state in sorted(files.items(), key=lambda item: (item[1], item[0])):
                if self._published.get(name) != state:
                    _upload(self.folder / name, self._place / name)
            for name in self._published.keys() - files.keys():
                _remove_object(self._place / name)
        self._published = files

    def _files(self) -> dict[str, tuple[int, int]]:
        """When each file was written, and its size."""
        states = {}
        for name in sizes(self.folder):
            state = (self.folder / name).stat()
            states[name] = (state.st_mtime_ns, state.st_size)
        return states


@contextmanager
def workspace(place: StoragePath) -> Iterator[Workspace]:
    """A local folder to work in: the place itself, or for one in a bucket a temporary copy with what lies there.

    Raises:
        InputError: there is no space left for the copy, or the bucket refuses it.
    """
    if isinstance(place, Path):
        place.mkdir(parents=True, exist_ok=True)
        yield Workspace(place, place)
        return
    with _temporary(place) as folder:
        folder.mkdir()
        names = sizes(place)
        for parent in {(folder / name).parent for name in names}:
            parent.mkdir(parents=True, exist_ok=True)
        _parallel(lambda name: download(place / name, folder / name), names)
        yield Workspace(place, folder)


def _sync(file_path: Path) -> None:
    with file_path.open("rb") as file:
        os.fsync(file.fileno())


@contextmanager
def user_errors(place: StoragePath) -> Iterator[None]:
    """Turns a full disk, and what a bucket refuses, into one clear InputError that names the place.

    An InputError that TensorFlow wrapped, because tf.data called what raised it, is one again.
    """
    try:
        with no_space_is_clear(place), bucket_errors(place):
            yield
    except InputError:
        raise
    except Exception as error:
        if (wrapped := re.search(r"\bInputError: (.+)", str(error))) is not None:
            raise InputError(wrapped[1]) from error
        raise


@contextmanager
def bucket_errors(place: StoragePath) -> Iterator[None]:
    """Turns what a bucket refuses, and no answer at all, into one clear InputError; a missing object into OSError.

    google-cloud-storage has tried for two minutes before it says that there is no answer.

    Raises:
        FileNotFoundError: there is no such object.
    """
    if isinstance(place, Path):
        yield
        return
    from google.api_core import exceptions
    from google.auth.exceptions import GoogleAuthError
    from google.cloud.storage.exceptions import DataCorruption

    try:
        yield
    except exceptions.RequestRangeNotSatisfiable:
        raise
    except exceptions.NotFound as error:
        if "/o/" in str(error):  # the request's address is that of an object, not of a bucket
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(place)) from error
        raise InputError(
            f"{place}: there is no bucket {place.bucket!r}; make it with "
            f"`gcloud storage buckets create gs://{place.bucket}`, or give another one"
        ) from error
    except (exceptions.GoogleAPIError, GoogleAuthError, DataCorruption) as error:
        raise InputError(f"{place}: {_bucket_trouble(error)}") from error


def _bucket_trouble(error: Exception) -> str:
    """What a bucket's error says, and what to do about it."""
    from google.auth.exceptions import GoogleAuthError, TransportError

    cause = getattr(error, "cause", None) or error  # the last one, when it was tried for some time
    code = getattr(cause, "code", None)
    said = re.sub(r"^[A-Z]+ https?://\S+: ", "", str(getattr(cause, "message", None) or cause))
    refused = isinstance(cause, GoogleAuthError) and not isinstance(cause, TransportError)
    if refused or code in (http.HTTPStatus.UNAUTHORIZED, http.HTTPStatus.FORBIDDEN):
        return (
            f"the bucket refuses it ({said.rstrip('.')}); log in with `gcloud auth application-default login`, or give "
            "this account the role Storage Object User (roles/storage.objectUser) on the bucket"
        )
    if code is not None and code < http.HTTPStatus.INTERNAL_SERVER_ERROR and code != http.HTTPStatus.TOO_MANY_REQUESTS:
        return f"the bucket refuses it ({said.rstrip('.')}); give another storage root"
    if code is None:  # of requests' nested errors the innermost
        said = said.rsplit(": ", 1)[-1].rstrip("'\")")
        said += ")" * (said.count("(") - said.count(")"))
    return (
        f"the bucket cannot be reached ({said.rstrip('.')}); look at the network and run again, finished work is kept"
    )


@contextmanager
def no_space_is_clear(place: StoragePath) -> Iterator[None]:
    """Turns the many ways of saying that the disk is full into one clear InputError that names the path."""
    try:
        yield
    except Exception as error:
        reason = _no_space(error)
        if reason is None:
            raise
        folder, room = place.parent, "make room"
        if not isinstance(folder, Path):  # it was to be written here first
            folder, room = Path(tempfile.gettempdir()), "make room, or set TMPDIR to a larger folder,"
        free = shutil.disk_usage(folder).free / 1e6
        raise InputError(
            f"{place}: cannot be written, {reason.lower()} ({free:.0f} MB free in {folder}); "
            f"{room} and run again, finished work is kept"
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
    for left in list(root.rglob(".*")):
        if _TEMPORARY.match(left.name):
            remove(left)


def sweep_file(file: Path) -> None:
    """Removes what killed writers of this one file left beside it. Nobody else may be writing it."""
    for left in file.parent.glob(f".*.{file.name}"):
        if _TEMPORARY.match(left.name) and left.name[10:] == file.name:
            remove(left)


def write_bytes(place: StoragePath, content: bytes) -> None:
    """Writes a whole file atomically."""
    with atomic_file(place) as temporary:
        temporary.write_bytes(content)


def write_text(place: StoragePath, content: str) -> None:
    """Writes a whole text file (UTF-8) atomically."""
    write_bytes(place, content.encode())


def write_json(place: StoragePath, document: Any) -> None:
    """Writes a JSON document atomically, indented for people."""
    write_text(place, json.dumps(document, indent=1, ensure_ascii=False) + "\n")


def write_latest(name: StoragePath, folder: StoragePath) -> None:
    """Lets a name stand for a folder that may be another one tomorrow.

    `<name>.json` says where the folder is. In a file system that has links, `name` is one too, relative, so that it
    still holds when all of it is moved.
    """
    write_json(name.with_name(f"{name.name}.json"), {"folder": str(folder)})
    if isinstance(name, Path) and isinstance(folder, Path):
        with _temporary(name) as temporary, suppress(OSError):
            temporary.symlink_to(os.path.relpath(folder, name.parent), target_is_directory=True)
            temporary.replace(name)


def read_json(place: str | StoragePath) -> Any:
    """Reads a JSON document.

    Raises:
        InputError: missing or no valid JSON; the message names the file.
    """
    place = path(place)
    try:
        return json.loads(read_bytes(place))
    except FileNotFoundError as error:
        raise InputError(f"{place}: no such file") from error
    except ValueError as error:
        raise InputError(
            f"{place}: not valid JSON ({error}); remove it and run the step again that makes it"
        ) from error


def checksum(content: bytes) -> str:
    """SHA-256 of some bytes, hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def sha256(file_path: Path) -> str:
    """SHA-256 of a file's content, hexadecimal."""
    with file_path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def stream_sha256(file: IO[bytes]) -> str:
    """SHA-256 of what is left in an open file, hexadecimal."""
    digest = hashlib.sha256()
    while chunk := file.read(1 << 20):
        digest.update(chunk)
    return digest.hexdigest()


def fingerprint(document: Any) -> str:
    """Checksum of a JSON document's content, whatever the order of its keys."""
    return checksum(json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode())


class StepOutput:
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

    def __init__(self, root: StoragePath, kind: str, inputs: dict[str, Any], where: str) -> None:
        self.kind, self.inputs = kind, inputs
        self.fingerprint = fingerprint({"kind": kind, "schema": SCHEMA, "inputs": inputs})
        self.folder = root / f"{where}{self.fingerprint[:12]}"
        self.manifest_path = self.folder / "manifest.json"

    def cached(self) -> dict[str, Any] | None:
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


def open_manifest(place: str | StoragePath, kind: str) -> dict[str, Any]:
    """Reads a manifest of a kind.

    Raises:
        InputError: missing, damaged, of another kind or of another schema version.
    """
    place = path(place)
    manifest = read_json(place)
    if not isinstance(manifest, dict) or manifest.get("kind") != kind:
        found = manifest.get("kind") if isinstance(manifest, dict) else None
        raise InputError(f"{place}: `kind` is {found!r}, but a manifest of kind {kind!r} is needed here")
    if manifest.get("schema") != SCHEMA:
        raise InputError(
            f"{place}: `schema` is {manifest.get('schema')!r}, this version reads {SCHEMA}; "
            f"remove the folder {place.parent} and run the step again that makes it"
        )
    return manifest


def newest_manifest(folder: StoragePath) -> StoragePath:
    """The manifest that was written last in the folders below.

    Raises:
        InputError: there is none.
    """
    written = _written(folder)
    if not written:
        raise InputError(f"{folder}: no manifest is there; run the step before this one first")
    return max(written, key=lambda manifest: written[manifest])


def _written(folder: StoragePath) -> dict[StoragePath, float]:
    """When each manifest in the folders below was written, in seconds."""
    if isinstance(folder, Path):
        return {manifest: manifest.stat().st_mtime for manifest in folder.glob("*/manifest.json")}
    with bucket_errors(folder):
        # The bucket looks for them: among a hundred thousand shards they are few.
        found = _client().list_blobs(
            folder.bucket, prefix=f"{folder.blob}/", match_glob=f"{folder.blob}/*/manifest.json"
        )
        return {folder / blob.name.removeprefix(f"{folder.blob}/"): blob.updated.timestamp() for blob in found}
