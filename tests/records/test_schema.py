"""A picture as an Example and back."""

from pathlib import Path

import numpy as np
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from openpose.records import schema
from openpose.records.example import Example
from openpose.skeleton import OPENPOSE18 as OPENPOSE
from tests.records.written import encoded, split_of


def test_picture_comes_out_as_it_went_in(tmp_path: Path) -> None:
    (example,) = split_of(tmp_path, {"ä b/c.jpg": encoded()}).read(0, 1)
    picture = schema.to_picture(example, OPENPOSE)
    assert (picture.file_name, picture.width, picture.height) == ("ä b/c.jpg", 80, 60)
    assert picture.keypoints[0, 2].tolist() == [12, 22]
    assert picture.visibility[0].tolist() == [2] * 17
    assert schema.serialize(picture) == example


@given(st.binary(max_size=70_000))
def test_picture_head_is_what_protobuf_writes(encoded: bytes) -> None:
    assert schema.picture_head(len(encoded)) + encoded == schema.with_features({"image/encoded": encoded})


@given(st.binary(max_size=9), st.lists(st.integers(-(2**63), 2**63 - 1)), st.lists(st.floats(width=32)))
def test_features_are_what_tensorflow_writes(text: bytes, integers: list[int], numbers: list[float]) -> None:
    features = {
        "text": tf.train.Feature(bytes_list=tf.train.BytesList(value=[text])),
        "integers": tf.train.Feature(int64_list=tf.train.Int64List(value=integers)),
        "numbers": tf.train.Feature(float_list=tf.train.FloatList(value=numbers)),
    }
    theirs = tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString(deterministic=True)
    values = {"text": text, "integers": np.array(integers, np.int64), "numbers": np.array(numbers, np.float32)}
    assert schema.with_features(values) == theirs
    assert Example.FromString(theirs).SerializeToString(deterministic=True) == theirs
