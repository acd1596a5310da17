"""tf-pose-estimation's networks on MobileNet v2 (Sandler et al., arXiv:1801.04381) with separable stages.

As in the published graphs, pixels are scaled but not shifted, so that the padding of the first convolution is black.
Channels are reordered to BGR here, not in the first kernel: the published backbone normalises by the statistics of its
batch and is so sensitive that even the order in which it sums three channels shows in the maps.
"""

import keras
from keras import layers

from openpose.networks.layers import Norm, ResizeLike, Scale, conv, depthwise, norm_relu
from openpose.networks.stages import TF_POSE_SEPARABLE, separable_branch, two_branches
from openpose.skeleton import Skeleton

# Channels, stride and expansion of MobileNet v2's blocks 1 to 13, as far as its stride is 16.
BACKBONE = (
    (16, 1, 1),
    (24, 2, 6),
    (24, 1, 6),
    (32, 2, 6),
    *[(32, 1, 6)] * 2,
    (64, 2, 6),
    *[(64, 1, 6)] * 3,
    *[(96, 1, 6)] * 3,
)
# The last blocks at stride 8 and at stride 16; their outputs are the features.
FINE, COARSE = 6, 13
# Names of a layer here and in the sources of initial weights (`openpose.training.initial_weights.layer_names`).
# Blocks count from 1 here, from 0 there.
IMAGENET_LAYERS = (
    (r"backbone0", r"Conv1"),
    (r"backbone0_norm", r"bn_Conv1"),
    (r"backbone1_([a-z]+)", r"expanded_conv_\1"),
    (r"backbone1_([a-z]+)_norm", r"expanded_conv_\1_BN"),
    *((rf"backbone{n}_([a-z]+)", rf"block_{n - 1}_\1") for n in range(2, 14)),
    *((rf"backbone{n}_([a-z]+)_norm", rf"block_{n - 1}_\1_BN") for n in range(2, 14)),
)
TF_POSE_LAYERS = (
    (r"backbone0", r"MobilenetV2/Conv"),
    (r"backbone1_(\w+)", r"MobilenetV2/expanded_conv/\1"),
    *((rf"backbone{n}_(\w+)", rf"MobilenetV2/expanded_conv_{n - 1}/\1") for n in range(2, 14)),
    *TF_POSE_SEPARABLE,
)


def mobilenet_v2_large(skeleton: Skeleton, width: float, stages: int) -> keras.Model:
    """See `openpose.networks.build`."""
    return _build("mobilenet_v2_large", 1.4, 1.0, skeleton, width, stages)


def mobilenet_v2_small(skeleton: Skeleton, width: float, stages: int) -> keras.Model:
    """See `openpose.networks.build`."""
    return _build("mobilenet_v2_small", 0.5, 0.5, skeleton, width, stages)


def _build(
    name: str, backbone_width: float, stage_width: float, skeleton: Skeleton, width: float, stages: int
) -> keras.Model:
    image = keras.Input((None, None, 3), name="image")
    levels = _backbone(image, backbone_width * width)
    enlarged = ResizeLike(name=f"backbone{COARSE}_enlarged")([levels[COARSE], levels[FINE]])
    features = layers.Concatenate(name="features")([levels[FINE], enlarged])
    outputs = two_branches(features, skeleton, stages, separable_branch(stage_width * width, kernel=3))
    return keras.Model(image, outputs, name=name)


def _backbone(image: keras.KerasTensor, width: float) -> dict[int, keras.KerasTensor]:
    """Outputs of all blocks, by number from 1."""
    x = Scale(1 / 128, bgr=True, name="to_range")(image)
    x = conv(x, _eights(32 * width), 3, "backbone0", stride=2, highest=6)
    levels = {}
    for number, (filters, stride, expansion) in enumerate(BACKBONE, start=1):
        x = _block(x, _eights(filters * width), stride, expansion, f"backbone{number}")
        levels[number] = x
    return levels


def _block(x: keras.KerasTensor, filters: int, stride: int, expansion: int, name: str) -> keras.KerasTensor:
    """Inverted residual: expand, filter, project; no ReLU after the projection."""
    inside = x
    if expansion > 1:
        inside = conv(x, expansion * x.shape[-1], 1, f"{name}_expand", highest=6)
    inside = depthwise(inside, f"{name}_depthwise", stride=stride)
    inside = norm_relu(inside, f"{name}_depthwise", highest=6)
    inside = layers.Conv2D(filters, 1, use_bias=False, name=f"{name}_project")(inside)
    inside = Norm(name=f"{name}_project_norm")(inside)
    if stride > 1 or x.shape[-1] != filters:
        return inside
    return layers.Add(name=f"{name}_sum")([x, inside])


def _eights(count: float) -> int:
    """Rounds to a multiple of 8, at least 8 and at least 0.9 × `count`, as TF-slim does."""
    rounded = max(8, int(count + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * count else rounded
