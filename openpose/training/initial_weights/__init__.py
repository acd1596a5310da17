"""Initial weights: from a model of ours, ImageNet's backbones or tf-pose-estimation's published graphs."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from openpose import storage
from openpose.errors import InputError
from openpose.model_files import frozen_graph, inference, keras_file
from openpose.networks.layers import Norm
from openpose.training.initial_weights import imagenet, tf_pose_graph

IMAGENET = "imagenet"


@dataclass(frozen=True)
class Loaded:
    """What `load` did.

    Attributes:
        taken: layers of the network that now have the source's weights.
        kept: layers of the network that did not change.
        unused: names of the source's other weights.
        uncalibrated: norms whose moving statistics the source lacks; see `calibrate`.
    """

    taken: Sequence[str]
    kept: Sequence[str]
    unused: Sequence[str]
    uncalibrated: Sequence[str]


@dataclass(frozen=True)
class _Source:
    """A source's weights, converted for a network.

    Attributes:
        name: for messages.
        weights: by our layers' names, in the order of `get_weights`.
        unused: names of the source's weights that no layer takes but should.
        beyond: names of the source's weights that are not meant for the network.
        only: prefix of the layers that the source is for.
        fits: for messages: the network that the source is for.
        uncalibrated: norms whose moving statistics the source lacks.
        of_batch: norms that normalise by the statistics of the batch in inference too.
    """

    name: str
    weights: dict[str, list[np.ndarray]]
    unused: Sequence[str] = ()
    beyond: Sequence[str] = ()
    only: str = ""
    fits: str = ""
    uncalibrated: Sequence[str] = ()
    of_batch: Sequence[str] = ()


def load(model: keras.Model, source: str | storage.StoragePath, partial: bool = False) -> Loaded:
    """Loads weights into a network of `openpose.networks`: either all of the source's or, on an error, none.

    Args:
        model: the network, identified by its name.
        source: one of
            a Keras model of ours (`.keras`);
            a frozen graph that tf-pose-estimation published (`.pb`); the last stage's output is then the graph's;
            `imagenet`, for the backbone only, from Keras's cache or downloaded into it;
            a file of these weights as Keras publishes it (`…_no_top.h5`).
        partial: loads what fits and prints the rest, instead of refusing a source that does not fit completely.

    Raises:
        InputError: the file is missing or holds no weights, or (unless `partial`) layers and weights do not match; the
            message lists them.
    """
    found = _read(model, source)
    layers = {layer.name: layer for layer in model.layers if layer.weights}
    fitting = [name for name, weights in found.weights.items() if _shapes(weights) == _shapes(layers[name].weights)]
    problems = _problems(layers, found, fitting)
    if problems and not (partial and fitting):
        raise InputError("\n".join([f"{found.name} does not fit this {model.name} ({found.fits}):", *problems]))
    for name in fitting:
        layers[name].set_weights(found.weights[name])
        if isinstance(layers[name], Norm):
            layers[name].batch_statistics = name in found.of_batch
    print("\n".join([f"{found.name}: weights for {len(fitting)} of {len(layers)} layers", *problems]))
    return Loaded(
        taken=fitting,
        kept=[name for name in layers if name not in fitting],
        unused=[*found.unused, *found.beyond],
        uncalibrated=[name for name in found.uncalibrated if name in fitting],
    )


def _problems(layers: dict[str, keras.Layer], found: _Source, fitting: Sequence[str]) -> list[str]:
    """Mismatches, one line for each kind."""
    lists = {
        "no weights for": [name for name in layers if name.startswith(found.only) and name not in found.weights],
        "of other shapes": [
            f"{name} {_text(found.weights[name])} for the network's {_text(layers[name].weights)}"
            for name in found.weights
            if name not in fitting
        ],
        "not used": found.unused,
    }
    return [f"  {what}: {', '.join(names)}" for what, names in lists.items() if names]


def _shapes(weights: Sequence[np.ndarray]) -> list[tuple[int, ...]]:
    return [tuple(weight.shape) for weight in weights]


def _text(weights: Sequence[np.ndarray]) -> str:
    return "×".join(str(side) for side in weights[0].shape)


def _read(model: keras.Model, source: str | storage.StoragePath) -> _Source:
    if source == IMAGENET:
        return _imagenet(model, _fetched(model.name), IMAGENET)
    place = storage.path(source)
    # Keras reads a file with this ending as its newer format, and silently loads only what matches.
    kind = "" if place.name.endswith(".weights.h5") else place.suffix
    readers = {".keras": _keras, ".pb": _graph, ".h5": _imagenet_file}
    if kind not in readers:
        raise InputError(
            f"{place}: starting weights are a Keras model (.keras), a frozen graph of tf-pose-estimation (.pb), "
            f"{IMAGENET}, or a file of those weights as Keras publishes them (…_no_top.h5)"
        )
    if storage.size(place) is None:
        raise InputError(f"{place}: no such file of weights")
    with storage.local_copy(place) as file:
        return readers[kind](model, file, place)


def _keras(model: keras.Model, file: Path, place: storage.StoragePath) -> _Source:
    theirs = {layer.name: layer for layer in keras_file.read(file, place).layers if layer.weights}
    ours = {layer.name for layer in model.layers if layer.weights}
    of_batch = [name for name, layer in theirs.items() if isinstance(layer, Norm) and layer.batch_statistics]
    return _Source(
        str(place),
        {name: layer.get_weights() for name, layer in theirs.items() if name in ours},
        unused=[name for name in theirs if name not in ours],
        fits="a Keras model fits the network, width and number of stages that it was trained with",
        uncalibrated=of_batch,
        of_batch=of_batch,
    )


def _graph(model: keras.Model, file: Path, place: storage.StoragePath) -> _Source:
    graph = tf_pose_graph.Graph(frozen_graph.read(file, place), inference.GRAPH_INPUT)
    found = tf_pose_graph.read(model, graph)
    return _Source(
        str(place),
        found.weights,
        unused=graph.untaken(),
        fits="tf-pose-estimation's graphs fit the network of their name with width 1 and all stages",
        uncalibrated=found.uncalibrated,
        of_batch=found.of_batch,
    )


def _imagenet_file(model: keras.Model, file: Path, place: storage.StoragePath) -> _Source:
    application = imagenet.application(model.name, weights=None)
    try:
        application.load_weights(file)
    except (ValueError, OSError, KeyError) as error:
        title = imagenet.title(model.name)
        reason = str(error).splitlines()[0]
        raise InputError(f"{place}: not weights of {title} without its classifier ({reason})") from error
    return _imagenet(model, application, str(place))


def _fetched(network: str) -> keras.Model:
    title = imagenet.title(network)
    try:
        return imagenet.application(network, weights="imagenet")
    except Exception as error:  # Keras raises nothing narrower
        cache = f"{os.environ.get('KERAS_HOME', '~/.keras')}/models"
        raise InputError(
            f"{IMAGENET}: the weights of {title} cannot be fetched ({error}); download that file "
            f"elsewhere and give its path instead of {IMAGENET!r}, or put it into {cache}"
        ) from error


def _imagenet(model: keras.Model, application: keras.Model, name: str) -> _Source:
    weights, beyond = imagenet.weights(model, application)
    fits = f"{imagenet.title(model.name)} fits it with width 1"
    return _Source(name, weights, beyond=beyond, only="backbone", fits=fits)


def calibrate(model: keras.Model, norms: Sequence[str], batches: Iterable[np.ndarray]) -> None:
    """Computes moving statistics on pictures for norms that were loaded without, so that training can continue.

    A norm that the source had as a bias computes the same afterwards, and nearly the same in training, where it uses
    the batch's statistics. A norm that used the batch's statistics in inference too uses the moving ones from now on.

    Args:
        model: the network, not yet traced by a `tf.function`.
        norms: `Loaded.uncalibrated`.
        batches: RGB pictures [N, H, W, 3], 0–255, as in training; a few dozen in total, in batches of equal size.
    """
    if not norms:
        return
    layers = [model.get_layer(name) for name in norms]
    watched = keras.Model(model.input, [keras.ops.moments(layer.input, axes=[0, 1, 2]) for layer in layers])
    watch = tf.function(lambda pictures: watched(pictures, training=False), reduce_retracing=True)
    moments = [[np.stack(pair) for pair in watch(pictures)] for pictures in batches]
    for number, layer in enumerate(layers):
        means, variances = np.stack([of_batch[number] for of_batch in moments], axis=1)
        _set_statistics(layer, means.mean(0), variances.mean(0) + means.var(0))


def _set_statistics(norm: Norm, mean: np.ndarray, variance: np.ndarray) -> None:
    gamma, beta, old_mean, old_variance = norm.get_weights()
    if not norm.batch_statistics:  # keep the function that it computes
        factor = gamma / np.sqrt(old_variance + norm.epsilon)
        gamma, beta = factor * np.sqrt(variance + norm.epsilon), beta + factor * (mean - old_mean)
    norm.set_weights([gamma, beta, mean, variance])
    norm.batch_statistics = False
