"""Reads the lists of a COCO JSON file one entry at a time, so that a file of any size needs little memory."""

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import IO, Any, TypeAlias

import ijson

from openpose.errors import InputError

#: Opens the bytes of a file for a `with` block.
OpenFile: TypeAlias = Callable[[], AbstractContextManager[IO[bytes]]]


class NaNError(InputError):
    """The file contains NaN or Infinity, which Python writes but JSON does not allow."""


def items(open_file: OpenFile, field: str, name: str) -> Iterator[dict[str, Any]]:
    """Yields the objects of a top-level list.

    Args:
        open_file: opens the JSON's bytes.
        field: name of the list.
        name: what messages call the file.

    Raises:
        InputError: the file is not valid JSON, or the field is not a list of objects.
        NaNError: it contains NaN or Infinity.
    """
    number, last = 0, None
    try:
        with open_file() as file:
            for item in ijson.items(file, f"{field}.item", use_float=True):
                if not isinstance(item, dict):
                    raise _not_a_list(field, name)
                number, last = number + 1, item.get("id")
                yield item
        if number == 0:  # either an empty list or something else
            with open_file() as file:
                if next(ijson.items(file, field), None) != []:
                    raise _not_a_list(field, name)
    except (ijson.JSONError, UnicodeDecodeError) as error:
        place = f"after {number} of `{field}` (the last one's id is {last})" if number else f"before `{field}`"
        text = " ".join(str(error).split())
        if "NaN" in text or "nfinity" in text:
            raise NaNError(f"{name}: not valid JSON {place}: {text}. JSON has no NaN and no Infinity") from error
        raise InputError(
            f"{name}: not valid JSON {place}: {text}. Is the file cut off? Fetch or export it again"
        ) from error


def _not_a_list(field: str, name: str) -> InputError:
    return InputError(f"{name}: `{field}` must be a list of objects, as in COCO's person_keypoints files")


def null_for_nan(open_file: OpenFile) -> OpenFile:
    """Opens the same file with null in place of NaN and Infinity, so that the entry with them can be found."""

    @contextmanager
    def opened() -> Iterator[IO[bytes]]:
        with open_file() as file:
            yield _NullForNaN(file)  # type: ignore[misc]

    return opened


class _NullForNaN:
    """Has only `read`, which is all that ijson calls."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def read(self, size: int) -> bytes:
        return re.sub(rb"NaN|-?Infinity", b"null", self._file.read(size))
