"""From a decoded region of a picture and its people to a sample: image, maps and loss mask, all through one matrix.

`here` does it for one sample on the CPU, as a part of the input; `batch` for a padded batch on any device, as a part of
the training step. What both start from, a *region*, is a dict:

| key | dtype, shape | what |
|---|---|---|
| pixels | uint8 [r, c, 3] | RGB: the part of the picture that the input shows, and some more; averages, if large |
| place | float32 [3] | x and y of the region's first pixel in the picture, and its width there |
| matrix | float32 [3, 3] | from the picture's pixels to the input's |
| picture | int64 [2] | height and width of the picture |
| mask_runs | int64 [R] | its loss mask (`records.loss_mask`) |
| keypoints | float32 [P, K, 2] | of its people, in the input's pixels |
| labelled | bool [P, K] | which of them are known |
| id | int64 | of the picture |
"""

import cv2
import numpy as np
import tensorflow as tf

from openpose.codec import encode
from openpose.codec.parameters import TargetParameters
from openpose.image_file import PADDING_GREY
from openpose.input import augment
from openpose.skeleton import Skeleton

Tensors = dict[str, tf.Tensor]

# What fills a batch's smaller regions: the grey that is outside of a picture, and a run without end. No tensors: the
# devices are chosen before TensorFlow's first operation.
PADDING = {
    "pixels": np.uint8(PADDING_GREY),
    "place": np.float32(0),
    "matrix": np.float32(0),
    "picture": np.int64(0),
    "mask_runs": np.int64(1 << 40),
    "keypoints": np.float32(0),
    "labelled": np.bool_(False),
    "id": np.int64(0),
}


def blank(picture_id: tf.Tensor, skeleton: Skeleton) -> Tensors:
    """A region with nothing in it, which no loss counts."""
    return {
        "pixels": tf.fill([1, 1, 3], PADDING["pixels"]),
        "place": tf.constant([0.0, 0.0, 1.0]),
        "matrix": tf.eye(3),
        "picture": tf.zeros([2], tf.int64),
        "mask_runs": tf.zeros([0], tf.int64),
        "keypoints": tf.zeros([0, skeleton.num_parts, 2]),
        "labelled": tf.zeros([0, skeleton.num_parts], tf.bool),
        "id": picture_id,
    }


def render_one(region: Tensors, size: tuple[int, int], skeleton: Skeleton, parameters: TargetParameters) -> Tensors:
    """A region as a sample.

    Returns:
        `image` uint8 [H, W, 3] (whole grey levels: nobody sees the rest, and four times the bytes take time), `maps`
        float32 [h, w, maps], `mask` float32 [h, w, 1] and `id`.
    """
    maps, mask = _targets({name: value[None] for name, value in region.items()}, size, skeleton, parameters)
    image = image_here(region, size)
    return {"image": image, "maps": maps[0], "mask": mask[0], "id": region["id"]}


def batch(regions: Tensors, size: tuple[int, int], skeleton: Skeleton, parameters: TargetParameters) -> Tensors:
    """A padded batch of regions as samples; as `here`, but for `image`, which is float32 and not rounded."""
    maps, mask = _targets(regions, size, skeleton, parameters)
    matrices = augment.from_region(regions["matrix"], regions["place"])
    image = augment.warp_images(tf.cast(regions["pixels"], tf.float32), matrices, size)
    return {"image": image, "maps": maps, "mask": mask, "id": regions["id"]}


def image_here(region: Tensors, size: tuple[int, int]) -> tf.Tensor:
    """The input's image uint8 [H, W, 3] of a region, by OpenCV: ten times as fast as TensorFlow on a CPU."""

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
