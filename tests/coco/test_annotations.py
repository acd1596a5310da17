"""Annotation files: what they may contain, and the message about each fault."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra.numpy import array_shapes, arrays
from pycocotools import mask as rle

from openpose.coco import index, segmentations
from openpose.errors import InputError
from openpose.skeleton import OPENPOSE18 as OPENPOSE
from tests import labelled
from tests.labelled import NAME


def document(**changes: Any) -> dict[str, Any]:
    """An annotation file of one person."""
    return labelled.document([labelled.person(**changes)])


def indexed(content: dict[str, Any] | str, folder: Path) -> dict[str, int]:
    """The counts of a document or text after it was indexed."""
    encoded = (content if isinstance(content, str) else json.dumps(content)).encode()
    described = index.index(lambda: io.BytesIO(encoded), NAME, folder, OPENPOSE, {"train": 1.0}, lambda name: 1)
    return described["train"].counts


def test_reads_people() -> None:
    picture = labelled.picture({})
    assert picture.file_name == "a.jpg"
    assert picture.keypoints[0, 3].tolist() == [13, 23]
    assert picture.main.tolist() == [True]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"images": [', "not valid JSON"),
        ("[]", "`categories` is missing; it must be a list"),
        ({"images": [], "annotations": []}, "`categories`"),
        (document() | {"annotations": 5}, "`annotations` must be a list of objects"),
        (document() | {"images": [1]}, "`images` must be a list of objects"),
        (
            document() | {"categories": [{"id": 1, "name": "person"}]},
            "no entry of `categories` has `keypoints`",
        ),
        (document() | {"categories": [{"id": 1, "keypoints": ["hand"]}]}, "needs .*left_ankle"),
        (document() | {"images": [], "annotations": []}, "at least one image"),
        (document(keypoints=[1, 2, 2]), "annotation 7 has 3 numbers; it must have 51"),
        (document(keypoints=5), "annotation 7 has 5; it must have 51"),
        (document(keypoints=[float("nan"), 1, 2] * 17), "annotation 7 must be finite"),
        (document(keypoints=[1e300, 1, 2] * 17), "annotation 7 must be finite"),
        (document(keypoints=["1", 1, 2] * 17), "annotation 7 must be finite"),
        (document(keypoints=[1, 1, 3] * 17), "v 0, 1 or 2"),
        (document(bbox=[1, 2, 3]), "`bbox` of annotation 7"),
        (document(bbox={"x": 1}), "`bbox` of annotation 7"),
        (document(bbox=[1, 2, 3, -4]), "`bbox` of annotation 7"),
        (document(area=-1), "`area` of annotation 7"),
        (document(image_id=99), "annotation 7 has image_id 99"),
        (document(id="x"), "`id` of an entry"),
        (document() | {"images": document()["images"] * 2}, "two images have the id 1"),
    ],
)
def test_bad_file_is_named_with_field_and_entry(tmp_path: Path, content: Any, message: str) -> None:
    with pytest.raises(InputError, match=message) as raised:
        indexed(content, tmp_path)
    assert str(raised.value).startswith(f"{NAME}: ")


def test_people_of_other_categories_are_ignored(tmp_path: Path) -> None:
    assert indexed(document(), tmp_path)["people_with_keypoints"] == 1
    others = document() | {"annotations": [labelled.person(), labelled.person(category_id=18, id=8)]}
    others["categories"].append({"id": 18, "name": "dog"})
    assert indexed(others, tmp_path)["people"] == 1


def test_main_persons_are_large_labelled_and_apart() -> None:
    few = [0] * 39 + [1, 1, 2] * 4
    picture = labelled.picture(
        {"bbox": [0, 0, 40, 50]},
        {"bbox": [4, 4, 40, 50]},  # nearer than 0.3 of the first one's box
        {"bbox": [40, 0, 40, 50], "keypoints": few},
        {"bbox": [40, 0, 40, 50], "area": 32**2 - 1},
        {"bbox": [40, 0, 40, 50], "iscrowd": 1},
        {"bbox": [40, 0, 40, 50]},
    )
    assert picture.main.tolist() == [True, False, False, False, False, True]


@pytest.mark.parametrize(
    ("segmentation", "message"),
    [
        ({"size": [10, 10], "counts": [100]}, r"its size is \[10, 10\], but the picture's is \[60, 80\]"),
        ({"size": [60, 80], "counts": [100]}, "add up to 100, but the picture has 4800 pixels"),
        ({"size": [60, 80], "counts": [4801, -1]}, "list of integers"),
        ({"size": [60, 80], "counts": ""}, "add up to 0"),
        ({"size": [60, 80], "counts": "garbage!"}, "contain 'r', which COCO's compressed form"),
        ({"size": [60, 80], "counts": "o"}, "cut off"),
        ({"counts": [4800]}, "its size is None, but the picture's is"),
        ([[1, 2, 3]], "polygons are lists"),
        ([[1, 2, 3, 4, 5, None]], "polygons are lists"),
    ],
)
def test_segmentation_that_cannot_be_read_is_named(segmentation: Any, message: str) -> None:
    with pytest.raises(InputError, match=f"`segmentation` of annotation 7 cannot be read: .*{message}"):
        labelled.picture({"id": 7, "iscrowd": 1, "segmentation": segmentation})


@given(arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=20)))
def test_compressed_runs_are_read_as_pycocotools_wrote_them(mask: np.ndarray) -> None:
    counts = rle.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"].decode()
    runs = segmentations._decompress(counts)
    decoded = np.repeat(np.arange(len(runs)) % 2, runs).reshape(mask.shape[::-1]).T
    np.testing.assert_array_equal(decoded, mask)


def test_counts_of_the_real_subset(shared: Path, tmp_path: Path) -> None:
    counts = indexed((shared / "coco/annotations/person_keypoints_val2017.json").read_text(), tmp_path)
    assert (counts["images"], counts["people_with_keypoints"], counts["crowds"]) == (200, 359, 8)
