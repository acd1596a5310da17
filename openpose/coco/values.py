"""Checks the values of single fields of a COCO file."""

import math
from typing import Any

from openpose.errors import InputError

LIMIT = 1e9  # larger than every coordinate or area of a picture, and fits into a float32
_FLAGS = {0: False, 1: True, "0": False, "1": True, "false": False, "true": True, "": False, None: False}


_ID_CURE = "give each image and each annotation a number of its own, without quotes"


def whole_number(entry: dict[str, Any], field: str, path: str, what: str, cure: str = _ID_CURE) -> int:
    """The value of a field that must hold a 64-bit integer; 100.0 and "100" are one.

    Args:
        entry: of the file.
        field: its name.
        path: what messages call the file.
        what: what messages call the entry.
        cure: what messages say to do.

    Raises:
        InputError: the field holds something else.
    """
    value: Any = entry.get(field)
    if isinstance(value, str) and value.strip().isdecimal() and len(value) < 19:
        return int(value)
    if isinstance(value, bool) or not all_finite([value], 2**63) or value != int(value):
        raise InputError(
            f"{path}: `{field}` of an entry ({what}) must be a whole number, it is "
            f"{'missing' if value is None else shown(value)}; {cure}"
        )
    return int(value)


def flag(entry: dict[str, Any], field: str, path: str) -> bool:
    """The value of a field that is 0 or 1; also as text or true and false, and 0 where it is null or missing.

    Raises:
        InputError: the field holds something else.
    """
    value: Any = entry.get(field)
    key = value.strip().lower() if isinstance(value, str) else value
    try:
        return _FLAGS[key]
    except (KeyError, TypeError) as error:
        raise InputError(
            f"{path}: `{field}` of annotation {shown(entry.get('id'))} must be 0 or 1, it is {shown(value)}"
        ) from error


def all_finite(values: list[Any], limit: float = LIMIT) -> bool:
    """Whether all values are finite numbers of a smaller size than the limit."""
    if not set(map(type, values)) <= {bool, int, float}:
        return False
    # min and max may miss a NaN, but it makes the sum NaN. Built-in functions take a tenth of a loop's time.
    return -limit < min(values, default=0) and max(values, default=0) < limit and math.isfinite(sum(values))


def shown(value: Any) -> str:
    """A value for a message, shortened."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
