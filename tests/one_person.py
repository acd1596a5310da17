"""A graph that sees one person, and pictures for it."""

import io
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image

from openpose import skeleton
from openpose.codec import encode
from openpose.model_files.inference import GRAPH_INPUT, GRAPH_OUTPUT

OPENPOSE = skeleton.get("openpose18")
CELLS = 64
ORANGE = (200, 120, 60)


def true_person() -> np.ndarray:
    """Parts [18, 2] of the one person that the graph sees, in pixels of its input."""
    rng = np.random.default_rng(3)
    return np.stack([rng.uniform(80, 280, 18), rng.uniform(60, 300, 18)], -1).astype(np.float32)


def write_graph(path: Path, output: str = GRAPH_OUTPUT, value: float = 1.0, corner: bool = False) -> Path:
    """A graph that sees one person at the same place in any picture whose first channel is bright, `value` high.

    With `corner` only the upper left quarter has to be bright.
    """
    maps = encode.encode(true_person()[None], np.ones((1, 18), bool), (CELLS, CELLS), OPENPOSE)
    with tf.Graph().as_default() as graph:
        image = tf.compat.v1.placeholder(tf.float32, [None, None, None, 3], name=GRAPH_INPUT)
        size = tf.shape(image)
        seen = tf.constant(value * np.concatenate([m.numpy() for m in maps], -1))[: size[1] // 8, : size[2] // 8]
        looked = image[:, : size[1] // 2, : size[2] // 2] if corner else image
        bright = tf.cast(tf.reduce_mean(looked[..., 0], [1, 2]) > 128, tf.float32)
        tf.multiply(bright[:, None, None, None], seen, name=output)
    path.write_bytes(graph.as_graph_def().SerializeToString())
    return path


def photo(height: int = 184, width: int = 200) -> np.ndarray:
    return np.full((height, width, 3), ORANGE, np.uint8)


def save(path: Path, image: np.ndarray | None = None) -> Path:
    Image.fromarray(photo() if image is None else image).save(path, quality=95)
    return path


def jpeg_bytes() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)).save(buffer, "JPEG")
    return buffer.getvalue()
