"""Loads a network from a file of any format. TensorFlow is imported only when a file is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from openpose import storage
from openpose.errors import InputError
from openpose.model_files import formats
from openpose.model_files.facts import HEIGHT
from openpose.model_files.loaded import LoadedModel, shape_text
from openpose.skeleton import DEFAULT, Skeleton

if TYPE_CHECKING:
    import tensorflow as tf

_SIDE = 64  # pixels of the picture that the stride is measured with
_STRIDE = 8  # of all published graphs that take pictures of one size only


@dataclass(frozen=True)
class Model:
    """A network that turns pictures into maps, whatever file it came from.

    Attributes:
        path: the file or folder.
        pixels: the channel order that the file's network takes; `maps` always takes RGB.
        skeleton: of its maps.
        run: from pictures in that order, float32 [N, H, W, 3], to its maps [N, h, w, parts + 1 + 2 limbs].
        stride: input pixels per cell.
        height: of the pictures that it was trained on, pixels; when its file does not say, that of published networks.
    """

    path: storage.StoragePath
    pixels: str
    skeleton: Skeleton
    run: Callable[[tf.Tensor], tf.Tensor | np.ndarray]
    stride: int
    height: int = HEIGHT

    def maps(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Heatmap float32 [N, h, w, parts + 1] and vectmap float32 [N, h, w, 2 limbs] of images [N, H, W, 3].

        The images are RGB, 0–255; H and W must be multiples of the stride.

        Raises:
            InputError: the network does not take images of this size, or its maps hold NaN or infinity.
        """
        import tensorflow as tf

        pixels = np.asarray(images, np.float32)
        output = np.asarray(self.run(tf.constant(pixels[..., ::-1] if self.pixels == "bgr" else pixels)))
        if not np.isfinite(output).all():
            raise InputError(f"{self.path}: its maps hold NaN or infinity; did its training diverge?")
        heatmaps = self.skeleton.num_heatmaps
        return output[..., :heatmaps], output[..., heatmaps:]


def load(path: str | storage.StoragePath, skeleton: Skeleton | None = None, pixels: str | None = None) -> Model:
    """Loads a network: a Keras model, one of our exported formats, or a frozen graph of tf-pose-estimation.

    Args:
        path: a file (`.keras`, `.pb`, `.onnx`, `.tflite`) or the folder of a SavedModel, local or in a bucket.
        skeleton: the one that the network was trained for; by default the one that the file names, or
            `skeleton.DEFAULT` if it names none.
        pixels: `rgb` or `bgr`; by default what the file says. If it says nothing, a frozen graph takes BGR (as
            tf-pose's do) and any other file RGB.

    Raises:
        InputError: the file does not exist, is not a model, or is not a network of this skeleton.
    """
    if pixels is not None:
        formats.check_pixels(pixels)
    place = storage.path(path)
    if place.name == formats.SAVED_MODEL:
        place = place.parent
    with _local(place) as (local, module):
        loaded = formats.module(module).open_file(local, place)
    skeleton = skeleton or _skeleton(loaded, place)
    _check(loaded, place, skeleton)
    stride, facts = _stride(loaded, place, skeleton), loaded.facts
    return Model(place, pixels or facts.pixels or "rgb", skeleton, loaded.run, stride, facts.height or HEIGHT)


@contextmanager
def _local(place: storage.StoragePath) -> Iterator[tuple[Path, str]]:
    """Yields a model's local copy and the name of the module that reads it."""
    if storage.size(place / formats.SAVED_MODEL) is not None:
        with storage.workspace(place) as workspace:
            yield workspace.folder, "saved_model"
        return
    if storage.size(place) is None:
        is_folder = bool(storage.sizes(place))
        raise InputError(
            f"{place}: not a SavedModel, this folder has no {formats.SAVED_MODEL}"
            if is_folder
            else f"{place}: no such model file"
        )
    if place.suffix not in formats.READERS:
        raise InputError(
            f"{place}: not a model; give a file that ends in {', '.join(formats.READERS)}, or a SavedModel's folder"
        )
    with storage.local_copy(place) as file:
        yield file, formats.READERS[place.suffix]


def _skeleton(loaded: LoadedModel, place: storage.StoragePath) -> Skeleton:
    try:
        return Skeleton.from_text(loaded.facts.skeleton or DEFAULT)
    except InputError as error:
        raise InputError(f"{place}: {error}") from error


def _check(loaded: LoadedModel, place: storage.StoragePath, skeleton: Skeleton) -> None:
    """Raises InputError unless the model is a network of this skeleton."""
    takes = loaded.takes
    if takes and (len(takes) != 4 or takes[-1] not in (3, None)):
        raise InputError(f"{place}: takes {shape_text(takes)}; an OpenPose network takes pictures [N, H, W, 3]")
    if loaded.facts.skeleton:
        theirs = _skeleton(loaded, place)
        if (theirs.parts, theirs.limb_names) != (skeleton.parts, skeleton.limb_names):
            raise InputError(
                f"{place}: is for the skeleton {theirs.name} ({', '.join(theirs.parts)}), "
                f"not for {skeleton.name} ({', '.join(skeleton.parts)})"
            )
    _check_output(loaded.gives, place, skeleton)


def _check_output(shape: Sequence[int | None], place: storage.StoragePath, skeleton: Skeleton) -> None:
    if shape and (len(shape) != 4 or shape[-1] not in (skeleton.num_maps, None)):
        raise InputError(
            f"{place}: its output is {shape_text(shape)}; a network of the skeleton {skeleton.name} gives "
            f"[N, h, w, {skeleton.num_maps}]"
        )


def _stride(loaded: LoadedModel, place: storage.StoragePath, skeleton: Skeleton) -> int:
    """Input pixels per cell, measured by running the network on a small picture."""
    import tensorflow as tf

    try:
        shape = [int(length) for length in loaded.run(tf.zeros([1, _SIDE, _SIDE, 3])).shape]
    except (tf.errors.InvalidArgumentError, ValueError, InputError):
        return _STRIDE  # the network takes pictures of one size only
    _check_output(shape, place, skeleton)  # some files do not say their output's shape
    return _SIDE // shape[1]


def checksum(place: storage.StoragePath) -> str:
    """SHA-256 of a model's file, or of all files in its folder.

    Raises:
        InputError: there is none.
    """
    names = [""] if storage.size(place) is not None else sorted(storage.sizes(place))
    if not names:
        raise InputError(f"{place}: no such model file")
    sums = {}
    for name in names:
        with storage.open_binary(place / name if name else place) as file:
            sums[name] = storage.stream_sha256(file)
    return sums.get("") or storage.fingerprint(sums)
