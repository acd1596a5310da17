"""Reads the lists of a COCO JSON file one entry at a time, so that a file of any size needs little memory."""

import itertools
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import IO, Any, TypeAlias

import ijson

from openpose.errors import InputError

#: Opens the bytes of a file for a `with` block.
OpenFile: TypeAlias = Callable[[], AbstractContextManager[IO[bytes]]]

_BOM = b"\xef\xbb\xbf"
#: What a file begins with -> what it is, and what to do.
_OTHER_FILES = {
    b"\x1f\x8b": "it is packed with gzip; unpack it (gunzip) and give the JSON file",
    b"PK\x03\x04": "it is a zip archive; give it a name that ends in .zip, or unpack it",
    b"BZh": "it is packed with bzip2; unpack it and give the JSON file",
    b"\xff\xfe": "it is UTF-16; save it as UTF-8",
    b"\xfe\xff": "it is UTF-16; save it as UTF-8",
    b"<": "it is a page in HTML or XML, not JSON; was it downloaded without a login? Fetch it again",
}
#: Words of the parser's message -> the cure.
_CURES = {
    "trailing garbage": "Something follows the end of the JSON; remove it",
    "invalid bytes in UTF8": "It is not UTF-8 (but perhaps Latin-1 or GBK); save it as UTF-8",
    "integer overflow": "A number has more than 64 bits; write a smaller one, or remove the field",
    "floating point) overflow": "A number has more than 64 bits; write a smaller one, or remove the field",
    "premature EOF": "Is the file cut off? Fetch or export it again",
}
_CURE = "Correct it there, or export it again"


def items(open_file: OpenFile, field: str, name: str) -> Iterator[dict[str, Any]]:
    """Yields the objects of a top-level list; NaN and Infinity, which Python writes but JSON has not, become null.

    Args:
        open_file: opens the JSON's bytes.
        field: name of the list.
        name: what messages call the file.

    Raises:
        InputError: the file is not valid JSON, or the field is not a list of objects.
    """
    number, last = 0, None
    nan_is_null = False
    while True:
        try:
            with open_file() as file:
                source = _source(file, name, nan_is_null)
                for item in itertools.islice(ijson.items(source, f"{field}.item", use_float=True), number, None):
                    if not isinstance(item, dict):
                        raise _not_a_list(field, name)
                    number, last = number + 1, item.get("id")
                    yield item
            if number == 0:  # either an empty list or something else
                with open_file() as file:
                    found = next(ijson.items(_source(file, name, nan_is_null), field), None)
                    if found != []:
                        raise _not_a_list(field, name, "is missing; it " if found is None else "")
            return
        except (ijson.JSONError, UnicodeDecodeError) as error:
            said = error.args[0].decode(errors="replace") if isinstance(error.args[0], bytes) else str(error)
            text = " ".join(said.split())
            if not nan_is_null and ("NaN" in text or "nfinity" in text):
                nan_is_null = True  # read again, which goes on after the items so far
                continue
            place = f"after {number} of `{field}` (the last one's id is {last})" if number else f"before `{field}`"
            cures = (cure for words, cure in _CURES.items() if words in text)
            raise InputError(f"{name}: not valid JSON {place}: {_printable(text)}. {next(cures, _CURE)}") from error


def _source(file: IO[bytes], name: str, nan_is_null: bool) -> Any:
    """The JSON's bytes for ijson, which calls `read` only.

    Raises:
        InputError: the file is of another kind than JSON in UTF-8.
    """
    head = file.read(4)
    for begins, what in _OTHER_FILES.items():
        if head.startswith(begins):
            raise InputError(f"{name}: not valid JSON: {what}")
    if b"\0" in head:
        raise InputError(f"{name}: not valid JSON: it is UTF-16 or UTF-32, or not a text; save it as UTF-8")
    rest = _AfterHead(head.removeprefix(_BOM), file)
    return _NullForNaN(rest) if nan_is_null else rest


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else "�" for character in text)


def _not_a_list(field: str, name: str, but: str = "") -> InputError:
    return InputError(f"{name}: `{field}` {but}must be a list of objects, as in COCO's person_keypoints files")


class _AfterHead:
    """A file with other first bytes."""

    def __init__(self, head: bytes, file: IO[bytes]) -> None:
        self._head, self._file = head, file

    def read(self, size: int) -> bytes:
        if size and self._head:
            head, self._head = self._head, b""
            return head + self._file.read(size)
        return self._file.read(size)


class _NullForNaN:
    """A JSON file with null in place of NaN and Infinity; texts stay as they are."""

    _TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|NaN|-?Infinity', re.DOTALL)
    _KEPT = len(b"-Infinity") - 1  # bytes at the end that may be the first part of one

    def __init__(self, file: _AfterHead) -> None:
        self._file, self._waiting = file, b""

    def read(self, size: int) -> bytes:
        while size:
            chunk = self._file.read(size)
            content, self._waiting = self._waiting + chunk, b""
            end = len(content) if not chunk else self._end(content)
            content, self._waiting = content[:end], content[end:]
            if content or not chunk:
                return self._TOKEN.sub(lambda found: found[0] if found[0][:1] == b'"' else b"null", content)
        return b""

    def _end(self, content: bytes) -> int:
        """Where the part of the content ends that has no unfinished text or word."""
        after = 0
        for found in self._TOKEN.finditer(content):
            after = found.end()
        opened = content.find(b'"', after)
        return opened if opened >= 0 else max(after, len(content) - self._KEPT)
