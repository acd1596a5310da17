"""Fetches a few large files into the storage root: several at a time, going on where a connection or process was cut.

    fetch([Remote("http://images.cocodataset.org/zips/val2017.zip", "val2017.zip")], root / "archives")

In a folder, `.<name>.part` holds what has come so far and `.<name>.part.json` the version that it belongs to, so that
another process goes on from there. In a bucket, the bytes go straight from the source into a resumable upload.
A file gets its final name when its size and checksum are right; `<name>.json` beside it, written after that, says
where it is from and what its checksums are.
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import os
import random
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, wait
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, NoReturn, TypeVar
from urllib.parse import urlsplit

from tqdm import tqdm

from openpose import progress, storage
from openpose.coco import remotes
from openpose.coco.remotes import Identity, Trouble
from openpose.errors import InputError

PARALLEL = 4  # files at the same time
TRIES = 8  # failures without a new byte between them, after which a source is given up
BACKOFF, LONGEST_BACKOFF = 0.5, 60.0  # seconds before the second try, doubled before each more, and the most
LOCK_POLL = 0.2  # seconds between two looks at a file that another process is fetching
_VALIDATORS = ("etag", "last_modified")
LINGER = 2.0  # seconds that an error waits for the other files' threads to end

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Remote:
    """A file to fetch."""

    url: str  #: http(s)://, gs:// or file://
    name: str  #: final file name below the folder
    bytes: int | None = None  #: published size, when known
    md5: str | None = None  #: published MD5, hexadecimal, when known


@dataclass(frozen=True)
class Fetched:
    """A file that is there, whole and checked."""

    name: str
    place: str
    bytes: int
    sha256: str
    md5: str
    url: str  #: without password and query
    found: bool  #: it was there already


def fetch(remotes: Sequence[Remote], folder: storage.StoragePath, deadline: float = 24 * 3600) -> list[Fetched]:
    """Fetches files that are not there yet, or are not any more what their source has.

    Args:
        remotes: the files.
        folder: where they go, in the file system or in a bucket.
        deadline: seconds for all of it.

    Raises:
        InputError: a source refuses a file or cannot be reached, a file has the wrong size or checksum, the disk has
            not enough room or the deadline is over. What was fetched until then is kept.
    """
    folder = storage.open_root(folder)
    run = _Run(deadline)
    files = [_File(remote, folder, run) for remote in remotes]
    there = run.all(_File.ask, files, folder)
    missing = [file for file, found in zip(files, there, strict=True) if found is None]
    if not missing:
        return [found for found in there if found is not None]
    _check_room(missing, folder)
    sizes = [file.size for file in missing]
    total = None if None in sizes else sum(size or 0 for size in sizes)
    with progress.bar(total, "download", "byte", initial=sum(file.done for file in missing)) as bar:
        run.bar = bar
        fetched = iter(run.all(_File.fetch, missing, folder))
    return [found or next(fetched) for found in there]


def _check_room(missing: list[_File], folder: storage.StoragePath) -> None:
    if not isinstance(folder, Path):
        return
    needed = sum(max(0, (file.size or 0) - file.done) for file in missing)
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise InputError(
            f"{folder}: not enough room: {_amount(needed)} are still to be fetched, {_amount(free)} are free, "
            f"{_amount(needed - free)} are missing; make room there, or give another storage root"
        )


def _amount(count: int) -> str:
    return f"{count / 1e9:.2f} GB" if count >= 1e8 else f"{count / 1e6:.2f} MB"


class _Stopped(Exception):
    """Another file's error, the deadline or Ctrl-C has ended the run."""


class _Wrong(InputError):
    """A file's size or checksum is not what it should be."""


class _Changed(Exception):
    """The source cannot go on where we are: begin with the first byte."""


class _Run:
    """What the files of one call share: the deadline, the progress bar and the order to stop."""

    def __init__(self, deadline: float) -> None:
        self.deadline, self._until = deadline, time.monotonic() + deadline
        self.bar: progress.Bar | None = None
        self._stop, self._lock = threading.Event(), threading.Lock()
        self._streams: list[remotes.Stream] = []

    def all(self, work: Callable[[_File], Result], files: list[_File], folder: storage.StoragePath) -> list[Result]:
        """The work's results for all files; the first error, the deadline and Ctrl-C stop all of it at once."""
        futures: list[Future[Result]] = [Future() for _ in files]
        todo = iter(list(zip(futures, files, strict=True)))
        # Not a ThreadPoolExecutor: Python waits for its threads, and one may be waiting for a dead server.
        threads = [
            threading.Thread(target=_work, args=(work, todo), daemon=True) for _ in range(min(PARALLEL, len(files)))
        ]
        try:
            for thread in threads:
                thread.start()
            done, pending = wait(futures, max(0.0, self._until - time.monotonic()), return_when=FIRST_EXCEPTION)
            results = [future.result() for future in futures if future in done]
            if pending:
                raise self._late(files, folder)
            return results
        except BaseException:
            self._stop_all(threads)
            raise

    def _late(self, files: list[_File], folder: storage.StoragePath) -> InputError:
        state = ", ".join(
            f"{file.remote.name} {_amount(file.done)}" + ("" if file.size is None else f" of {_amount(file.size)}")
            for file in files
        )
        kept = "it goes on from there" if isinstance(folder, Path) else "finished files are kept"
        return InputError(
            f"{folder}: the deadline of {progress.duration(self.deadline)} is over at {state}; "
            f"run the same command again, {kept}"
        )

    def _stop_all(self, threads: list[threading.Thread]) -> None:
        self._stop.set()
        with self._lock:
            for stream in self._streams:
                stream.interrupt()
        until = time.monotonic() + LINGER
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))

    def check(self) -> None:
        """Raises `_Stopped` when the run is over."""
        if self._stop.is_set():
            raise _Stopped

    def sleep(self, seconds: float) -> None:
        """Waits, no longer than the run."""
        if self._stop.wait(seconds):
            raise _Stopped

    def count(self, new: int) -> None:
        """Tells the progress bar of bytes that came."""
        with self._lock:
            self.check()
            if self.bar is not None:
                self.bar.update(new)

    @contextmanager
    def watching(self, stream: remotes.Stream) -> Iterator[None]:
        """Lets a stop interrupt the stream."""
        with self._lock:
            self._streams.append(stream)
        try:
            self.check()
            yield
        finally:
            with self._lock:
                self._streams.remove(stream)
            stream.close()


def _work(work: Callable[[Item], Result], todo: Iterator[tuple[Future[Result], Item]]) -> None:
    for future, item in todo:
        try:
            future.set_result(work(item))
        except BaseException as error:  # the caller of Future.result gets it
            future.set_exception(error)


def _note(text: str) -> None:
    tqdm.write(text, file=sys.stderr)  # above a bar, when there is one


class _File:
    """One file on its way.

    Attributes:
        done: bytes that have come.
        identity: of the version that they belong to; what the source said, before the first has come.
    """

    def __init__(self, remote: Remote, folder: storage.StoragePath, run: _Run) -> None:
        self.remote, self.run = remote, run
        self.place, self.record = folder / remote.name, folder / f"{remote.name}.json"
        self.url = remotes.shown(remote.url)
        self.source = remotes.source(remote.url)
        self.identity = self.asked = Identity()
        self.done = self._counted = self._farthest = self._failures = self._pieces = 0

    @property
    def size(self) -> int | None:
        """Bytes of the whole file, when known."""
        return self.identity.bytes if self.remote.bytes is None else self.remote.bytes

    def ask(self) -> Fetched | None:
        """What is there already, when it is still what the source has.

        Raises:
            InputError: the source does not give it, or not in the published size.
        """
        record = self._record()
        if record is not None and self.remote.md5 == record["md5"]:
            return self._fetched(record, found=True)
        if record is not None and record["url"] != self.url:
            record = None
        try:
            self.identity = self.asked = self._asked(briefly=record is not None)
        except (Trouble, InputError) as error:
            if record is None:
                raise
            _note(
                f"warning: cannot ask {urlsplit(self.url).netloc or self.url} whether {self.remote.name} changed "
                f"({error}); using the copy of {self.place.parent}"
            )
            return self._fetched(record, found=True)
        self._check_size(self.asked.bytes)
        if isinstance(self.place, Path):
            self.done = self._counted = storage.size(_part(self.place)) or 0
        return self._found()

    def _asked(self, briefly: bool) -> Identity:
        while True:
            try:
                return self.source.ask(briefly)
            except Trouble as trouble:
                if briefly:
                    raise
                self._again(trouble)

    def _found(self) -> Fetched | None:
        """What is there when it is what the source said that it has."""
        record = self._record()
        if record is None or record["url"] != self.url or self.remote.md5 not in (None, record["md5"]):
            return None
        recorded = Identity(record["bytes"], record["etag"], record["last_modified"])
        return self._fetched(record, found=True) if recorded.same(self.asked) else None

    def _record(self) -> dict[str, Any] | None:
        """What `<name>.json` says, when the file beside it has that size."""
        try:
            record = storage.read_json(self.record)
        except InputError:  # there is none, or it is damaged: as if there was no file
            return None
        size = storage.size(self.place)
        complete = isinstance(record, dict) and record.keys() >= {"url", "bytes", "sha256", "md5", *_VALIDATORS}
        if not complete or record["bytes"] != size or self.remote.bytes not in (None, size):
            return None
        return record

    def _fetched(self, record: dict[str, Any], found: bool) -> Fetched:
        sums = {key: record[key] for key in ("bytes", "sha256", "md5", "url")}
        return Fetched(self.remote.name, str(self.place), found=found, **sums)

    def fetch(self) -> Fetched:
        """Brings it here.

        Raises:
            InputError: see `fetch`.
        """
        self.run.check()
        try:
            with storage.user_errors(self.place):
                if not isinstance(self.place, Path):
                    return self._fetched(self._twice(_to_bucket), found=False)
                with _alone(self.place, self.run):
                    found = self._found()
                    if found is None:
                        return self._fetched(self._twice(_to_folder), found=False)
                    self.move_to(found.bytes)
                    return found
        except OSError as error:
            raise InputError(
                f"{self.place}: cannot be fetched ({remotes.reason(error)}); run the same command again"
            ) from error

    def _twice(self, bring: Callable[[_File], dict[str, Any]]) -> dict[str, Any]:
        """Brings it, once more from the first byte when it was put together from pieces and is wrong."""
        try:
            return bring(self)
        except _Wrong as wrong:
            if self._pieces <= 1:
                raise
            _note(f"{wrong}. It had come in pieces: trying once more, from the first byte")
            self._farthest = 0
            self.restart()
            return bring(self)

    def chunks(self) -> Iterator[bytes]:
        """The file's bytes from `done` on, whatever happens to the connection.

        Raises:
            _Changed: it has to be begun again.
            InputError: the source does not give it, or nothing came in `TRIES` tries, or not in the published size.
        """
        while True:
            try:
                stream = self.source.open(self.done, self.identity)
                with self.run.watching(stream):
                    if stream.start != self.done:
                        self._begin_again(stream.identity)
                    self._pieces += 1
                    self.identity = stream.identity
                    self._check_size(stream.identity.bytes)
                    for chunk in stream.chunks:
                        self.move_to(self.done + len(chunk))
                        yield chunk
                if self.size is None or self.done >= self.size:
                    return
                raise Trouble(f"the connection ended after {self.done:,} of {self.size:,} bytes")
            except Trouble as trouble:
                self._again(trouble)

    def _begin_again(self, offered: Identity) -> NoReturn:
        changed = self.identity.differs(offered)
        if changed:
            self._farthest = 0  # all bytes of another version are new
        why = "it has changed on the server" if changed else "the server does not go on in the middle"
        _note(f"{self.remote.name}: {why}; fetching it again from the first byte")
        raise _Changed

    def _again(self, trouble: Trouble) -> None:
        """Waits before another try, unless there were enough."""
        self.run.check()
        self._failures += 1
        if self._failures >= TRIES:
            raise InputError(
                f"{self.url}: {trouble}; given up after {TRIES} failures without a new byte between them. "
                "Look whether the server is up and can be reached from here, then run the same command again"
            ) from trouble
        backoff = min(LONGEST_BACKOFF, BACKOFF * 2 ** (self._failures - 1))
        seconds = random.uniform(0.5, 1.0) * backoff if trouble.retry_after is None else trouble.retry_after
        _note(f"{self.remote.name}: {trouble}; trying again in {progress.duration(seconds)}")
        self.run.sleep(seconds)

    def move_to(self, done: int) -> None:
        """Sets how many bytes have come. The progress bar waits for bytes that it has shown before."""
        self.run.count(max(0, done - self._counted))
        self._counted = max(done, self._counted)
        if done > self._farthest:
            self._farthest, self._failures = done, 0
        self.done = done

    def take_up(self, done: int, identity: Identity) -> None:
        """Goes on from what an earlier process has left."""
        self.move_to(done)
        self.identity = identity
        self._pieces += 1

    def restart(self) -> None:
        """Forgets what has come."""
        self.move_to(0)
        self.identity = Identity()

    def _check_size(self, offered: int | None) -> None:
        if self.remote.bytes is not None and offered not in (None, self.remote.bytes):
            raise self._wrong("size", f"{self.remote.bytes:,} bytes", f"{offered:,} bytes")

    def verify(self, sums: _Sums) -> None:
        """Compares the whole file's size and checksums with what was published.

        Raises:
            _Wrong: it is not what it should be.
        """
        self._check_size(sums.count)
        pairs = (
            ("MD5", self.remote.md5, sums.md5()),
            ("MD5", self.identity.md5, sums.md5()),
            ("CRC32C", self.identity.crc32c, sums.crc32c()),
        )
        for what, expected, got in pairs:
            if None not in (expected, got) and expected != got:
                raise self._wrong(what, str(expected), str(got))

    def _wrong(self, what: str, expected: str, got: str) -> _Wrong:
        return _Wrong(
            f"{self.url}: {self.remote.name} has the wrong {what}: expected {expected}, got {got}; nothing of it is "
            "kept. The file there is damaged or another one: check the address, or take another mirror"
        )

    def write_record(self, sums: _Sums) -> dict[str, Any]:
        """Writes `<name>.json`, which says that the file is complete."""
        validators = {key: getattr(self.identity, key) for key in _VALIDATORS}
        record = {"url": self.url, "bytes": sums.count, "sha256": sums.sha256(), "md5": sums.md5(), **validators}
        storage.write_json(self.record, record)
        return record


class _Sums:
    """Checksums of bytes that pass by."""

    def __init__(self, file: _File) -> None:
        self.count = 0
        self._sha256, self._md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
        self._crc32c: Any = None
        if file.remote.url.startswith("gs://"):  # some objects have no other checksum
            from google_crc32c import Checksum

            self._crc32c = Checksum()

    def update(self, chunk: bytes) -> None:
        self.count += len(chunk)
        self._sha256.update(chunk)
        self._md5.update(chunk)
        if self._crc32c is not None:
            self._crc32c.update(chunk)

    def sha256(self) -> str:
        return self._sha256.hexdigest()

    def md5(self) -> str:
        return self._md5.hexdigest()

    def crc32c(self) -> str | None:
        return None if self._crc32c is None else self._crc32c.hexdigest().decode()


@contextmanager
def _alone(place: Path, run: _Run) -> Iterator[None]:
    """Keeps other processes away from a file in a folder. The lock is the system's: it ends with the process."""
    with place.with_name(f".{place.name}.lock").open("w") as lock:
        told = False
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not told:
                    _note(f"{place.name}: another process is fetching it to {place.parent}; waiting for that")
                told = True
                run.sleep(LOCK_POLL)
        yield


def _part(place: Path) -> Path:
    return place.with_name(f".{place.name}.part")


def _to_folder(file: _File) -> dict[str, Any]:
    """Fetches a file that nobody else is fetching into a folder; its record.

    Raises:
        InputError: see `fetch`.
    """
    place = Path(file.place)
    part, version = _part(place), place.with_name(f".{place.name}.part.json")
    for written in (version, place.with_name(f"{place.name}.json")):
        storage.sweep_file(written)
    if version.exists() and place.exists() and not part.exists() and not file.record.exists():
        place.rename(part)  # a process was killed between the file's final name and its record
    try:
        with part.open("ab") as output:
            sums = _fill(file, output, version)
            output.flush()
            os.fsync(output.fileno())
        file.verify(sums)
    except _Wrong:
        storage.remove(part)
        storage.remove(version)
        raise
    storage.remove(file.record)
    part.replace(place)
    record = file.write_record(sums)
    storage.remove(version)
    return record


def _fill(file: _File, output: BinaryIO, version: Path) -> _Sums:
    """Appends what is missing to a part; the checksums of all of it."""
    sums = _resume(file, output, version)
    if sums.count == file.identity.bytes and file.identity.same(file.asked):
        return sums  # only its final name is missing
    while True:
        try:
            for chunk in file.chunks():
                if sums.count == 0:
                    storage.write_json(version, {"url": file.url, **asdict(file.identity)})
                sums.update(chunk)
                output.write(chunk)
            return sums
        except _Changed:
            output.truncate(0)
            file.restart()
            sums = _Sums(file)


def _resume(file: _File, output: BinaryIO, version: Path) -> _Sums:
    """Checksums of what an earlier process has left of a file; it is removed when nobody knows what it is."""
    sums, identity = _Sums(file), _version(file, version)
    if identity is not None:
        with open(output.name, "rb") as part:
            while chunk := part.read(remotes.CHUNK):
                sums.update(chunk)
                file.run.count(0)  # a line now and then
        if sums.count <= (identity.bytes or sums.count):
            file.take_up(sums.count, identity)
            return sums
    output.truncate(0)
    file.restart()
    return _Sums(file)


def _version(file: _File, version: Path) -> Identity | None:
    """The version that a part belongs to, None when it is not known or from elsewhere."""
    try:
        document = storage.read_json(version)
        return Identity(**{key: document[key] for key in asdict(Identity())}) if document["url"] == file.url else None
    except (InputError, KeyError, TypeError):
        return None


def _to_bucket(file: _File) -> dict[str, Any]:
    """Uploads a file while it comes; its record.

    Raises:
        InputError: see `fetch`.
    """
    place = file.place
    assert not isinstance(place, Path)
    blob = place.client.client.bucket(place.bucket).blob(place.blob, chunk_size=remotes.BUCKET_CHUNK)
    while True:
        passing = _Passing(file)
        try:
            blob.upload_from_file(passing)
            return file.write_record(passing.sums)
        except _Changed:
            file.restart()


class _Passing(io.RawIOBase):
    """A file on its way as something to read. Its end is not reached when it is wrong: nothing gets the final name."""

    def __init__(self, file: _File) -> None:
        self.sums = _Sums(file)
        self._file, self._chunks, self._rest = file, file.chunks(), b""

    def tell(self) -> int:
        """Bytes that were read."""
        return self.sums.count

    def read(self, size: int = -1, /) -> bytes:
        """So many bytes; less only at the end.

        Raises:
            InputError: the file is wrong.
        """
        pieces = [self._rest]
        missing = size - len(self._rest)
        while missing > 0 and (chunk := next(self._chunks, None)) is not None:
            pieces.append(chunk)
            missing -= len(chunk)
        content = b"".join(pieces)
        content, self._rest = content[:size], content[size:]
        self.sums.update(content)
        if len(content) < size:
            self._file.verify(self.sums)
            storage.remove(self._file.record)  # it is that of the object which this one replaces
        return content
