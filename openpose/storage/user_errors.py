"""Errors in plain words: a full disk, a bucket that refuses access or does not answer.

Libraries report these in many ways; here each becomes one InputError that names the path and the cure.
"""

from __future__ import annotations

import errno
import http
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from openpose.errors import InputError, about_file
from openpose.storage.path import StoragePath, is_local


@contextmanager
def user_errors(place: StoragePath) -> Iterator[None]:
    """Turns a full disk, a file that may not be read, and a bucket's refusal into one InputError that names the path.

    It also unwraps an InputError that TensorFlow wrapped because tf.data called the code that raised it.
    """
    try:
        with no_space_is_clear(place), bucket_errors(place):
            yield
    except InputError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and (message := about_file(error)) is not None:
            raise InputError(message) from error
        if (wrapped := re.search(r"\bInputError: (.+)", str(error))) is not None:
            raise InputError(wrapped[1]) from error
        raise


@contextmanager
def bucket_errors(place: StoragePath) -> Iterator[None]:
    """Turns a bucket's refusal or silence into one InputError, and a missing object into FileNotFoundError.

    google-cloud-storage retries for two minutes before it reports that the bucket does not answer.

    Raises:
        FileNotFoundError: the object does not exist.
    """
    if is_local(place):
        yield
        return
    from google.api_core import exceptions
    from google.auth.exceptions import GoogleAuthError
    from google.cloud.storage.exceptions import DataCorruption

    try:
        yield
    except exceptions.RequestRangeNotSatisfiable:
        raise
    except exceptions.NotFound as error:
        if "/o/" in str(error):  # the address of the request is that of an object, not of a bucket
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(place)) from error
        raise InputError(
            f"{place}: there is no bucket {place.bucket!r}; make it with "
            f"`gcloud storage buckets create gs://{place.bucket}`, or give another one"
        ) from error
    except (exceptions.GoogleAPIError, GoogleAuthError, DataCorruption) as error:
        raise InputError(f"{place}: {_bucket_error(error)}") from error


def _bucket_error(error: Exception) -> str:
    """Says what a bucket's error means, and what to do about it."""
    from google.auth.exceptions import GoogleAuthError, TransportError

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


@contextmanager
def no_space_is_clear(place: StoragePath) -> Iterator[None]:
    """Turns the many ways to report a full disk into one InputError that names the path."""
    try:
        yield
    except Exception as error:
        reason = _no_space(error)
        if reason is None:
            raise
        # A file for a bucket is written to the temporary folder first.
        folder = place.parent if is_local(place) else Path(tempfile.gettempdir())
        room = "make room" if is_local(place) else "make room, or set TMPDIR to a larger folder,"
        free = shutil.disk_usage(folder).free / 1e6
        raise InputError(
            f"{place}: cannot be written, {reason.lower()} ({free:.0f} MB free in {folder}); "
            f"{room} and run again, finished work is kept"
        ) from error


def _no_space(error: Exception) -> str | None:
    """The system's words for a full disk, a full quota or a file size limit; None for any other error."""
    codes = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    if isinstance(error, OSError):
        return os.strerror(error.errno) if error.errno in codes else None
    # TensorFlow raises its own errors, with the system's words in their text.
    return next((os.strerror(code) for code in codes if os.strerror(code) in str(error)), None)
