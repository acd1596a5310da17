"""What goes into the records comes out again, whatever kind of image it is; damage is named."""

import io
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pycocotools import mask as rle

from openpose import skeleton
from openpose.coco import index
from openpose.errors import InputError
from openpose.records import read, schema
from openpose.records.example import Example
from openpose.records.loss_mask import mask_image
from openpose.records.manifest import RecordsManifest
from openpose.records.parameters import RecordParameters
from openpose.records.shards import merge, plan_shards
from openpose.records.write import write_shards
from tests import manifests

OPENPOSE = skeleton.get("openpose18")


def encoded(kind: str = "RGB", size: tuple[int, int] = (80, 60), form: str = "JPEG", orientation: int = 1) -> bytes:
    """A picture with a gradient, so that a turned one differs."""
    gradient = np.add.outer(np.arange(size[1]), np.arange(size[0]) * 2).astype(np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    Image.fromarray(gradient).convert(kind).save(buffer, form, exif=exif)
    return buffer.getvalue()


def split_of(tmp_path: Path, images: Mapping[str, bytes], **person: object) -> index.Split:
    """The index of a split with these pictures, one person in each."""
    labelled = {
        "category_id": 1,
        "keypoints": [value for k in range(17) for value in (10 + k, 20 + k, 2)],
        "bbox": [5, 5, 40, 50],
        "area": 1500,
        "iscrowd": 0,
        "segmentation": [[5, 5, 45, 5, 45, 55, 5, 55]],
    } | person
    document = {
        "images": [{"id": i, "file_name": name, "width": 80, "height": 60} for i, name in enumerate(images)],
        "annotations": [labelled | {"id": 100 + i, "image_id": i} for i in range(len(images))],
        "categories": [{"id": 1, "keypoints": list(OPENPOSE.source_parts)}],
    }
    content = json.dumps(document).encode()
    size = Memory(images).size
    index.index(lambda: io.BytesIO(content), "annotations.json", tmp_path, OPENPOSE, {"train": 1.0}, size)
    return index.Split(tmp_path / "train.examples", tmp_path / "train.npy")


class Memory:
    """Pictures that lie in memory in the order of their names."""

    def __init__(self, images: Mapping[str, bytes]) -> None:
        self._images = images

    def read(self, file_name: str) -> bytes:
        if file_name not in self._images:
            raise FileNotFoundError(file_name)
        return self._images[file_name]

    def size(self, file_name: str) -> int:
        return len(self._images.get(file_name, b""))

    def position(self, file_name: str) -> int:
        return sorted(self._images).index(file_name) if file_name in self._images else 0


def write(tmp_path: Path, images: dict[str, bytes], folder: str = "records", **person: object) -> RecordsManifest:
    parameters = RecordParameters(images_per_shard=2, max_bad_share=0.5)
    people = split_of(tmp_path, images, **person)
    shards = write_shards(people, Memory(images), tmp_path / folder, "train", parameters)
    return manifests.records(tmp_path / folder, "train", **merge(shards))


def test_round_trip(tmp_path: Path) -> None:
    images = {f"{name}.jpg": encoded() for name in "abcde"}
    manifest = write(tmp_path, images)
    assert sorted(shard.images for shard in manifest.shards) == [1, 2, 2]
    assert manifest.counts["samples"] == 5
    found = list(read.examples(manifest, OPENPOSE).as_numpy_iterator())
    assert sorted(example["filename"].decode() for example in found) == sorted(images)
    example = next(example for example in found if example["filename"] == b"c.jpg")
    assert example["encoded"] == images["c.jpg"]
    assert example["mask_runs"].tolist() == []
    assert example["main"].tolist() == [True]
    assert example["centre"].tolist() == [[24.5, 29.5]]
    np.testing.assert_allclose(example["scale"] * 368, [50])
    assert example["keypoints"][0, 2].tolist() == [12, 22]
    assert example["bbox"].tolist() == [[5, 5, 40, 50]]
    assert (example["width"], example["height"]) == (80, 60)


def test_mask_is_lossless(tmp_path: Path) -> None:
    triangle = [5, 5, 44, 9, 20, 55]
    manifest = write(tmp_path, {"a.jpg": encoded()}, keypoints=[0] * 51, segmentation=[triangle])
    (example,) = read.examples(manifest, OPENPOSE).as_numpy_iterator()
    expected = rle.decode(rle.merge(rle.frPyObjects([triangle], 60, 80))) == 0
    np.testing.assert_array_equal(mask_image(example["mask_runs"], 60, 80), expected)
    assert 0 < expected.mean() < 1


def test_picture_comes_out_as_it_went_in(tmp_path: Path) -> None:
    (example,) = split_of(tmp_path, {"ä b/c.jpg": encoded()}).read(0, 1)
    picture = schema.to_picture(example, OPENPOSE)
    assert (picture.file_name, picture.width, picture.height) == ("ä b/c.jpg", 80, 60)
    assert picture.keypoints[0, 2].tolist() == [12, 22]
    assert picture.visibility[0].tolist() == [2] * 17
    assert schema.serialize(picture) == example


@pytest.mark.parametrize(
    ("kind", "form"), [("L", "JPEG"), ("CMYK", "JPEG"), ("RGB", "PNG"), ("RGBA", "PNG"), ("P", "PNG")]
)
def test_other_kinds_of_images_work(tmp_path: Path, kind: str, form: str) -> None:
    image = encoded(kind, form=form)
    manifest = write(tmp_path, {"a.jpg": image})
    (example,) = read.examples(manifest, OPENPOSE).as_numpy_iterator()
    with Image.open(io.BytesIO(image)) as opened:
        expected = np.asarray(opened.convert("RGB"), int)
    difference = np.abs(tf.io.decode_jpeg(example["encoded"], channels=3).numpy() - expected)
    assert difference.mean() < 2


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


def test_image_turned_by_exif_is_upright_when_its_annotations_are(tmp_path: Path) -> None:
    turned = encoded(size=(60, 80), orientation=6)
    (example,) = read.examples(write(tmp_path, {"a.jpg": turned}), OPENPOSE).as_numpy_iterator()
    pixels = tf.io.decode_jpeg(example["encoded"], channels=3).numpy()
    with Image.open(io.BytesIO(turned)) as image:
        expected = np.asarray(image.convert("RGB").rotate(-90, expand=True), int)
    assert pixels.shape == (60, 80, 3)
    assert np.abs(pixels - expected).mean() < 2


def test_bad_images_are_left_out_and_named(tmp_path: Path) -> None:
    good = encoded()
    images = {"a.jpg": good, "b.jpg": good[: len(good) // 2], "c.jpg": good, "d.jpg": b"hello", "e.jpg": good}
    manifest = write(tmp_path, images)
    assert manifest.counts["images"] == 3
    reasons = {bad.file_name: bad.reason for bad in manifest.bad_images}
    assert set(reasons) == {"b.jpg", "d.jpg"}
    assert "truncated" in reasons["b.jpg"].lower()
    assert "not a JPEG or PNG" in reasons["d.jpg"]


def test_too_many_bad_images_are_an_error(tmp_path: Path) -> None:
    images = {"a.jpg": encoded(), "b.jpg": encoded(size=(81, 60)), "c.jpg": b""}
    with pytest.raises(InputError, match=r"of 3 images cannot be used, more than the 50% allowed.*81×60"):
        write(tmp_path, images)


def test_missing_image_is_named(tmp_path: Path) -> None:
    people = split_of(tmp_path, {"a.jpg": b""})
    with pytest.raises(InputError, match=r"a\.jpg: it is missing"):
        write_shards(people, Memory({}), tmp_path / "records", "val", RecordParameters())
    assert not list((tmp_path / "records").iterdir())


@pytest.mark.parametrize("parameters", [RecordParameters(images_per_shard=2), RecordParameters(shard_mb=0.003)])
def test_content_does_not_depend_on_the_number_of_workers(tmp_path: Path, parameters: RecordParameters) -> None:
    images = {f"{i}.jpg": encoded() for i in range(7)}
    people = split_of(tmp_path, images)
    one = write_shards(people, Memory(images), tmp_path / "one", "train", parameters)
    several = [
        shard
        for worker in range(3)
        for shard in write_shards(people, Memory(images), tmp_path / "several", "train", parameters, worker, workers=3)
    ]
    assert merge(one) == merge(several)
    assert len(one) >= 3


@given(
    sizes=st.lists(st.integers(0, 10**7), min_size=1, max_size=300),
    shard_mb=st.floats(0.01, 100),
    images_per_shard=st.integers(0, 50),
)
def test_shards_are_the_whole_split_in_order(sizes: list[int], shard_mb: float, images_per_shard: int) -> None:
    parameters = RecordParameters(shard_mb=shard_mb, images_per_shard=images_per_shard)
    planned = plan_shards("train", np.array(sizes, np.int64), parameters)
    assert [i for shard in planned for i in range(shard.start, shard.stop)] == list(range(len(sizes)))
    if images_per_shard:
        counts = [shard.stop - shard.start for shard in planned]
        assert max(counts) <= images_per_shard
        assert max(counts) - min(counts) <= 1
    else:
        size = [sum(sizes[shard.start : shard.stop]) for shard in planned]
        assert max(size) <= shard_mb * 1e6 + max(sizes) + 1
        assert min(shard.stop - shard.start for shard in planned) > 0


def test_finished_shards_are_not_made_again(tmp_path: Path) -> None:
    images = {f"{i}.jpg": encoded() for i in range(5)}
    manifest = write(tmp_path, images)
    shard = tmp_path / "records" / manifest.shards[1].name
    untouched = shard.with_name(manifest.shards[0].name).stat().st_mtime_ns
    shard.unlink()
    assert write(tmp_path, images) == manifest
    assert shard.with_name(manifest.shards[0].name).stat().st_mtime_ns == untouched


def test_damaged_shard_is_named(tmp_path: Path) -> None:
    manifest = write(tmp_path, {"a.jpg": encoded()})
    shard = tmp_path / "records" / manifest.shards[0].name
    shard.write_bytes(shard.read_bytes()[:-1])
    with pytest.raises(InputError, match=rf"{shard.name}: it has .* bytes instead of"):
        read.examples(manifest, OPENPOSE)


def test_ground_truth_is_what_pycocotools_expects(tmp_path: Path) -> None:
    truth = read.ground_truth(write(tmp_path, {"a.jpg": encoded()}), OPENPOSE)
    assert truth["annotations"][0]["num_keypoints"] == 17
    assert truth["annotations"][0]["keypoints"][:6] == [10, 20, 2, 11, 21, 2]
    assert truth["categories"][0]["skeleton"][0] == [16, 14]
