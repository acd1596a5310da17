"""Files on an HTTP server, in a bucket or in a folder, each readable from any byte on.

A remote file tells its `Version` (size, ETag, date, checksums), so that a file that changes between two requests is
noticed, and a download never mixes two versions.
"""

from __future__ import annotations

import http.client
import os
import re
import ssl
import urllib.request
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Protocol
from urllib.parse import urlsplit

import requests
import urllib3

from openpose import storage
from openpose.errors import InputError
from openpose.retry import TemporaryError

CHUNK = 1 << 20  # most bytes of one read
BUCKET_CHUNK = 16 << 20  # bytes of one request to a bucket
CONNECT_TIMEOUT, ASK_TIMEOUT, READ_TIMEOUT = 5.0, 10.0, 30.0  # seconds
OK, PARTIAL, NO_SUCH_RANGE = 200, 206, 416  # HTTP statuses
TEMPORARY = (408, 429, 500, 502, 503, 504)  # those worth a retry


@dataclass(frozen=True)
class Version:
    """What identifies one version of a remote file; a field is None if its source does not say."""

    bytes: int | None = None
    etag: str | None = None
    last_modified: str | None = None
    md5: str | None = None  #: hexadecimal
    crc32c: str | None = None  #: hexadecimal

    def differs(self, other: Version) -> bool:
        """Whether something that both say proves that they are two versions."""
        both_have_etags = self.etag is not None and other.etag is not None
        validators = (self.etag, other.etag) if both_have_etags else (self.last_modified, other.last_modified)
        pairs = ((self.bytes, other.bytes), validators)
        return any(a is not None and b is not None and a != b for a, b in pairs)

    def same(self, other: Version) -> bool:
        """Whether an ETag or a date proves that they are one version, and nothing says otherwise."""
        etag = self.etag is not None and self.etag == other.etag
        date = self.last_modified is not None and self.last_modified == other.last_modified
        return (etag or date) and not self.differs(other)


@dataclass(frozen=True)
class Stream:
    """An open remote file.

    Attributes:
        version: the version that is read.
        start: position of the first byte; 0 instead of the requested one if the file changed or has no ranges.
        chunks: the bytes up to the end; raises TemporaryError if the connection is lost.
    """

    version: Version
    start: int
    chunks: Iterator[bytes]


class RemoteFile(Protocol):
    """A file to read from.

    Both methods raise TemporaryError if the source does not answer now, and InputError if it denies the file.
    """

    def version(self) -> Version:
        """Asks for the current version."""

    def open(self, start: int, known: Version) -> AbstractContextManager[Stream]:
        """Opens the file at byte `start`, or at byte 0 if its version is not `known` any more."""


def at(url: str) -> RemoteFile:
    """The remote file at an address.

    Raises:
        InputError: the address has another scheme than http, https, gs, s3 or file.
    """
    scheme = urlsplit(url).scheme
    if scheme in ("http", "https"):
        return HttpFile(url)
    if url.startswith(storage.BUCKETS):
        return BucketFile(url)
    if scheme == "file":
        return LocalFile(url)
    raise InputError(f"{public(url)}: give an address that begins with http://, https://, gs://, s3:// or file://")


def public(url: str) -> str:
    """The address for messages and manifests: without password, and without query, which may be a signature."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


class HttpFile:
    """A file on an HTTP server; requests finds proxies, certificates and ~/.netrc."""

    def __init__(self, url: str) -> None:
        self.url = url

    def version(self) -> Version:
        """See `RemoteFile`. Falls back to GET on servers without HEAD and addresses signed for GET only."""
        for method in ("HEAD", "GET"):
            with self._request(method, read_timeout=ASK_TIMEOUT) as response:
                if response.status_code == OK:
                    version = _version(response)
                    return replace(version, bytes=version.bytes or None)  # some servers answer HEAD with length 0
        raise self._refusal(response)

    @contextmanager
    def open(self, start: int, known: Version) -> Iterator[Stream]:
        """See `RemoteFile`. Only a strong ETag or a date can guarantee that a later part is of the same file."""
        strong = known.etag is not None and not known.etag.startswith("W/")
        validator = known.etag if strong else known.last_modified
        if start and validator is not None:
            with self._request("GET", {"Range": f"bytes={start}-", "If-Range": validator}) as response:
                if (resumed := self._resumed(response, start, known)) is not None:
                    yield resumed
                    return
        with self._request("GET") as response:
            if response.status_code != OK:
                raise self._refusal(response)
            yield Stream(_version(response), 0, _chunks(response))

    def _resumed(self, response: requests.Response, start: int, known: Version) -> Stream | None:
        """The stream of a range request; None if the server gave a range of another version."""
        if response.status_code == OK:
            return Stream(_version(response), 0, _chunks(response))
        if response.status_code not in (PARTIAL, NO_SUCH_RANGE):
            raise self._refusal(response)
        first, total = _content_range(response)
        if known.differs(replace(_version(response), bytes=total)):
            return None
        if response.status_code == PARTIAL:
            version = replace(known, bytes=total or known.bytes)
            return Stream(version, start, _chunks(response)) if first == start else None
        return Stream(replace(known, bytes=start), start, iter(())) if total == start else None  # nothing was missing

    def _request(
        self, method: str, headers: dict[str, str] | None = None, read_timeout: float = READ_TIMEOUT
    ) -> requests.Response:
        headers = {"Accept-Encoding": "identity"} | (headers or {})
        timeout = CONNECT_TIMEOUT, read_timeout
        try:
            return requests.request(method, self.url, headers=headers, timeout=timeout, stream=True)
        except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
            if (certificate := _cause(error, ssl.SSLCertVerificationError)) is not None:
                raise InputError(
                    f"{public(self.url)}: the server's certificate is not trusted ({certificate.verify_message}); "
                    "set REQUESTS_CA_BUNDLE to the file of the authority that signed it"
                ) from error
            raise TemporaryError(reason(error)) from error
        except (requests.RequestException, ValueError) as error:
            # The text of these errors contains the address with its password.
            raise InputError(
                f"{public(self.url)}: cannot be fetched ({type(error).__name__}); check the address"
            ) from error

    def _refusal(self, response: requests.Response) -> Exception:
        status = f"the server says {response.status_code} {response.reason or ''}".rstrip()
        if response.status_code in TEMPORARY:
            return TemporaryError(status, _retry_after(response))
        return InputError(f"{public(self.url)}: {status}; check the address, and that you may read it")


def _chunks(response: requests.Response) -> Iterator[bytes]:
    try:
        # read1 returns what has arrived; read would block on a slow server, and the deadline would be missed.
        while chunk := response.raw.read1(CHUNK, decode_content=False):
            yield chunk
    except (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError, ValueError) as error:
        raise TemporaryError(reason(error)) from error


def _version(response: requests.Response) -> Version:
    headers = response.headers
    return Version(_number(headers.get("Content-Length")), headers.get("ETag"), headers.get("Last-Modified"))


def _content_range(response: requests.Response) -> tuple[int | None, int | None]:
    """First byte and total size of a partial response; each is None if the response does not say."""
    match = re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)", response.headers.get("Content-Range", ""))
    return (_number(match[1]), _number(match[2])) if match else (None, None)


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() else None


def _retry_after(response: requests.Response) -> float | None:
    """Seconds that the server asks to wait, None if it does not say."""
    with suppress(urllib3.exceptions.InvalidHeader):
        return urllib3.Retry().get_retry_after(response.raw)
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and its causes, the outermost first."""
    inner: BaseException | None = error
    while inner is not None:
        yield inner
        inner = inner.__cause__ or inner.__context__


def _cause(error: BaseException, kind: type[Any]) -> Any:
    return next((inner for inner in _chain(error) if isinstance(inner, kind)), None)


def reason(error: BaseException) -> str:
    """Why a connection failed, as the system says it; the messages of requests contain addresses with passwords."""
    messages = [inner.strerror for inner in _chain(error) if isinstance(inner, OSError) and inner.strerror]
    if messages:
        return messages[-1].lower()
    late = _cause(error, TimeoutError) or _cause(error, urllib3.exceptions.TimeoutError)
    return "the connection was lost" if late is None else "no answer in time"


class BucketFile:
    """An object in a bucket; the stores' libraries retry for a minute or two themselves."""

    def __init__(self, url: str) -> None:
        self.place = storage.path(url)

    def version(self) -> Version:
        """See `RemoteFile`."""
        return _object_version(storage.bucket_object(self.place, storage.SHORT_PATIENCE))

    @contextmanager
    def open(self, start: int, known: Version) -> Iterator[Stream]:
        """See `RemoteFile`."""
        found = storage.bucket_object(self.place)
        version = _object_version(found)
        position = start if version.same(known) else 0
        with closing(found.open(BUCKET_CHUNK)) as reader:
            yield Stream(version, position, self._chunks(reader, position, found.size))

    def _chunks(self, reader: IO[bytes], position: int, size: int) -> Iterator[bytes]:
        with storage.bucket_errors(self.place):
            if position < size:
                reader.seek(position)
                yield from iter(lambda: reader.read(CHUNK), b"")

    def is_beside(self, place: storage.StoragePath) -> bool:
        """Whether a place is in a bucket of the same store."""
        return type(place) is type(self.place)

    def copy_to(self, place: storage.StoragePath) -> Version:
        """Copies the object to a place beside it, without sending it through this machine; its version."""
        found = storage.bucket_object(self.place)
        storage.copy_object(found, place)
        return _object_version(found)


def _object_version(found: storage.BucketObject) -> Version:
    return Version(found.size, found.version, None, found.md5, found.crc32c)


class LocalFile:
    """A file in the file system."""

    def __init__(self, url: str) -> None:
        self.path = Path(urllib.request.url2pathname(urlsplit(url).path))

    def version(self) -> Version:
        """See `RemoteFile`."""
        with self.open(0, Version()) as stream:
            return stream.version

    @contextmanager
    def open(self, start: int, known: Version) -> Iterator[Stream]:
        """See `RemoteFile`."""
        try:
            file = self.path.open("rb")
        except OSError as error:
            raise InputError(f"{self.path}: cannot be read ({error.strerror}); check the address") from error
        with file:
            state = os.stat(file.fileno())
            version = Version(state.st_size, None, str(state.st_mtime_ns))
            position = start if version.same(known) else 0
            file.seek(position)
            yield Stream(version, position, iter(lambda: file.read(CHUNK), b""))
