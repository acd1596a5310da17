"""OpenCV's operations on maps of any number of channels; OpenCV 5 takes at most 128."""

from collections.abc import Callable

import cv2
import numpy as np

_MOST = cv2.CV_CN_MAX if hasattr(cv2, "CV_CN_MAX") else 128


def by_channels(function: Callable[[np.ndarray], np.ndarray], maps: np.ndarray) -> np.ndarray:
    """Applies a function that treats each channel alone to maps [h, w, C]; the result has C channels too."""
    channels = maps.shape[-1]
    groups = [maps[..., first : first + _MOST] for first in range(0, channels, _MOST)] if channels > _MOST else [maps]
    done = [function(np.ascontiguousarray(group)) for group in groups]
    # OpenCV drops an axis of length 1.
    shaped = [one.reshape(*one.shape[:2], group.shape[-1]) for one, group in zip(done, groups, strict=True)]
    return shaped[0] if len(shaped) == 1 else np.concatenate(shaped, -1)


def resize(maps: np.ndarray, size: tuple[int, int], interpolation: int) -> np.ndarray:
    """Resizes maps [h, w, C] to a size (width, height)."""
    if maps.shape[-1] == 0:
        return np.zeros((size[1], size[0], 0), maps.dtype)
    return by_channels(lambda group: cv2.resize(group, size, interpolation=interpolation), maps)
