"""Regions: the part of a picture that the network's input shows, decoded, with its people and the transform.

A region is a dict, from which `render.py` makes a sample. A batch of B regions has these tensors:

| key | dtype, shape | what |
|---|---|---|
| pixels | uint8 [B, r, c, 3] | RGB: what the input shows of the picture, and a margin; large pictures are averaged |
| back | float32 [B, 3, 3] | from the input's pixels to the region's |
| matrix | float32 [B, 3, 3] | from the picture's pixels to the input's |
| picture | int64 [B, 2] | height and width of the picture |
| mask_runs | int64 [B, R] | its loss mask (`records.loss_mask`) |
| keypoints | float32 [B, P, K, 2] | the people's parts, in the input's pixels |
| labelled | bool [B, P, K] | which parts are labelled |
| id | int64 [B] | the picture's id |
| maps, mask | float32 [B, h, w, maps], [B, h, w, 1] | only with dense targets: those of the whole picture |

`augmented` and `whole` make regions without pixels, for whole batches at once: TensorFlow's time is that of its small
operations. `decoded` adds the pixels of one.
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

GREY = np.uint8(PADDING_GREY)  # fills up the smaller regions of a batch, as it is outside of a picture
JPEG_RATIOS = (1, 2, 4, 8)  # how many pixels, in each direction, TensorFlow's decoder of JPEGs can average
_PNG = len(JPEG_RATIOS)  # the branch of `decoded` after those of the ratios
_CUT = ("encoded", "filename", "branch", "part", "factor", "averaged")  # what a region has until it is decoded


def augmented(examples: Tensors, epoch: tf.Tensor, skeleton: Skeleton, parameters: InputParameters) -> Tensors:
    """Random regions of Examples (`records.parse_batch`), centred on one of their main persons, without pixels."""
    # Image ids are unique in a split, so (seed, epoch) and the id give each sample a seed of its own.
    of_epoch = tf.constant(parameters.seed, tf.int64) * 1_000_003 + epoch
    seed = tf.stack([tf.fill(tf.shape(examples["id"]), of_epoch), examples["id"]], 1)
    matrix, flip = augment.random_affine(
        examples["centre"],
        _sizes(examples, skeleton, parameters),
        examples["main"],
        _pictures(examples),
        parameters.size,
        seed,
        epoch,
        parameters.augment,
    )
    return _regions(examples, matrix, flip, skeleton, parameters)


def _sizes(examples: Tensors, skeleton: Skeleton, parameters: InputParameters) -> tf.Tensor:
    """float32 [B, P]: a person's height, or the longer side of another's box, in pixels.

    An animal without an extent, such as a single point, has the size that keeps the picture at the input's scale.
    """
    if skeleton.of_people:
        return examples["scale"] * schema.SCALE_UNIT
    longer = tf.reduce_max(examples["bbox"][..., 2:], -1)
    wanted = parameters.augment
    middle = wanted.target_height * (wanted.min_scale + wanted.max_scale) / 2
    return tf.where(longer >= 2, longer, middle * tf.cast(examples["height"][:, None], tf.float32))


def whole(examples: Tensors, skeleton: Skeleton, parameters: InputParameters) -> Tensors:
    """The regions of Examples (`records.parse_batch`) with their whole pictures, without pixels."""
    matrix = augment.fit_affine(_pictures(examples), parameters.size)
    return _regions(examples, matrix, tf.zeros_like(examples["id"], tf.bool), skeleton, parameters)


def _pictures(examples: Tensors) -> tf.Tensor:
    return tf.stack([examples["height"], examples["width"]], 1)


def _regions(
    examples: Tensors, matrix: tf.Tensor, flip: tf.Tensor, skeleton: Skeleton, parameters: InputParameters
) -> Tensors:
    """The regions of Examples for transforms from the pictures to the input, and what `decoded` needs of them."""
    picture, ratio = _pictures(examples), augment.averaged_pixels(matrix)
    window = augment.region(matrix, picture, parameters.size, ratio)
    keypoints, labelled = _parts(examples, skeleton)
    points = augment.warp_points(tf.reshape(keypoints, [tf.shape(matrix)[0], -1, 2]), matrix)
    keypoints = tf.reshape(points, tf.shape(keypoints))
    mirrored = flip[:, None, None]
    return {
        "back": tf.linalg.inv(augment.from_region(matrix, augment.place(window, ratio))),
        "matrix": matrix,
        "picture": picture,
        "mask_runs": examples["mask_runs"],
        "keypoints": tf.where(mirrored[..., None], tf.gather(keypoints, skeleton.flip_parts, axis=2), keypoints),
        "labelled": tf.where(mirrored, tf.gather(labelled, skeleton.flip_parts, axis=2), labelled),
        "id": examples["id"],
        "filename": examples["filename"],
        **_cuts(examples["encoded"], picture, window, ratio),
    }


def _cuts(encoded: tf.Tensor, picture: tf.Tensor, window: tf.Tensor, ratio: tf.Tensor) -> Tensors:
    """What to decode of JPEGs or PNGs for windows of them that are averaged over ratio × ratio pixels.

    JPEG's decoder averages up to 8 × 8 pixels itself, from the frequencies.

    Args:
        encoded: text [B], the image files.
        picture: [B, 2], their heights and widths.
        window: int32 [B, 4]: y, x, height and width, in averaged pixels.
        ratio: [B], powers of two.

    Returns:
        `encoded`, `branch` int32 [B] (of JPEG's ratios, or `_PNG`), `part` int32 [B, 4] (y, x, height and width of what
        is to decode), `factor` int32 [B] (what the decoder leaves to average) and `averaged` int32 [B, 2] (height and
        width after that).
    """
    is_jpeg = tf.io.is_jpeg(encoded)
    by_decoder = tf.where(is_jpeg, tf.minimum(ratio, JPEG_RATIOS[-1]), 1)
    factor = tf.cast(ratio // by_decoder, tf.int32)
    start, whole_size = window[:, :2] * factor[:, None], window[:, 2:] * factor[:, None]
    size = tf.cast(-(-picture // by_decoder[:, None]), tf.int32)
    halvings = tf.reduce_sum(tf.cast(by_decoder[:, None] >= JPEG_RATIOS[1:], tf.int32), 1)
    return {
        "encoded": encoded,
        "branch": tf.where(is_jpeg, halvings, _PNG),
        "part": tf.concat([start, tf.minimum(whole_size, size - start)], 1),
        "factor": factor,
        "averaged": window[:, 2:],
    }


def decoded(region: Tensors) -> Tensors:
    """One region with its pixels, instead of what they are decoded from."""
    rest = {name: value for name, value in region.items() if name not in _CUT}
    return rest | {"pixels": _pixels(*(region[name] for name in _CUT if name != "filename"))}


# Traced once in a process, not once for each data set.
@partial(tf.function, autograph=False)
def _pixels(
    encoded: tf.Tensor, branch: tf.Tensor, part: tf.Tensor, factor: tf.Tensor, averaged: tf.Tensor
) -> tf.Tensor:
    """Pixels uint8 [r, c, 3] of one of the `_cuts`."""

    def png() -> tf.Tensor:
        return tf.slice(tf.io.decode_png(encoded, channels=3), [part[0], part[1], 0], [part[2], part[3], 3])

    def means() -> tf.Tensor:
        # At the picture's edge there are fewer pixels to average: a fourth channel counts them.
        counted = tf.pad(tf.cast(pixels, tf.float32), [[0, 0], [0, 0], [0, 1]], constant_values=1.0)
        missing = averaged * factor - part[2:]
        filled = tf.pad(counted, [[0, missing[0]], [0, missing[1]], [0, 0]])
        sums = tf.reduce_sum(tf.reshape(filled, [averaged[0], factor, averaged[1], factor, 4]), [1, 3])
        return tf.cast(tf.round(sums[..., :3] / sums[..., 3:]), tf.uint8)

    jpeg = [partial(tf.io.decode_and_crop_jpeg, encoded, part, channels=3, ratio=each) for each in JPEG_RATIOS]
    pixels = tf.switch_case(branch, [*jpeg, png])
    return tf.ensure_shape(tf.cond(factor > 1, means, lambda: pixels), [None, None, 3])


def blank(region: Tensors) -> Tensors:
    """One region as if its picture, which cannot be decoded, were a grey pixel without people; its loss mask is 0."""
    nothing = {
        "pixels": tf.fill([1, 1, 3], GREY),
        "back": tf.eye(3),
        "matrix": tf.eye(3),
        "picture": tf.zeros([2], tf.int64),
        "labelled": tf.zeros_like(region["labelled"]),
    }
    if "mask" in region:
        nothing["mask"] = tf.zeros_like(region["mask"])
    return {name: value for name, value in region.items() if name not in _CUT} | nothing


def _parts(examples: Tensors, skeleton: Skeleton) -> tuple[tf.Tensor, tf.Tensor]:
    """The parts of all people, as `Skeleton.part_keypoints` computes them; no part of a crowd is labelled.

    Returns:
        Coordinates [B, P, K, 2] in the pictures' pixels, and bool [B, P, K].
    """
    seen = (examples["visibility"] >= 1) & ~examples["crowd"][..., None]
    source = tf.where(seen[..., None], examples["keypoints"], 0.0)
    keypoints = tf.einsum("ks,bpsc->bpkc", skeleton.source_weights, source)
    return keypoints, tf.reduce_all(seen[:, :, None] | (skeleton.source_weights == 0), -1)
