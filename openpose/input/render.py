"""Regions to samples: image, maps and loss mask through one matrix.

On a CPU, `with_image` makes the image of one region, and `with_targets` the rest of a batch, as part of the input;
`render_batch` renders padded regions on any device, as part of the training step. A batch of samples is a dict: `image`
[B, H, W, 3] (RGB), `maps` float32 [B, h, w, maps] (heatmap, then vectmap), `mask` float32 [B, h, w, 1] and `id` int64
[B].
"""

import cv2
import numpy as np
import tensorflow as tf

from openpose.codec import encode
from openpose.codec.parameters import TargetParameters
from openpose.image_file import PADDING_GREY
from openpose.input import augment
from openpose.input.regions import Tensors
from openpose.skeleton import Skeleton


def render_batch(regions: Tensors, size: tuple[int, int], skeleton: Skeleton, parameters: TargetParameters) -> Tensors:
    """Renders padded regions as samples; their images are float32 and not rounded."""
    image = augment.warp_images(tf.cast(regions["pixels"], tf.float32), regions["back"], size)
    return with_targets(regions | {"image": image}, size, skeleton, parameters)


def with_image(region: Tensors, size: tuple[int, int]) -> Tensors:
    """One region with its image instead of its pixels: uint8 [H, W, 3], as float32 would take four times the bytes.

    OpenCV makes it, which is ten times as fast as TensorFlow on a CPU.
    """

    def warp(pixels: np.ndarray, back: np.ndarray) -> np.ndarray:
        flags, grey = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, (PADDING_GREY,) * 4
        four = cv2.cvtColor(pixels, cv2.COLOR_RGB2RGBA)  # with a fourth channel the transform takes half the time
        four = cv2.warpAffine(four, back[:2], size[::-1], flags=flags, borderMode=cv2.BORDER_CONSTANT, borderValue=grey)
        return cv2.cvtColor(four, cv2.COLOR_RGBA2RGB)

    image = tf.numpy_function(warp, [region["pixels"], region["back"]], tf.uint8, stateful=False)
    rest = {name: value for name, value in region.items() if name != "pixels"}
    return rest | {"image": tf.ensure_shape(image, [*size, 3])}


def with_targets(regions: Tensors, size: tuple[int, int], skeleton: Skeleton, parameters: TargetParameters) -> Tensors:
    """Makes samples of regions that have their images; those with dense targets have their maps and masks too."""
    stored = (regions["maps"], regions["mask"]) if "maps" in regions else None
    maps, mask = stored or targets(regions, size, skeleton, parameters)
    return {"image": regions["image"], "maps": maps, "mask": mask, "id": regions["id"]}


def targets(
    regions: Tensors, size: tuple[int, int], skeleton: Skeleton, parameters: TargetParameters
) -> tuple[tf.Tensor, tf.Tensor]:
    """Makes the maps float32 [B, h, w, maps] and masks [B, h, w, 1] of regions, whose pixels it does not need."""
    grid = (size[0] // parameters.stride, size[1] // parameters.stride)
    encoded = encode.encode_batch(regions["keypoints"], regions["labelled"], grid, skeleton, parameters)
    to_cells = augment.to_cells(regions["matrix"], parameters.stride)
    mask = augment.warp_masks(regions["mask_runs"], regions["picture"], to_cells, grid)
    return tf.concat(encoded, -1), mask
