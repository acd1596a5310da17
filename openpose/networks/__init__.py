"""Fully convolutional networks from pixels to heatmap and vectmap, in a table that is read without Keras.

A new network is a file in this folder, with a function of the network's name, and a line in `NETWORKS`.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING

from openpose.errors import InputError
from openpose.skeleton import Skeleton

if TYPE_CHECKING:
    import keras
    import tensorflow as tf


@dataclass(frozen=True)
class Network:
    """Facts about a network that are needed before it is built.

    Attributes:
        description: one line for users.
        family: module of this package; its function of the network's name takes (skeleton, width, stages) and
            returns a Keras model of that name.
        stages: number of stages of the published network.
        stride: input pixels per cell of the maps.
        sigma: standard deviation of the targets' Gaussians that suits the network, in input pixels.
        limb_width: distance in cells that a limb's PAF reaches in its targets.
        heatmap_weight: factor on the heatmap's part of the loss that is minimised. A limb of the PAF covers more cells
            than a part of the heatmap, the more so the finer the cells are.
        imagenet: class in `keras.applications` with ImageNet's weights for the backbone, and its width factor
            `alpha` if it takes one. The family's `IMAGENET_LAYERS` maps the layers' names.
        pixels: channel order of the input.
        values: range of the input's pixels; the network scales them itself.
    """

    description: str
    family: str
    stages: int
    stride: int = 8
    sigma: float = 7.0
    limb_width: float = 1.0
    heatmap_weight: float = 1.0
    imagenet: tuple[str, float | None] | None = None
    pixels: str = "rgb"
    values: tuple[float, float] = (0.0, 255.0)


NETWORKS = {
    "cmu": Network("VGG19, 7×7 refinement (OpenPose)", "vgg", stages=6, imagenet=("VGG19", None)),
    "vgg": Network("VGG16, 7×7 refinement", "vgg", stages=6, imagenet=("VGG16", None)),
    "mobilenet": Network(
        "MobileNet v1 ×0.75, separable 7×7 refinement (tf-pose-estimation)",
        "mobilenet",
        stages=5,
        stride=4,
        imagenet=("MobileNet", 0.75),
    ),
    "mobilenet_fast": Network(
        "the same with MobileNet v1 ×0.5 and half of the refinement's channels",
        "mobilenet",
        stages=5,
        stride=4,
        imagenet=("MobileNet", 0.5),
    ),
    "mobilenet_accurate": Network(
        "the same with MobileNet v1 ×1", "mobilenet", stages=5, stride=4, imagenet=("MobileNet", 1.0)
    ),
    "mobilenet_thin": Network(
        "MobileNet v1 ×0.75 of three depths, separable 3×3 refinement (tf-pose-estimation)",
        "mobilenet",
        stages=6,
        imagenet=("MobileNet", 0.75),
    ),
    "mobilenet_v2_large": Network(
        "MobileNet v2 ×1.4, separable 3×3 refinement (tf-pose-estimation)",
        "mobilenet_v2",
        stages=6,
        imagenet=("MobileNetV2", 1.4),
    ),
    "mobilenet_v2_small": Network(
        "the same with MobileNet v2 ×0.5 and half of the refinement's channels",
        "mobilenet_v2",
        stages=6,
        imagenet=("MobileNetV2", 0.5),
    ),
    "lightweight": Network(
        "dilated MobileNet v1, CPM, one initial and one refinement stage (Lightweight OpenPose)",
        "lightweight",
        stages=2,
        imagenet=("MobileNet", 1.0),
    ),
    "unet": Network(
        "small encoder–decoder, trained from nothing in minutes (U-Net)",
        "unet",
        stages=1,
        stride=4,
        sigma=5.0,
        limb_width=1.5,
        heatmap_weight=8.0,
    ),
}
NAMES = tuple(NETWORKS)


def get(name: str) -> Network:
    """The facts about a network.

    Raises:
        InputError: unknown name; the message lists all names.
    """
    if name not in NETWORKS:
        raise InputError(f"no network is called {name!r}; choose one of: {', '.join(sorted(NETWORKS))}")
    return NETWORKS[name]


def check(name: str, width: float = 1.0, stages: int | None = None) -> None:
    """Checks what `build` takes, without Keras.

    Raises:
        InputError: unknown name, or a width or number of stages that is not positive.
    """
    network = get(name)
    if not width > 0:
        raise InputError(
            f"width is {width}; it must be above 0 (1 is the published network, 0.5 has half its channels)"
        )
    if stages is not None and stages < 1:
        raise InputError(f"{name} cannot have {stages} stages; the published network has {network.stages}")


def build(name: str, skeleton: Skeleton, width: float = 1.0, stages: int | None = None) -> keras.Model:
    """Builds a network with random weights.

    Args:
        name: one of `NAMES`.
        skeleton: decides the number of maps.
        width: factor on the number of channels; 1 is the published network.
        stages: number of stages, each with an output; default: as published.

    Returns:
        A model from float32 [N, H, W, 3] (RGB, 0–255; H and W multiples of the stride, both free) to a list with
        one float32 [N, H / stride, W / stride, maps] for each stage: heatmap first, then vectmap.

    Raises:
        InputError: see `check`.
    """
    check(name, width, stages)
    return getattr(family(name), name)(skeleton, width, NETWORKS[name].stages if stages is None else stages)


def family(name: str) -> ModuleType:
    """The module that builds the network; imports Keras."""
    return importlib.import_module(f"{__name__}.{get(name).family}")


def stage_outputs(model: keras.Model, images: tf.Tensor, training: bool) -> list[tf.Tensor]:
    """The maps of every stage, also of a model with one stage, for which Keras returns a bare tensor."""
    outputs = model(images, training=training)
    return list(outputs) if isinstance(outputs, list | tuple) else [outputs]
