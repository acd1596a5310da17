"""tf-pose-estimation's networks on MobileNet v2 (Sandler et al., arXiv:1801.04381) with separable stages.

The pixels are scaled but not shifted: the padding of the first convolution is black, as in the published graphs. And
they are turned to BGR here and not in the kernel: the published backbone normalises by the statistics of its batch,
which makes it so sensitive that even the order in which three channels are summed shows in the maps.
"""

import keras
from keras import layers

from openpose.networks.layers import Norm, ResizeLike, Scale, conv, depthwise, norm_relu
from openpose.networks.stages import separable_branch, two_branches
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
# Blocks whose outputs are the features; they are the last at stride 8 and at stride 16.
FINE, COARSE = 6, 13


def build(
    name: str, backbone_width: float, stage_width: float, skeleton: Skeleton, width: float, stages: int
) -> keras.Model:
    """See `openpose.networks.build`."""
    image = keras.Input((None, None, 3), name="image")
    levels = _backbone(image, backbone_width * width)
    enlarged = ResizeLike(name=f"backbone{COARSE}_enlarged")([levels[COARSE], levels[FINE]])
    features = layers.Concatenate(name="features")([levels[FINE], enlarged])
    outputs = two_branches(features, skeleton, stages, separable_branch(stage_width * width, kernel=3))
    return keras.Model(image, outputs, name=name)


def _backbone(image: keras.KerasTensor, width: float) -> dict[int, keras.KerasTensor]:
    """What comes out of each block, by its number from 1."""
    x = Scale(1 / 128, bgr=True, name="to_range")(image)
    x = conv(x, _eights(32 * width), 3, "backbone0", stride=2, highest=6)
    levels = {}
    for number, (filters, stride, expansion) in enumerate(BACKBONE, start=1):
        x = _block(x, _eights(filters * width), stride, expansion, f"backbone{number}")
        levels[number] = x
    return levels


def _block(x: keras.KerasTensor, filters: int, stride: int, expansion: int, name: str) -> keras.KerasTensor:
    """Inverted residual: widen, filter, narrow; the last without ReLU."""
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
    """The nearest multiple of 8, but not more than a tenth below, and at least 8 (as TF-slim rounds)."""
    rounded = max(8, int(count + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * count else rounded
