"""ImageNet weights of Keras's applications, for the backbones of our networks."""

import keras
import numpy as np

from openpose import networks
from openpose.errors import InputError
from openpose.training.initial_weights.layer_names import counterpart

# VGG's input is 0–255 minus this mean of red, green and blue; the MobileNets' input is -1 to 1.
VGG_MEAN = np.array([123.68, 116.779, 103.939], np.float32)


def title(network: str) -> str:
    """The backbone's name for messages, such as `MobileNet ×0.75`."""
    application, width = _backbone(network)
    return f"{application} ×{width:g}" if width else application


def application(network: str, weights: str | None) -> keras.Model:
    """The application without its classifier.

    Args:
        network: one of `openpose.networks.NAMES`.
        weights: `imagenet` for Keras's own, which it downloads once into its cache; None for random ones.

    Raises:
        InputError: the network's backbone is not one of Keras's applications.
    """
    name, width = _backbone(network)
    alpha = {"alpha": width} if width else {}
    # ImageNet's picture size; Keras warns about any other.
    size = (224, 224, 3)
    return getattr(keras.applications, name)(include_top=False, weights=weights, input_shape=size, **alpha)


def _backbone(network: str) -> tuple[str, float | None]:
    found = networks.get(network).imagenet
    if found is None:
        have = ", ".join(name for name, facts in networks.NETWORKS.items() if facts.imagenet)
        raise InputError(f"no ImageNet weights fit {network}; start it from a Keras model, or train one of: {have}")
    return found


def weights(model: keras.Model, source: keras.Model) -> tuple[dict[str, list[np.ndarray]], list[str]]:
    """Converts an application's weights for a network's backbone.

    The first convolution is adapted to our range and order of pixels. Where our MobileNet has no norm between depthwise
    and 1×1 convolution, the application's norm is folded into both. Its ReLU6 there is lost, so that such a backbone
    computes something close to the application but not the same.

    Returns:
        Weights by our layers' names, in the order of `get_weights`, and the names of the application's layers beyond
        our backbone.
    """
    theirs = {layer.name: layer.get_weights() for layer in source.layers if layer.weights}
    names = networks.family(model.name).IMAGENET_LAYERS
    pairs = {layer.name: counterpart(layer.name, names) for layer in model.layers if layer.weights}
    found = {ours: theirs[name] for ours, name in pairs.items() if name in theirs}
    used = {pairs[ours] for ours in found}
    epsilon = 1e-3  # of all norms of the MobileNets
    for ours in [name for name in found if name.endswith("_depthwise")]:
        norm = f"{pairs[ours]}_bn"
        if norm in theirs and norm not in used:
            used.add(norm)
            pointwise = ours.replace("_depthwise", "_pointwise")
            _fold(theirs[norm], epsilon, found[ours], found[pointwise], found[f"{pointwise}_norm"])
    _adapt_pixels(found, model, _backbone(model.name)[0].startswith("VGG"))
    return found, [name for name in theirs if name not in used]


def _fold(
    norm: list[np.ndarray],
    epsilon: float,
    depthwise: list[np.ndarray],
    pointwise: list[np.ndarray],
    pointwise_norm: list[np.ndarray],
) -> None:
    """Folds a norm between two convolutions into the first kernel and into the mean of the norm after both."""
    gamma, beta, mean, variance = norm
    factor = gamma / np.sqrt(variance + epsilon)
    depthwise[0] = depthwise[0] * factor[:, None]
    pointwise_norm[2] = pointwise_norm[2] - (beta - mean * factor) @ pointwise[0][0, 0]


def _adapt_pixels(found: dict[str, list[np.ndarray]], model: keras.Model, vgg: bool) -> None:
    """Adapts the first convolution from the application's range and order of pixels to ours.

    Only the padding differs afterwards: it is zero in our range.
    """
    first = found["backbone1_1" if vgg else "backbone0"]
    to_range = model.get_layer("to_range")
    kernel = first[0][:, :, ::-1] if vgg else first[0]
    factor, shift = (1.0, -VGG_MEAN) if vgg else (1 / 127.5, np.full(3, -1, np.float32))
    first[0] = kernel * (factor / to_range.scale)
    if getattr(to_range, "bgr", False):
        first[0] = first[0][:, :, ::-1]
    # The application sees factor · pixel + shift, we see scale · pixel + offset.
    added = np.einsum("hwio,i->o", kernel, shift - to_range.offset * factor / to_range.scale)
    if vgg:
        first[1] = first[1] + added
    else:
        found["backbone0_norm"][2] = found["backbone0_norm"][2] - added
