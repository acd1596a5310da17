"""Errors that are the user's to mend."""

import functools
import sys
from collections.abc import Callable
from typing import ParamSpec

Arguments = ParamSpec("Arguments")


class InputError(Exception):
    """Something given by the user cannot be used.

    The message is one clear text that names the file, the field and what to do about it. Commands print
    it without a traceback and exit with code 1.
    """


def reports_errors(main: Callable[Arguments, int]) -> Callable[Arguments, int]:
    """Makes a command's `main` print an InputError as one line and return exit code 1."""

    @functools.wraps(main)
    def reporting(*args: Arguments.args, **kwargs: Arguments.kwargs) -> int:
        try:
            return main(*args, **kwargs)
        except InputError as error:
            print(f"error: {error}", file=sys.stderr)
            return 1

    return reporting
