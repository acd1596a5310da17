"""Pictures in files, and their preparation for a network. A picture is RGB uint8 [H, W, 3] throughout.

`model_files.saved_model` builds the same preparation from TensorFlow operations with the constants below.
"""

import io
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np
from PIL import Image, ImageOps

from openpose import storage
from openpose.errors import InputError
from openpose.records import image_bytes

PADDING_GREY = 128
MAX_ASPECT = 8  # wider pictures are shrunk until they fit this many times the height, to limit memory


def read(path: str | Path) -> np.ndarray:
    """Reads a picture and turns it as its EXIF orientation says; grey, 16-bit, palette and CMYK ones become RGB.

    Raises:
        InputError: the file does not exist, is not a picture or is truncated.
    """
    return _decoded(path, str(path), None)


def decode(content: bytes, name: str, most_pixels: int) -> np.ndarray:
    """Decodes a picture's file as `read` does.

    Args:
        content: of the file.
        name: of the picture, for messages.
        most_pixels: of a picture.

    Raises:
        InputError: it is not a picture, is truncated or has more pixels.
    """
    return _decoded(io.BytesIO(content), name, most_pixels)


def _decoded(file: str | Path | BinaryIO, name: str, most_pixels: int | None) -> np.ndarray:
    try:
        with Image.open(file) as picture:
            if most_pixels and picture.width * picture.height > most_pixels:
                size = f"{picture.width}×{picture.height}"
                raise InputError(f"{name}: it has {size} pixels, more than {most_pixels:,}; make it smaller")
            upright = image_bytes.eight_bits(ImageOps.exif_transpose(picture))
            return np.asarray(upright.convert("RGB"))
    except FileNotFoundError as error:
        raise InputError(f"{name}: no such picture") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        why = str(error).replace(f" {file!r}", "")  # of Pillow: cannot identify image file <_io.BytesIO object at …>
        raise InputError(f"{name}: not a picture that can be read ({why})") from error


def write(path: str | Path, image: np.ndarray) -> None:
    """Writes a picture in the format of the file's suffix, atomically.

    Raises:
        InputError: pictures cannot be written in that format.
    """
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format_of(path), quality=92)
    storage.write_bytes(storage.path(path), buffer.getvalue())


def format_of(path: str | Path) -> str:
    """Pillow's name of the format that the file's suffix stands for.

    Raises:
        InputError: pictures cannot be written in that format.
    """
    suffix = Path(path).suffix
    if not can_write(path):
        named = suffix or "a name without an ending"
        raise InputError(f"{path}: {named} is not a picture format that can be written; use .jpg or .png")
    return Image.registered_extensions()[suffix.lower()]


def can_write(path: str | Path) -> bool:
    """Whether pictures can be written in the format of the file's suffix."""
    return Image.registered_extensions().get(Path(path).suffix.lower()) in Image.SAVE


def jpeg(image: np.ndarray, quality: int) -> bytes:
    """Encodes a picture as JPEG."""
    return cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def compressed(content: bytes, quality: int) -> bytes:
    """Encodes a JPEG file again, at a lower quality."""
    return jpeg(_decoded(io.BytesIO(content), "a JPEG", None), quality)


def network_size(image: np.ndarray, height: int) -> tuple[int, int]:
    """Width and height of a picture after it is resized to a network's input height; the aspect is kept."""
    scale = min(height / image.shape[0], MAX_ASPECT * height / image.shape[1])
    return max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))


def resize(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resizes a picture to (width, height): averages pixels to shrink it, interpolates cubically to enlarge it."""
    shrinks = size[0] * size[1] < image.shape[0] * image.shape[1]
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)


def pad(image: np.ndarray, width: int, height: int) -> np.ndarray:
    """Pads a picture with grey at the right and at the bottom."""
    right, bottom = width - image.shape[1], height - image.shape[0]
    return np.pad(image, ((0, bottom), (0, right), (0, 0)), constant_values=PADDING_GREY)
