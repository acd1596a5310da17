"""JPEG files as bytes: their size, and whether their image data are whole. Free of TensorFlow."""

import io
import re
from functools import lru_cache

from PIL import Image

_HOLE = 32  # equal bytes in a row that hardly a picture's data have
_BASELINE, _PROGRESSIVE = (0xC0, 0xC1), 0xC2  # markers of the size
_TABLES, _DATA = 0xC4, 0xDA  # markers of Huffman tables and of image data
_END = b"\xff\xd9"
_MORE = b"\x55" * 256  # bytes that change pixels wherever a decoder still needs data
_OTHER_BYTES = bytes(0x2A if byte == 0x55 else 0x55 for byte in range(256))  # for each byte one that differs
_MARKER = re.compile(rb"\xff+[^\x00\xff]")  # ends a part of a JPEG's data


def size(encoded: bytes) -> tuple[int, int] | None:
    """(width, height) of a complete 8-bit JPEG, baseline or progressive; None for anything else.

    Pillow reads a header too, but takes fifty times as long, as much as copying the picture.
    """
    if not encoded.startswith(b"\xff\xd8") or not encoded.endswith(_END):
        return None
    found, at = None, 2
    while at + 9 < len(encoded) and encoded[at] == 0xFF:
        marker, length = encoded[at + 1], int.from_bytes(encoded[at + 2 : at + 4], "big")
        if marker == _DATA:  # end of the header; image data follow
            return found
        if marker in (*_BASELINE, _PROGRESSIVE) and encoded[at + 4] == 8:
            found = int.from_bytes(encoded[at + 7 : at + 9], "big"), int.from_bytes(encoded[at + 5 : at + 7], "big")
        at += 2 + length
    return None


def has_hole(encoded: bytes) -> bool:
    """Whether a JPEG's image data have a hole: zeros where a disk or a transfer lost some of them.

    Zeros can also be the data of a flat area. Then the data up to the next marker are exactly as long as their pixels
    need: bytes after them do not count, and the last ones do. With a hole one of these is wrong, except by chance.
    """
    zeros = bytes(_HOLE)
    if zeros not in encoded or not encoded.startswith(b"\xff\xd8"):
        return False
    start = _data_start(encoded)
    at = encoded.find(zeros, start)
    if at < 0 or _END in encoded[start:at]:  # zeros after the end marker only fill the file up
        return False
    marker = _MARKER.search(encoded, at)
    end = marker.start() if marker else len(encoded)
    pixels = _pixels(encoded)
    if pixels.count(pixels[:1]) == len(pixels):  # one colour's data may be nothing but zeros
        return False
    if pixels != _pixels(encoded[:end] + _MORE + encoded[end:]):
        return True
    return pixels == _pixels(encoded[: end - 8] + encoded[end - 8 : end].translate(_OTHER_BYTES) + encoded[end:])


def is_cut(encoded: bytes, thorough: bool = False) -> bool:
    """Whether a JPEG's image data end too early, although an end marker follows them.

    Decoders show the missing part in grey. Two decodings tell it, with and without more data before the end marker, but
    take ten times as long as writing the picture. So without `thorough` only pictures are decoded whose last bits look
    wrong: hardly any of the whole ones, but only about half of those that are cut.
    """
    if not encoded.startswith(b"\xff\xd8") or not (thorough or _ends_oddly(encoded)):
        return False
    end = encoded.rfind(_END)
    while end > 0 and encoded[end - 1] == 0xFF:  # the first half of a byte 255, which is written as FF 00
        end -= 1
    return _pixels(encoded) != _pixels(encoded[:end] + _MORE + encoded[end:])


def _ends_oddly(encoded: bytes) -> bool:
    """Whether the last bits of a JPEG's data are not those that whole data have.

    These are up to 7 bits of 1, which fill the last byte. Where a single scan holds all colours, they follow the code
    for the end of the last block; libjpeg leaves it out only if the block's last coefficient is not 0.
    """
    tail = encoded[-14:].removesuffix(_END).replace(b"\xff\x00", b"\xff")
    bits = int.from_bytes(tail[-4:], "big")
    ones = (~bits & (bits + 1)).bit_length() - 1  # at the end
    code = _end_of_block(encoded)
    if code is None:
        return ones == 0
    length, value = code
    return not any(bits >> filled & ((1 << length) - 1) == value for filled in range(min(ones, 7) + 1))


def _end_of_block(encoded: bytes) -> tuple[int, int] | None:
    """Length and value of the code that ends the last colour's blocks; None where not all colours are in one scan."""
    at, colours, codes = 2, 0, dict[int, tuple[int, int]]()
    while at + 4 < len(encoded) and encoded[at] == 0xFF:
        marker, length = encoded[at + 1], int.from_bytes(encoded[at + 2 : at + 4], "big")
        segment = encoded[at + 4 : at + 2 + length]
        if marker in _BASELINE:
            colours = segment[5] if len(segment) > 5 else 0
        elif marker == _TABLES:
            codes |= _codes_of_0(segment)
        elif marker == _DATA:
            single = segment and segment[0] == colours and len(segment) > 2 * colours > 0
            return codes.get(segment[2 * colours] & 15) if single else None
        at += 2 + length
    return None


@lru_cache(64)  # most pictures of a data set have the same tables
def _codes_of_0(segment: bytes) -> dict[int, tuple[int, int]]:
    """Length and value of the code of symbol 0, the end of a block, in each AC table of a segment, by its number."""
    found, at = dict[int, tuple[int, int]](), 0
    while at + 17 <= len(segment):
        kind, counts = segment[at], segment[at + 1 : at + 17]
        symbols = segment[at + 17 : at + 17 + sum(counts)]
        before, code, place = 0, 0, symbols.find(0)
        for length, count in enumerate(counts, 1):
            if kind >> 4 and before <= place < before + count:
                found[kind & 15] = length, code + place - before
            before, code = before + count, (code + count) << 1
        at += 17 + sum(counts)
    return found


def _data_start(encoded: bytes) -> int:
    """Where the image data start, after the header."""
    at = 2
    while at + 4 < len(encoded) and encoded[at] == 0xFF and encoded[at + 1] != _DATA:
        at += 2 + int.from_bytes(encoded[at + 2 : at + 4], "big")
    return at


def _pixels(encoded: bytes) -> bytes:
    """The pixels of a JPEG; empty if it cannot be decoded."""
    try:
        with Image.open(io.BytesIO(encoded), formats=["JPEG"]) as image:
            return image.tobytes()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return b""
