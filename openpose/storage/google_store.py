"""Google Cloud Storage as a store, `gs://`: by google-cloud-storage with its application default credentials."""

from __future__ import annotations

import base64
import errno
import functools
import http
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from cloudpathlib import GSClient, GSPath
from cloudpathlib.enums import FileCacheMode
from google.api_core import exceptions
from google.auth.exceptions import GoogleAuthError, TransportError
from google.cloud.storage import Blob, Client
from google.cloud.storage.exceptions import DataCorruption
from google.cloud.storage.retry import DEFAULT_RETRY
from requests.adapters import HTTPAdapter

from openpose.errors import InputError
from openpose.storage.store import (
    CONNECTIONS,
    PATIENCE,
    READ_CHUNK,
    SHORT_PATIENCE,
    UPLOAD_CHUNK,
    BucketPath,
    Entry,
    key,
    key_prefix,
)

_CREDENTIALS = "GOOGLE_APPLICATION_CREDENTIALS"  # environment variable of Google's libraries: a credentials file


def path(text: str) -> GSPath:
    """See `Store`.

    Raises:
        InputError: the credentials that this machine has cannot be used.
    """
    return GSPath(text, client=_path_client())


@functools.cache
def _path_client() -> GSClient:
    try:
        client = Client(project=None)  # objects need no project, and not every account has a default one
    except (GoogleAuthError, OSError, ValueError) as error:
        if problem := _credentials_problem(error):
            raise InputError(problem) from error
        client = Client.create_anonymous_client()  # enough to read a public bucket
    # With more threads than connections to keep, urllib3 warns about each connection that it drops.
    client._http.mount("https://", HTTPAdapter(pool_maxsize=CONNECTIONS))
    return GSClient(storage_client=client, file_cache_mode=FileCacheMode.close_file)


def _credentials_problem(error: Exception) -> str:
    """Says what is wrong with the credentials that this machine has; empty if it has none."""
    reason = error.args[0] if error.args and isinstance(error.args[0], str) else str(error)
    if named := os.environ.get(_CREDENTIALS):
        what = f"{_CREDENTIALS} names {named}"
        if not os.path.isfile(named):
            return f"{what}, which is not a file here; give the path of a credentials file, or unset the variable"
        return f"{what}, which cannot be used as credentials ({reason}); give a whole credentials file, or unset it"
    if "credentials were not found" in reason:
        return ""
    return f"the credentials for buckets cannot be used ({reason}); run `gcloud auth application-default login`"


def forget_client() -> None:
    """See `Store`."""
    _path_client.cache_clear()


def _client() -> Client:
    return _path_client().client


def _blob(place: BucketPath, chunk_size: int | None = None) -> Blob:
    """The object of a path, without asking the bucket for it."""
    return _client().bucket(place.bucket).blob(key(place), chunk_size=chunk_size)


def check(place: BucketPath) -> None:
    """See `Store`. This needs only the right to list objects, which every step needs anyway."""
    retry = DEFAULT_RETRY.with_timeout(SHORT_PATIENCE)
    timeout = SHORT_PATIENCE / 2
    list(_client().list_blobs(place.bucket, prefix=key(place), max_results=1, timeout=timeout, retry=retry))


def listed(place: BucketPath, manifests_only: bool = False) -> Iterator[tuple[str, Entry]]:
    """See `Store`. The bucket filters: a root may have a hundred thousand shards and a handful of manifests."""
    below = key_prefix(place)
    plain = re.sub(r"[*?{}\[\]\\]", "?", below)  # `?` is any one character; the prefix says which
    pattern = f"{plain}*/manifest.json" if manifests_only else None
    for blob in _client().list_blobs(place.bucket, prefix=below, match_glob=pattern):
        yield blob.name.removeprefix(below), Entry(blob.size, blob.updated.timestamp())


@dataclass(frozen=True)
class _Object:
    """See `BucketObject`; the version is Google's generation."""

    size: int
    version: str
    md5: str | None
    crc32c: str | None
    _blob: Blob

    def open(self, chunk_size: int = READ_CHUNK) -> IO[bytes]:
        return self._blob.open("rb", chunk_size=chunk_size)

    def copy_to(self, place: BucketPath) -> None:
        token, target = "", _blob(place)
        while token is not None:  # a large object takes several requests
            token = target.rewrite(self._blob, token=token or None)[0]


def found(place: BucketPath, patience: float = PATIENCE) -> _Object | None:
    """See `Store`."""
    retry = DEFAULT_RETRY.with_timeout(patience)
    blob = _client().bucket(place.bucket).get_blob(key(place), timeout=min(60, patience / 2), retry=retry)
    if blob is None:
        return None
    md5, crc32c = (base64.b64decode(text or "").hex() or None for text in (blob.md5_hash, blob.crc32c))
    return _Object(blob.size, str(blob.generation), md5, crc32c, blob)


def read(place: BucketPath) -> bytes:
    """See `Store`."""
    return _blob(place).download_as_bytes()


def read_range(place: BucketPath, start: int, length: int) -> bytes:
    """See `Store`."""
    try:
        return _blob(place).download_as_bytes(start=start, end=start + length - 1)
    except exceptions.RequestRangeNotSatisfiable:
        return b""


def download(place: BucketPath, file: Path) -> None:
    """See `Store`; google-cloud-storage resumes after a lost connection."""
    _blob(place).download_to_filename(str(file))


def upload(file: Path, place: BucketPath) -> None:
    """See `Store`."""
    _blob(place).upload_from_filename(str(file))


def upload_stream(stream: IO[bytes], place: BucketPath) -> None:
    """See `Store`."""
    _blob(place, UPLOAD_CHUNK).upload_from_file(stream)


def remove(place: BucketPath) -> None:
    """See `Store`."""
    with suppress(exceptions.NotFound):
        _blob(place).delete()


@contextmanager
def errors(place: BucketPath) -> Iterator[None]:
    """See `Store`. google-cloud-storage retries for two minutes before it reports that the bucket does not answer."""
    try:
        yield
    except exceptions.NotFound as error:
        if "/o/" in str(error):  # the address of the request is that of an object, not of a bucket
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(place)) from error
        raise InputError(
            f"{place}: there is no bucket {place.bucket!r}; make it with "
            f"`gcloud storage buckets create gs://{place.bucket}`, or give another one"
        ) from error
    except (exceptions.GoogleAPIError, GoogleAuthError, DataCorruption) as error:
        raise InputError(f"{place}: {_explained(error)}") from error


def _explained(error: Exception) -> str:
    """Says what a bucket's error means, and what to do about it."""
    cause = getattr(error, "cause", None) or error  # the last error, when the request was retried
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
    if code is None:  # requests nests its errors; the innermost says what happened
        said = said.rsplit(": ", 1)[-1].rstrip("'\")")
        said += ")" * (said.count("(") - said.count(")"))
    return f"the bucket cannot be reached ({said.rstrip('.')}); check the network and run again, finished work is kept"
