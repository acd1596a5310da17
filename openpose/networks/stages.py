"""The stages of OpenPose (Cao et al., arXiv:1611.08050): one branch for the vectmap, one for the heatmap.

The first stage sees the features, each other one also the maps of the stage before it.
"""

from collections.abc import Callable

import keras
from keras import layers

from openpose.networks.layers import channels, conv, output, separable
from openpose.skeleton import Skeleton

Branch = Callable[[keras.KerasTensor, int, str, int], keras.KerasTensor]


def two_branches(
    features: keras.KerasTensor, skeleton: Skeleton, stages: int, branch: Branch
) -> list[keras.KerasTensor]:
    """The maps of every stage: heatmap first, then vectmap.

    Args:
        features: [N, h, w, C].
        skeleton: says how many maps there are.
        stages: how many.
        branch: (input, number of the stage from 1, name, number of maps) -> maps.
    """
    outputs, x = [], features
    for stage in range(1, stages + 1):
        vectmap = branch(x, stage, f"stage{stage}_vectmap", skeleton.num_vectmaps)
        heatmap = branch(x, stage, f"stage{stage}_heatmap", skeleton.num_heatmaps)
        outputs.append(layers.Concatenate(name=f"stage{stage}")([heatmap, vectmap]))
        x = layers.Concatenate(name=f"stage{stage}_features")([vectmap, heatmap, features])
    return outputs


def separable_branch(width: float, kernel: int) -> Branch:
    """The branch of tf-pose-estimation's MobileNets.

    The published graphs have 1×1 "separable" convolutions and norms at the outputs; here these are the plain 1×1
    convolutions that they are equal to.

    Args:
        width: factor on the channels.
        kernel: side of the convolutions of the stages that refine; the first stage's have 3.
    """

    def branch(x: keras.KerasTensor, stage: int, name: str, maps: int) -> keras.KerasTensor:
        for number in (1, 2, 3):
            side = 3 if stage == 1 else kernel
            x = separable(x, channels(128, width), f"{name}_{number}", kernel=side)
        x = conv(x, channels(512 if stage == 1 else 128, width), 1, f"{name}_4")
        return output(x, maps, f"{name}_5")

    return branch
