"""The formats that a trained network is given away in."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from openpose.errors import InputError
from openpose.model_files import frozen_graph, inference, onnx_file, saved_model, tflite_file


@dataclass(frozen=True)
class Source:
    """What a network's files are made of.

    Attributes:
        model: takes RGB.
        pixels: the order of the channels that the files are to take.
        skeleton: name of the maps' skeleton.
        stride: input pixels per cell.
        height: of the pictures that it was trained for, pixels.
        calibration: pictures RGB [N, H, W, 3], 0–255, as in use, for the ranges of integers.
    """

    model: keras.Model
    pixels: str
    skeleton: str
    stride: int
    height: int
    calibration: Sequence[np.ndarray] = ()

    @cached_property
    def graph(self) -> tf.compat.v1.GraphDef:
        """The network for other runtimes."""
        return inference.graph(self.model, self.pixels, portable=True)

    @cached_property
    def graph_for_integers(self) -> tf.compat.v1.GraphDef:
        """The same, to be rounded to integers."""
        return inference.graph(self.model, self.pixels, portable=True, for_integers=True)


@dataclass(frozen=True)
class Format:
    """One of the formats.

    Attributes:
        file: name of its file or folder.
        title: for people.
        write: (source, place of the file).
        largest: bound of its maps' largest difference to the Keras model's, in proportion to the largest value of these
            or 1, whatever is more.
        mean: bound of the mean difference, in the same proportion.
    """

    file: str
    title: str
    write: Callable[[Source, Path], None]
    largest: float
    mean: float


def _graph(source: Source, path: Path) -> None:
    frozen_graph.write(source.model, path, source.pixels, source.skeleton)


def _saved_model(source: Source, path: Path) -> None:
    saved_model.write(source.graph, path, source.pixels, source.skeleton, source.stride, source.height)


def _onnx(source: Source, path: Path) -> None:
    onnx_file.write(source.graph, path, source.pixels, source.skeleton)


def _tflite(source: Source, path: Path) -> None:
    tflite_file.write(source.graph, path, source.pixels, source.skeleton)


def _tflite_float16(source: Source, path: Path) -> None:
    tflite_file.write(source.graph, path, source.pixels, source.skeleton, "float16")


def _tflite_int8(source: Source, path: Path) -> None:
    pictures = [picture[..., ::-1] if source.pixels == "bgr" else picture for picture in source.calibration]
    tflite_file.write(source.graph_for_integers, path, source.pixels, source.skeleton, "int8", pictures)


# The runtimes round differently, by some 1e-6 after all layers. Weights in float16 have 11 bits: a few cells at the
# edges of peaks move far. Integers have 8: there is no bound on a single cell.
FORMATS = {
    "graph": Format("graph.pb", "frozen graph", _graph, 1e-4, 1e-5),
    "saved_model": Format("saved_model", "SavedModel", _saved_model, 1e-4, 1e-5),
    "onnx": Format("model.onnx", "ONNX", _onnx, 1e-4, 1e-5),
    "tflite": Format("model.tflite", "TFLite float32", _tflite, 1e-4, 1e-5),
    "tflite_float16": Format("model.float16.tflite", "TFLite float16", _tflite_float16, 0.3, 0.01),
    "tflite_int8": Format("model.int8.tflite", "TFLite int8", _tflite_int8, math.inf, 0.05),
}


def chosen(names: str) -> dict[str, Format]:
    """The formats of a comma list of names, and `graph` in any case; all of them for `all`.

    Raises:
        InputError: there is no format of that name.
    """
    wanted = list(FORMATS) if names == "all" else [name.strip() for name in names.split(",") if name.strip()]
    for name in wanted:
        if name not in FORMATS:
            raise InputError(f"formats: no format is called {name!r}; choose from {', '.join(FORMATS)}; or all")
    return {name: FORMATS[name] for name in FORMATS if name in (*wanted, "graph")}
