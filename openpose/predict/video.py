"""The pictures and videos that a path stands for: one file, a folder or a pattern of names."""

import glob
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from openpose.errors import InputError

PICTURES = (".bmp", ".gif", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
VIDEOS = (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm", ".wmv")
_DEFAULT_RATE, _MAX_RATE = 25.0, 1000.0  # pictures per second; a video that does not say it gets the first
_CODEC = "mp4v"  # MPEG-4, which every build of OpenCV can write


def find(image: str) -> list[Path]:
    """The files that a path, a folder or a pattern (`photos/*.jpg`, `**` for all folders below) stands for, in order.

    Of a folder and of a pattern those are taken whose ending is that of a picture or a video; a single file is taken
    whatever it is called.

    Raises:
        InputError: nothing is there.
    """
    place = Path(image)
    if place.is_dir():
        inside = sorted(path for path in place.iterdir() if path.is_file())
        return _usable(inside, f"{image}: no picture or video in this folder")
    if place.exists():
        return [place]
    if not glob.has_magic(image):
        raise InputError(f"{image}: no such picture, video or folder")
    matches = sorted(Path(name) for name in glob.glob(image, recursive=True))
    return _usable([path for path in matches if path.is_file()], f"{image}: no picture or video matches")


def _usable(paths: list[Path], nothing: str) -> list[Path]:
    usable = [path for path in paths if path.suffix.lower() in PICTURES + VIDEOS]
    if not usable:
        others = f"; it has {len(paths)} other files, such as {paths[0].name}" if paths else ""
        raise InputError(f"{nothing} (.jpg, .png, .mp4, …){others}")
    return usable


def is_video(path: Path) -> bool:
    """Whether the file's ending is that of a video."""
    return path.suffix.lower() in VIDEOS


class VideoError(InputError):
    """A video that cannot be read or written."""


class Video:
    """The pictures of a video, one after the other, once.

    Attributes:
        path: the file.
        rate: pictures per second.
        announced: pictures that the file says it has, 0 when it does not say; some files only guess.
        read: pictures that have been read.

    Raises:
        VideoError: it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.read = path, 0
        self._capture = cv2.VideoCapture(str(path))
        if not self._capture.isOpened():
            raise VideoError(f"{path}: not a video that can be read; it may be none, or its end may be lost")
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        self.rate = rate if 0 < rate <= _MAX_RATE else _DEFAULT_RATE
        self.announced = max(0, round(self._capture.get(cv2.CAP_PROP_FRAME_COUNT)))

    def __iter__(self) -> Iterator[np.ndarray]:
        """Its pictures, RGB uint8 [H, W, 3], turned as the file says.

        Raises:
            VideoError: there is none.
        """
        while True:
            more, picture = self._capture.read()
            if not more:
                break
            self.read += 1
            yield np.ascontiguousarray(picture[..., ::-1])
        self._capture.release()
        if not self.read:
            raise VideoError(f"{self.path}: no picture of this video can be read; it may end too early")

    @property
    def missing(self) -> int:
        """Pictures that the file announces but does not have, once all are read."""
        return max(0, self.announced - self.read)


class VideoWriter:
    """Writes pictures of one size, RGB uint8 [H, W, 3], as an MP4 file."""

    def __init__(self, path: Path, rate: float) -> None:
        self._path, self._rate = path, rate
        self._writer: cv2.VideoWriter | None = None

    def write(self, picture: np.ndarray) -> None:
        """Adds one picture.

        Raises:
            VideoError: a video of that size cannot be written.
        """
        if self._writer is None:
            size = picture.shape[1], picture.shape[0]
            self._writer = cv2.VideoWriter(str(self._path), cv2.VideoWriter.fourcc(*_CODEC), self._rate, size)
            if not self._writer.isOpened():
                raise VideoError(f"{self._path}: a video of {size[0]}×{size[1]} pixels cannot be written")
        self._writer.write(np.ascontiguousarray(picture[..., ::-1]))

    def close(self) -> None:
        """Writes the end of the file."""
        if self._writer is not None:
            self._writer.release()
