"""What a record holds: one Example per image with its people, its loss mask and, on request, dense targets.

Feature names follow the TensorFlow object detection API. P people with S keypoints; coordinates are pixels of the
upright image, where an integer is the centre of a pixel.

| feature | dtype, shape | what |
|---|---|---|
| image/encoded | bytes | the image file (JPEG or PNG) |
| image/filename | bytes | the file's name in the split |
| image/source_id | int64 | the image's id |
| image/height, image/width | int64 | pixels |
| image/loss_mask/runs | int64 [R] | run lengths of 1 (the loss counts), 0, 1, … down the columns; empty: 1 everywhere |
| image/object/id | int64 [P] | annotation ids |
| image/object/bbox | float32 [4 P] | x, y, width, height, pixels |
| image/object/area | float32 [P] | pixels² |
| image/object/is_crowd | int64 [P] | 1: a region of people who are not labelled one by one |
| image/object/is_main | int64 [P] | 1: a training sample may be centred on this person |
| image/object/centre | float32 [2 P] | x, y of the box's centre (`objpos` in Caffe-based tools) |
| image/object/scale | float32 [P] | height of the box in units of 368 pixels (their `scale_provided`) |
| image/object/keypoint/xy | float32 [2 S P] | x, y of each person's keypoints |
| image/object/keypoint/visibility | int64 [S P] | COCO's v: 0 not labelled, 1 labelled but hidden, 2 visible |
| image/targets/size | int64 [2] | height, width of the network's input; only with dense targets, as the next two |
| image/targets/maps | bytes | zlib of float32 [h, w, maps]: heatmap, then vectmap, of the whole image |
| image/targets/mask | bytes | zlib of uint8 [h, w]: the loss mask at the cells |
"""

import zlib
from collections import Counter
from typing import Any

import numpy as np

from openpose.records.example import BytesList, Example, Feature, Features, FloatList, Int64List
from openpose.records.loss_mask import loss_mask
from openpose.records.picture import Picture, count_image
from openpose.skeleton import Skeleton

SCALE_UNIT = 368  # pixels of `image/object/scale`, the input height of the published networks


def serialize(picture: Picture) -> bytes:
    """The bytes of a picture's Example, without `image/encoded`.

    Raises:
        InputError: a segmentation does not fit its picture.
    """
    corner, size = picture.bbox[:, :2], picture.bbox[:, 2:]
    return with_features(
        {
            "image/filename": picture.file_name.encode(),
            "image/source_id": picture.id,
            "image/height": picture.height,
            "image/width": picture.width,
            "image/loss_mask/runs": loss_mask(picture),
            "image/object/id": picture.ids,
            "image/object/bbox": picture.bbox,
            "image/object/area": picture.area,
            "image/object/is_crowd": picture.crowd,
            "image/object/is_main": picture.main,
            "image/object/centre": corner + size / 2 - 0.5,  # a box's corner is on a pixel's edge
            "image/object/scale": size[:, 1] / SCALE_UNIT,
            "image/object/keypoint/xy": picture.keypoints,
            "image/object/keypoint/visibility": picture.visibility,
        }
    )


def with_features(values: dict[str, Any]) -> bytes:
    """The bytes of an Example with these features. Concatenated, such bytes are one Example with all features."""
    features = {name: _feature(value) for name, value in values.items()}
    return Example(features=Features(feature=features)).SerializeToString(deterministic=True)


def picture_head(length: int) -> bytes:
    """The bytes that precede a picture of this length in `with_features({"image/encoded": picture})`.

    The fields are defined in tensorflow/core/example/*.proto: Example, Features, map entry, Feature, BytesList.
    """
    name = b"\x0a\x0dimage/encoded"
    head = b""
    for outer in (b"\x0a", b"\x0a", b"\x12", b"\x0a", b"\x0a"):  # from the innermost field to the outermost
        head = outer + _varint(len(head) + length) + head
        if outer == b"\x12":  # the map entry's value, which follows its key
            head = name + head
    return head


def _varint(value: int) -> bytes:
    content = bytearray()
    while value > 127:
        content.append(value & 127 | 128)
        value >>= 7
    content.append(value)
    return bytes(content)


def _feature(value: Any) -> Any:
    if isinstance(value, bytes):
        return Feature(bytes_list=BytesList(value=[value]))
    array = np.atleast_1d(value).ravel()
    if array.dtype.kind == "f":
        return Feature(float_list=FloatList(value=array.tolist()))
    return Feature(int64_list=Int64List(value=array.astype(np.int64).tolist()))


def dense_features(maps: np.ndarray, mask: np.ndarray, size: tuple[int, int]) -> bytes:
    """The bytes of an Example with dense targets.

    Args:
        maps: float32 [h, w, maps].
        mask: [h, w], 0 or 1.
        size: (height, width) of the network's input.
    """
    return with_features(
        {
            "image/targets/size": np.array(size),
            "image/targets/maps": zlib.compress(np.ascontiguousarray(maps, np.float32).tobytes()),
            "image/targets/mask": zlib.compress(np.ascontiguousarray(mask, np.uint8).tobytes()),
        }
    )


def to_picture(serialized: bytes, skeleton: Skeleton) -> Picture:
    """The picture of an Example, with or without `image/encoded`; its segmentations are None."""
    feature = Example.FromString(serialized).features.feature
    people = len(feature["image/object/id"].int64_list.value)
    parts = len(skeleton.source_parts)
    return Picture(
        id=feature["image/source_id"].int64_list.value[0],
        file_name=feature["image/filename"].bytes_list.value[0].decode(),
        width=feature["image/width"].int64_list.value[0],
        height=feature["image/height"].int64_list.value[0],
        ids=_ints(feature, "image/object/id"),
        keypoints=_floats(feature, "image/object/keypoint/xy").reshape(people, parts, 2),
        visibility=_ints(feature, "image/object/keypoint/visibility").astype(np.uint8).reshape(people, parts),
        bbox=_floats(feature, "image/object/bbox").reshape(people, 4),
        area=_floats(feature, "image/object/area"),
        crowd=_ints(feature, "image/object/is_crowd").astype(bool),
        main=_ints(feature, "image/object/is_main").astype(bool),
        segmentations=(None,) * people,
    )


def _ints(feature: Any, name: str) -> np.ndarray:
    return np.array(feature[name].int64_list.value, np.int64)


def _floats(feature: Any, name: str) -> np.ndarray:
    return np.array(feature[name].float_list.value, np.float32)


def count_people(image: Any) -> Counter[str]:
    """The counts of an Example's image, as `count_image` names them."""
    crowd, main, visibility = (
        list(image.features.feature[f"image/object/{name}"].int64_list.value)
        for name in ("is_crowd", "is_main", "keypoint/visibility")
    )
    parts = len(visibility) // max(1, len(crowd))
    labelled = [any(visibility[n * parts : (n + 1) * parts]) and not crowd[n] for n in range(len(crowd))]
    return count_image(crowd, labelled, main)
