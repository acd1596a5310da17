"""Errors that are the user's to mend."""

from typing import Any


class InputError(Exception):
    """Something given by the user cannot be used.

    The message is one clear text that names the file, the field and what to do about it. Commands print
    it without a traceback and exit with code 1.
    """


def check_least(parameters: Any, **least: float) -> None:
    """Raises InputError when an attribute is less than its least value, or is no number."""
    for name, value in least.items():
        if not getattr(parameters, name) >= value:
            raise InputError(f"{name} is {getattr(parameters, name)}; it must be at least {value:g}")
