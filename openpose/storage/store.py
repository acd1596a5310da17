"""What an object store does for a storage root.

`google_store` and `s3_store` are such stores; `path.store` gives the one that a path is in.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Protocol, TypeAlias, Union

if TYPE_CHECKING:
    from cloudpathlib import GSPath, S3Path

BucketPath: TypeAlias = Union["GSPath", "S3Path"]  # not a string, so that `BucketPath | None` works at run time too

READ_CHUNK = 1 << 20  # bytes that one request reads from an open object
UPLOAD_CHUNK = 16 << 20  # bytes that one request of a streamed upload sends
CONNECTIONS = 64  # kept open for all threads of a process
PATIENCE = 120.0  # seconds for which a request is retried
SHORT_PATIENCE = 10.0  # for the first request to a bucket: its name may be wrong, or the network down


@dataclass(frozen=True)
class Entry:
    """An object in a listing.

    Attributes:
        size: its bytes.
        changed: Unix time of its last change.
    """

    size: int
    changed: float


class BucketObject(Protocol):
    """An object of a bucket at one moment; reading it later gives the same version or an error."""

    @property
    def size(self) -> int:
        """Its bytes."""

    @property
    def version(self) -> str:
        """What distinguishes this version of the object from others."""

    @property
    def md5(self) -> str | None:
        """Hexadecimal; None where the store does not say."""

    @property
    def crc32c(self) -> str | None:
        """Hexadecimal; None where the store does not say."""

    def open(self, chunk_size: int = READ_CHUNK) -> IO[bytes]:
        """Opens the object for reading at any position; `bucket_errors` explains what goes wrong then."""

    def copy_to(self, place: BucketPath) -> None:
        """Copies the object to another place in this store, without sending it through this machine."""


class Store(Protocol):
    """An object store. `errors` explains what goes wrong in the other functions."""

    def path(self, text: str) -> BucketPath:
        """The path that an address names."""

    def forget_client(self) -> None:
        """Drops the connection; the next path makes one with the environment's settings of that moment."""

    def check(self, place: BucketPath) -> None:
        """Makes one request that fails if the bucket does not exist or may not be read."""

    def listed(self, place: BucketPath, manifests_only: bool = False) -> Iterator[tuple[str, Entry]]:
        """All objects below a path by their names relative to it, or only the folders' `manifest.json`."""

    def found(self, place: BucketPath, patience: float = PATIENCE) -> BucketObject | None:
        """Asks for an object; None if there is none."""

    def read(self, place: BucketPath) -> bytes:
        """The whole object."""

    def read_range(self, place: BucketPath, start: int, length: int) -> bytes:
        """A range of an object; fewer bytes if the object ends before. `length` is at least 1."""

    def download(self, place: BucketPath, file: Path) -> None:
        """Copies an object to a file."""

    def upload(self, file: Path, place: BucketPath) -> None:
        """Copies a file to an object, which appears when it is complete."""

    def upload_stream(self, stream: IO[bytes], place: BucketPath) -> None:
        """Uploads a stream while it is read; an error of the stream leaves the object as it was."""

    def remove(self, place: BucketPath) -> None:
        """Removes an object, if there is one."""

    def errors(self, place: BucketPath) -> AbstractContextManager[None]:
        """Turns the store's refusal or silence into one InputError, and a missing object into FileNotFoundError."""


def key(place: BucketPath) -> str:
    """The name of an object in its bucket, empty for the bucket itself."""
    return str(place).removeprefix(place.cloud_prefix).partition("/")[2]


def key_prefix(place: BucketPath) -> str:
    """How the names of all objects below a path begin."""
    return f"{key(place).rstrip('/')}/".lstrip("/")
