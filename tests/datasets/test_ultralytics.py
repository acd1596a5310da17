"""A data set of Ultralytics' pose models becomes COCO's form."""

from pathlib import Path
from typing import Any

import pytest

from openpose.errors import InputError
from tests.datasets.projects import converted, keypoints, picture, ultralytics

LINE = "0 0.5 0.5 0.25 0.5 0.25 0.5 2 0.75 0.5 1\n"
NAMES = {"kpt_names": {0: ["left_ear", "right_ear"]}}


def test_both_splits_with_names_and_mirror_pairs(tmp_path: Path) -> None:
    labels = {"train/a": LINE, "train/b": LINE + "\n0 .5 .5 .5 .5 0 0 0 0.5 0.25 2\n", "train/c": None, "val/d": LINE}
    folder = ultralytics(tmp_path / "set", labels, val="images/val", flip_idx=[1, 0], **NAMES)
    for shadow in ("images/train/._a.png", "images/.DS_Store", "._data.yaml"):  # what macOS adds
        (folder / shadow).write_bytes(b"\0\5\x16\7")
    made, documents = converted(folder, tmp_path / "root")
    assert keypoints(documents["train"]) == {
        "a.png": [{"left_ear": (16, 24, 2), "right_ear": (48, 24, 1)}],
        "b.png": [{"left_ear": (16, 24, 2), "right_ear": (48, 24, 1)}, {"right_ear": (32, 12, 2)}],
        "c.png": [],
    }
    assert list(keypoints(documents["val"])) == ["d.png"]
    assert documents["val"]["annotations"][0]["bbox"] == [24, 12, 16, 24]
    assert documents["val"]["categories"] == [
        {
            "id": 1,
            "name": "mouse",
            "keypoints": ["left_ear", "right_ear"],
            "skeleton": [],
            "flip_pairs": [["left_ear", "right_ear"]],
        }
    ]
    assert made.pictures == {split: folder / "images" / split for split in ("train", "val")}
    assert "1 pictures of train have no file of labels and count as empty" in " ".join(made.said)


@pytest.mark.parametrize("key", [0, "0", "mouse"])
def test_names_of_keypoints_by_number_or_name_of_the_class(tmp_path: Path, key: Any) -> None:
    folder = ultralytics(tmp_path / "set", {"train/a": "\ufeff" + LINE}, kpt_names={key: ["left_ear", "right_ear"]})
    _, documents = converted(folder, tmp_path / "root")
    assert documents["train"]["categories"][0]["keypoints"] == ["left_ear", "right_ear"]
    assert len(documents["train"]["annotations"]) == 1


def test_two_numbers_for_a_keypoint_and_what_exporters_write(tmp_path: Path) -> None:
    settings = {"path": None, "train": "../train/images", "names": ["mouse", "rat"], "kpt_shape": [2, 2]}
    folder = ultralytics(tmp_path / "set", {}, **settings)
    picture(folder / "train/images/a.png")
    (folder / "train/labels").mkdir()
    (folder / "train/labels/a.txt").write_text("1 .5 .5 .5 .5 0.5 0.5 0 0\n0 .5 .5 .5 .5 -1 0.5 1.0 1.0\n")
    _, documents = converted(folder / "data.yaml", tmp_path / "root")
    named = [{"keypoint_0": (32, 24, 2)}, {"keypoint_1": (64, 48, 2)}]
    assert keypoints(documents["train"]) == {"a.png": named}
    assert [category["name"] for category in documents["train"]["categories"]] == ["mouse", "rat"]
    assert "flip_pairs" not in documents["train"]["categories"][0]


@pytest.mark.parametrize("listed", [False, True])
def test_links_to_folders_and_pictures_are_followed(tmp_path: Path, listed: bool) -> None:
    folder = ultralytics(tmp_path / "set", {"train/a": LINE}, **({"train": "train.txt"} if listed else {}))
    elsewhere = tmp_path / "camera"
    for name in ("films/b.png", "c.png"):
        picture(elsewhere / name, 1)
    (folder / "images/train/films").symlink_to(elsewhere / "films")
    (folder / "images/train/c.png").symlink_to(elsewhere / "c.png")
    (folder / "images/train/again").symlink_to("..")  # a link to a folder that it is in
    (folder / "labels/train/films").mkdir()
    for name in ("films/b", "c"):
        (folder / f"labels/train/{name}.txt").write_text(LINE)
    if listed:
        (folder / "train.txt").write_text("".join(f"images/train/{name}.png\n" for name in ("a", "films/b", "c")))
    _, documents = converted(folder, tmp_path / "root")
    found = keypoints(documents["train"])
    assert list(found) == ["a.png", "c.png", "films/b.png"]
    assert all(len(animals) == 1 for animals in found.values())


def test_a_folder_of_pictures_may_be_a_link(tmp_path: Path) -> None:
    folder = ultralytics(tmp_path / "set", {"train/a": LINE})
    (folder / "images").rename(tmp_path / "photos")
    (folder / "images").symlink_to(tmp_path / "photos")
    _, documents = converted(folder, tmp_path / "root")
    assert len(keypoints(documents["train"])["a.png"]) == 1


def test_a_list_of_pictures(tmp_path: Path) -> None:
    folder = ultralytics(tmp_path / "set", {"x/a": LINE, "y/b": LINE, "y/c": LINE}, train="train.txt")
    (folder / "train.txt").write_text("./images/x/a.png\nimages/y/b.png\n")
    made, documents = converted(folder, tmp_path / "root")
    assert list(keypoints(documents["train"])) == ["x/a.png", "y/b.png"]
    assert made.pictures["train"] == folder / "images"


@pytest.mark.parametrize(
    ("label", "settings", "message"),
    [
        ("0 .5 .5 .5 .5\n", {}, r"a\.txt: line 1: has 5 numbers, but `kpt_shape` \[2, 3\] of .*data\.yaml needs 11"),
        (LINE + "0 .5 .5 .5 x", {}, r"a\.txt: line 2: has something other than numbers"),
        (LINE.replace("0.75", "75"), {}, r"a\.txt: line 1: 75 is not a share"),
        (LINE.replace(" 2 ", " 7 "), {}, r"a\.txt: line 1: the third number of a keypoint must be 0, 1 or 2"),
        ("3" + LINE[1:], {}, r"a\.txt: line 1: its class is 3, but `names` of .* has 1 classes"),
        (LINE, {"kpt_shape": 2}, r"data\.yaml: `kpt_shape` must be"),
        (LINE, {"flip_idx": [0]}, r"data\.yaml: `flip_idx` must give for each of the 2"),
        (LINE, {"kpt_names": {0: ["a"]}}, r"data\.yaml: `kpt_names` of class 0 has 1 names"),
        (LINE, {"kpt_names": {0: ["a", "a"]}}, r"data\.yaml: `kpt_names` names a more than once"),
        (LINE, {"names": 3}, r"data\.yaml: `names` must list the classes"),
        (LINE, {"val": "images/other"}, r"data\.yaml: `val` is images/other, but none of .* is there"),
        (LINE, {"train": None}, r"data\.yaml: `train` is missing"),
        ("0 .5 .5 -.5 .5 0 0 0 .5 .5 2", {}, r"a\.txt: line 1: its box has a negative width or height"),
        (LINE.replace(" 2 ", " 0.87 "), {}, r"a\.txt: line 1: .* must be 0, 1 or 2 .*, but one is 0\.87"),
        ("\udce9", {}, r"a\.txt: not a text in UTF-8"),
        (LINE, {"train": "images/train/a.png"}, r"a\.png: not a text in UTF-8"),
        (LINE, {"names": {0: "a", "1": "b"}}, r"data\.yaml: `names` must list the classes"),
        (LINE, {"kpt_names": "a, b"}, r"data\.yaml: `kpt_names` must list the keypoints of each class"),
        (LINE, {"kpt_names": {0: 5}}, r"data\.yaml: `kpt_names` of class 0 must list names"),
        *((LINE, {"flip_idx": flips}, r"data\.yaml: `flip_idx` must") for flips in ([1, "0"], [1.0, 0.0], "10")),
        *((LINE, {"kpt_shape": shape}, r"data\.yaml: `kpt_shape` must") for shape in ([-2, 3], [True, 3], [0, 3])),
        (None, {}, r"data\.yaml: none of the 1 pictures of `train` has labels; those of .*a\.png must be in .*a\.txt"),
    ],
)
def test_what_cannot_be_used_is_one_message(tmp_path: Path, label: Any, settings: Any, message: str) -> None:
    folder = ultralytics(tmp_path / "set", {"train/a": label}, **settings)
    with pytest.raises(InputError, match=message):
        converted(folder, tmp_path / "root")
    assert not list((tmp_path / "root").rglob("*.json"))
