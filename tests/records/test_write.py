"""What is written: any kind of image; bad ones are left out and named; the same bytes by any number of workers."""

import io
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from openpose.errors import InputError
from openpose.records import jpeg, read
from openpose.records.parameters import RecordParameters
from openpose.records.shards import merge
from openpose.records.write import write_shards
from openpose.skeleton import OPENPOSE18 as OPENPOSE
from tests.records.written import Memory, encoded, split_of, write


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


@pytest.mark.parametrize(
    ("name", "mode"), [("a.png", "I;16"), ("a.tif", "I;16"), ("a.tif", "RGB"), ("a.bmp", "L"), ("a.webp", "RGB")]
)
def test_16_bit_pixels_and_other_formats_become_png(tmp_path: Path, name: str, mode: str) -> None:
    grey = np.random.default_rng(0).integers(0, 256, (60, 80), np.uint8)
    grey[0, 0] = 255
    picture = Image.fromarray(grey.astype(np.uint16) << 4) if mode == "I;16" else Image.fromarray(grey).convert(mode)
    buffer = io.BytesIO()
    picture.save(buffer, {".tif": "TIFF"}.get(name[1:], name[2:].upper()), lossless=True)
    (example,) = read.examples(write(tmp_path, {name: buffer.getvalue()}), OPENPOSE).as_numpy_iterator()
    pixels = tf.io.decode_image(example["encoded"], channels=3).numpy()
    np.testing.assert_array_equal(pixels, np.repeat(grey[..., None], 3, -1))


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
    assert "not a JPEG, PNG, TIFF" in reasons["d.jpg"]


def test_after_one_cut_jpeg_all_others_are_found(tmp_path: Path) -> None:
    good = encoded()
    cuts = [good[:-size] + b"\xff\xd9" for size in range(100, 400)]
    odd = next(cut for cut in cuts if jpeg.is_cut(cut))
    fair = next(cut for cut in cuts if not jpeg.is_cut(cut))
    images = {"a.jpg": odd, "b.jpg": good, "c.jpg": fair}
    parameters = RecordParameters(max_bad_share=0.9)
    (shard,) = write_shards(split_of(tmp_path, images), Memory(images), tmp_path / "records", "train", parameters)
    assert [bad.file_name for bad in shard.bad_images] == ["a.jpg", "c.jpg"]
    assert all("end too early" in bad.reason for bad in shard.bad_images)


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


def test_finished_shards_are_not_made_again(tmp_path: Path) -> None:
    images = {f"{i}.jpg": encoded() for i in range(5)}
    manifest = write(tmp_path, images)
    shard = tmp_path / "records" / manifest.shards[1].name
    untouched = shard.with_name(manifest.shards[0].name).stat().st_mtime_ns
    shard.unlink()
    assert write(tmp_path, images) == manifest
    assert shard.with_name(manifest.shards[0].name).stat().st_mtime_ns == untouched
