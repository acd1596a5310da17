"""Every annotation is used or counted under a reason, and what cannot be meant is an error with the cure."""

import io
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from openpose.coco import fates, segmentations
from openpose.coco import index as coco_index
from openpose.coco.fates import Correction, Fate, NotMain, Tally
from openpose.errors import InputError
from openpose.records import schema
from openpose.records.picture import Picture
from openpose.skeleton import OPENPOSE18
from tests import labelled

HANDS = {"id": 2, "name": "hand", "keypoints": ["thumb"]}


def read(*people: dict[str, Any], **document: Any) -> tuple[list[Picture], Tally]:
    """The pictures of a document, and what became of its people; each is given by what differs from a person."""
    content = labelled.document([labelled.person(**({"id": n} | each)) for n, each in enumerate(people)]) | document
    encoded = json.dumps(content).encode()
    folder = Path(tempfile.mkdtemp())
    described = coco_index.index(
        lambda: io.BytesIO(encoded), labelled.NAME, folder, OPENPOSE18, {"train": 1.0}, len, measure=lambda _: (80, 60)
    )["train"]
    opened = coco_index.Split(folder / described.people, folder / described.index)
    assert sum(described.tally.fates.values()) == len(content["annotations"])
    pictures = [schema.to_picture(example, OPENPOSE18) for example in opened.read(0, len(opened))]
    return pictures, described.tally


def categories(*others: dict[str, Any], **changes: Any) -> list[dict[str, Any]]:
    return [labelled.document([])["categories"][0] | changes, *others]


@pytest.mark.parametrize("value", [1, 1.0, "1", " 1 ", None])
def test_category_id_in_any_form(value: Any) -> None:
    _, tally = read({"category_id": value}, {})
    assert tally.fates == {Fate.LABELLED: 2}


def test_category_with_a_text_as_id() -> None:
    assert read({}, categories=categories(id="1"))[1].fates == {Fate.LABELLED: 1}
    named = read({"category_id": "person"}, categories=categories(id="person"))
    assert named[1].fates == {Fate.LABELLED: 1}


@pytest.mark.parametrize("value", [0, 7, "people", True, [1], {"id": 1}, 1.5])
def test_unknown_category_is_an_error_that_names_the_annotation(value: Any) -> None:
    with pytest.raises(InputError, match=r"`category_id` of annotation 1 is .*, which is none of `categories`"):
        read({}, {"category_id": value})


def test_other_categories_are_counted_whatever_they_hold() -> None:
    people: list[dict[str, Any]] = [
        {},
        {"category_id": 3},
        {"category_id": 3, "image_id": None, "bbox": "?"},
        {"category_id": 3, "image_id": 9},
    ]
    pictures, tally = read(*people, categories=categories({"id": 3, "name": "dog"}))
    assert tally.fates == {Fate.LABELLED: 1, Fate.OTHER: 3}
    assert len(pictures[0].ids) == 1


@pytest.mark.parametrize("name", ["people", "pedestrian", "man"])
def test_people_of_another_category_are_no_background(name: str) -> None:
    (picture,), tally = read({}, {"category_id": 3}, categories=categories({"id": 3, "name": name}))
    assert tally.fates == {Fate.LABELLED: 1, Fate.SAME_KIND: 1}
    assert picture.labelled.tolist() == [True, False]


def test_of_several_categories_with_keypoints_the_others_are_counted() -> None:
    _, tally = read({}, {"category_id": 2, "keypoints": [1, 1, 2]}, categories=categories(HANDS))
    assert tally.fates == {Fate.LABELLED: 1, Fate.OTHER: 1}
    with pytest.raises(InputError, match="annotation 0 is None, which is none of"):
        read({"category_id": None}, categories=categories(HANDS))


@pytest.mark.parametrize(
    ("value", "crowd"),
    [(0, False), (None, False), ("0", False), ("false", False), (1.0, True), ("1", True), (True, True)],
)
def test_iscrowd_in_any_form(value: Any, crowd: bool) -> None:
    (picture,), tally = read({"iscrowd": value})
    assert picture.crowd.tolist() == [crowd]
    assert tally.fates == {Fate.LABELLED_CROWD if crowd else Fate.LABELLED: 1}


@pytest.mark.parametrize("value", ["maybe", 2, [0]])
def test_iscrowd_that_cannot_be_meant(value: Any) -> None:
    with pytest.raises(InputError, match="`iscrowd` of annotation 0 must be 0 or 1"):
        read({"iscrowd": value})


@pytest.mark.parametrize("area", [0, 1, None, float("nan")])
def test_area_of_the_box_where_it_has_none(area: Any) -> None:
    (picture,), tally = read({"area": area})
    assert picture.area.tolist() == [40 * 50]
    assert picture.main.tolist() == [True]
    assert tally.corrections == {Correction.AREA if area in (0, 1) else Correction.NO_AREA: 1}


@pytest.mark.parametrize(
    ("segmentation", "area"),
    [
        (None, 2000),
        ([[5, 5, 45, 5, 45, 25]], 400),
        ([[5, 5, 45, 5, 45, 25], [5, 5, 15, 5, 15, 15]], 450),
        ({"size": [60, 80], "counts": [100, 300, 4400]}, 300),
        ([[5, 5, 5, 5, 5, 5]], 2000),
    ],
)
def test_area_of_the_segmentation_where_there_is_one(segmentation: Any, area: float) -> None:
    (picture,), _ = read({"area": 0, "segmentation": segmentation})
    assert picture.area.tolist() == [area]


def test_areas_of_real_polygons_are_cocos(shared: Path) -> None:
    people = json.loads((shared / "coco/annotations/person_keypoints_val2017.json").read_text())["annotations"]
    polygons = [entry for entry in people if isinstance(entry["segmentation"], list)]
    errors = [abs(segmentations.area(entry["segmentation"]) / entry["area"] - 1) for entry in polygons]
    assert np.median(errors) < 1e-4


@pytest.mark.parametrize("box", [None, []])
def test_missing_box_is_made_of_the_keypoints(box: Any) -> None:
    (picture,), tally = read({"bbox": box, "area": None, "segmentation": None})
    xy = picture.keypoints[0]
    low, size = picture.bbox[0, :2], picture.bbox[0, 2:]
    assert ((xy > low) & (xy < low + size)).all()
    assert picture.area[0] == pytest.approx(size.prod())
    assert tally.corrections == {Correction.NO_BOX: 1, Correction.NO_AREA: 1}


def test_box_that_does_not_hold_its_keypoints() -> None:
    keypoints = [value for k in range(17) for value in (60 + k / 2, 40 + k / 2, 2)]
    (picture,), tally = read({"bbox": [0, 0, 10, 10], "area": 100, "keypoints": keypoints, "segmentation": None})
    assert picture.bbox[0, 0] > 50
    assert picture.area[0] > 150
    assert tally.corrections == {Correction.MISFIT: 1}
    (picture,), tally = read({"bbox": [0, 0, 0, 0], "area": 0})
    assert tally.corrections == {Correction.MISFIT: 1, Correction.AREA: 1}


def test_boxes_as_corners() -> None:
    def shifted(x: int, y: int) -> list[float]:
        return [value for k in range(17) for value in (x + k, y + k, 2)]

    corners = [
        {"bbox": [50, 20, 76, 46], "area": 26 * 26, "keypoints": shifted(55, 25)},
        {"bbox": [20, 10, 50, 40], "area": 900, "keypoints": shifted(25, 15)},
    ]
    (picture,), tally = read(*corners)
    assert picture.bbox.tolist() == [[50, 20, 26, 26], [20, 10, 30, 30]]
    assert tally.corrections == {Correction.CORNERS: 2}
    plain = [each | {"bbox": [*each["bbox"][:2], 25, 25]} for each in corners]  # type: ignore[index]
    assert read(*plain)[1].corrections == {}


def test_box_that_leaves_the_picture_is_counted() -> None:
    (picture,), tally = read({"bbox": [5, 5, 400, 50], "area": 1500})
    assert picture.bbox[0, 2] == 400
    assert tally.corrections == {Correction.OUTSIDE: 1}


def test_coordinates_as_shares_of_the_picture() -> None:
    with pytest.raises(InputError, match=r"annotation 0 are between 0 and 1.*multiply each x by `width`.*80 and 60"):
        read({"keypoints": [value for k in range(17) for value in (k / 20, k / 30, 2)]})


def test_v_0_beside_coordinates_and_nothing_at_all() -> None:
    hidden = [value for k in range(17) for value in (10 + k, 20, 0)]
    nothing: dict[str, Any] = {"keypoints": [], "bbox": None, "segmentation": {}, "area": 0}
    pictures, tally = read({"keypoints": hidden}, {"keypoints": None}, nothing, {"iscrowd": 1, "keypoints": []})
    assert tally.fates == {Fate.ALL_V_0: 1, Fate.UNLABELLED: 1, Fate.EMPTY: 1, Fate.CROWD: 1}
    assert len(pictures[0].ids) == 3


def test_labelled_people_without_a_sample_are_counted() -> None:
    few = [0] * 39 + [1, 1, 2] * 4
    (picture,), tally = read({}, {"keypoints": few}, {"area": 100}, {"bbox": [6, 6, 40, 50]})
    assert picture.main.tolist() == [True, False, False, False]
    assert tally.not_main == {NotMain.FEW: 1, NotMain.SMALL: 1, NotMain.NEAR: 1}


def test_lists_in_lists_are_read() -> None:
    flat = labelled.person()["keypoints"]
    nested = [flat[at : at + 3] for at in range(0, 51, 3)]
    points = [[5, 5], [45, 5], [45, 55]]
    pictures, tally = read({"keypoints": nested}, {"segmentation": points}, {"segmentation": [[5, 5, 45, 5]]})
    np.testing.assert_array_equal(pictures[0].keypoints[0], pictures[0].keypoints[1])
    assert tally.corrections == {Correction.NESTED: 1, Correction.POINTS: 1, Correction.THIN: 1}


def test_a_score_is_no_v() -> None:
    with pytest.raises(InputError, match=r"annotation 0 must have v 0, 1 or 2, but one is 0\.87; write 2"):
        read({"keypoints": [10, 20, 0.87] * 17})


def test_whole_numbers_as_floats() -> None:
    image = labelled.document([])["images"][0] | {"id": 1.0, "width": 80.0}
    (picture,), _ = read({"image_id": 1.0, "id": 5.0}, images=[image])
    assert (picture.id, picture.width, picture.ids.tolist()) == (1, 80, [5])
    assert isinstance(picture.id, int)
    with pytest.raises(InputError, match=r"`id` of an entry \(number 1 of `images`\) must be a whole number"):
        read({}, images=[image | {"id": "a"}])


def test_sizes_come_from_the_pictures() -> None:
    image = labelled.document([])["images"][0]
    (picture,), tally = read({}, images=[image | {"width": None}])
    assert (picture.width, picture.height) == (80, 60)
    assert tally.corrections == {Correction.NO_SIZE: 1}
    (picture,), tally = read({}, images=[image | {"width": 0, "height": 0}])
    assert (picture.width, picture.height) == (80, 60)
    assert tally.corrections == {Correction.NO_SIZE: 1}
    with pytest.raises(InputError, match=r"`width` of an entry \(image 1\) must be .*'80 px'; write its"):
        read({}, images=[image | {"width": "80 px"}])


def test_ids_and_sizes_as_text() -> None:
    image = labelled.document([])["images"][0] | {"id": "1", "width": "80", "height": "60"}
    (picture,), tally = read({"id": "5", "image_id": 1}, {"id": 6, "image_id": " 1 "}, images=[image])
    assert (picture.id, picture.width, picture.height, picture.ids.tolist()) == (1, 80, 60, [5, 6])
    assert tally.fates == {Fate.LABELLED: 2}


def test_an_annotation_that_is_there_twice_is_used_once() -> None:
    again = labelled.person(id=0)
    (picture,), tally = read({}, {}, again | {"id": 0}, again | {"id": 99, "bbox": [5, 5, 40, 50]})
    assert picture.ids.tolist() == [0, 1]
    assert tally.fates == {Fate.LABELLED: 2, Fate.REPEATED: 2}
    crowds = read({"iscrowd": 1, "id": 3}, {"iscrowd": 1, "id": 3})[1]
    assert crowds.fates == {Fate.LABELLED_CROWD: 2}


def test_a_category_that_is_there_twice_counts_once() -> None:
    assert read({}, categories=categories() * 2)[1].fates == {Fate.LABELLED: 1}


def test_rle_of_whole_numbers_as_floats() -> None:
    written = {"segmentation": {"size": [60.0, 80.0], "counts": [100.0, 20, 4680.0]}}
    assert segmentations.checked(written, (60, 80), "a.json", []) == {"size": [60, 80], "counts": [100, 20, 4680]}


def test_images_of_the_same_file_name_are_counted() -> None:
    images = [
        labelled.document([])["images"][0] | {"id": number, "file_name": name} for number, name in enumerate("aba", 1)
    ]
    encoded = json.dumps(labelled.document([labelled.person()]) | {"images": images}).encode()
    folder = Path(tempfile.mkdtemp())
    described = coco_index.index(lambda: io.BytesIO(encoded), labelled.NAME, folder, OPENPOSE18, {"train": 1.0}, len)[
        "train"
    ]
    assert described.repeated == 1
    opened = coco_index.Split(folder / described.people, folder / described.index)
    assert described.repeated_at is not None
    (example,) = opened.read(described.repeated_at, described.repeated_at + 1)
    assert schema.to_picture(example, OPENPOSE18).file_name == "a"


def test_people_outside_their_picture_are_the_reason_for_no_sample() -> None:
    _, tally = read({"keypoints": [value for k in range(17) for value in (500 + k, 20 + k, 2)]})
    said = fates.why_no_sample(fates.as_counts(tally.not_main), fates.as_counts(tally.corrections))
    assert "1 of its people have a box or keypoints outside the picture; compare `width`" in said


def test_annotation_of_an_image_that_is_not_there_wherever_it_is_sorted() -> None:
    for image_id in range(2, 40):
        with pytest.raises(InputError, match=rf"annotation 0 has image_id {image_id}, which is not among the images"):
            read({"image_id": image_id})
