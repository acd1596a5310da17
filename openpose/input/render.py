"""Regions to samples: image, maps and loss mask through one matrix.

`render_on_cpu` renders a batch of regions as part of the input; `render_batch` renders it on any device, as part of the
training step. A batch of samples is a dict: `image` [B, H, W, 3] (RGB), `maps` float32 [B, h, w, maps] (heatmap, then
vectmap), `mask` float32 [B, h, w, 1] and `id` int64 [B].
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
    """Renders regions as samples; their images are float32 and not rounded."""
    matrices = augment.from_region(regions["matrix"], regions["place"])
    image = augment.warp_images(tf.cast(regions["pixels"], tf.float32), matrices, size)
    return _samples(regions, image, size, skeleton, parameters)


def render_on_cpu(regions: Tensors, size: tuple[int, int], skeleton: Skeleton, parameters: TargetParameters) -> Tensors:
    """Renders regions as samples; their images are uint8, as float32 would take four times the bytes.

    OpenCV makes the images, which is ten times as fast as TensorFlow on a CPU.
    """

    def warp(pixels: np.ndarray, back: np.ndarray) -> np.ndarray:
        images = np.empty((len(pixels), *size, 3), np.uint8)
        flags, grey = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, (PADDING_GREY,) * 4
        for picture, matrix, image in zip(pixels, back, images, strict=True):
            # With a fourth channel the transform takes half the time.
            four = cv2.cvtColor(picture, cv2.COLOR_RGB2RGBA)
            four = cv2.warpAffine(
                four, matrix[:2], size[::-1], flags=flags, borderMode=cv2.BORDER_CONSTANT, borderValue=grey
            )
            cv2.cvtColor(four, cv2.COLOR_RGBA2RGB, image)
        return images

    back = tf.linalg.inv(augment.from_region(regions["matrix"], regions["place"]))
    image = tf.numpy_function(warp, [regions["pixels"], back], tf.uint8, stateful=False)
    return _samples(regions, tf.ensure_shape(image, [None, *size, 3]), size, skeleton, parameters)


def _samples(
    regions: Tensors, image: tf.Tensor, size: tuple[int, int], skeleton: Skeleton, parameters: TargetParameters
) -> Tensors:
    """Samples with these images; regions with dense targets have their maps and masks."""
    if "maps" in regions:
        maps, mask = regions["maps"], regions["mask"]
    else:
        grid = (size[0] // parameters.stride, size[1] // parameters.stride)
        encoded = encode.encode_batch(regions["keypoints"], regions["labelled"], grid, skeleton, parameters)
        maps = tf.concat(encoded, -1)
        to_cells = augment.to_cells(regions["matrix"], parameters.stride)
        mask = augment.warp_masks(regions["mask_runs"], regions["picture"], to_cells, grid)
    return {"image": image, "maps": maps, "mask": mask, "id": regions["id"]}
