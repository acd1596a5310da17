"""The table of file formats. Importing it does not import TensorFlow: a format's module is imported when it is used.

A new format is one module with `open_file`, `write` and `EXAMPLE`, like `onnx_file`, and one line in `FORMATS`. If it
can return people, the module has `open_people`, `write_people` and `PEOPLE_EXAMPLE` too.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

from openpose.errors import InputError

if TYPE_CHECKING:
    import numpy as np

    from openpose.model_files.inference import Source

# From pictures uint8 [N, H, W, 3] to keypoints, scores and count, as `people_graph.people` returns them.
FindPeople = Callable[["np.ndarray"], tuple["np.ndarray", "np.ndarray", "np.ndarray"]]
Pixels = Literal["bgr", "rgb"]
PIXELS: tuple[str, ...] = get_args(Pixels)
SAVED_MODEL = "saved_model.pb"  # the file that makes a folder a SavedModel


class Example(NamedTuple):
    """Python code that runs an exported file, for the model card.

    Attributes:
        imports: the lines that import its runtime.
        code: lines that make `maps` from `picture`, a float32 array [1, H, W, 3]; or, of a file that returns people,
            `keypoints`, `scores` and `count` from `pictures`, uint8 [N, H, W, 3]. {file} stands for the file's name.
    """

    imports: str
    code: str


@dataclass(frozen=True)
class Format:
    """A format that trained networks are exported in.

    Attributes:
        file: name of its file or folder.
        title: its name for people.
        module: the module of this package that reads and writes it.
        largest: bound on the largest difference between its maps and the Keras model's, relative to the largest value
            of the Keras model's maps, or to 1 if that is smaller.
        mean: bound on the mean difference, relative to the same value.
        options: further arguments of the module's `write`.
        people: name of the file or folder that returns people; "" where there is none.
    """

    file: str
    title: str
    module: str
    largest: float
    mean: float
    options: Mapping[str, str] = field(default_factory=dict)
    people: str = ""

    def write(self, source: Source, path: Path) -> None:
        """Writes the network to a file or folder.

        Raises:
            InputError: the channel order is unknown.
        """
        check_pixels(source.pixels)
        module(self.module).write(source, path, **self.options)

    def write_people(self, source: Source, folder: Path) -> None:
        """Writes the file that returns people to a folder, unless `write` has written it.

        Raises:
            InputError: the channel order is unknown.
        """
        check_pixels(source.pixels)
        if self.people not in ("", self.file):
            module(self.module).write_people(source, folder / self.people)

    def open_people(self, folder: Path) -> FindPeople:
        """Loads the file of a folder that returns people."""
        return module(self.module).open_people(folder / self.people)

    @property
    def example(self) -> Example:
        """Code that runs the file."""
        return module(self.module).EXAMPLE

    @property
    def people_example(self) -> Example:
        """Code that runs the file that returns people."""
        return module(self.module).PEOPLE_EXAMPLE


# Runtimes round differently, which adds up to about 1e-6 over all layers. Weights in float16 have 11 bits, so a few
# cells at the edges of peaks change a lot. Integers have 8 bits: no bound holds for a single cell.
FORMATS = {
    "graph": Format("graph.pb", "frozen graph", "frozen_graph", 1e-4, 1e-5),
    "saved_model": Format("saved_model", "SavedModel", "saved_model", 1e-4, 1e-5, people="saved_model"),
    "onnx": Format("model.onnx", "ONNX", "onnx_file", 1e-4, 1e-5, people="people.onnx"),
    "tflite": Format("model.tflite", "TFLite float32", "tflite_file", 1e-4, 1e-5, people="people.tflite"),
    "tflite_float16": Format(
        "model.float16.tflite", "TFLite float16", "tflite_file", 0.3, 0.01, {"numbers": "float16"}
    ),
    "tflite_int8": Format("model.int8.tflite", "TFLite int8", "tflite_file", math.inf, 0.05, {"numbers": "int8"}),
}
#: The module that reads a file, by the file's suffix. Keras's own format is what training writes.
READERS = {".keras": "keras_file"} | {
    suffix: format.module for format in FORMATS.values() if (suffix := Path(format.file).suffix)
}


def module(name: str) -> Any:
    """Imports the module of a format."""
    return importlib.import_module(f"openpose.model_files.{name}")


def chosen(names: str) -> dict[str, Format]:
    """The formats in a comma-separated list of names, or every format for `all`; `graph` is always among them.

    Raises:
        InputError: a name is unknown.
    """
    wanted = list(FORMATS) if names == "all" else [name.strip() for name in names.split(",") if name.strip()]
    for name in wanted:
        if name not in FORMATS:
            raise InputError(f"formats: no format is called {name!r}; choose from {', '.join(FORMATS)}; or all")
    return {name: FORMATS[name] for name in FORMATS if name in (*wanted, "graph")}


def check_pixels(pixels: str) -> None:
    """Raises InputError if the channel order is unknown."""
    if pixels not in PIXELS:
        raise InputError(f"pixels are {pixels!r}; choose one of: {', '.join(PIXELS)}")
