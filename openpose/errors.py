"""Errors that are the user's to mend."""

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
    it without a traceback and exit with code 1.
    """


def print_any_text() -> None:
    """Lets the output have escapes for what its encoding lacks: names of files, or all but ASCII in old terminals."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def reports_errors(main: Callable[Arguments, int]) -> Callable[Arguments, int]:
    """Makes a command's `main` print an InputError as one line and return exit code 1.

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
            return 1
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what Python flushes at its end
            return PIPE_CLOSED

    return reporting
