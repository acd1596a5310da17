"""S3 as a store, `s3://`: Amazon's, or a server with its interface, such as SeaweedFS, MinIO and Ceph.

boto3 finds credentials, region and the server's address where Amazon's tools do: in the environment (`AWS_PROFILE`,
`AWS_ACCESS_KEY_ID`, `AWS_ENDPOINT_URL` …), in `~/.aws`, and in a pod's service account.
"""

from __future__ import annotations

import errno
import functools
import http
import io
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import boto3
from boto3.exceptions import Boto3Error
from boto3.s3.transfer import TransferConfig
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, IncompleteReadError, NoCredentialsError
from botocore.session import get_session
from cloudpathlib import S3Client, S3Path
from cloudpathlib.enums import FileCacheMode

from openpose import retry
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

_TRANSFER = TransferConfig(multipart_chunksize=UPLOAD_CHUNK, multipart_threshold=UPLOAD_CHUNK, max_concurrency=4)
_LOST = (HTTPClientError, IncompleteReadError)  # while an answer is read, when boto3 does not retry
_CREDENTIALS = (
    "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or allow this account s3:ListBucket on the "
    "bucket and s3:GetObject, s3:PutObject and s3:DeleteObject on what is in it"
)


def path(text: str) -> S3Path:
    """See `Store`.

    Raises:
        InputError: the settings of Amazon's tools on this machine cannot be used.
    """
    return S3Path(text, client=_path_client())


@functools.cache
def _path_client() -> S3Client:
    return S3Client(boto3_session=_session(PATIENCE), file_cache_mode=FileCacheMode.close_file)


@functools.cache
def _impatient_client() -> Any:
    return _session(SHORT_PATIENCE).client("s3")


def _client(patience: float = PATIENCE) -> Any:
    """The process's connection for requests that may be retried for about so many seconds."""
    return _impatient_client() if patience <= SHORT_PATIENCE else _path_client().client


def _session(patience: float) -> boto3.Session:
    """What makes connections. Each has one of its own, because threads must not make them from the same one."""
    settings: dict[str, Any] = {
        "max_pool_connections": CONNECTIONS,
        "connect_timeout": SHORT_PATIENCE / 2,
        "read_timeout": min(60.0, patience / 2),
        "retries": {"mode": "standard", "total_max_attempts": 3 if patience <= SHORT_PATIENCE else 9},
    }
    if os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL"):
        # Other servers have no host name for each bucket, and not all know Amazon's newer checksums.
        settings["s3"] = {"addressing_style": "path"}
        settings |= dict.fromkeys(("request_checksum_calculation", "response_checksum_validation"), "when_required")
    try:
        session = boto3.Session(botocore_session=(inner := get_session()))
        if session.get_credentials() is None:
            settings["signature_version"] = UNSIGNED  # enough to read a public bucket
        inner.set_default_client_config(Config(**settings))
    except BotoCoreError as error:
        raise InputError(f"the settings for S3 cannot be used ({_text(error)}); check AWS_… and ~/.aws") from error
    return session


def forget_client() -> None:
    """See `Store`."""
    for made in (_path_client, _impatient_client):
        made.cache_clear()


def _place(place: BucketPath) -> dict[str, str]:
    return {"Bucket": place.bucket, "Key": key(place)}


def check(place: BucketPath) -> None:
    """See `Store`. This needs only the right to list objects, which every step needs anyway."""
    _client(SHORT_PATIENCE).list_objects_v2(Bucket=place.bucket, Prefix=key(place), MaxKeys=1)


def listed(place: BucketPath, manifests_only: bool = False) -> Iterator[tuple[str, Entry]]:
    """See `Store`."""
    below = key_prefix(place)
    prefixes = [f"{folder}manifest.json" for folder in _folders(place.bucket, below)] if manifests_only else [below]
    for wanted in prefixes:
        for page in _client().get_paginator("list_objects_v2").paginate(Bucket=place.bucket, Prefix=wanted):
            for each in page.get("Contents", []):
                if not manifests_only or each["Key"] == wanted:
                    entry = Entry(each["Size"], each["LastModified"].timestamp())
                    yield each["Key"].removeprefix(below), entry


def _folders(bucket: str, below: str) -> Iterator[str]:
    """The folders directly below a prefix."""
    for page in _client().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=below, Delimiter="/"):
        yield from (each["Prefix"] for each in page.get("CommonPrefixes", []))


@dataclass(frozen=True)
class _Object:
    """See `BucketObject`; the version is S3's ETag, which is not always an MD5."""

    size: int
    version: str
    _place: BucketPath
    md5: str | None = None
    crc32c: str | None = None

    def open(self, chunk_size: int = READ_CHUNK) -> IO[bytes]:
        return io.BufferedReader(_Reader(self), chunk_size)

    def read(self, start: int, length: int) -> bytes:
        """A range of this version."""
        return _range(self._place, start, length, IfMatch=self.version)

    def copy_to(self, place: BucketPath) -> None:
        source = _place(self._place)
        extra = {"CopySourceIfMatch": self.version}
        _client().copy(source, **_place(place), ExtraArgs=extra, Config=_TRANSFER)


class _Reader(io.RawIOBase):
    """Reads an object at any position, with a request for each read."""

    def __init__(self, of: _Object) -> None:
        self._of, self._position = of, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._of.size}[whence]
        self._position = max(0, start + offset)
        return self._position

    def readinto(self, buffer: Any) -> int:
        length = min(len(buffer), self._of.size - self._position)
        if length <= 0:
            return 0
        content = self._of.read(self._position, length)
        buffer[: len(content)] = content
        self._position += len(content)
        return len(content)


def found(place: BucketPath, patience: float = PATIENCE) -> _Object | None:
    """See `Store`."""
    try:
        head = _client(patience).head_object(**_place(place))
    except ClientError as error:
        if _status(error) == http.HTTPStatus.NOT_FOUND:
            return None
        raise
    return _Object(head["ContentLength"], head["ETag"], place)


def read(place: BucketPath) -> bytes:
    """See `Store`."""
    return retry.attempts(tries=5, errors=_LOST)(_answer, place)


def read_range(place: BucketPath, start: int, length: int) -> bytes:
    """See `Store`."""
    return _range(place, start, length)


def _range(place: BucketPath, start: int, length: int, **conditions: str) -> bytes:
    wanted = f"bytes={start}-{start + length - 1}"
    try:
        return retry.attempts(tries=5, errors=_LOST)(_answer, place, Range=wanted, **conditions)
    except ClientError as error:
        if _status(error) == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return b""
        raise


def _answer(place: BucketPath, **more: str) -> bytes:
    return _client().get_object(**_place(place), **more)["Body"].read()


def download(place: BucketPath, file: Path) -> None:
    """See `Store`; boto3 asks again for the parts that a lost connection left out."""
    _client().download_file(*_place(place).values(), str(file), Config=_TRANSFER)


def upload(file: Path, place: BucketPath) -> None:
    """See `Store`."""
    _client().upload_file(str(file), *_place(place).values(), Config=_TRANSFER)


def upload_stream(stream: IO[bytes], place: BucketPath) -> None:
    """See `Store`."""
    _client().upload_fileobj(stream, *_place(place).values(), Config=_TRANSFER)


def remove(place: BucketPath) -> None:
    """See `Store`."""
    _client().delete_object(**_place(place))


@contextmanager
def errors(place: BucketPath) -> Iterator[None]:
    """See `Store`."""
    try:
        yield
    except (BotoCoreError, ClientError, Boto3Error) as error:
        cause = error.__context__ if isinstance(error, Boto3Error) and error.__context__ is not None else error
        code = cause.response["Error"]["Code"] if isinstance(cause, ClientError) else ""
        if code == "NoSuchBucket":
            raise InputError(
                f"{place}: there is no bucket {place.bucket!r}; make it with `aws s3 mb s3://{place.bucket}`, or give "
                "another one"
            ) from error
        if _status(cause) == http.HTTPStatus.NOT_FOUND:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(place)) from error
        raise InputError(f"{place}: {_explained(cause)}") from error


def _status(error: BaseException) -> int | None:
    """The HTTP status of a server's refusal; None where no server answered."""
    return error.response["ResponseMetadata"]["HTTPStatusCode"] if isinstance(error, ClientError) else None


def _explained(error: BaseException) -> str:
    """Says what an error of S3 means, and what to do about it."""
    status, said = _status(error), _text(error)
    if isinstance(error, NoCredentialsError) or status in (http.HTTPStatus.UNAUTHORIZED, http.HTTPStatus.FORBIDDEN):
        return f"the bucket refuses it ({said}); {_CREDENTIALS}"
    if status == http.HTTPStatus.PRECONDITION_FAILED:
        return "it changed while it was read; run again when nothing writes it"
    if status is not None and status < http.HTTPStatus.INTERNAL_SERVER_ERROR:
        return f"the bucket refuses it ({said}); give another storage root"
    return f"the bucket cannot be reached ({said}); check the network and run again, finished work is kept"


def _text(error: BaseException) -> str:
    """What an error says, without the query of an address."""
    said = error.response["Error"].get("Message") if isinstance(error, ClientError) else None
    return re.sub(r"\?[^\"\s]*", "", said or str(error)).rstrip(".")
