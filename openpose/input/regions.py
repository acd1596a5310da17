"""Regions: the part of a picture that the network's input shows, decoded, with its people and the transform.

A region is a dict, from which `render.py` makes a sample:

| key | dtype, shape | what |
|---|---|---|
| pixels | uint8 [r, c, 3] | RGB: what the input shows of the picture, and a margin; large pictures are averaged |
| place | float32 [3] | x, y of the region's first pixel in the picture, and that pixel's width there |
| matrix | float32 [3, 3] | from the picture's pixels to the input's |
| picture | int64 [2] | height and width of the picture |
| mask_runs | int64 [R] | its loss mask (`records.loss_mask`) |
| keypoints | float32 [P, K, 2] | the people's parts, in the input's pixels |
| labelled | bool [P, K] | which parts are labelled |
| id | int64 | the picture's id |
"""

from functools import partial

import numpy as np
import tensorflow as tf

from openpose.image_file import PADDING_GREY
from openpose.input import augment
from openpose.input.parameters import InputParameters
from openpose.records import schema
from openpose.skeleton import Skeleton

Tensors = dict[str, tf.Tensor]

JPEG_RATIOS = (1, 2, 4, 8)  # how many pixels, in each direction, TensorFlow's decoder of JPEGs can average

# Fills up the smaller regions of a batch: grey, as outside of a picture, and an endless run. Not tensors, as
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
    """A region of one grey pixel without people; its loss mask is 0."""
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


def augmented(example: Tensors, epoch: tf.Tensor, skeleton: Skeleton, parameters: InputParameters) -> Tensors:
    """A random region of an Example (`records.parse`), centred on one of its main persons."""
    # Image ids are unique in a split, so (seed, epoch) and the id give each sample a seed of its own.
    seed = tf.stack([tf.constant(parameters.seed, tf.int64) * 1_000_003 + epoch, example["id"]])
    centre, heights = tf.boolean_mask(example["centre"], example["main"]), _sizes(example, skeleton, parameters)
    picture = tf.stack([example["height"], example["width"]])
    matrix, flip = augment.random_affine(centre, heights, picture, parameters.size, seed, epoch, parameters.augment)
    return _region(example, matrix, flip, skeleton, parameters)


def _sizes(example: Tensors, skeleton: Skeleton, parameters: InputParameters) -> tf.Tensor:
    """float32 [M]: a person's height, or the longer side of another's box, in pixels, for each main one.

    An animal without an extent, such as a single point, has the size that keeps the picture at the input's scale.
    """
    if skeleton.of_people:
        return tf.boolean_mask(example["scale"], example["main"]) * schema.SCALE_UNIT
    longer = tf.reduce_max(tf.boolean_mask(example["bbox"], example["main"])[:, 2:], -1)
    wanted = parameters.augment
    middle = wanted.target_height * (wanted.min_scale + wanted.max_scale) / 2
    return tf.where(longer >= 2, longer, middle * tf.cast(example["height"], tf.float32))


def whole(example: Tensors, skeleton: Skeleton, parameters: InputParameters) -> Tensors:
    """The region of an Example (`records.parse`) with its whole picture."""
    matrix = augment.fit_affine(example["height"], example["width"], parameters.size)
    return _region(example, matrix, tf.constant(False), skeleton, parameters)


def _region(
    example: Tensors, matrix: tf.Tensor, flip: tf.Tensor, skeleton: Skeleton, parameters: InputParameters
) -> Tensors:
    """The region of an Example for a transform from the picture to the input."""
    picture, ratio = tf.stack([example["height"], example["width"]]), augment.averaged_pixels(matrix)
    window = augment.region(matrix, picture, parameters.size, ratio)
    keypoints, labelled = _parts(example, skeleton)
    keypoints = augment.warp_points(keypoints, matrix)
    return {
        "pixels": _decoded(example["encoded"], picture, window, ratio),
        "place": augment.place(window, ratio),
        "matrix": matrix,
        "picture": picture,
        "mask_runs": example["mask_runs"],
        "keypoints": tf.where(flip, tf.gather(keypoints, skeleton.flip_parts, axis=1), keypoints),
        "labelled": tf.where(flip, tf.gather(labelled, skeleton.flip_parts, axis=1), labelled),
        "id": example["id"],
    }


def _decoded(encoded: tf.Tensor, picture: tf.Tensor, window: tf.Tensor, ratio: tf.Tensor) -> tf.Tensor:
    """Decodes a window of a JPEG or PNG and averages it over ratio × ratio pixels: uint8 [height, width, 3].

    JPEG's decoder averages up to 8 × 8 pixels itself, from the frequencies.

    Args:
        encoded: the image file.
        picture: its height and width.
        window: y, x, height and width, in averaged pixels.
        ratio: a power of two.
    """

    is_jpeg = tf.io.is_jpeg(encoded)
    by_decoder = tf.where(is_jpeg, tf.minimum(ratio, JPEG_RATIOS[-1]), 1)
    factor = tf.cast(ratio // by_decoder, tf.int32)  # what the decoder leaves to average
    start, whole = window[:2] * factor, window[2:] * factor
    inside = tf.minimum(whole, tf.cast(-(-picture // by_decoder), tf.int32) - start)
    part = tf.concat([start, inside], 0)

    def png() -> tf.Tensor:
        return tf.slice(tf.io.decode_png(encoded, channels=3), [*tf.unstack(start), 0], [*tf.unstack(inside), 3])

    def means() -> tf.Tensor:
        # At the picture's edge there are fewer pixels to average: a fourth channel counts them.
        counted = tf.pad(tf.cast(pixels, tf.float32), [[0, 0], [0, 0], [0, 1]], constant_values=1.0)
        filled = tf.pad(counted, [[0, whole[0] - inside[0]], [0, whole[1] - inside[1]], [0, 0]])
        sums = tf.reduce_sum(tf.reshape(filled, [window[2], factor, window[3], factor, 4]), [1, 3])
        return tf.cast(tf.round(sums[..., :3] / sums[..., 3:]), tf.uint8)

    jpeg = [partial(tf.io.decode_and_crop_jpeg, encoded, part, channels=3, ratio=each) for each in JPEG_RATIOS]
    halvings = tf.reduce_sum(tf.cast(by_decoder >= JPEG_RATIOS[1:], tf.int32))
    pixels = tf.switch_case(tf.where(is_jpeg, halvings, len(jpeg)), [*jpeg, png])
    return tf.cond(factor > 1, means, lambda: pixels)


def _parts(example: Tensors, skeleton: Skeleton) -> tuple[tf.Tensor, tf.Tensor]:
    """The parts of all labelled people that are not a crowd, as `Skeleton.part_keypoints` computes them."""
    seen = example["visibility"] >= 1
    people = tf.where(tf.reduce_any(seen, -1) & ~example["crowd"])[:, 0]
    seen = tf.gather(seen, people)
    source = tf.where(seen[..., None], tf.gather(example["keypoints"], people), 0.0)
    keypoints = tf.einsum("ks,psc->pkc", skeleton.source_weights, source)
    return keypoints, tf.reduce_all(seen[:, None, :] | (skeleton.source_weights == 0), -1)
