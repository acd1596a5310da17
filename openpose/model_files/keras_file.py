"""Keras's own format, `.keras`: the network as it was trained; it takes RGB.

The file is a zip archive; in ours, the entry `openpose.json` holds the network's facts, which Keras ignores.
"""

from dataclasses import replace
from pathlib import Path

import keras
import tensorflow as tf

from openpose import storage
from openpose.errors import InputError
from openpose.model_files import facts
from openpose.model_files.facts import Facts
from openpose.model_files.inference import PICTURES, last_stage
from openpose.model_files.loaded import LoadedModel


def read(file: Path, place: storage.StoragePath) -> keras.Model:
    """Reads a Keras model; `file` is the local copy of `place`.

    Raises:
        InputError: the file is not a Keras model.
    """
    try:
        return keras.models.load_model(file, compile=False)
    except (ValueError, OSError, KeyError, TypeError) as error:
        raise InputError(f"{place}: not a Keras model ({str(error).splitlines()[0]})") from error


def open_file(file: Path, place: storage.StoragePath) -> LoadedModel:
    """Loads a Keras model.

    Raises:
        InputError: the file is not a Keras model, or the model takes more than one input.
    """
    model = read(file, place)
    if len(model.inputs) != 1:
        names = ", ".join(tensor.name for tensor in model.inputs)
        raise InputError(f"{place}: an OpenPose network takes one input, this one takes {names}")
    run = tf.function(last_stage(model), input_signature=[PICTURES])
    found = replace(facts.in_archive(file), pixels="rgb")
    return LoadedModel(run, model.inputs[0].shape, model.outputs[-1].shape, found)


def write(model: keras.Model, path: Path, skeleton: str, height: int) -> None:
    """Writes a network that takes RGB.

    Args:
        model: the network.
        path: the file; it ends in `.keras`.
        skeleton: of the maps, as `Skeleton.text` gives it.
        height: of the pictures that it was trained on, pixels.
    """
    model.save(path)
    facts.add(path, Facts("rgb", skeleton, height))
