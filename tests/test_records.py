"""What goes into the records comes out again, whatever kind of image it is; damage is named."""

import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from openpose import coco, records, skeleton
from openpose.errors import InputError
from openpose.records import RecordParameters

OPENPOSE = skeleton.get("openpose18")


def encoded(kind: str = "RGB", size: tuple[int, int] = (80, 60), form: str = "JPEG", orientation: int = 1) -> bytes:
    """A picture with a gradient, so that a turned one differs."""
    gradient = np.add.outer(np.arange(size[1]), np.arange(size[0]) * 2).astype(np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    Image.fromarray(gradient).convert(kind).save(buffer, form, exif=exif)
    return buffer.getvalue()


def annotations(tmp_path: Path, names: list[str], **person: object) -> coco.Annotations:
    labelled = {
        "category_id": 1,
        "keypoints": [value for k in range(17) for value in (10 + k, 20 + k, 2)],
        "bbox": [5, 5, 40, 50],
        "area": 1500,
        "iscrowd": 0,
        "segmentation": [[5, 5, 45, 5, 45, 55, 5, 55]],
    } | person
    document = {
        "images": [{"id": i, "file_name": name, "width": 80, "height": 60} for i, name in enumerate(names)],
        "annotations": [labelled | {"id": 100 + i, "image_id": i} for i in range(len(names))],
        "categories": [{"id": 1, "keypoints": list(OPENPOSE.source_parts)}],
    }
    path = tmp_path / "annotations.json"
    path.write_text(json.dumps(document))
    return coco.load(path, OPENPOSE)


def reader(images: dict[str, bytes]) -> Callable[[str], bytes]:
    def read(name: str) -> bytes:
        if name not in images:
            raise FileNotFoundError(name)
        return images[name]

    return read


def write(tmp_path: Path, images: dict[str, bytes], folder: str = "records", **person: object) -> dict:
    split = annotations(tmp_path, list(images), **person)
    parameters = RecordParameters(images_per_shard=2, max_bad_share=0.5)
    shards = records.write_shards(split, reader(images), tmp_path / folder, "train", parameters)
    return {"folder": str(tmp_path / folder), **records.merge(shards)}


def test_round_trip(tmp_path: Path) -> None:
    images = {f"{name}.jpg": encoded() for name in "abcde"}
    manifest = write(tmp_path, images)
    assert [shard["images"] for shard in manifest["shards"]] == [2, 2, 1]
    assert manifest["counts"]["samples"] == 5
    read = list(records.examples(manifest, OPENPOSE).as_numpy_iterator())
    assert sorted(example["filename"].decode() for example in read) == sorted(images)
    example = read[0]
    assert example["encoded"] == images["a.jpg"]
    assert example["loss_mask"] == b""
    assert example["keypoints"][0, 2].tolist() == [12, 22]
    assert example["bbox"].tolist() == [[5, 5, 40, 50]]
    assert (example["width"], example["height"]) == (80, 60)


def test_mask_is_lossless(tmp_path: Path) -> None:
    split = annotations(tmp_path, ["a.jpg"], keypoints=[0] * 51, segmentation=[[5, 5, 44, 9, 20, 55]])
    example = records.parse(records.serialize(split.pictures[0], encoded()), OPENPOSE)
    decoded = tf.io.decode_png(example["loss_mask"], channels=1)[..., 0] > 0
    np.testing.assert_array_equal(decoded, coco.loss_mask(split.pictures[0]) == 1)
    assert 0 < decoded.numpy().mean() < 1


@pytest.mark.parametrize(
    ("kind", "form"), [("L", "JPEG"), ("CMYK", "JPEG"), ("RGB", "PNG"), ("RGBA", "PNG"), ("P", "PNG")]
)
def test_other_kinds_of_images_work(tmp_path: Path, kind: str, form: str) -> None:
    image = encoded(kind, form=form)
    manifest = write(tmp_path, {"a.jpg": image})
    (example,) = records.examples(manifest, OPENPOSE).as_numpy_iterator()
    with Image.open(io.BytesIO(image)) as opened:
        expected = np.asarray(opened.convert("RGB"), int)
    difference = np.abs(tf.io.decode_jpeg(example["encoded"], channels=3).numpy() - expected)
    assert difference.mean() < 2


def test_image_turned_by_exif_is_upright_when_its_annotations_are(tmp_path: Path) -> None:
    turned = encoded(size=(60, 80), orientation=6)
    (example,) = records.examples(write(tmp_path, {"a.jpg": turned}), OPENPOSE).as_numpy_iterator()
    pixels = tf.io.decode_jpeg(example["encoded"], channels=3).numpy()
    with Image.open(io.BytesIO(turned)) as image:
        expected = np.asarray(image.convert("RGB").rotate(-90, expand=True), int)
    assert pixels.shape == (60, 80, 3)
    assert np.abs(pixels - expected).mean() < 2


def test_bad_images_are_left_out_and_named(tmp_path: Path) -> None:
    good = encoded()
    images = {"a.jpg": good, "b.jpg": good[: len(good) // 2], "c.jpg": good, "d.jpg": b"hello", "e.jpg": good}
    manifest = write(tmp_path, images)
    assert manifest["counts"]["images"] == 3
    reasons = {bad["file_name"]: bad["reason"] for bad in manifest["bad_images"]}
    assert set(reasons) == {"b.jpg", "d.jpg"}
    assert "truncated" in reasons["b.jpg"].lower()
    assert "not a JPEG or PNG" in reasons["d.jpg"]


def test_too_many_bad_images_are_an_error(tmp_path: Path) -> None:
    images = {"a.jpg": encoded(), "b.jpg": encoded(size=(81, 60)), "c.jpg": b""}
    with pytest.raises(InputError, match=r"of 3 images cannot be used, more than the 50% allowed.*81×60"):
        write(tmp_path, images)


def test_missing_image_is_named(tmp_path: Path) -> None:
    split = annotations(tmp_path, ["a.jpg"])
    with pytest.raises(InputError, match=r"a\.jpg: it is missing"):
        records.write_shards(split, reader({}), tmp_path / "records", "val", RecordParameters())
    assert not list((tmp_path / "records").glob("*.tfrecord"))


def test_content_does_not_depend_on_the_number_of_workers(tmp_path: Path) -> None:
    split = annotations(tmp_path, [f"{i}.jpg" for i in range(7)])
    parameters = RecordParameters(images_per_shard=2)
    one = records.write_shards(split, lambda name: encoded(), tmp_path / "one", "train", parameters)
    several = [
        shard
        for worker in range(3)
        for shard in records.write_shards(
            split, lambda name: encoded(), tmp_path / "several", "train", parameters, worker, workers=3
        )
    ]
    assert records.merge(one) == records.merge(several)


def test_finished_shards_are_not_made_again(tmp_path: Path) -> None:
    images = {f"{i}.jpg": encoded() for i in range(5)}
    manifest = write(tmp_path, images)
    shard = tmp_path / "records" / manifest["shards"][1]["name"]
    untouched = shard.with_name(manifest["shards"][0]["name"]).stat().st_mtime_ns
    shard.unlink()
    assert write(tmp_path, images) == manifest
    assert shard.with_name(manifest["shards"][0]["name"]).stat().st_mtime_ns == untouched


def test_damaged_shard_is_named(tmp_path: Path) -> None:
    manifest = write(tmp_path, {"a.jpg": encoded()})
    shard = tmp_path / "records" / manifest["shards"][0]["name"]
    shard.write_bytes(shard.read_bytes()[:-1])
    with pytest.raises(InputError, match=rf"{shard.name}: it has .* bytes instead of"):
        records.examples(manifest, OPENPOSE)


def test_ground_truth_is_what_pycocotools_expects(tmp_path: Path) -> None:
    truth = records.ground_truth(write(tmp_path, {"a.jpg": encoded()}), OPENPOSE)
    assert truth["annotations"][0]["num_keypoints"] == 17
    assert truth["annotations"][0]["keypoints"][:6] == [10, 20, 2, 11, 21, 2]
    assert truth["categories"][0]["skeleton"][0] == [16, 14]
