"""Reads and writes videos. A frame is RGB uint8 [H, W, 3]."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from openpose.errors import InputError

VIDEOS = (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm", ".wmv")
_DEFAULT_RATE, _MAX_RATE = 25.0, 1000.0  # frames per second; the default is for files that do not say it
_CODEC = "mp4v"  # MPEG-4, which every build of OpenCV can write


def is_video(path: Path) -> bool:
    """Whether the file's suffix is one of a video."""
    return path.suffix.lower() in VIDEOS


class VideoError(InputError):
    """A video that cannot be read or written."""


class Video:
    """The frames of a video, which can be iterated once.

    Attributes:
        path: the file.
        rate: frames per second.
        announced: number of frames according to the file, which may be a guess; 0 if it does not say.
        read: number of frames read so far.

    Raises:
        VideoError: the file cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.read = path, 0
        self._capture = cv2.VideoCapture(str(path))
        if not self._capture.isOpened():
            raise VideoError(f"{path}: not a video that can be read; it may be another kind of file, or lack its end")
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        self.rate = rate if 0 < rate <= _MAX_RATE else _DEFAULT_RATE
        self.announced = max(0, round(self._capture.get(cv2.CAP_PROP_FRAME_COUNT)))

    def __iter__(self) -> Iterator[np.ndarray]:
        """Yields the frames, rotated as the file says.

        Raises:
            VideoError: no frame can be read.
        """
        while True:
            more, frame = self._capture.read()
            if not more:
                break
            self.read += 1
            yield np.ascontiguousarray(frame[..., ::-1])
        self._capture.release()
        if not self.read:
            raise VideoError(f"{self.path}: no picture of this video can be read; it may end too early")

    @property
    def missing(self) -> int:
        """Number of announced frames that the file did not have, once all frames are read."""
        return max(0, self.announced - self.read)


class VideoWriter:
    """Writes frames of one size as an MP4 file."""

    def __init__(self, path: Path, rate: float) -> None:
        self._path, self._rate = path, rate
        self._writer: cv2.VideoWriter | None = None

    def write(self, frame: np.ndarray) -> None:
        """Adds a frame.

        Raises:
            VideoError: a video of that size cannot be written.
        """
        if self._writer is None:
            size = frame.shape[1], frame.shape[0]
            self._writer = cv2.VideoWriter(str(self._path), cv2.VideoWriter.fourcc(*_CODEC), self._rate, size)
            if not self._writer.isOpened():
                raise VideoError(f"{self._path}: a video of {size[0]}×{size[1]} pixels cannot be written")
        self._writer.write(np.ascontiguousarray(frame[..., ::-1]))

    def close(self) -> None:
        """Completes the file."""
        if self._writer is not None:
            self._writer.release()
