"""`lightweight`: Lightweight OpenPose (Osokin, arXiv:1811.12004).

Dilated MobileNet v1, CPM, an initial stage, and refinement stages.
"""

import keras
from keras import layers

from openpose.networks.layers import biased, channels, conv, output, separable
from openpose.networks.mobilenet import IMAGENET_LAYERS as IMAGENET_LAYERS  # the backbones' layers have the same names
from openpose.networks.stages import together
from openpose.skeleton import Skeleton

# Channels, stride and dilation of the backbone's separable convolutions.
BACKBONE = (
    (64, 1, 1),
    (128, 2, 1),
    (128, 1, 1),
    (256, 2, 1),
    (256, 1, 1),
    (512, 1, 1),
    (512, 1, 2),
    *[(512, 1, 1)] * 4,
)


def lightweight(skeleton: Skeleton, width: float, stages: int) -> keras.Model:
    """The first stage is the initial one, the others refine. See `openpose.networks.build`."""
    image = keras.Input((None, None, 3), name="image")
    features = _cpm(_backbone(image, width), channels(128, width))
    outputs, x = [], features
    for stage in range(1, stages + 1):
        trunk = _initial_trunk if stage == 1 else _refinement_trunk
        hidden = channels(512 if stage == 1 else 128, width)
        trunk_out = trunk(x, channels(128, width), f"stage{stage}")
        maps = [
            output(biased(trunk_out, hidden, 1, f"stage{stage}_{what}_1"), count, f"stage{stage}_{what}_2")
            for what, count in (("heatmap", skeleton.num_heatmaps), ("vectmap", skeleton.num_vectmaps))
            if count
        ]
        outputs.append(together(maps, f"stage{stage}"))
        x = layers.Concatenate(name=f"stage{stage}_features")([features, *maps])
    return keras.Model(image, outputs, name="lightweight")


def _backbone(image: keras.KerasTensor, width: float) -> keras.KerasTensor:
    x = layers.Rescaling(1 / 256, offset=-0.5, name="to_range")(image)
    x = conv(x, channels(32, width), 3, "backbone0", stride=2)
    for number, (filters, stride, dilation) in enumerate(BACKBONE, start=1):
        x = separable(
            x,
            channels(filters, width),
            f"backbone{number}",
            stride=stride,
            dilation=dilation,
            inner_norm=True,
        )
    return x


def _cpm(x: keras.KerasTensor, filters: int) -> keras.KerasTensor:
    x = biased(x, filters, 1, "cpm_align")
    trunk = x
    for number in (1, 2, 3):
        trunk = layers.DepthwiseConv2D(
            3, padding="same", use_bias=False, activation="elu", name=f"cpm_{number}_depthwise"
        )(trunk)
        trunk = layers.Conv2D(filters, 1, use_bias=False, activation="elu", name=f"cpm_{number}_pointwise")(trunk)
    return biased(layers.Add(name="cpm_sum")([x, trunk]), filters, 3, "cpm_out")


def _initial_trunk(x: keras.KerasTensor, filters: int, name: str) -> keras.KerasTensor:
    for number in (1, 2, 3):
        x = biased(x, filters, 3, f"{name}_trunk{number}")
    return x


def _refinement_trunk(x: keras.KerasTensor, filters: int, name: str) -> keras.KerasTensor:
    for number in range(1, 6):
        x = biased(x, filters, 1, f"{name}_block{number}_in")
        block = conv(x, filters, 3, f"{name}_block{number}_1")
        block = conv(block, filters, 3, f"{name}_block{number}_2", dilation=2)
        x = layers.Add(name=f"{name}_block{number}_sum")([x, block])
    return x
