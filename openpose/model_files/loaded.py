"""A network from a file of any format, before anybody has looked whether it fits."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf


@dataclass(frozen=True)
class LoadedModel:
    """What a file's reader found.

    Attributes:
        run: from pictures float32 [N, H, W, 3] to maps float32 [N, h, w, maps]. It raises InputError for a size that
            the network does not take.
        takes: shape of its input as the file says, None where it is free or not said.
        gives: shape of its output.
        pixels: order of the channels that it takes, "" when the file does not say.
        skeleton: name of the skeleton, "" when the file does not say.
    """

    run: Callable[[tf.Tensor], tf.Tensor | np.ndarray]
    takes: Sequence[int | None]
    gives: Sequence[int | None]
    pixels: str = ""
    skeleton: str = ""


def shape_text(shape: Sequence[object]) -> str:
    """A shape for messages, such as [?, ?, ?, 3]; names and None stand for free sides."""
    return f"[{', '.join(str(side) if isinstance(side, int) and side >= 0 else '?' for side in shape)}]"
