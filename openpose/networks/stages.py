"""The stages of OpenPose (Cao et al., arXiv:1611.08050): one branch for the vectmap, one for the heatmap.

The first stage sees the features; each later stage sees the features and the previous stage's maps.
"""

from collections.abc import Callable

import keras
from keras import layers

from openpose.networks.layers import channels, conv, output, separable
from openpose.skeleton import Skeleton

# Layers of `separable_branch` in tf-pose-estimation's graphs, where vectmap is L1 and heatmap L2.
TF_POSE_SEPARABLE = (
    (r"stage(\d+)_(L\d)_([123])_(depthwise|pointwise)", r"Openpose/MConv_Stage\1_\2_\3_\4"),
    (r"stage(\d+)_(L\d)_([45])", r"Openpose/MConv_Stage\1_\2_\3_depthwise Openpose/MConv_Stage\1_\2_\3_pointwise"),
)
Branch = Callable[[keras.KerasTensor, int, str, int], keras.KerasTensor]


def two_branches(
    features: keras.KerasTensor, skeleton: Skeleton, stages: int, branch: Branch
) -> list[keras.KerasTensor]:
    """Builds the maps of every stage: heatmap first, then vectmap.

    Args:
        features: [N, h, w, C].
        skeleton: decides the number of maps.
        stages: number of stages.
        branch: (input, number of the stage from 1, name, number of maps) -> maps.
    """
    outputs, x = [], features
    for stage in range(1, stages + 1):
        # A skeleton of one keypoint has no limbs, hence no vectmap.
        vectmap = [branch(x, stage, f"stage{stage}_vectmap", skeleton.num_vectmaps)] if skeleton.num_limbs else []
        heatmap = branch(x, stage, f"stage{stage}_heatmap", skeleton.num_heatmaps)
        outputs.append(together([heatmap, *vectmap], f"stage{stage}"))
        x = layers.Concatenate(name=f"stage{stage}_features")([*vectmap, heatmap, features])
    return outputs


def together(maps: list[keras.KerasTensor], name: str) -> keras.KerasTensor:
    """The maps of a stage as one tensor."""
    return layers.Concatenate(name=name)(maps) if len(maps) > 1 else layers.Identity(name=name)(maps[0])


def separable_branch(width: float, kernel: int) -> Branch:
    """The branch of tf-pose-estimation's MobileNets.

    At the outputs, the published graphs have 1×1 separable convolutions and norms. Together these equal one plain
    1×1 convolution, which is what we use.

    Args:
        width: factor on the channels.
        kernel: kernel size in the refinement stages; the first stage has 3.
    """

    def branch(x: keras.KerasTensor, stage: int, name: str, maps: int) -> keras.KerasTensor:
        for number in (1, 2, 3):
            side = 3 if stage == 1 else kernel
            x = separable(x, channels(128, width), f"{name}_{number}", kernel=side)
        x = conv(x, channels(512 if stage == 1 else 128, width), 1, f"{name}_4")
        return output(x, maps, f"{name}_5")

    return branch
