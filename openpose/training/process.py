"""Settings of a process that trains or makes batches."""

import ctypes

import cv2

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # in glibc's malloc.h
_MOST, _MOST_MMAP = 2**31 - 1, 32 << 20  # bytes, the largest values that glibc takes


def settle() -> None:
    """Keeps freed memory for the next batch, and OpenCV in the thread that calls it.

    Each batch and step frees tensors of megabytes and allocates as many. malloc gives such blocks back to the system,
    which clears each page before it gives it out again: 4 to 8 % of a step's time on a CPU. And pictures are made by as
    many threads as there are cores, so that more in OpenCV only wait for each other.
    """
    cv2.setNumThreads(1)
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is not None:  # only glibc has it
        set_option(_MMAP_THRESHOLD, _MOST_MMAP)
        set_option(_TRIM_THRESHOLD, _MOST)
