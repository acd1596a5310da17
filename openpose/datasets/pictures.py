"""Sizes of pictures, and frames of films."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from openpose import progress, storage
from openpose.errors import InputError

SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp")
_TURNED = (5, 6, 7, 8)  # EXIF orientations that swap width and height


def is_picture(place: Path) -> bool:
    """Whether a file is a picture by its ending, and not one that macOS puts beside a picture."""
    return place.suffix.lower() in SUFFIXES and not storage.is_shadow(place.name)


def size(place: Path) -> tuple[int, int]:
    """Width and height of a picture, upright as EXIF says; reads the file's header only.

    Raises:
        InputError: the file is not a picture.
    """
    try:
        with Image.open(place) as picture:
            # In a PNG file, EXIF may stand after the pixels, and a search for it would decode them.
            turned = picture.format != "PNG" and picture.getexif().get(0x0112, 1) in _TURNED
            return picture.size[::-1] if turned else picture.size
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(f"{place}: not a picture that can be read ({error}); export it again or remove it") from error


def frames(film: Path, wanted: Iterable[int]) -> Iterator[tuple[int, np.ndarray]]:
    """Yields (number, BGR picture) of the wanted frames that the film has, in order.

    It decodes the film from its start, because jumping is not exact in many films.

    Raises:
        InputError: the film cannot be opened.
    """
    numbers = sorted(set(wanted))
    capture = cv2.VideoCapture(str(film))
    try:
        if not capture.isOpened():
            raise InputError(
                f"{film}: not a film that can be read; convert it, for example with ffmpeg to H.264 in .mp4"
            )
        position = 0
        with progress.bar(len(numbers), f"frames of {film.name}", "frame") as bar:
            for number in numbers:
                while position <= number and capture.grab():
                    position += 1
                if position <= number:
                    return
                found, picture = capture.retrieve()
                if found:
                    yield number, picture
                bar.update(1)
    finally:
        capture.release()


def write_jpeg(place: Path, picture: np.ndarray, grey: bool) -> None:
    """Writes a BGR frame as JPEG; films are compressed already, and PNG would take several times as much."""
    place.parent.mkdir(parents=True, exist_ok=True)
    if grey:
        picture = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    place.write_bytes(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes())
