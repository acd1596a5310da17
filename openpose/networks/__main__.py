"""The table of all networks: `python -m openpose.networks`."""

import math

import keras

from openpose import networks, skeleton

SIZE = 368
HEADER = ("name", "description", "parameters", f"GFLOPs at {SIZE}×{SIZE}", "stages", "stride", "pixels", "values")


def flops(model: keras.Model, height: int, width: int) -> int:
    """Floating-point operations of the convolutions for one image: two for each multiply-add."""
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


def main() -> None:
    """Prints the table."""
    rows = []
    for name, network in networks.NETWORKS.items():
        model = networks.build(name, skeleton.get("openpose18"))
        parameters = f"{model.count_params() / 1e6:.2f} M"
        gflops = f"{flops(model, SIZE, SIZE) / 1e9:.1f}"
        values = "–".join(f"{value:g}" for value in network.values)
        rows.append(
            (
                name,
                network.description,
                parameters,
                gflops,
                str(network.stages),
                str(network.stride),
                network.pixels,
                values,
            )
        )
    widths = [max(map(len, column)) for column in zip(HEADER, *rows, strict=True)]
    for row in (HEADER, *rows):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    print("Parameters include the norms' statistics; GFLOPs count the convolutions, two for each multiply-add.")


if __name__ == "__main__":
    main()
