"""What a storage path is: a path in the file system, or the address of an object in a bucket.

A `StoragePath` is a `pathlib.Path` or cloudpathlib's `GSPath`, which has the same methods and goes through
google-cloud-storage with its application default credentials.
"""

from __future__ import annotations

import functools
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, Union

from openpose.errors import InputError

if TYPE_CHECKING:  # google-cloud-storage takes a second to import, and most runs do not need it
    from cloudpathlib import GSClient, GSPath
    from google.cloud.storage import Blob, Client
    from typing_extensions import TypeIs

StoragePath: TypeAlias = Union[Path, "GSPath"]  # not a string, so that `StoragePath | None` works at run time too

_WILDCARDS = frozenset("*?[]\\")
_CREDENTIALS = "GOOGLE_APPLICATION_CREDENTIALS"  # environment variable of Google's libraries: a credentials file
BUCKET_CONNECTIONS = 64  # kept open for all threads of a process


def path(text: str | StoragePath) -> StoragePath:
    """Turns text into a storage path: a path in the file system, or `gs://bucket/name`.

    Raises:
        InputError: the text is another kind of address.
    """
    if not isinstance(text, str):
        return text
    if text.startswith("gs://"):
        from cloudpathlib import GSPath

        return GSPath(text, client=_bucket_client())
    if "://" in text:
        raise InputError(f"{text}: a storage root is a folder or gs://bucket/prefix, nothing else")
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


@functools.cache
def _bucket_client() -> GSClient:
    from cloudpathlib import GSClient
    from cloudpathlib.enums import FileCacheMode
    from google.auth.exceptions import GoogleAuthError
    from google.cloud.storage import Client
    from requests.adapters import HTTPAdapter

    try:
        client = Client(project=None)  # objects need no project, and not every account has a default one
    except (GoogleAuthError, OSError, ValueError) as error:
        if problem := _credentials_problem(error):
            raise InputError(problem) from error
        client = Client.create_anonymous_client()  # enough to read a public bucket
    # With more threads than connections to keep, urllib3 warns about each connection that it drops.
    client._http.mount("https://", HTTPAdapter(pool_maxsize=BUCKET_CONNECTIONS))
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
    """Drops the connection to buckets; the next path makes one with the environment's settings of that moment."""
    _bucket_client.cache_clear()


def client() -> Client:
    """The process's connection to buckets."""
    return _bucket_client().client


def blob(place: GSPath, chunk_size: int | None = None) -> Blob:
    """The object of a path in a bucket, without asking the bucket for it."""
    return client().bucket(place.bucket).blob(place.blob, chunk_size=chunk_size)
