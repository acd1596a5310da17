"""tf-pose-estimation's networks on MobileNet v1 (Howard et al., arXiv:1704.04861) with separable stages.

As in the published graphs, separable convolutions have norm and ReLU only at their end, not in the middle, and pixels
are scaled but not shifted, so that the padding of the first convolution is black.
"""

import keras
from keras import layers

from openpose.networks.layers import ResizeLike, Scale, channels, conv, separable
from openpose.networks.stages import TF_POSE_SEPARABLE, separable_branch, two_branches
from openpose.skeleton import Skeleton

# Channels and stride of MobileNet v1's separable convolutions 1 to 11, without its last two.
BACKBONE = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), *[(512, 1)] * 6)
# Names of a layer here and in the sources of initial weights (`openpose.training.initial_weights.layer_names`).
IMAGENET_LAYERS = (
    (r"backbone0", r"conv1"),
    (r"backbone0_norm", r"conv1_bn"),
    (r"backbone(\d+)_depthwise", r"conv_dw_\1"),
    (r"backbone(\d+)_depthwise_norm", r"conv_dw_\1_bn"),
    (r"backbone(\d+)_pointwise", r"conv_pw_\1"),
    (r"backbone(\d+)_pointwise_norm", r"conv_pw_\1_bn"),
)
TF_POSE_LAYERS = (
    (r"backbone0", r"MobilenetV1/Conv2d_0"),
    (r"backbone(\d+)_(depthwise|pointwise)", r"MobilenetV1/Conv2d_\1_\2"),
    *TF_POSE_SEPARABLE,
)


def mobilenet(skeleton: Skeleton, width: float, stages: int) -> keras.Model:
    """See `openpose.networks.build`."""
    return _build("mobilenet", 0.75, 1.0, skeleton, width, stages)


def mobilenet_fast(skeleton: Skeleton, width: float, stages: int) -> keras.Model:
    """See `openpose.networks.build`."""
    return _build("mobilenet_fast", 0.5, 0.5, skeleton, width, stages)


def mobilenet_accurate(skeleton: Skeleton, width: float, stages: int) -> keras.Model:
    """See `openpose.networks.build`."""
    return _build("mobilenet_accurate", 1.0, 1.0, skeleton, width, stages)


def mobilenet_thin(skeleton: Skeleton, width: float, stages: int) -> keras.Model:
    """Features of three depths at stride 8, and 3×3 refinement. See `openpose.networks.build`."""
    image = keras.Input((None, None, 3), name="image")
    levels = _backbone(image, 0.75 * width, depth=11)
    pooled = layers.MaxPooling2D(2, padding="same", name="backbone3_pool")(levels[3])
    features = layers.Concatenate(name="features")([pooled, levels[7], levels[11]])
    outputs = two_branches(features, skeleton, stages, separable_branch(0.5 * width, kernel=3))
    return keras.Model(image, outputs, name="mobilenet_thin")


def _build(
    name: str, backbone_width: float, stage_width: float, skeleton: Skeleton, width: float, stages: int
) -> keras.Model:
    """Shallower features at stride 4, and 7×7 refinement."""
    image = keras.Input((None, None, 3), name="image")
    levels = _backbone(image, backbone_width * width, depth=7)
    pooled = layers.MaxPooling2D(2, padding="same", name="backbone1_pool")(levels[1])
    enlarged = ResizeLike(name="backbone7_enlarged")([levels[7], levels[3]])
    features = layers.Concatenate(name="features")([pooled, levels[3], enlarged])
    outputs = two_branches(features, skeleton, stages, separable_branch(stage_width * width, kernel=7))
    return keras.Model(image, outputs, name=name)


def _backbone(image: keras.KerasTensor, width: float, depth: int) -> dict[int, keras.KerasTensor]:
    """Outputs of the first `depth` separable convolutions, by number from 1."""
    x = Scale(1 / 128, name="to_range")(image)
    x = conv(x, channels(32, width), 3, "backbone0", stride=2)
    levels = {}
    for number, (filters, stride) in enumerate(BACKBONE[:depth], start=1):
        x = separable(x, channels(filters, width), f"backbone{number}", stride=stride)
        levels[number] = x
    return levels
