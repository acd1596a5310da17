"""TensorFlow Lite, `.tflite`, run by LiteRT: in float32, with weights in float16, or in int8 throughout.

Our files take `image` float32 [N, H, W, 3], 0–255, and give `maps` float32 [N, H / stride, W / stride, maps], in int8
too; or they take `pictures` and give people, see `people_graph`. As TensorFlow Lite's metadata do, a zip archive ends
the file; its `openpose.json` holds the network's facts.
"""

import io
import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from openpose import storage
from openpose.errors import InputError
from openpose.model_files import facts, people_graph
from openpose.model_files.formats import Example, FindPeople
from openpose.model_files.inference import GRAPH_INPUT, GRAPH_OUTPUT, PICTURES, Source
from openpose.model_files.loaded import LoadedModel, check_one_to_one, shape_text

EXAMPLE = Example(
    "from ai_edge_litert.interpreter import Interpreter",
    """\
runner = Interpreter("{file}", num_threads=4).get_signature_runner()
maps = runner(image=picture)["maps"]
""",
)
PEOPLE_EXAMPLE = Example(
    "from ai_edge_litert.interpreter import Interpreter",
    """\
runner = Interpreter("{file}", num_threads=4).get_signature_runner()
found = runner(pictures=pictures)
keypoints, scores, count = found["keypoints"], found["scores"], found["count"]
""",
)


def open_file(file: Path, place: storage.StoragePath) -> LoadedModel:
    """Loads a TensorFlow Lite model.

    Raises:
        InputError: the file is not a TensorFlow Lite model, or the model takes or gives more than one tensor.
    """
    from ai_edge_litert.interpreter import Interpreter

    try:
        interpreter = Interpreter(str(file), num_threads=_cores())
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise InputError(f"{place}: not a TensorFlow Lite model ({str(error).splitlines()[0]})") from error
    inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
    ends = [[f"{end['name']} {shape_text(end['shape_signature'])}" for end in side] for side in (inputs, outputs)]
    check_one_to_one(place, *ends)
    return LoadedModel(
        _Runner(interpreter, place),
        [None if side < 0 else int(side) for side in inputs[0]["shape_signature"]],
        [None if side < 0 else int(side) for side in outputs[0]["shape_signature"]],
        facts.in_archive(file),
    )


def _cores() -> int:
    """The cores that this process may use, which may be fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _Runner:
    """Runs an interpreter, which only one thread may use at a time."""

    def __init__(self, interpreter: Any, place: storage.StoragePath) -> None:
        self._interpreter, self._place = interpreter, place
        self._lock = threading.Lock()
        self._shape: tuple[int, ...] = ()

    def __call__(self, pictures: tf.Tensor) -> np.ndarray:
        images = np.asarray(pictures)
        with self._lock:
            if images.shape != self._shape:
                self._resize(images.shape)
            self._interpreter.set_tensor(self._interpreter.get_input_details()[0]["index"], images)
            self._interpreter.invoke()
            return self._interpreter.get_tensor(self._interpreter.get_output_details()[0]["index"])

    def _resize(self, shape: tuple[int, ...]) -> None:
        (details,) = self._interpreter.get_input_details()
        self._shape = ()
        try:
            self._interpreter.resize_tensor_input(details["index"], shape, strict=True)
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            taken = shape_text(details["shape_signature"])
            raise InputError(f"{self._place}: takes {taken}, not pictures of {shape_text(shape)}") from error
        self._shape = shape


def write(source: Source, path: Path, numbers: str = "float32") -> None:
    """Writes a network as a TensorFlow Lite model.

    Args:
        source: the network.
        path: the file.
        numbers: float32; float16, for the weights; or int8, for everything between input and output.
    """
    graph_def = source.graph_for_integers if numbers == "int8" else source.graph_for_lite

    class Network(tf.Module):
        @tf.function(input_signature=[PICTURES])
        def maps(self, image: tf.Tensor) -> dict[str, tf.Tensor]:
            (maps,) = tf.graph_util.import_graph_def(graph_def, {GRAPH_INPUT: image}, [f"{GRAPH_OUTPUT}:0"], name="")
            return {"maps": maps}

    network = Network()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([network.maps.get_concrete_function()], network)
    if numbers != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if numbers == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if numbers == "int8":
        step = -1 if source.pixels == "bgr" else 1
        converter.representative_dataset = lambda: ([picture[..., ::step]] for picture in source.calibration)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8, tf.lite.OpsSet.TFLITE_BUILTINS]
    _write(converter, source.facts, path)


def write_people(source: Source, path: Path) -> None:
    """Writes a TensorFlow Lite model that returns people."""
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [people_graph.traced(source, source.graph_for_lite)], tf.Module()
    )
    _write(converter, people_graph.facts(source), path)


def _write(converter: tf.lite.TFLiteConverter, about: facts.Facts, path: Path) -> None:
    content = io.BytesIO(converter.convert())
    facts.add(content, about)
    storage.write_bytes(path, content.getvalue())


def open_people(file: Path) -> FindPeople:
    """Loads a file that returns people."""
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(str(file), num_threads=_cores()).get_signature_runner()

    def run(pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        found = runner(pictures=pictures)
        return found["keypoints"], found["scores"], found["count"]

    return run
