"""Downloads large files into the storage root, one after another, and resumes after a lost connection or a kill.

    fetch([Download("http://images.cocodataset.org/zips/val2017.zip", "val2017.zip")], root / "archives")

In a folder, a `PartFile` holds the bytes so far; another process resumes from there. To a bucket, the bytes go straight
from the source into an upload; what comes from a bucket is copied inside the object store. A file gets its final name
after its size and checksums were verified. `<name>.json` beside it is written last and holds its source and checksums.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, NoReturn, cast
from urllib.parse import urlsplit

from openpose import progress, storage
from openpose.coco import remote_files, resumable
from openpose.coco.checksums import Checksums
from openpose.coco.part_file import PartFile
from openpose.coco.remote_files import BucketFile, Version
from openpose.coco.resumable import Deadline, DeadlineOver, Restart, ResumableFile
from openpose.errors import InputError
from openpose.retry import TemporaryError


@dataclass(frozen=True)
class Download:
    """A file to download."""

    url: str  #: http(s)://, gs://, s3:// or file://
    name: str  #: final file name below the folder
    bytes: int | None = None  #: published size, if known
    md5: str | None = None  #: published MD5, hexadecimal, if known


@dataclass(frozen=True)
class Record:
    """What `<name>.json` says about the complete, verified file beside it."""

    url: str  #: without password and query
    bytes: int
    sha256: str
    md5: str
    etag: str | None
    last_modified: str | None


@dataclass(frozen=True)
class Fetched(Record):
    """A complete, verified file."""

    name: str
    place: str
    found: bool  #: it was there already


def fetch(downloads: Sequence[Download], folder: storage.StoragePath, deadline: float = 24 * 3600) -> list[Fetched]:
    """Downloads the files that are missing or out of date.

    Args:
        downloads: the files.
        folder: where they go, in the file system or in a bucket.
        deadline: seconds for all files together.

    Raises:
        InputError: a source denies a file or cannot be reached, a file has the wrong size or checksum, the disk is too
            small, or the deadline is over. What was downloaded until then is kept.
    """
    folder, until = storage.open_root(folder), Deadline(deadline)
    files = [_File(download, folder, until) for download in downloads]
    try:
        found = [file.find() for file in files]
        missing = [file for file, there in zip(files, found, strict=True) if there is None]
        fetched = iter(_fetch(missing, folder) if missing else [])
        return [there or next(fetched) for there in found]
    except DeadlineOver as over:
        kept = "it goes on from there" if storage.is_local(folder) else "finished files are kept"
        raise InputError(
            f"{folder}: the deadline of {progress.duration(deadline)} is over at {', '.join(map(str, files))}; "
            f"run the same command again, {kept}"
        ) from over


def _fetch(missing: list[_File], folder: storage.StoragePath) -> list[Fetched]:
    needed = sum(max(0, (file.size or 0) - file.reader.done) for file in missing)
    free = storage.free_space(folder)
    if free is not None and needed > free:
        raise InputError(
            f"{folder}: not enough room: {_amount(needed)} are still to be fetched, {_amount(free)} are free, "
            f"{_amount(needed - free)} are missing; make room there, or give another storage root"
        )
    sizes = [file.size for file in missing]
    total = None if None in sizes else sum(size or 0 for size in sizes)
    with progress.bar(total, "download", "byte", initial=sum(file.reader.done for file in missing)) as bar:
        return [file.fetch(bar) for file in missing]


def _amount(count: int) -> str:
    return f"{count / 1e9:.2f} GB" if count >= 1e8 else f"{count / 1e6:.2f} MB"


class _WrongFile(InputError):
    """A file's size or checksum is not the expected one."""


class _File:
    """One download: `find` looks for a complete file, `fetch` makes one."""

    def __init__(self, download: Download, folder: storage.StoragePath, deadline: Deadline) -> None:
        self.download = download
        self.place, self.record_place = folder / download.name, folder / f"{download.name}.json"
        self.url = remote_files.public(download.url)
        self.reader = ResumableFile(remote_files.at(download.url), download.name, deadline)
        self.part = PartFile(self.place, self.url) if storage.is_local(self.place) else None
        self.offered = Version()

    def __str__(self) -> str:
        return f"{self.download.name} {_amount(self.reader.done)}" + (f" of {_amount(self.size)}" if self.size else "")

    @property
    def size(self) -> int | None:
        """Bytes of the whole file, if known."""
        return self.download.bytes or self.reader.version.bytes

    def find(self) -> Fetched | None:
        """Returns the complete file, if it exists and is still what the source offers.

        Raises:
            InputError: the source denies the file, or offers another size than the published one.
        """
        record = self._record()
        if record is not None and self.download.md5 == record.md5:
            return self._fetched(record, found=True)
        if record is None or record.url != self.url:
            with self._clear_errors():
                self.offered = self.reader.attempts(self.reader.source.version)
        else:
            try:
                self.offered = self.reader.source.version()
            except (TemporaryError, InputError) as error:
                progress.say(
                    f"warning: cannot ask {urlsplit(self.url).netloc or self.url} whether {self.download.name} changed "
                    f"({error}); using the copy of {self.place.parent}"
                )
                return self._fetched(record, found=True)
        self._check_size(self.offered.bytes)
        self.reader.version = self.offered
        if self.part is not None:
            self.reader.done = self.part.size
        return self._found()

    def _found(self) -> Fetched | None:
        record = self._record()
        if record is None or record.url != self.url or self.download.md5 not in (None, record.md5):
            return None
        known = Version(record.bytes, record.etag, record.last_modified)
        return self._fetched(record, found=True) if known.same(self.offered) else None

    def _record(self) -> Record | None:
        """The record, if the file beside it has the size that it says."""
        try:
            record = storage.read_as(self.record_place, Record)
        except InputError:  # missing or damaged
            return None
        size = storage.size(self.place)
        return record if record.bytes == size and self.download.bytes in (None, size) else None

    def _fetched(self, record: Record, found: bool) -> Fetched:
        return Fetched(**asdict(record), name=self.download.name, place=str(self.place), found=found)

    def fetch(self, bar: progress.Bar) -> Fetched:
        """Downloads the file.

        Raises:
            InputError: see the function `fetch`.
        """
        self.reader.bar = bar
        with self._clear_errors():
            if self.part is None:
                # A published checksum must be compared before an object is replaced, so the bytes come through here.
                source = self.reader.source
                beside = isinstance(source, BucketFile) and source.is_beside(self.place)
                copied = beside and self.download.md5 is None
                return self._fetched(self._copy() if copied else self._twice(self._upload), found=False)
            with self.part.locked(self.reader.deadline):
                found = self._found()  # another process may have held the lock
                if found is None:
                    return self._fetched(self._twice(self._to_folder), found=False)
                self.reader.move_to(found.bytes)
                return found

    @contextmanager
    def _clear_errors(self) -> Iterator[None]:
        try:
            with storage.user_errors(self.place):
                yield
        except TemporaryError as error:
            raise InputError(
                f"{self.url}: {error}; given up after {resumable.TRIES} failures without a new byte between them. "
                "Look whether the server is up and can be reached from here, then run the same command again"
            ) from error
        except OSError as error:
            raise InputError(
                f"{self.place}: cannot be fetched ({remote_files.reason(error)}); run the same command again"
            ) from error

    def _twice(self, download: Callable[[], Record]) -> Record:
        """Downloads again from byte 0 if several connections delivered the file and it is wrong."""
        try:
            return download()
        except _WrongFile as wrong:
            if self.reader.connections <= 1:
                raise
            progress.say(f"{wrong}. Several connections delivered it: trying once more, from the first byte")
            self.reader.resume(0, Version(), 0)
            return download()

    def _to_folder(self) -> Record:
        """Downloads to the part, whose lock is held, and gives it the final name."""
        assert self.part is not None
        storage.sweep_file(cast(Path, self.record_place))
        if not storage.size(self.record_place):
            self.part.undo_rename()
        try:
            checksums = self.part.complete(self.reader, self._chunks(), self.offered)
            self._verify(checksums)
        except _WrongFile:
            self.part.remove()
            raise
        storage.remove(self.record_place)
        self.part.rename()
        record = self._write_record(checksums)
        self.part.remove()
        return record

    def _chunks(self) -> Iterator[bytes | Restart]:
        """See `ResumableFile.chunks`; checks each version's size before its first byte."""
        for chunk in self.reader.chunks(self.download.bytes):
            self._check_size(self.reader.version.bytes)
            yield chunk

    def _upload(self) -> Record:
        """Uploads the file to a bucket while it is downloaded."""
        chunks = self._chunks()
        while True:
            stream = _UploadStream(chunks, before_end=self._before_replacing)
            try:
                storage.upload_stream(cast(IO[bytes], stream), self.place)
                return self._write_record(stream.checksums)
            except Restart:
                continue

    def _before_replacing(self, checksums: Checksums) -> None:
        self._verify(checksums)
        storage.remove(self.record_place)  # it belongs to the object that is about to be replaced

    def _copy(self) -> Record:
        """Copies from bucket to bucket, and reads the copy for its checksums."""
        storage.remove(self.record_place)
        self.reader.version = cast(BucketFile, self.reader.source).copy_to(self.place)
        checksums = Checksums()
        with BucketFile(str(self.place)).open(0, Version()) as copy:
            for chunk in copy.chunks:
                self.reader.move_to(self.reader.done + len(chunk))
                checksums.update(chunk)
        self._verify(checksums)
        return self._write_record(checksums)

    def _check_size(self, offered: int | None) -> None:
        if self.download.bytes is not None and offered not in (None, self.download.bytes):
            self._wrong("size", f"{self.download.bytes:,} bytes", f"{offered:,} bytes")

    def _verify(self, checksums: Checksums) -> None:
        """Raises `_WrongFile` if size or a checksum is not as published or as the source says."""
        self._check_size(checksums.bytes)
        for name, expected in (
            ("md5", self.download.md5),
            ("md5", self.reader.version.md5),
            ("crc32c", self.reader.version.crc32c),
        ):
            if expected not in (None, checksums[name]):
                self._wrong(name.upper(), str(expected), checksums[name])

    def _wrong(self, what: str, expected: str, got: str) -> NoReturn:
        raise _WrongFile(
            f"{self.url}: {self.download.name} has the wrong {what}: expected {expected}, got {got}; nothing of it is "
            "kept. The file there is damaged or another one: check the address, or take another mirror"
        )

    def _write_record(self, checksums: Checksums) -> Record:
        version = self.reader.version
        sums = checksums.bytes, checksums["sha256"], checksums["md5"]
        record = Record(self.url, *sums, version.etag, version.last_modified)
        storage.write_json(self.record_place, asdict(record))
        return record


class _UploadStream:
    """The chunks of a download as a file to read; raises `Restart` where they begin again.

    Args:
        chunks: of `ResumableFile.chunks`.
        before_end: called before the last bytes are given; the upload does not end if it raises.
    """

    def __init__(self, chunks: Iterator[bytes | Restart], before_end: Callable[[Checksums], object]) -> None:
        self.checksums = Checksums()
        self._chunks, self._before_end = chunks, before_end
        self._waiting, self._position, self._has_ended = bytearray(), 0, False

    def tell(self) -> int:
        return self._position

    def read(self, size: int = sys.maxsize) -> bytes:
        """Returns `size` bytes, fewer only at the end."""
        while len(self._waiting) < size and (chunk := next(self._chunks, None)) is not None:
            if isinstance(chunk, Restart):
                raise chunk
            self.checksums.update(chunk)
            self._waiting += chunk
        content = bytes(self._waiting[:size])
        del self._waiting[:size]
        self._position += len(content)
        if len(content) < size and not self._has_ended:
            self._before_end(self.checksums)
            self._has_ended = True
        return content
