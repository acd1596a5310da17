"""The networks, by name: plain Keras functional models from pixels to the maps of every stage."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import keras
import tensorflow as tf

from openpose.errors import InputError
from openpose.networks import lightweight, mobilenet, mobilenet_v2, vgg
from openpose.skeleton import Skeleton


@dataclass(frozen=True)
class Network:
    """What the registry knows of a network.

    Attributes:
        description: one line for people.
        build: (skeleton, width, stages) -> model.
        stages: number of stages of the published network.
        stride: input pixels per cell of the maps.
        pixels: order of the channels that the model takes.
        values: range of the pixels that the model takes; it scales them itself.
    """

    description: str
    build: Callable[[Skeleton, float, int], keras.Model]
    stages: int
    stride: int = 8
    pixels: str = "rgb"
    values: tuple[float, float] = (0.0, 255.0)


NETWORKS = {
    "cmu": Network("VGG19, 7×7 refinement (OpenPose)", partial(vgg.build, "cmu", vgg.VGG19), stages=6),
    "vgg": Network("VGG16, 7×7 refinement", partial(vgg.build, "vgg", vgg.VGG16), stages=6),
    "mobilenet": Network(
        "MobileNet v1 ×0.75, separable 7×7 refinement (tf-pose-estimation)",
        partial(mobilenet.build, "mobilenet", 0.75, 1.0),
        stages=5,
        stride=4,
    ),
    "mobilenet_fast": Network(
        "the same with MobileNet v1 ×0.5 and half of the refinement's channels",
        partial(mobilenet.build, "mobilenet_fast", 0.5, 0.5),
        stages=5,
        stride=4,
    ),
    "mobilenet_accurate": Network(
        "the same with MobileNet v1 ×1",
        partial(mobilenet.build, "mobilenet_accurate", 1.0, 1.0),
        stages=5,
        stride=4,
    ),
    "mobilenet_thin": Network(
        "MobileNet v1 ×0.75 of three depths, separable 3×3 refinement (tf-pose-estimation)",
        mobilenet.build_thin,
        stages=6,
    ),
    "mobilenet_v2_large": Network(
        "MobileNet v2 ×1.4, separable 3×3 refinement (tf-pose-estimation)",
        partial(mobilenet_v2.build, "mobilenet_v2_large", 1.4, 1.0),
        stages=6,
    ),
    "mobilenet_v2_small": Network(
        "the same with MobileNet v2 ×0.5 and half of the refinement's channels",
        partial(mobilenet_v2.build, "mobilenet_v2_small", 0.5, 0.5),
        stages=6,
    ),
    "lightweight": Network(
        "dilated MobileNet v1, CPM, one initial and one refinement stage (Lightweight OpenPose)",
        lightweight.build,
        stages=2,
    ),
}


def get(name: str) -> Network:
    """The network of that name.

    Raises:
        InputError: there is none; the message lists the names.
    """
    if name not in NETWORKS:
        raise InputError(f"no network is called {name!r}; choose one of: {', '.join(sorted(NETWORKS))}")
    return NETWORKS[name]


def build(name: str, skeleton: Skeleton, width: float = 1.0, stages: int | None = None) -> keras.Model:
    """A network with random weights.

    Args:
        name: one of `NETWORKS`.
        skeleton: says how many maps there are.
        width: factor on the number of channels; 1 is the published network.
        stages: how many stages, each of them an output; the published number by default.

    Returns:
        A model from float32 [N, H, W, 3] (RGB, 0–255; H and W multiples of the stride, both free) to a list with
        one float32 [N, H / stride, W / stride, maps] for each stage: heatmap first, then vectmap.

    Raises:
        InputError: unknown name, or a width or number of stages that makes no network.
    """
    network = get(name)
    stages = network.stages if stages is None else stages
    if width <= 0:
        raise InputError(f"width {width} makes no network; 1 is the published one, 0.5 has half of its channels")
    if stages < 1:
        raise InputError(f"{stages} stages make no network; {name} has {network.stages}")
    return network.build(skeleton, width, stages)


def stage_outputs(model: keras.Model, images: tf.Tensor, training: bool) -> list[tf.Tensor]:
    """The maps of every stage. Keras gives a bare tensor for a model with one output."""
    return keras.tree.flatten(model(images, training=training))
