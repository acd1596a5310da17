"""The JSON files of LabelMe become COCO's form."""

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from openpose.coco import source
from openpose.coco.layout import Names
from openpose.datasets import convert
from openpose.errors import InputError
from tests.datasets.projects import SIZE, converted, keypoints, picture

BOTH = Names({"train": "", "val": ""}, {"train": "", "val": ""})


def point(label: str, x: float, y: float, group: Any = None, **more: Any) -> dict[str, Any]:
    return {"label": label, "points": [[x, y]], "group_id": group, "shape_type": "point", "flags": {}, **more}


def box(label: str, *corners: tuple[float, float], group: Any = None, kind: str = "rectangle") -> dict[str, Any]:
    return {"label": label, "points": corners, "group_id": group, "shape_type": kind, "flags": {}}


def sheet(place: Path, shapes: list[Any], /, **more: Any) -> None:
    """A picture of a name, such as `a`, and its JSON file."""
    picture(place.with_suffix(".png"))
    about = {"imagePath": f"{place.name}.png", "imageData": None, "imageWidth": SIZE[0], "imageHeight": SIZE[1]}
    document = {"version": "5.5.0", "flags": {}, "shapes": shapes, **about, **more}
    place.with_suffix(".json").write_text(json.dumps(document))


def read(folder: Path) -> tuple[convert.Converted, dict[str, dict[str, Any]]]:
    return converted(folder, folder.parent / "root")


def test_animals_by_group_by_box_and_alone(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    left, right = ((4, 4), (20, 30)), ((40, 6), (60, 26))
    grouped = [point("nose", 10, 10, 7), box("mouse", *left, group=7), box("mouse", *right, group=8)]
    hidden = [point("tail", 50, 20, 8, flags={"occluded": True}), point("nose", 45, 8, 8, difficult=True)]
    sheet(folder / "img2", [*grouped, *hidden])
    corners = ((4, 30), (20, 30), (20, 4))
    sheet(folder / "img10", [point("tail", 6, 25), box("mouse", *corners, kind="polygon"), box("mouse", *right)])
    sheet(folder / "img11", [point("nose", 3.5, 4), point("tail", 60, 40)])
    sheet(folder / "img12", [{"label": "grass", "points": [[1, 1], [9, 9]], "shape_type": "line"}, box("cage", *left)])
    picture(folder / "unlabelled.png")
    (folder / "._img2.json").write_bytes(b"\0\5\x16\7")  # what macOS adds
    made, documents = read(folder)
    assert keypoints(documents["train"]) == {
        "img2.png": [{"nose": (10, 10, 2)}, {"nose": (45, 8, 1), "tail": (50, 20, 1)}],
        "img10.png": [{"tail": (6, 25, 2)}, {}],
        "img11.png": [{"nose": (3.5, 4, 2), "tail": (60, 40, 2)}],
        "img12.png": [],
    }
    assert documents["train"]["categories"] == [
        {"id": 1, "name": "mouse", "keypoints": ["nose", "tail"], "skeleton": []}
    ]
    assert [each["bbox"] for each in documents["train"]["annotations"]][:3] == [
        [4, 4, 16, 26],
        [40, 6, 20, 20],
        [4, 4, 16, 26],
    ]
    assert made.pictures == {"train": folder}
    said = "\n".join(made.said)
    for line in ("1 pictures have no JSON file", "1 shapes of the type line", "1 boxes 'cage', a kind without points"):
        assert line in said


def test_labels_txt_gives_the_order(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    sheet(folder / "a", [point("tail", 1, 2), point("nose", 3, 4), point("paw", 5, 6)])
    (folder / "labels.txt").write_text("__ignore__\nnose\npaw\ntail\n")
    _, documents = read(folder)
    assert documents["train"]["categories"][0]["keypoints"] == ["nose", "paw", "tail"]
    assert documents["train"]["categories"][0]["name"] == "animal"


def test_folders_are_splits(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    for name in ("train/test_tube", "valid/b", "test/c"):
        sheet(folder / name, [point("tip", 1, 2)])
    _, documents = read(folder)
    assert {split: list(keypoints(document)) for split, document in documents.items()} == {
        "train": ["train/test_tube.png"],
        "val": ["valid/b.png"],
    }


def test_pictures_elsewhere_with_other_ways_of_writing_and_turned(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    sheet(folder / "labels/a", [point("tip", 40, 60)], imagePath="..\\images\\a.png", imageWidth=48, imageHeight=64)
    (folder / "images").mkdir()
    (folder / "labels/a.png").rename(folder / "images/a.png")
    sheet(folder / "labels/b", [point("tip", 1, 2)], imagePath="C:\\Users\\me\\b.png")
    sheet(folder / "labels/c", [point("tip", 40, 60)], imageWidth=None)
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.new("RGB", SIZE).save(folder / "labels/c.jpg", exif=turned)
    (folder / "labels/c.png").unlink()
    _, documents = read(folder)
    assert keypoints(documents["train"]) == {
        "images/a.png": [{"tip": (40, 60, 2)}],
        "labels/b.png": [{"tip": (1, 2, 2)}],
        "labels/c.jpg": [{"tip": (40, 60, 2)}],
    }
    assert [(image["width"], image["height"]) for image in documents["train"]["images"]] == [(48, 64), SIZE, (48, 64)]


def test_what_was_converted_to_coco_is_meant(tmp_path: Path) -> None:
    sheet(tmp_path / "a", [point("tip", 1, 2)])
    (tmp_path / "coco.json").write_text(json.dumps({"info": {}, "images": [], "annotations": []}))
    assert convert.recognise(tmp_path) is None


def test_again_with_the_storage_root_in_the_folder(tmp_path: Path) -> None:
    for number in range(5):
        sheet(tmp_path / f"a{number}", [point("tip", number, 2)])
    first, again = (source.bring(str(tmp_path), tmp_path / "out", BOTH) for _ in range(2))
    assert again == first


def test_a_folder_in_no_known_form_says_which_are_known(tmp_path: Path) -> None:
    picture(tmp_path / "set/a.png")
    (tmp_path / "set/a.xml").write_text("<annotations/>")
    with pytest.raises(InputError, match=r"set: neither annotations/.*\. Nor is there .* LabelMe; other"):
        source.bring(str(tmp_path / "set"), tmp_path / "root", BOTH)


TIP = point("tip", 1, 2)


@pytest.mark.parametrize(
    ("shapes", "more", "message"),
    [
        ([TIP, TIP], {}, r"a\.json: shapes\[1\]: is the second 'tip' of one animal; give"),
        ([{**TIP, "label": ""}], {}, r"a\.json: shapes\[0\]: has no `label`"),
        ([{**TIP, "label": 3}], {}, r"a\.json: shapes\[0\]: has no `label`"),
        (["tip"], {}, r"a\.json: shapes\[0\]: has no `label`"),
        *(
            ([{**TIP, "points": points}], {}, r"a\.json: shapes\[0\]: `points` must be pairs of numbers, but it is")
            for points in ([], [1, 2], [[1]], [["x", 2]], [[float("nan"), 1]], None, [[1, 2], [3]])
        ),
        ([box("a", (0, 0), group=1), box("b", (0, 0), group=1)], {}, r"shapes\[1\]: group 1 has a second box, 'b'"),
        (
            [box("a", (9, 9)), box("a", (8, 8)), TIP],
            {},
            r"shapes\[2\]: has no group id, and lies in none of",
        ),
        (
            [box("a", (0, 0), (9, 9)), box("a", (0, 0), (8, 8)), TIP],
            {},
            r"shapes\[2\]: has no group id, and lies in 2 of",
        ),
        ([box("mouse", (0, 0), (9, 9))], {}, r"set: none of its JSON files has a point"),
        ([], {"imagePath": "b.png", "shapes": 3}, r"a\.json: has no list `shapes`"),
        (
            [TIP, box("a", (0, 0), group=1), point("x", 1, 1, 1), box("b", (0, 0), group=2), point("x", 1, 1, 2)]
            + [point("tip", 3, 3, 3)],
            {},
            r"a\.json: shapes\[0\]: has no group id",
        ),
        (
            [box("a", (0, 0), group=1), point("x", 1, 1, 1), box("b", (0, 0), group=2), point("x", 1, 1, 2)]
            + [point("tip", 3, 3, 3)],
            {},
            r"a\.json: has points without a box, and there are several kinds of animals \(a, b\)",
        ),
    ],
)
def test_what_cannot_be_used_is_one_message(tmp_path: Path, shapes: Any, more: Any, message: str) -> None:
    sheet(tmp_path / "set/a", shapes, **more)
    with pytest.raises(InputError, match=message):
        read(tmp_path / "set")
    assert not list((tmp_path / "root").rglob("*.json"))


def test_missing_and_doubled_pictures_are_named(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    sheet(folder / "a", [TIP])
    sheet(folder / "b", [TIP], imagePath="a.png")
    with pytest.raises(InputError, match=r"b\.json: is about .*a\.png, as is .*a\.json; remove one of the files"):
        read(folder)
    for name in ("a.png", "b.png"):
        (folder / name).unlink()
    with pytest.raises(InputError, match=r"a\.json: its picture 'a\.png' is not in .*set; put it beside the file"):
        read(folder)
    (folder / "a.json").write_text('{"shapes": [')
    with pytest.raises(InputError, match=r"a\.json: not JSON that can be read \(.*\); save it in LabelMe again"):
        read(folder)
