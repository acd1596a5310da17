"""Image files as bytes: checked, and turned upright where the annotations need it. Free of TensorFlow."""

import io
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

_DECODED = ("JPEG", "PNG")  # formats that TensorFlow decodes when the records are read
_ENCODED = ("TIFF", "BMP", "WEBP")  # formats that become PNG
_ON_THEIR_SIDE = (5, 6, 7, 8)  # EXIF orientations that swap width and height
_NOT_AN_IMAGE = "it is not a JPEG, PNG, TIFF, BMP or WebP image"
_DEPTHS = (8, 10, 12, 14, 16)  # bits of a pixel in cameras


class BadImage(Exception):
    """An image cannot be used; the message says why."""


def upright(read: Callable[[str], bytes], file_name: str, expected: tuple[int, int]) -> bytes:
    """Reads an image file, checks it, and turns it upright if its annotations are of the turned image.

    The bytes of a JPEG or PNG image stay as they are, unless EXIF turns the image by 90° and the annotations' width and
    height follow EXIF, or its pixels have 16 bits. Images in other formats become PNG.

    Args:
        read: reads a file by name; raises OSError or ValueError when it is missing or damaged.
        file_name: of the image.
        expected: (width, height) in the annotations.

    Raises:
        BadImage: the file is missing, truncated, not an image, or of another size.
    """
    encoded = _read(read, file_name)
    if jpeg_size(encoded) == expected:
        return encoded
    # Not a plain, complete JPEG: only decoding can check it.
    try:
        with Image.open(io.BytesIO(encoded), formats=_DECODED + _ENCODED) as image:
            size = image.size
            # A draft reads all data of a JPEG, so it notices damage, but computes few pixels.
            image.draft("L", (1, 1))
            image.load()
            turned = image.getexif().get(0x0112, 1) in _ON_THEIR_SIDE
            stays = image.format not in _ENCODED and not image.mode.startswith("I")
    except UnidentifiedImageError as error:
        raise BadImage(_NOT_AN_IMAGE) from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise BadImage(f"it cannot be decoded ({error})") from error
    if size == expected:
        return encoded if stays else _as_png(encoded)
    if turned and size[::-1] == expected:
        return _turned(encoded)
    raise BadImage(f"it is {size[0]}×{size[1]}, its annotations say {expected[0]}×{expected[1]}")


def upright_size(read: Callable[[str], bytes], file_name: str) -> tuple[int, int]:
    """(width, height) of an image as EXIF turns it.

    Raises:
        BadImage: the file is missing or not an image.
    """
    encoded = _read(read, file_name)
    try:
        with Image.open(io.BytesIO(encoded), formats=_DECODED + _ENCODED) as image:
            turned = image.getexif().get(0x0112, 1) in _ON_THEIR_SIDE
            return image.size[::-1] if turned else image.size
    except UnidentifiedImageError as error:
        raise BadImage(_NOT_AN_IMAGE) from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise BadImage(f"it cannot be decoded ({error})") from error


def _read(read: Callable[[str], bytes], file_name: str) -> bytes:
    try:
        return read(file_name)
    except FileNotFoundError as error:
        raise BadImage("it is missing") from error
    except (OSError, ValueError) as error:
        raise BadImage(str(error)) from error


def jpeg_size(encoded: bytes) -> tuple[int, int] | None:
    """(width, height) of a complete 8-bit JPEG, baseline or progressive; None for anything else.

    Pillow reads a header too, but takes fifty times as long, as much as copying the picture.
    """
    if not encoded.startswith(b"\xff\xd8") or not encoded.endswith(b"\xff\xd9"):
        return None
    size, at = None, 2
    while at + 9 < len(encoded) and encoded[at] == 0xFF:
        marker, length = encoded[at + 1], int.from_bytes(encoded[at + 2 : at + 4], "big")
        if marker == 0xDA:  # end of the header; image data follow
            return size
        if marker in (0xC0, 0xC1, 0xC2) and encoded[at + 4] == 8:
            size = int.from_bytes(encoded[at + 7 : at + 9], "big"), int.from_bytes(encoded[at + 5 : at + 7], "big")
        at += 2 + length
    return None


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
    """An image of 16-bit pixels as one of 8 bits; any other image as it is.

    Cameras fill 16 bits with 10, 12 or 14. The smallest of these depths that holds the image's brightest pixel is taken
    for the camera's, and of each pixel the upper 8 bits of that depth are kept.
    """
    if not image.mode.startswith("I"):
        return image
    pixels = np.asarray(image)
    brightest = pixels.max(initial=0)
    depth = next((bits for bits in _DEPTHS if brightest < 1 << bits), _DEPTHS[-1])
    return Image.fromarray((pixels >> (depth - 8)).clip(0, 255).astype(np.uint8))
