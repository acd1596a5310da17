"""Errors in plain words: a full disk, a bucket that refuses access or does not answer.

Libraries report these in many ways; here each becomes one InputError that names the path and the cure.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from openpose.errors import InputError, about_file
from openpose.storage.path import StoragePath, is_local, store


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

    The stores' libraries retry for a minute or two before they report that a bucket does not answer.

    Raises:
        FileNotFoundError: the object does not exist.
    """
    if is_local(place):
        yield
        return
    with store(place).errors(place):
        yield


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
