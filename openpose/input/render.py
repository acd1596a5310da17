"""Regions to samples: image, maps and loss mask through one matrix.

`render_one` renders one region on the CPU, as part of the input; `render_batch` renders a padded batch on any device,
as part of the training step. A sample is a dict: `image` [H, W, 3] (RGB), `maps` float32 [h, w, maps] (heatmap, then
vectmap), `mask` float32 [h, w, 1] and `id` int64.
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


def render_one(region: Tensors, size: tuple[int, int], skeleton: Skeleton, parameters: TargetParameters) -> Tensors:
    """Renders a region as a sample; its image is uint8, as float32 would take four times the bytes."""
    maps, mask = _targets({name: value[None] for name, value in region.items()}, size, skeleton, parameters)
    image = render_image(region, size)
    return {"image": image, "maps": maps[0], "mask": mask[0], "id": region["id"]}


def render_batch(regions: Tensors, size: tuple[int, int], skeleton: Skeleton, parameters: TargetParameters) -> Tensors:
    """Renders a padded batch of regions as samples; their images are float32 and not rounded."""
    maps, mask = _targets(regions, size, skeleton, parameters)
    matrices = augment.from_region(regions["matrix"], regions["place"])
    image = augment.warp_images(tf.cast(regions["pixels"], tf.float32), matrices, size)
    return {"image": image, "maps": maps, "mask": mask, "id": regions["id"]}


def blank(picture_id: tf.Tensor, size: tuple[int, int], grid: tuple[int, int], skeleton: Skeleton) -> Tensors:
    """The sample of a blank region: a grey image without people; its loss mask is 0."""
    image = tf.fill([*size, 3], np.uint8(PADDING_GREY))
    background = tf.one_hot(skeleton.num_heatmaps - 1, skeleton.num_maps)
    return {
        "image": image,
        "maps": tf.tile(background[None, None], [*grid, 1]),
        "mask": tf.zeros([*grid, 1]),
        "id": picture_id,
    }


def render_image(region: Tensors, size: tuple[int, int]) -> tf.Tensor:
    """Renders a region's image, uint8 [H, W, 3], with OpenCV, which is ten times as fast as TensorFlow on a CPU."""

    def warp(pixels: np.ndarray, back: np.ndarray) -> np.ndarray:
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        grey = (PADDING_GREY,) * 3
        return cv2.warpAffine(
            pixels, back[:2], size[::-1], flags=flags, borderMode=cv2.BORDER_CONSTANT, borderValue=grey
        )

    back = tf.linalg.inv(augment.from_region(region["matrix"], region["place"]))
    image = tf.numpy_function(warp, [region["pixels"], back], tf.uint8, stateful=False)
    return tf.ensure_shape(image, [*size, 3])


def _targets(
    regions: Tensors, size: tuple[int, int], skeleton: Skeleton, parameters: TargetParameters
) -> tuple[tf.Tensor, tf.Tensor]:
    """Maps float32 [B, h, w, maps] and masks [B, h, w, 1]."""
    grid = (size[0] // parameters.stride, size[1] // parameters.stride)
    encoded = encode.encode_batch(regions["keypoints"], regions["labelled"], grid, skeleton, parameters)
    to_cells = augment.to_cells(regions["matrix"], parameters.stride)
    mask = augment.warp_masks(regions["mask_runs"], regions["picture"], to_cells, grid)
    return tf.concat(encoded, -1), mask
