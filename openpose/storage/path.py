"""What a storage path is: a path in the file system, or the address of an object in a bucket.

A `StoragePath` is a `pathlib.Path`, or cloudpathlib's `GSPath` or `S3Path`, which have the same methods.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from openpose.errors import InputError
from openpose.storage.store import BucketPath, Store

if TYPE_CHECKING:
    from typing_extensions import TypeIs

StoragePath: TypeAlias = Path | BucketPath

BUCKETS = ("gs://", "s3://")  # how the addresses of buckets begin
_WILDCARDS = frozenset("*?[]\\")
_stores: dict[str, Store] = {}  # those that this process uses, by the beginning of their addresses


def path(text: str | StoragePath) -> StoragePath:
    """Turns text into a storage path: a path in the file system, `gs://bucket/name` or `s3://bucket/name`.

    Raises:
        InputError: the text is another kind of address.
    """
    if not isinstance(text, str):
        return text
    if (prefix := next(filter(text.startswith, BUCKETS), None)) is not None:
        return _store(prefix).path(text)
    if "://" in text:
        raise InputError(f"{text}: a storage root is a folder, gs://bucket/prefix or s3://bucket/prefix")
    return Path(text)


def is_local(place: StoragePath) -> TypeIs[Path]:
    """Whether the path is in the file system."""
    return isinstance(place, Path)


def require_local(place: StoragePath, reason: str) -> Path:
    """Returns a path in the file system.

    Args:
        place: the path.
        reason: why a bucket will not do, and what to give instead.

    Raises:
        InputError: the path is in a bucket; the message is the path and the reason.
    """
    if is_local(place):
        return place
    raise InputError(f"{place}: {reason}")


@contextmanager
def without_wildcards(folder: Path) -> Iterator[Path]:
    """Gives a name of a folder for TensorFlow's readers of checkpoints and SavedModels, which take names as patterns.

    They find nothing in a folder `team[a]`, although they write there. The name is the folder's own, or a link's.
    """
    if _WILDCARDS.isdisjoint(str(folder)):
        yield folder
        return
    usual = tempfile.gettempdir()
    with tempfile.TemporaryDirectory(dir=usual if _WILDCARDS.isdisjoint(usual) else "/tmp") as holder:
        link = Path(holder) / "folder"
        link.symlink_to(folder.absolute(), target_is_directory=True)
        yield link


def forget_client() -> None:
    """Drops the connections to buckets; the next path makes one with the environment's settings of that moment."""
    for each in _stores.values():
        each.forget_client()


def store(place: BucketPath) -> Store:
    """The store that a path is in."""
    return _store(place.cloud_prefix)


def _store(prefix: str) -> Store:
    """The store of addresses that begin so. Its library is imported only now, as that takes a second."""
    if prefix == "s3://":
        from openpose.storage import s3_store

        return _stores.setdefault(prefix, s3_store)
    from openpose.storage import google_store

    return _stores.setdefault(prefix, google_store)
