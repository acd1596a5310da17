"""`cmu` and `vgg`: OpenPose as published (Cao et al., arXiv:1611.08050), on the features of VGG19 or VGG16."""

import keras
from keras import layers

from openpose.networks.layers import biased, channels, output
from openpose.networks.stages import two_branches
from openpose.skeleton import Skeleton

# VGG's blocks: channels, and number of 3×3 convolutions. A pooling follows each block except the last.
VGG19 = ((64, 2), (128, 2), (256, 4), (512, 2))
VGG16 = ((64, 2), (128, 2), (256, 3), (512, 2))
# Names of a layer here and in the sources of initial weights (`openpose.training.initial_weights.layer_names`).
IMAGENET_LAYERS = ((r"backbone(\d)_(\d)", r"block\1_conv\2"),)
TF_POSE_LAYERS = (
    (r"backbone(\d)_(\d)", r"conv\1_\2"),
    (r"cpm_1", r"conv4_3_CPM"),
    (r"cpm_2", r"conv4_4_CPM"),
    (r"stage1_(L\d)_(\d)", r"conv5_\2_CPM_\1"),
    (r"stage(\d)_(L\d)_(\d)", r"Mconv\3_stage\1_\2"),
)


def cmu(skeleton: Skeleton, width: float, stages: int) -> keras.Model:
    """OpenPose as published. See `openpose.networks.build`."""
    return _build("cmu", VGG19, skeleton, width, stages)


def vgg(skeleton: Skeleton, width: float, stages: int) -> keras.Model:
    """The same on VGG16. See `openpose.networks.build`."""
    return _build("vgg", VGG16, skeleton, width, stages)


def _build(
    name: str, blocks: tuple[tuple[int, int], ...], skeleton: Skeleton, width: float, stages: int
) -> keras.Model:
    image = keras.Input((None, None, 3), name="image")

    def branch(x: keras.KerasTensor, stage: int, name: str, maps: int) -> keras.KerasTensor:
        sides, last = ((3, 3, 3), 512) if stage == 1 else ((7, 7, 7, 7, 7), 128)
        for number, side in enumerate(sides, start=1):
            x = biased(x, channels(128, width), side, f"{name}_{number}")
        x = biased(x, channels(last, width), 1, f"{name}_{len(sides) + 1}")
        return output(x, maps, f"{name}_{len(sides) + 2}")

    return keras.Model(image, two_branches(_features(image, blocks, width), skeleton, stages, branch), name=name)


def _features(image: keras.KerasTensor, blocks: tuple[tuple[int, int], ...], width: float) -> keras.KerasTensor:
    x = layers.Rescaling(1 / 256, offset=-0.5, name="to_range")(image)
    for block, (filters, convolutions) in enumerate(blocks, start=1):
        if block > 1:
            x = layers.MaxPooling2D(2, name=f"backbone{block - 1}_pool")(x)
        for number in range(1, convolutions + 1):
            x = biased(x, channels(filters, width), 3, f"backbone{block}_{number}")
    x = biased(x, channels(256, width), 3, "cpm_1")
    return biased(x, channels(128, width), 3, "cpm_2")
