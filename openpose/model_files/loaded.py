"""A network as it comes from a file, before it is checked against a skeleton."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import tensorflow as tf


@dataclass(frozen=True)
class LoadedModel:
    """What a format's reader found in a file.

    Attributes:
        run: from pictures float32 [N, H, W, 3] to maps float32 [N, h, w, maps]. Raises InputError for a size that the
            network does not take.
        takes: shape of its input as the file says, with None where a side is free; [] when the file does not say.
        gives: shape of its output, in the same way.
        pixels: the channel order that it takes, "" when the file does not say.
        skeleton: name of the skeleton, "" when the file does not say.
    """

    run: Callable[[tf.Tensor], tf.Tensor | np.ndarray]
    takes: Sequence[int | None]
    gives: Sequence[int | None]
    pixels: str = ""
    skeleton: str = ""


def shape_text(shape: Sequence[object]) -> str:
    """A shape for messages, such as [?, ?, ?, 3]; `?` stands for a free side, which `shape` has as None or a name."""
    return f"[{', '.join(str(side) if isinstance(side, int) and side >= 0 else '?' for side in shape)}]"
