"""What a user's annotation file may be, and what is said of one that cannot be used."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from openpose import coco, skeleton
from openpose.errors import InputError

OPENPOSE = skeleton.get("openpose18")


def document(**changes: Any) -> dict[str, Any]:
    """One picture of 80×60 with one person whose 17 keypoints are all labelled."""
    person = {
        "id": 7,
        "image_id": 1,
        "category_id": 1,
        "keypoints": [value for k in range(17) for value in (10 + k, 20 + k, 2)],
        "num_keypoints": 17,
        "bbox": [5, 5, 40, 50],
        "area": 1500,
        "iscrowd": 0,
        "segmentation": [[5, 5, 45, 5, 45, 55, 5, 55]],
    } | changes
    return {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 80, "height": 60}],
        "annotations": [person],
        "categories": [{"id": 1, "name": "person", "keypoints": list(OPENPOSE.source_parts), "skeleton": []}],
    }


@pytest.fixture
def load(tmp_path: Path) -> Callable[[Any], coco.Annotations]:
    def write_and_load(content: Any) -> coco.Annotations:
        path = tmp_path / "person_keypoints_train2017.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return coco.load(path, OPENPOSE)

    return write_and_load


Load = Callable[[Any], coco.Annotations]


def test_reads_people(load: Load) -> None:
    (picture,) = load(document()).pictures
    assert picture.file_name == "a.jpg"
    assert picture.keypoints[0, 3].tolist() == [13, 23]
    assert picture.main.tolist() == [True]
    assert load(document()).counts()["people_with_keypoints"] == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"images": [', "not valid JSON"),
        ("[]", "JSON object"),
        ({"images": [], "annotations": []}, "`categories`"),
        (
            document() | {"categories": [{"id": 1, "name": "person"}]},
            "no entry of `categories` has `keypoints`",
        ),
        (document() | {"categories": [{"id": 1, "keypoints": ["hand"]}]}, "needs .*left_ankle"),
        (document() | {"images": [], "annotations": []}, "at least one image"),
        (document(keypoints=[1, 2, 2]), "annotation 7 has 3 numbers; it must have 51"),
        (document(keypoints=[float("nan"), 1, 2] * 17), "annotation 7 must be finite"),
        (document(keypoints=[1, 1, 3] * 17), "v 0, 1 or 2"),
        (document(bbox=[1, 2, 3]), "`bbox` of annotation 7"),
        (document(area=float("inf")), "`area` of annotation 7"),
        (document(image_id=99), "annotation 7 has image_id 99"),
        (document() | {"images": document()["images"] * 2}, "two images have the id 1"),
    ],
)
def test_bad_file_is_named_with_field_and_entry(load: Load, content: Any, message: str) -> None:
    with pytest.raises(InputError, match=message) as raised:
        load(content)
    assert "person_keypoints_train2017.json" in str(raised.value)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.json: no such annotation file"):
        coco.load(tmp_path / "nowhere.json", OPENPOSE)


def test_people_of_other_categories_are_not_ours(load: Load) -> None:
    (picture,) = load(document(category_id=18)).pictures
    assert len(picture.ids) == 0


def people(*persons: dict[str, Any]) -> dict[str, Any]:
    whole = document()
    whole["annotations"] = [document(**changes)["annotations"][0] | {"id": i} for i, changes in enumerate(persons)]
    return whole


def test_main_persons_are_large_labelled_and_apart(load: Load) -> None:
    few = [0] * 39 + [1, 1, 2] * 4
    (picture,) = load(
        people(
            {"bbox": [0, 0, 40, 50]},
            {"bbox": [4, 4, 40, 50]},  # nearer than 0.3 of the first one's box
            {"bbox": [40, 0, 40, 50], "keypoints": few},
            {"bbox": [40, 0, 40, 50], "area": 32**2 - 1},
            {"bbox": [40, 0, 40, 50], "iscrowd": 1},
            {"bbox": [40, 0, 40, 50]},
        )
    ).pictures
    assert picture.main.tolist() == [True, False, False, False, False, True]


def test_mask_leaves_out_crowds_and_unlabelled_people_but_not_labelled_ones(load: Load) -> None:
    square = {"size": [60, 80], "counts": [0, 60 * 20, 60 * 60]}  # the first 20 columns
    (picture,) = load(
        people(
            {"iscrowd": 1, "segmentation": square, "keypoints": [0] * 51},
            {
                "keypoints": [0] * 51,
                "segmentation": [[40, 0, 50, 0, 50, 60, 40, 60], [60, 0, 70, 0, 70, 60, 60, 60]],
            },
            {"segmentation": [[10, 0, 45, 0, 45, 60, 10, 60]]},
        )
    ).pictures
    expected = np.ones(80, np.uint8)
    expected[:10] = 0  # the crowd, minus the labelled person
    expected[45:50] = 0  # the first polygon of the unlabelled one, minus the labelled person
    expected[60:70] = 0  # its second polygon
    np.testing.assert_array_equal(coco.loss_mask(picture), np.tile(expected, (60, 1)))


def test_person_without_polygon_is_masked_by_box(load: Load) -> None:
    (picture,) = load(people({"keypoints": [0] * 51, "segmentation": [], "bbox": [10, 20, 5, 6]})).pictures
    mask = coco.loss_mask(picture)
    assert mask[20:26, 10:15].max() == 0
    assert (mask == 0).sum() == 30


def test_segmentation_of_another_size_is_named(load: Load) -> None:
    wrong = {"size": [10, 10], "counts": [100]}
    (picture,) = load(people({"iscrowd": 1, "segmentation": wrong})).pictures
    with pytest.raises(InputError, match=r"a\.jpg: `segmentation` of annotation 0"):
        coco.loss_mask(picture)


def test_counts_of_the_real_subset(shared: Path) -> None:
    counts = coco.load(shared / "coco/annotations/person_keypoints_val2017.json", OPENPOSE).counts()
    assert (counts["images"], counts["people_with_keypoints"], counts["crowds"]) == (200, 359, 8)
