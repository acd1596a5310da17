"""OpenCV's operations on maps of any number of channels; OpenCV 5 takes at most 128."""

from collections.abc import Callable

import cv2
import numpy as np

_MOST = cv2.CV_CN_MAX if hasattr(cv2, "CV_CN_MAX") else 128


def by_channels(function: Callable[[np.ndarray], np.ndarray], maps: np.ndarray) -> np.ndarray:
    """Applies a function that treats each channel alone to maps [h, w, C]; the result has C channels too."""
    channels = maps.shape[-1]
    if channels <= _MOST:
        done = function(maps)
        return done.reshape(*done.shape[:2], channels)  # OpenCV drops an axis of length 1
    result: np.ndarray | None = None
    for first in range(0, channels, _MOST):
        group = slice(first, min(first + _MOST, channels))
        done = function(np.ascontiguousarray(maps[..., group]))
        if result is None:
            result = np.empty((*done.shape[:2], channels), done.dtype)
        result[..., group] = done.reshape(*done.shape[:2], -1)
    assert result is not None
    return result


def resize(maps: np.ndarray, size: tuple[int, int], interpolation: int) -> np.ndarray:
    """Resizes maps [h, w, C] to a size (width, height)."""
    if maps.shape[-1] == 0:
        return np.zeros((size[1], size[0], 0), maps.dtype)
    return by_channels(lambda group: cv2.resize(group, size, interpolation=interpolation), maps)
