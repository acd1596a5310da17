"""A network of a few layers, for tests of what surrounds a network: TensorFlow makes its functions in a moment.

`python -m tests.tiny module arguments…` runs a program of this repository with this network.
"""

import runpy
import sys

import keras

from openpose.networks import mobilenet
from openpose.networks.layers import Scale, channels, conv, output, separable
from openpose.networks.stages import two_branches
from openpose.skeleton import Skeleton


def network(skeleton: Skeleton, width: float, stages: int) -> keras.Model:
    """Each kind of layer of `mobilenet_thin` once, and its name. See `openpose.networks.build`."""
    image = keras.Input((None, None, 3), name="image")
    x = conv(Scale(1 / 128, name="to_range")(image), channels(32, width), 3, "backbone0", stride=2)
    x = separable(x, channels(64, width), "backbone1", stride=2)
    x = keras.layers.MaxPooling2D(2, padding="same", name="backbone1_pool")(x)

    def branch(x: keras.KerasTensor, stage: int, name: str, maps: int) -> keras.KerasTensor:
        return output(separable(x, channels(64, width), f"{name}_1"), maps, f"{name}_2")

    return keras.Model(image, two_branches(x, skeleton, stages, branch), name="mobilenet_thin")


def stand_in() -> None:
    """From now on this process builds the tiny network where `mobilenet_thin` is named."""
    mobilenet.mobilenet_thin = network


if __name__ == "__main__":
    stand_in()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
