"""Weights that Keras's applications learned on ImageNet, for the backbones of our networks."""

import re

import keras
import numpy as np

# The application and its width, for each network.
BACKBONES = {
    "cmu": ("VGG19", None),
    "vgg": ("VGG16", None),
    "mobilenet": ("MobileNet", 0.75),
    "mobilenet_fast": ("MobileNet", 0.5),
    "mobilenet_accurate": ("MobileNet", 1.0),
    "mobilenet_thin": ("MobileNet", 0.75),
    "mobilenet_v2_large": ("MobileNetV2", 1.4),
    "mobilenet_v2_small": ("MobileNetV2", 0.5),
    "lightweight": ("MobileNet", 1.0),
}
# What VGG takes from each channel, of red, green and blue; it sees 0–255 otherwise. The MobileNets see -1 to 1.
VGG_MEAN = np.array([123.68, 116.779, 103.939], np.float32)


def title(network: str) -> str:
    """What the network's backbone is, for people."""
    application, width = BACKBONES[network]
    return f"{application} ×{width:g}" if width else application


def application(network: str, weights: str | None) -> keras.Model:
    """The application without its classifier.

    Args:
        network: ours.
        weights: `imagenet` for Keras's own, which it fetches once into its cache; None for random ones.
    """
    name, width = BACKBONES[network]
    given = {"alpha": width} if width else {}
    # The size of ImageNet's pictures; another one would be warned about.
    size = (224, 224, 3)
    return getattr(keras.applications, name)(include_top=False, weights=weights, input_shape=size, **given)


def weights(model: keras.Model, source: keras.Model) -> tuple[dict[str, list[np.ndarray]], list[str]]:
    """What an application has for a network's backbone.

    The first convolution is turned to our range and order of pixels. Where our MobileNet has no norm
    between depthwise and 1×1 convolution, the application's is folded into both; its ReLU6 there has no counterpart,
    so that backbone is a start and not the same function.

    Returns:
        Weights by our layers' names, in the order of `get_weights`, and the names of the application's layers that
        lie beyond our backbone.
    """
    theirs = {layer.name: layer.get_weights() for layer in source.layers if layer.weights}
    pairs = {layer.name: _counterpart(layer.name, model.name) for layer in model.layers if layer.weights}
    found = {ours: theirs[name] for ours, name in pairs.items() if name in theirs}
    used = {pairs[ours] for ours in found}
    epsilon = 1e-3  # of all norms of the MobileNets
    for ours in [name for name in found if name.endswith("_depthwise")]:
        norm = f"{pairs[ours]}_bn"
        if norm in theirs and norm not in used:
            used.add(norm)
            pointwise = ours.replace("_depthwise", "_pointwise")
            _fold(theirs[norm], epsilon, found[ours], found[pointwise], found[f"{pointwise}_norm"])
    _turn_pixels(found, model, BACKBONES[model.name][0].startswith("VGG"))
    return found, [name for name in theirs if name not in used]


def _counterpart(layer: str, network: str) -> str | None:
    """The name of the application's layer."""
    application, _ = BACKBONES[network]
    match = re.fullmatch(r"backbone(\d+)(?:_([a-z]+|\d))??(_norm)?", layer)
    if not match:
        return None
    number, part, norm = int(match[1]), match[2], match[3]
    if application.startswith("VGG"):
        return f"block{number}_conv{part}"
    if application == "MobileNet":
        name = f"conv_{'dw' if part == 'depthwise' else 'pw'}_{number}" if number else "conv1"
        return f"{name}_bn" if norm else name
    if number == 0:
        return "bn_Conv1" if norm else "Conv1"
    block = "expanded_conv" if number == 1 else f"block_{number - 1}"
    return f"{block}_{part}{'_BN' if norm else ''}"


def _fold(
    norm: list[np.ndarray],
    epsilon: float,
    depthwise: list[np.ndarray],
    pointwise: list[np.ndarray],
    pointwise_norm: list[np.ndarray],
) -> None:
    """Puts a norm between two convolutions into the first one's kernel and into the mean of the norm after both."""
    gamma, beta, mean, variance = norm
    factor = gamma / np.sqrt(variance + epsilon)
    depthwise[0] = depthwise[0] * factor[:, None]
    pointwise_norm[2] = pointwise_norm[2] - (beta - mean * factor) @ pointwise[0][0, 0]


def _turn_pixels(found: dict[str, list[np.ndarray]], model: keras.Model, vgg: bool) -> None:
    """Makes the first convolution do to our range of pixels what it does to the application's.

    The padding is another: what is zero in our range.
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
