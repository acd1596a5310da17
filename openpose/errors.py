"""Errors that are the user's to mend."""

import errno
import functools
import io
import os
import sys
from collections.abc import Callable
from typing import ParamSpec

Arguments = ParamSpec("Arguments")
PIPE_CLOSED = 141  # exit code of a program that SIGPIPE ended, in a shell


class InputError(Exception):
    """Something given by the user cannot be used.

    The message is one clear text that names the file, the field and what to do about it. Commands print
    it without a traceback and exit with its code.
    """

    exit_code = 1


class ServiceLost(InputError):
    """Another process that this one needs has gone. The same work may succeed later."""

    exit_code = 75  # EX_TEMPFAIL of sysexits.h


#: What the system says of a file -> what that means for the user, and the cure.
_OF_FILES = {
    errno.EACCES: "this user may not read or write it; change its owner or its mode (chown, chmod)",
    errno.EPERM: "this user may not read or write it; change its owner or its mode (chown, chmod)",
    errno.EROFS: "it is on a disk that can only be read; give another folder",
    errno.EISDIR: "it is a folder, where a file is needed; rename or remove it",
    errno.ENOTDIR: "it is below a file, where a folder is needed; rename or remove the file",
    errno.ELOOP: "it is a link that leads to itself; remove it",
    errno.ENAMETOOLONG: "its name is too long for the disk; shorten it",
    errno.EIO: "the disk reports an error; check it, and run again",
    errno.ESTALE: "the server of the disk has lost it; run again",
}


def about_file(error: OSError) -> str | None:
    """What the user can do about a file that the system refuses, in one line; None for any other error."""
    cure = _OF_FILES.get(error.errno or 0)
    return f"{error.filename}: {cure}" if cure and error.filename is not None else None


def print_any_text() -> None:
    """Lets the output have escapes for what its encoding lacks: names of files, or all but ASCII in old terminals."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def reports_errors(main: Callable[Arguments, int]) -> Callable[Arguments, int]:
    """Makes a command's `main` print an InputError, or a file that the system refuses, as one line and return its code.

    It ends quietly when the reader of its output has gone, as in `command | head`.
    """

    @functools.wraps(main)
    def reporting(*args: Arguments.args, **kwargs: Arguments.kwargs) -> int:
        print_any_text()
        try:
            code = main(*args, **kwargs)
            sys.stdout.flush()  # finds a reader that has gone, here instead of at Python's end
            return code
        except InputError as error:
            print(f"error: {error}", file=sys.stderr)
            return error.exit_code
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what Python flushes at its end
            return PIPE_CLOSED
        except OSError as error:
            if (message := about_file(error)) is None:
                raise
            print(f"error: {message}", file=sys.stderr)
            return 1

    return reporting
