"""Prints the table of all networks: `python -m openpose.networks`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import tyro

from openpose import networks
from openpose.skeleton import DEFAULT, Skeleton
from openpose.skeleton import get as get_skeleton

if TYPE_CHECKING:
    import keras

SIZE = 368
HEADER = ("name", "description", "parameters", f"GFLOPs at {SIZE}×{SIZE}", "stages", "stride", "pixels", "values")


def flops(model: keras.Model, height: int, width: int) -> int:
    """Floating-point operations of the convolutions for one image, two per multiply-add."""
    import keras

    shapes: dict[int, tuple[int, ...]] = {}
    total = 0
    for layer in model.layers:
        if isinstance(layer, keras.layers.InputLayer):
            shape = (1, height, width, 3)
        else:
            given = [shapes[id(tensor)] for tensor in keras.tree.flatten(layer.input)]
            shape = layer.compute_output_shape(given[0] if len(given) == 1 else given)
        shapes[id(layer.output)] = shape
        if isinstance(layer, keras.layers.Conv2D | keras.layers.DepthwiseConv2D):
            # A depthwise kernel is [h, w, channels, 1], others are [h, w, in, out].
            sides = 2 if isinstance(layer, keras.layers.DepthwiseConv2D) else 3
            total += 2 * math.prod(shape) * math.prod(layer.kernel.shape[:sides])
    return total


def row(name: str, of: Skeleton) -> tuple[str, ...]:
    """One network's cells under `HEADER`."""
    network, model = networks.get(name), networks.build(name, of)
    return (
        name,
        network.description,
        f"{model.count_params() / 1e6:.2f} M",
        f"{flops(model, SIZE, SIZE) / 1e9:.1f}",
        str(network.stages),
        str(network.stride),
        network.pixels,
        "–".join(f"{value:g}" for value in network.values),
    )


def main(skeleton: str = DEFAULT) -> None:
    """Prints the table of all networks.

    Args:
        skeleton: name of the skeleton, which decides the number of maps.
    """
    rows = [HEADER, *(row(name, get_skeleton(skeleton)) for name in networks.NAMES)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for cells in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip())
    print("Parameters include the norms' statistics; GFLOPs count the convolutions, two for each multiply-add.")


if __name__ == "__main__":
    tyro.cli(main, prog="python -m openpose.networks")
