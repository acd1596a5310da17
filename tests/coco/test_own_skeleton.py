"""The skeleton of a data set: COCO's by name, a file's, or made of the category."""

import io
import json
import random
from typing import Any

import pytest

from openpose.coco import own_skeleton
from openpose.coco.annotations import make_picture
from openpose.coco.extents import Looks
from openpose.coco.person import Form
from openpose.errors import InputError
from openpose.skeleton import KNOWN, OPENPOSE18, Skeleton
from openpose.skeleton.draft import Draft
from tests.skeleton.made_up import skeleton

MOUSE = ["snout", "leftear", "rightear", "tailbase"]


def mouse(number: int, x: float, y: float, turn: int) -> dict[str, Any]:
    """A mouse of 40 pixels whose nose points right, down, left or up."""
    points = [complex(20, 0), complex(8, -8), complex(8, 8), complex(-20, 0)]
    turned = [complex(x, y) + point * 1j**turn for point in points]
    numbers = [value for point in turned for value in (point.real, point.imag, 2)]
    box = [x - 20, y - 20, 40, 40]
    return {"id": number, "image_id": 1, "category_id": 3, "keypoints": numbers, "bbox": box, "area": 600.0}


def document(*categories: dict[str, Any], keypoints: list[str] = MOUSE) -> dict[str, Any]:
    """One picture with eight mice that look in all directions."""
    mice = [mouse(n + 1, 40 + 50 * n, 100, n) for n in range(8)]
    own = {"id": 3, "name": "mouse", "keypoints": keypoints, "skeleton": []}
    return {
        "images": [{"id": 1, "file_name": "a.png", "width": 500, "height": 200}],
        "annotations": mice,
        "categories": [own, *categories],
    }


def find(content: dict[str, Any], asked: Skeleton | Draft | None = None, category: str = "") -> Skeleton:
    encoded = json.dumps(content).encode()
    categories = content["categories"]
    return own_skeleton.find(lambda: io.BytesIO(encoded), "train.json", categories, asked, category)[0]


def test_a_skeleton_is_made_of_the_category() -> None:
    found = find(document())
    assert (found.name, found.category, found.source_parts) == ("mouse4", "mouse", tuple(MOUSE))
    assert found.source_pairs == (("leftear", "rightear"),)
    nearest = {("snout", "leftear"), ("snout", "rightear"), ("leftear", "tailbase"), ("rightear", "tailbase")}
    assert set(found.limb_names) == nearest


def test_cocos_keypoints_in_any_order_are_openpose18() -> None:
    names = list(OPENPOSE18.source_parts)
    random.Random(1).shuffle(names)
    assert find(document(keypoints=names)) is OPENPOSE18


def test_the_category_brings_our_extra_fields() -> None:
    content = document()
    content["categories"][0] |= {"flip_pairs": [], "sigmas": [0.1, 0.2, 0.3, 0.4], "skeleton": [[1, 2], [1, 3], [1, 4]]}
    found = find(content)
    assert (found.source_pairs, found.source_sigmas) == ((), (0.1, 0.2, 0.3, 0.4))
    assert found.limb_names == (("snout", "leftear"), ("snout", "rightear"), ("snout", "tailbase"))


def test_a_file_decides_and_the_category_fills() -> None:
    content = document()
    content["categories"][0]["sigmas"] = [0.1, 0.2, 0.3, 0.4]
    order = tuple(reversed(MOUSE))
    found = find(content, Draft("m", "", order, flip_pairs=()))
    assert (found.name, found.category, found.source_parts) == ("m", "mouse", order)
    assert found.source_sigmas == (0.4, 0.3, 0.2, 0.1)


def test_several_categories() -> None:
    cup = {"id": 4, "name": "cup", "keypoints": ["rim", "handle"]}
    with pytest.raises(InputError, match=r"train.json: several categories have keypoints: mouse, cup; .*`category`"):
        find(document(cup))
    assert find(document(cup), category="mouse").name == "mouse4"
    assert find(document(cup), category="cup").limb_names == (("rim", "handle"),)
    with pytest.raises(InputError, match="called 'dog'; there are: mouse, cup"):
        find(document(cup), category="dog")
    assert find(document({"id": 5, "name": "box"})).category == "mouse", "one without keypoints does not count"


@pytest.mark.parametrize("asked", [KNOWN["openpose18"], Draft("", "", ("snout", "paw"))], ids=["known", "file"])
def test_other_names_are_refused_with_both_lists(asked: Skeleton | Draft) -> None:
    with pytest.raises(InputError, match=r"are \['snout', 'leftear'.*needs \[.*missing: .*unknown: .*tailbase"):
        find(document(), asked)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"keypoints": ["snout", "leftear", "tailtip", "tailbase"]}, "'leftear' has a side"),
        ({"skeleton": [[1, 9]]}, "`skeleton` has 9"),
        ({"keypoints": ["a", "a", "b", "c"]}, "'a' twice"),
        ({"sigmas": [1]}, "`sigmas` has 1 numbers for 4"),
    ],
)
def test_a_category_that_cannot_be_used_is_named(change: dict[str, Any], message: str) -> None:
    content = document()
    content["categories"][0] |= change
    with pytest.raises(InputError, match=message) as raised:
        find(content)
    assert str(raised.value).startswith("train.json: ")


def test_extents_of_animals_seen_from_above_and_from_the_side() -> None:
    content = document()
    content["categories"][0]["skeleton"] = [[1, 4], [1, 2]]
    found = find(content)
    for turns, turned in ((range(8), True), ([0] * 8, False)):
        mice = [mouse(n + 1, 40 + 50 * n, 100, turn) for n, turn in enumerate(turns)]
        looks = Looks(found)
        looks.add(make_picture(content["images"][0], mice, found, Form("train.json")))
        extents = looks.extents()
        assert extents is not None
        assert (extents.smallest, extents.largest, extents.turned) == (0.2, 0.2, turned)


@pytest.mark.parametrize("keypoints", [1, 2, 133])
def test_animals_without_an_extent_can_be_scored_and_centred_on(keypoints: int) -> None:
    content, made = document(), skeleton(keypoints)
    entry = {"id": 1, "image_id": 1, "keypoints": [30, 40, 2] * keypoints, "bbox": [30, 40, 0, 0]}
    picture = make_picture(content["images"][0], [entry], made, Form("train.json"))
    assert picture.main.tolist() == [True]
    assert picture.area.tolist() == [100**2], "a fifth of the picture's longer side"
    looks = Looks(made)
    looks.add(picture)
    assert looks.extents() is None


def test_a_nan_among_the_annotations_is_named() -> None:
    content = document()
    content["annotations"][1]["keypoints"][0] = float("nan")
    with pytest.raises(InputError, match=r"train\.json: `keypoints` of annotation 2 must be finite"):
        find(dict(reversed(content.items())) | {"categories": content["categories"]})


def test_keypoints_are_matched_by_name() -> None:
    content, made = document(), find(document())
    picture = make_picture(content["images"][0], content["annotations"][:1], made, Form("train.json", (3, 0, 1, 2)))
    assert picture.keypoints[0].tolist() == [[20, 100], [60, 100], [48, 92], [48, 108]]
