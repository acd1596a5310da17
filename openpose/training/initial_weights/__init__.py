"""Initial weights: from a model of ours, ImageNet's backbones or tf-pose-estimation's published graphs."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from openpose import storage
from openpose.errors import InputError
from openpose.model_files import frozen_graph, inference, keras_file
from openpose.model_files.facts import Facts, in_archive
from openpose.networks.layers import Norm
from openpose.skeleton import DEFAULT, Skeleton
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
        skeleton: that it was trained for; None if it has no output layers.
    """

    name: str
    weights: dict[str, list[np.ndarray]]
    unused: Sequence[str] = ()
    beyond: Sequence[str] = ()
    only: str = ""
    fits: str = ""
    uncalibrated: Sequence[str] = ()
    of_batch: Sequence[str] = ()
    skeleton: Skeleton | None = None


def load(
    model: keras.Model,
    source: str | storage.StoragePath,
    partial: bool = False,
    skeleton: Skeleton | None = None,
) -> Loaded:
    """Loads weights into a network of `openpose.networks`: either all of the source's or, on an error, none.

    Args:
        model: the network, identified by its name.
        source: one of
            a Keras model of ours (`.keras`);
            a frozen graph that tf-pose-estimation published (`.pb`); the last stage's output is then the graph's;
            `imagenet`, for the backbone only, from Keras's cache or downloaded into it;
            a file of these weights as Keras publishes it (`…_no_top.h5`).
        partial: loads what fits and prints the rest, instead of refusing a source that does not fit completely.
        skeleton: of the network. From a source of another skeleton come the backbone and the stages: the layers that
            read maps keep the weights of the features beside them, and the output layers start new.

    Raises:
        InputError: the file is missing or holds no weights, or (unless `partial`) layers and weights do not match; the
            message lists them.
    """
    found = _read(model, source)
    layers = {layer.name: layer for layer in model.layers if layer.weights}
    if found.skeleton and skeleton and not _same_maps(found.skeleton, skeleton):
        found = _for_other_maps(model, found, skeleton)
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


def _same_maps(one: Skeleton, other: Skeleton) -> bool:
    return (one.parts, one.limb_names) == (other.parts, other.limb_names)


def _for_other_maps(model: keras.Model, found: _Source, skeleton: Skeleton) -> _Source:
    """The source's weights without its output layers; layers that read maps read those of the new skeleton."""
    assert found.skeleton is not None
    widths = [tensor.shape[-1] for tensor in model.get_layer("stage1_features").input] if _has_stages(model) else []
    features_first = bool(widths) and sum(widths[1:]) == skeleton.num_maps
    stages = [layer for layer in model.layers if layer.name.removeprefix("stage").isdecimal()]
    outputs = {id(tensor) for stage in stages for tensor in keras.tree.flatten(stage.input)}
    weights, new = dict[str, list[np.ndarray]](), list[str]()
    for layer in model.layers:
        theirs, ours = found.weights.get(layer.name), layer.get_weights()
        if theirs is None:
            continue
        merged = [
            _merged(a, b, (found.skeleton.num_maps, skeleton.num_maps), features_first)
            for a, b in zip(theirs, ours, strict=True)
        ]
        if id(layer.output) in outputs:
            new.append(layer.name)
            weights[layer.name] = ours
        else:  # what fits neither way is among the problems
            weights[layer.name] = [one if one is not None else a for one, a in zip(merged, theirs, strict=True)]
    print(
        f"{found.name} is for the skeleton {found.skeleton.name}, the training for {skeleton.name}: "
        f"{len(new)} output layers start new ({', '.join(new)})"
    )
    return replace(
        found,
        weights=weights | ({} if found.skeleton.num_limbs else _vectmap_layers(model)),
        beyond=[*found.beyond, *found.unused, *(name for name in found.weights if name not in weights)],
        unused=(),
    )


def _has_stages(model: keras.Model) -> bool:
    return any(layer.name == "stage1_features" for layer in model.layers)


def _vectmap_layers(model: keras.Model) -> dict[str, list[np.ndarray]]:
    """The network's own weights of the vectmap's layers, which a source without limbs lacks."""
    return {layer.name: layer.get_weights() for layer in model.layers if layer.weights and "vectmap" in layer.name}


def _merged(theirs: np.ndarray, ours: np.ndarray, maps: tuple[int, int], features_first: bool) -> np.ndarray | None:
    """A kernel with the source's weights for the features, and new ones for the maps; None if it does not fit.

    Args:
        theirs: the source's kernel.
        ours: the network's.
        maps: the source's number of maps, and the network's.
        features_first: whether the features come before the maps among the input channels, or after them.
    """
    if theirs.shape == ours.shape:
        return theirs
    if theirs.ndim != 4 or ours.ndim != 4:
        return None
    features = ours.shape[2] - maps[1]
    if (
        features < 1
        or theirs.shape[2] - maps[0] != features
        or np.delete(theirs.shape, 2).tolist() != np.delete(ours.shape, 2).tolist()
    ):
        return None
    merged = ours.copy()
    part = slice(None, features) if features_first else slice(-features, None)
    merged[:, :, part] = theirs[:, :, part]
    return merged


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
        skeleton=_skeleton(in_archive(file), place),
    )


def _graph(model: keras.Model, file: Path, place: storage.StoragePath) -> _Source:
    graph_def = frozen_graph.read(file, place)
    graph = tf_pose_graph.Graph(graph_def, inference.GRAPH_INPUT)
    found = tf_pose_graph.read(model, graph)
    return _Source(
        str(place),
        found.weights,
        unused=graph.untaken(),
        fits="tf-pose-estimation's graphs fit the network of their name with width 1 and all stages",
        uncalibrated=found.uncalibrated,
        of_batch=found.of_batch,
        skeleton=_skeleton(frozen_graph.facts(graph_def), place),
    )


def _skeleton(facts: Facts, place: storage.StoragePath) -> Skeleton:
    try:
        return Skeleton.from_text(facts.skeleton or DEFAULT)
    except InputError as error:
        raise InputError(f"{place}: {error}") from error


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
