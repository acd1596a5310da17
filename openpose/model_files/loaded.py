"""A network as it comes from a file, before it is checked against a skeleton."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from openpose.errors import InputError
from openpose.model_files.facts import Facts
from openpose.storage import StoragePath

if TYPE_CHECKING:
    import tensorflow as tf


@dataclass(frozen=True)
class LoadedModel:
    """What a format's reader found in a file.

    Attributes:
        run: from pictures float32 [N, H, W, 3] to maps float32 [N, h, w, maps]. Raises InputError for a size that the
            network does not take.
        takes: shape of its input as the file says, with None where a side is free; [] when the file does not say.
        gives: shape of its output, in the same way.
        facts: what the file says about the network.
    """

    run: Callable[[tf.Tensor], tf.Tensor | np.ndarray]
    takes: Sequence[int | None]
    gives: Sequence[int | None]
    facts: Facts


def check_one_to_one(place: StoragePath, inputs: Sequence[str], outputs: Sequence[str]) -> None:
    """Raises InputError unless a model has one input and one output; the texts describe them."""
    if len(inputs) != 1 or len(outputs) != 1:
        raise InputError(
            f"{place}: an OpenPose model takes one picture and gives one tensor of maps; this one takes "
            f"{', '.join(inputs) or 'nothing'} and gives {', '.join(outputs) or 'nothing'}"
        )


def shape_text(shape: Iterable[Any]) -> str:
    """A shape for messages, such as [?, ?, ?, 3]; `?` stands for a free side, which `shape` has as None or a name."""
    sides = (str(side) if isinstance(side, int | np.integer) and side >= 0 else "?" for side in shape)
    return f"[{', '.join(sides)}]"
