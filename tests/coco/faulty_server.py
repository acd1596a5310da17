"""An HTTP server with faults on demand, for tests of downloads."""

import hashlib
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Fault:
    """What goes wrong with one GET request."""

    status: int = 200  #: any other one is the whole response
    headers: dict[str, str] = field(default_factory=dict)  #: of that response
    cut: int | None = None  #: the connection is reset after this number of bytes
    stall: int | None = None  #: nothing more is sent for a minute after this number of bytes


@dataclass
class File:
    """A file on the server, and what the server supports for it."""

    content: bytes
    validators: tuple[str, ...] = ("ETag", "Last-Modified")  #: the headers that identify its version
    head: int = 200  #: status of the response to HEAD
    ranges: bool = True  #: supports Range
    if_range: bool = True  #: supports If-Range; without it, a range of a changed file is served too
    length: str = "told"  #: "told", "chunked" or "none"
    claims: int | None = None  #: a wrong size in the response to HEAD
    rate: float | None = None  #: bytes per second
    faults: list[Fault] = field(default_factory=list)  #: of the next GET requests, in their order

    def headers(self) -> dict[str, str]:
        """ETag and Last-Modified, which depend on the content."""
        digest = hashlib.md5(self.content).hexdigest()
        dates = {"ETag": f'"{digest}"', "Last-Modified": f"Mon, 01 Jan 2024 00:{int(digest[:2], 16) % 60:02}:00 GMT"}
        return {name: dates[name] for name in self.validators}


class FaultyServer(ThreadingHTTPServer):
    """Serves `files` by their names.

    Attributes:
        asked: method, name and headers of all requests so far.
        sent: bytes of bodies so far.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, File] = {}
        self.asked: list[tuple[str, str, Message]] = []
        self.sent = 0

    def url(self, name: str) -> str:
        """The address of a file."""
        return f"http://127.0.0.1:{self.server_port}/{name}"

    def gets(self, name: str) -> list[str | None]:
        """The Range header of each GET of a file so far, None where there was none."""
        return [headers["Range"] for method, asked, headers in self.asked if (method, asked) == ("GET", name)]

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignores clients that disconnect: that is what the tests are about."""


class _Handler(BaseHTTPRequestHandler):
    server: FaultyServer
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        file = self._file()
        if file is None or file.head != 200:
            self._answer(404 if file is None else file.head)
            return
        length = {"Content-Length": str(file.claims or len(file.content))} if file.length == "told" else {}
        self._headers(200, file.headers() | length)

    def do_GET(self) -> None:
        file = self._file()
        if file is None:
            self._answer(404)
            return
        fault = file.faults.pop(0) if file.faults else Fault()
        if fault.status != 200:
            self._answer(fault.status, fault.headers)
            return
        start = self._start(file)
        total = len(file.content)
        if start is not None and start >= total:
            self._answer(416, {"Content-Range": f"bytes */{total}"})
            return
        part = {} if start is None else {"Content-Range": f"bytes {start}-{total - 1}/{total}"}
        body = file.content[start or 0 :]
        self._headers(206 if part else 200, file.headers() | part | self._framing(file, body))
        self._body(file, fault, body)

    def _file(self) -> File | None:
        name = self.path.partition("?")[0].removeprefix("/")
        self.server.asked.append((self.command, name, self.headers))
        return self.server.files.get(name)

    def _start(self, file: File) -> int | None:
        """First byte of the requested range; None if the whole file must be sent."""
        wanted = self.headers["Range"]
        if wanted is None or not file.ranges:
            return None
        if file.if_range and self.headers["If-Range"] not in file.headers().values():
            return None
        return int(wanted.removeprefix("bytes=").removesuffix("-"))

    def _framing(self, file: File, body: bytes) -> dict[str, str]:
        if file.length == "told":
            return {"Content-Length": str(len(body))}
        return {"Transfer-Encoding": "chunked"} if file.length == "chunked" else {"Connection": "close"}

    def _body(self, file: File, fault: Fault, body: bytes) -> None:
        until = len(body) if fault.cut is None else fault.cut
        until = until if fault.stall is None else fault.stall
        step = 64 * 1024 if file.rate is None else max(1, int(file.rate / 100))
        for first in range(0, until, step):
            piece = body[first : min(until, first + step)]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece) if file.length == "chunked" else piece)
            self.server.sent += len(piece)
            if file.rate is not None:
                time.sleep(0.01)
        if fault.stall is not None:
            time.sleep(60)
        if fault.cut is not None:
            self._reset()
        elif file.length == "chunked":
            self.wfile.write(b"0\r\n\r\n")

    def _reset(self) -> None:
        """Ends the connection: usually by a reset, sometimes in good order."""
        self.close_connection = True
        if self.server.sent % 4:
            time.sleep(0.01)  # a reset also drops what the client has not read yet
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def _answer(self, status: int, headers: dict[str, str] | None = None) -> None:
        self._headers(status, {"Content-Length": "0"} | (headers or {}))

    def _headers(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Keeps the test's output clean."""


@contextmanager
def running() -> Iterator[FaultyServer]:
    """Runs a server in a thread during the block."""
    with FaultyServer() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()
