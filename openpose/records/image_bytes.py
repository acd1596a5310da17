"""Image files as bytes: checked, and turned upright where the annotations need it. Free of TensorFlow."""

import io
import re
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from openpose.records import jpeg
from openpose.records.exif import ON_THEIR_SIDE, Follows, follows, is_plain, orientation

_DECODED = ("JPEG", "PNG")  # formats that TensorFlow decodes when the records are read
_ENCODED = ("TIFF", "BMP", "WEBP")  # formats that become PNG
_NOT_AN_IMAGE = "it is not a JPEG, PNG, TIFF, BMP or WebP image"
#: How other files begin, and what they are, whatever their names say.
_OTHERS = (
    (re.compile(rb"....ftyp(hei|hev|mif|msf|avi)", re.DOTALL), "but HEIC or AVIF; convert it"),
    (re.compile(rb"GIF8"), "but a GIF; convert it"),
    (re.compile(rb"version https://git-lfs"), "but a pointer of Git LFS; fetch the file with git lfs pull"),
    (re.compile(rb"\s*<"), "but a page or another text; fetch it again"),
    (re.compile(rb"\Z"), "but empty; fetch it again"),
)
_DEPTHS = (8, 10, 12, 14, 16)  # bits of a pixel in cameras


class BadImage(Exception):
    """An image cannot be used; the message says why."""


class CutImage(BadImage):
    """The data of a JPEG end too early, although an end marker follows them."""


def upright(
    read: Callable[[str], bytes],
    file_name: str,
    expected: tuple[int, int],
    unclear: Follows = Follows.TURNED,
    thorough: bool = False,
) -> bytes:
    """Reads an image file, checks it, and turns it upright if its annotations are of the turned image.

    The bytes of a JPEG or PNG image stay as they are, unless EXIF turns the image and the annotations follow EXIF, or
    its pixels have 16 bits. Images in other formats become PNG.

    Args:
        read: reads a file by name; raises OSError or ValueError when it is missing or damaged.
        file_name: of the image.
        expected: (width, height) in the annotations.
        unclear: what the annotations follow where the size does not tell.
        thorough: decode each JPEG to see whether it is cut; otherwise only those that may be (`jpeg.is_cut`).

    Raises:
        BadImage: the file is missing, truncated, not an image, or of another size.
    """
    encoded = _read(read, file_name)
    if jpeg.has_hole(encoded):
        raise BadImage("its data have a hole: part of them is zeros")
    if jpeg.is_cut(encoded, thorough):
        raise CutImage("its data end too early, so that part of it would be grey")
    if jpeg.size(encoded) == expected and not _may_be_turned(encoded):
        return encoded
    # Not a plain, complete JPEG: only decoding can check it.
    try:
        with Image.open(io.BytesIO(encoded), formats=_DECODED + _ENCODED) as image:
            size = image.size
            # A draft reads all data of a JPEG, so it notices damage, but computes few pixels.
            image.draft("L", (1, 1))
            image.load()
            moved = orientation(image)
            stays = image.format not in _ENCODED and image.mode[0] not in "IF"
    except UnidentifiedImageError as error:
        raise BadImage(_not_an_image(encoded)) from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise BadImage(f"it cannot be decoded ({error})") from error
    as_shown = size[::-1] if moved in ON_THEIR_SIDE else size
    if moved != 1 and as_shown == expected and (follows(moved, size, expected) or unclear) is Follows.TURNED:
        return _turned(encoded)
    if size == expected:
        return encoded if stays else _as_png(encoded)
    raise BadImage(f"it is {size[0]}×{size[1]}, its annotations say {expected[0]}×{expected[1]}")


def upright_size(read: Callable[[str], bytes], file_name: str, unclear: Follows = Follows.TURNED) -> tuple[int, int]:
    """(width, height) of an image as EXIF turns it, or as it is stored.

    Raises:
        BadImage: the file is missing or not an image.
    """
    encoded = _read(read, file_name)
    try:
        with Image.open(io.BytesIO(encoded), formats=_DECODED + _ENCODED) as image:
            on_its_side = orientation(image) in ON_THEIR_SIDE and unclear is Follows.TURNED
            return image.size[::-1] if on_its_side else image.size
    except UnidentifiedImageError as error:
        raise BadImage(_not_an_image(encoded)) from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise BadImage(f"it cannot be decoded ({error})") from error


def _not_an_image(encoded: bytes) -> str:
    is_other = next((f", {what}" for begins, what in _OTHERS if begins.match(encoded)), "")
    return f"{_NOT_AN_IMAGE}{is_other}"


def _read(read: Callable[[str], bytes], file_name: str) -> bytes:
    try:
        return read(file_name)
    except FileNotFoundError as error:
        raise BadImage("it is missing") from error
    except (OSError, ValueError) as error:
        raise BadImage(str(error)) from error


def _may_be_turned(encoded: bytes) -> bool:
    """Whether a JPEG's EXIF turns it; looks at the header only, and quickly where it has no EXIF."""
    if is_plain(encoded):
        return False
    with Image.open(io.BytesIO(encoded), formats=_DECODED) as image:
        return orientation(image) != 1


def _turned(encoded: bytes) -> bytes:
    with Image.open(io.BytesIO(encoded)) as image:
        buffer = io.BytesIO()
        eight_bits(ImageOps.exif_transpose(image)).convert("RGB").save(buffer, "JPEG", quality=95, subsampling=0)
    return buffer.getvalue()


def _as_png(encoded: bytes) -> bytes:
    buffer = io.BytesIO()
    with Image.open(io.BytesIO(encoded)) as opened:
        image = eight_bits(opened)
        (image if image.mode in ("L", "RGB") else image.convert("RGB")).save(buffer, "PNG")
    return buffer.getvalue()


def eight_bits(image: Image.Image) -> Image.Image:
    """An image of 16-bit, 32-bit or float pixels as one of 8 bits; any other image as it is.

    Cameras fill 16 bits with 10, 12 or 14. The smallest of these depths that holds the image's brightest pixel is taken
    for the camera's, and of each pixel the upper 8 bits of that depth are kept. Brighter pixels than 16 bits hold have
    the depth of the brightest one. Floats up to 1 are shares of white.
    """
    if image.mode[0] not in "IF":
        return image
    pixels = np.asarray(image)
    if image.mode == "F":
        pixels = np.nan_to_num(pixels.astype(np.float64), posinf=0, neginf=0).clip(0, 2**32 - 1)
        pixels = (pixels * 255 if pixels.max(initial=0) <= 1 else pixels).round().astype(np.int64)
    elif pixels.dtype == np.int32:
        pixels = pixels.astype(np.int64) & 0xFFFFFFFF  # Pillow reads 32 bits as signed
    brightest = int(pixels.max(initial=0))
    depth = next((bits for bits in _DEPTHS if brightest < 1 << bits), brightest.bit_length())
    return Image.fromarray((pixels >> (depth - 8)).clip(0, 255).astype(np.uint8))
