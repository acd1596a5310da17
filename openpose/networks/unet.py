"""`unet`: a small encoder–decoder (Ronneberger et al., arXiv:1505.04597) at stride 4, to be trained from nothing."""

import keras
from keras import layers

from openpose.networks.layers import DoubleLike, channels, conv, output
from openpose.networks.stages import together
from openpose.skeleton import Skeleton

# Channels at strides 2, 4, 8, 16 and 32; the maps are made at stride 4.
CHANNELS = (12, 24, 48, 96, 144)
HEAD = 48  # channels of the decoder's last level


def unet(skeleton: Skeleton, width: float, stages: int) -> keras.Model:
    """Each stage after the first refines the maps of the one before. See `openpose.networks.build`."""
    image = keras.Input((None, None, 3), name="image")
    features = _decoder(_encoder(image, width), width)
    outputs, x = [], features
    maps: list[keras.KerasTensor] = []
    for stage in range(1, stages + 1):
        if stage > 1:
            x = layers.Concatenate(name=f"stage{stage}_features")([features, *maps])
            for number in (1, 2):
                x = conv(x, channels(HEAD, width), 3, f"stage{stage}_{number}")
        maps = [
            output(x, count, f"stage{stage}_{what}")
            for what, count in (("heatmap", skeleton.num_heatmaps), ("vectmap", skeleton.num_vectmaps))
            if count
        ]
        outputs.append(together(maps, f"stage{stage}"))
    return keras.Model(image, outputs, name="unet")


def _encoder(image: keras.KerasTensor, width: float) -> list[keras.KerasTensor]:
    """Features at strides 4, 8, 16 and 32."""
    x = layers.Rescaling(1 / 128, offset=-1.0, name="to_range")(image)
    x = conv(x, channels(CHANNELS[0], width), 3, "backbone0", stride=2)
    levels = []
    for number, count in enumerate(CHANNELS[1:], start=1):
        x = layers.MaxPooling2D(2, padding="same", name=f"backbone{number}_pool")(x)
        x = conv(x, channels(count, width), 3, f"backbone{number}_1")
        x = conv(x, channels(count, width), 3, f"backbone{number}_2")
        levels.append(x)
    return levels


def _decoder(levels: list[keras.KerasTensor], width: float) -> keras.KerasTensor:
    """Features at stride 4."""
    x = levels[-1]
    counts = (HEAD, *CHANNELS[2:-1])
    for number in (3, 2, 1):
        level, count = levels[number - 1], channels(counts[number - 1], width)
        x = conv(x, count, 1, f"decoder{number}_0")
        x = DoubleLike(name=f"decoder{number}_doubled")([x, level])
        x = layers.Concatenate(name=f"decoder{number}_features")([x, level])
        x = conv(x, count, 3, f"decoder{number}_1")
        x = conv(x, count, 3, f"decoder{number}_2")
    return x
