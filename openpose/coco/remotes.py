"""Where files are fetched from: an HTTP server, a bucket or a folder, each of which can be read from any byte on.

A source says who it is (`Identity`: size, ETag, date), so that a file that changed between two tries is noticed and
never put together from two versions.
"""

from __future__ import annotations

import base64
import http
import http.client
import re
import ssl
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

import requests
import urllib3.exceptions

from openpose import storage
from openpose.errors import InputError

if TYPE_CHECKING:
    from google.cloud.storage import Blob

CHUNK = 1 << 20  # bytes of one read at most
BUCKET_CHUNK = 16 << 20  # bytes of one request to a bucket
CONNECT_TIMEOUT, READ_TIMEOUT = 10.0, 30.0  # seconds
SHORT_TIMEOUT = 5.0  # seconds, for a question whose answer one can do without
AGAIN = (408, 429, 500, 502, 503, 504)  # HTTP states that pass


class Trouble(Exception):
    """Something that passes: what is asked again later may work.

    Attributes:
        retry_after: seconds that the server asks to wait, None when it does not say.
    """

    def __init__(self, text: str, retry_after: float | None = None) -> None:
        super().__init__(text)
        self.retry_after = retry_after


@dataclass(frozen=True)
class Identity:
    """What a source says about the version of a file that it has now; None for what it does not say."""

    bytes: int | None = None
    etag: str | None = None
    last_modified: str | None = None
    md5: str | None = None  #: hexadecimal
    crc32c: str | None = None  #: hexadecimal

    def differs(self, other: Identity) -> bool:
        """Whether anything that both say shows that these are two versions."""
        both_have_etags = self.etag is not None and other.etag is not None
        validators = (self.etag, other.etag) if both_have_etags else (self.last_modified, other.last_modified)
        pairs = ((self.bytes, other.bytes), validators)
        return any(a is not None and b is not None and a != b for a, b in pairs)

    def same(self, other: Identity) -> bool:
        """Whether this is surely one version: an ETag or a date says so, and nothing says otherwise."""
        etag = self.etag is not None and self.etag == other.etag
        date = self.last_modified is not None and self.last_modified == other.last_modified
        return (etag or date) and not self.differs(other)


@dataclass
class Stream:
    """An open connection to a source.

    Attributes:
        identity: of the version that is read.
        start: position of the first byte. 0 instead of the wanted position: the source changed, or has no parts.
        chunks: the bytes, up to the end of the file; raises `Trouble` where the connection is cut.
        close: ends the connection.
        interrupt: wakes another thread that waits for bytes; it gets a `Trouble` then.
    """

    identity: Identity
    start: int
    chunks: Iterator[bytes]
    close: Callable[[], Any]
    interrupt: Callable[[], Any] = field(default=lambda: None)


class Source(Protocol):
    """Something that has one file."""

    def ask(self, briefly: bool = False) -> Identity:
        """What it has now; briefly: gives up after a few seconds.

        Raises:
            Trouble: it could not be asked now.
            InputError: it has no such file, or does not give it.
        """

    def open(self, start: int, known: Identity) -> Stream:
        """Opens it at a byte, or at the first one when `known` is not what it has now.

        Raises:
            Trouble, InputError: as for `ask`.
        """


def source(url: str) -> Source:
    """The source behind an address.

    Raises:
        InputError: the address is none that can be fetched.
    """
    scheme = urlsplit(url).scheme
    if scheme in ("http", "https"):
        return HttpSource(url)
    if scheme == "gs":
        return BucketSource(url)
    if scheme == "file":
        return FileSource(url)
    raise InputError(f"{shown(url)}: give an address that begins with http://, https://, gs:// or file://")


def shown(url: str) -> str:
    """An address for messages and manifests: without a password, and without a query, which may be a signature."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


class HttpSource:
    """A file on an HTTP server. Proxies, certificates and ~/.netrc are found as requests does it."""

    def __init__(self, url: str) -> None:
        self.url, self.shown = url, shown(url)

    def ask(self, briefly: bool = False) -> Identity:
        """See `Source`. Servers that know no HEAD, or forbid it as signed addresses do, are asked with GET."""
        timeout = (SHORT_TIMEOUT, SHORT_TIMEOUT) if briefly else (CONNECT_TIMEOUT, READ_TIMEOUT)
        response = self._request("HEAD", {}, timeout)
        response.close()
        if response.status_code != http.HTTPStatus.OK:
            response = self._request("GET", {}, timeout)
            response.close()
            if response.status_code != http.HTTPStatus.OK:
                raise self._refusal(response)
        identity = _identity(response)
        # Some servers say 0 to HEAD when they do not know.
        return replace(identity, bytes=identity.bytes or None)

    def open(self, start: int, known: Identity) -> Stream:
        """See `Source`. Only a strong ETag or a date can promise that a later part belongs to the same file."""
        strong = known.etag is not None and not known.etag.startswith("W/")
        validator = known.etag if strong else known.last_modified
        if start == 0 or validator is None:
            return self._open_all()
        response = self._request("GET", {"Range": f"bytes={start}-", "If-Range": validator})
        first, total = _content_range(response)
        if response.status_code == http.HTTPStatus.OK:
            return self._stream(response, _identity(response), 0)
        if response.status_code == http.HTTPStatus.PARTIAL_CONTENT:
            if first == start and not known.differs(replace(_identity(response), bytes=total)):
                return self._stream(response, replace(known, bytes=total or known.bytes), start)
        elif response.status_code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            if total == start and not known.differs(replace(_identity(response), bytes=total)):  # there was no more
                return Stream(replace(known, bytes=start), start, iter(()), response.close)
        else:
            response.close()
            raise self._refusal(response)
        response.close()
        return self._open_all()

    def _open_all(self) -> Stream:
        response = self._request("GET", {})
        if response.status_code != http.HTTPStatus.OK:
            response.close()
            raise self._refusal(response)
        return self._stream(response, _identity(response), 0)

    def _stream(self, response: requests.Response, identity: Identity, start: int) -> Stream:
        return Stream(identity, start, self._chunks(response), response.close, lambda: _interrupt(response))

    def _chunks(self, response: requests.Response) -> Iterator[bytes]:
        try:
            # read1 gives what has come: with read a slow server would keep us from looking at the clock.
            while chunk := response.raw.read1(CHUNK, decode_content=False):
                yield chunk
        except (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError, ValueError) as error:
            raise Trouble(reason(error)) from error

    def _request(
        self,
        method: str,
        headers: dict[str, str],
        timeout: tuple[float, float] = (CONNECT_TIMEOUT, READ_TIMEOUT),
    ) -> requests.Response:
        try:
            return requests.request(
                method,
                self.url,
                headers={"Accept-Encoding": "identity", **headers},
                timeout=timeout,
                stream=True,
                allow_redirects=True,
            )
        except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
            if (certificate := _cause(error, ssl.SSLCertVerificationError)) is not None:
                raise InputError(
                    f"{self.shown}: the server's certificate is not trusted ({certificate.verify_message}); "
                    "set REQUESTS_CA_BUNDLE to the file of the authority that signed it"
                ) from error
            raise Trouble(reason(error)) from error
        except (requests.RequestException, ValueError) as error:
            # Their texts contain the address as it was given, perhaps with a password.
            raise InputError(f"{self.shown}: cannot be fetched ({type(error).__name__}); check the address") from error

    def _refusal(self, response: requests.Response) -> Exception:
        state = f"the server says {response.status_code} {response.reason or ''}".rstrip()
        if response.status_code in AGAIN:
            return Trouble(state, _retry_after(response))
        return InputError(f"{self.shown}: {state}; check the address, and that you may read it")


def _identity(response: requests.Response) -> Identity:
    length = response.headers.get("Content-Length", "")
    return Identity(
        bytes=int(length) if length.isdecimal() else None,
        etag=response.headers.get("ETag"),
        last_modified=response.headers.get("Last-Modified"),
    )


def _content_range(response: requests.Response) -> tuple[int | None, int | None]:
    """First byte and total size of a partial answer, None for what is not said."""
    match = re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)", response.headers.get("Content-Range", ""))
    if match is None:
        return None, None
    first, total = match.groups()
    return None if first is None else int(first), None if total == "*" else int(total)


def _retry_after(response: requests.Response) -> float | None:
    text = response.headers.get("Retry-After", "")
    if text.isdecimal():
        return float(text)
    try:
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):  # none, or none that one can read
        return None


def _interrupt(response: requests.Response) -> None:
    try:
        response.raw.shutdown()
    except (OSError, ValueError, RuntimeError):  # it has just ended by itself
        return


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error and those that it stands for, the outermost first."""
    inner: BaseException | None = error
    while inner is not None:
        yield inner
        inner = inner.__cause__ or inner.__context__


def _cause(error: BaseException, kind: type[Any]) -> Any:
    return next((inner for inner in _chain(error) if isinstance(inner, kind)), None)


def reason(error: BaseException) -> str:
    """Why a connection failed, in the system's words. requests' own contain addresses with their passwords."""
    words = [inner.strerror for inner in _chain(error) if isinstance(inner, OSError) and inner.strerror]
    if words:
        return words[-1].lower()
    late = _cause(error, TimeoutError) or _cause(error, urllib3.exceptions.TimeoutError)
    return "the connection was cut" if late is None else "no answer in time"


class BucketSource:
    """An object in a bucket; google-cloud-storage repeats what fails for two minutes."""

    def __init__(self, url: str) -> None:
        place = storage.path(url)
        if isinstance(place, Path) or not place.blob:
            raise InputError(f"{url}: names no object; give gs://bucket/name")
        self.place = place

    def ask(self, briefly: bool = False) -> Identity:
        """See `Source`."""
        return self._identity(self._blob(SHORT_TIMEOUT if briefly else storage.BUCKET_PATIENCE))

    def open(self, start: int, known: Identity) -> Stream:
        """See `Source`. The object's generation is what an ETag is for HTTP."""
        blob = self._blob(120.0)
        identity = self._identity(blob)
        position = start if identity.same(known) else 0
        reader = blob.open("rb", chunk_size=BUCKET_CHUNK)
        return Stream(identity, position, self._chunks(reader, position, identity), reader.close)

    def _blob(self, patience: float) -> Blob:
        from google.cloud.storage.retry import DEFAULT_RETRY

        with storage.bucket_errors(self.place):
            bucket = self.place.client.client.bucket(self.place.bucket)
            blob = bucket.get_blob(self.place.blob, timeout=patience / 2, retry=DEFAULT_RETRY.with_timeout(patience))
        if blob is None:
            raise InputError(f"{self.place}: no such object; check the address")
        return blob

    def _identity(self, blob: Blob) -> Identity:
        md5, crc32c = (base64.b64decode(text or "").hex() or None for text in (blob.md5_hash, blob.crc32c))
        return Identity(blob.size, str(blob.generation), None, md5, crc32c)

    def _chunks(self, reader: Any, position: int, identity: Identity) -> Iterator[bytes]:
        with storage.bucket_errors(self.place):
            if position == identity.bytes:
                return
            reader.seek(position)
            while chunk := reader.read(CHUNK):
                yield chunk


class FileSource:
    """A file in the file system."""

    def __init__(self, url: str) -> None:
        self.path = Path(urllib.request.url2pathname(urlsplit(url).path))

    def ask(self, briefly: bool = False) -> Identity:
        """See `Source`."""
        self.open(0, Identity()).close()
        state = self.path.stat()
        return Identity(state.st_size, None, str(state.st_mtime_ns))

    def open(self, start: int, known: Identity) -> Stream:
        """See `Source`."""
        try:
            file = self.path.open("rb")
        except OSError as error:
            raise InputError(f"{self.path}: cannot be read ({error.strerror}); check the address") from error
        state = self.path.stat()
        identity = Identity(state.st_size, None, str(state.st_mtime_ns))
        position = start if identity.same(known) else 0
        file.seek(position)
        return Stream(identity, position, iter(lambda: file.read(CHUNK), b""), file.close)
