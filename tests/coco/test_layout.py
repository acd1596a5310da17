"""COCO files with any names are recognised in the places where annotation tools put them."""

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest

from openpose import storage
from openpose.coco import source
from openpose.coco.layout import Files, Names
from openpose.errors import InputError
from tests.coco.test_source import served
from tests.datasets.projects import ONE_CATEGORY, deeplabcut_of_one, picture

BOTH = Names({"train": "", "val": ""}, {"train": "", "val": ""})
TRAIN = Names({"train": ""}, {"train": ""})


def coco(place: Path, names: list[str]) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    images = [{"id": number, "file_name": name, "width": 64, "height": 48} for number, name in enumerate(names)]
    animals = [
        {"id": n, "image_id": n, "category_id": 1, "keypoints": [1, 2, 2], "bbox": [0, 0, 9, 9]}
        for n in range(len(names))
    ]
    place.write_text(json.dumps({"images": images, "annotations": animals, "categories": [ONE_CATEGORY]}))


def made(folder: Path, files: dict[str, list[str]], pictures: list[str]) -> Path:
    for name, images in files.items():
        coco(folder / name, images)
    for name in pictures:
        picture(folder / name)
    return folder


def seen(files: Files, folder: Path) -> dict[str, tuple[str, str]]:
    def below(place: object) -> str:
        return Path(str(place)).relative_to(folder).as_posix()

    return {split: (below(file.place), below(files.pictures[split])) for split, file in files.annotations.items()}


SPLITS: dict[str, tuple[dict[str, list[str]], list[str], dict[str, tuple[str, str]]]] = {
    "annotations": (
        {"annotations/train.json": ["a.png"], "annotations/val.json": ["b.png"], "annotations/test.json": ["c.png"]},
        ["train/a.png", "val/b.png", "test/c.png"],
        {"train": ("annotations/train.json", "train"), "val": ("annotations/val.json", "val")},
    ),
    "images of all in one folder": (
        {"annotations/crowd_train.json": ["a.png"], "annotations/crowd_val.json": ["b.png"]},
        ["images/a.png", "images/b.png"],
        {"train": ("annotations/crowd_train.json", "images"), "val": ("annotations/crowd_val.json", "images")},
    ),
    "Roboflow": (
        {f"{split}/_annotations.coco.json": [f"{split}.png"] for split in ("train", "valid", "test")},
        [f"{split}/{split}.png" for split in ("train", "valid", "test")],
        {split: (f"{name}/_annotations.coco.json", name) for split, name in (("train", "train"), ("val", "valid"))},
    ),
    "CVAT": (
        {
            "annotations/person_keypoints_Train.json": ["a.png"],
            "annotations/instances_Train.json": ["a.png"],
            "annotations/person_keypoints_Validation.json": ["b.png"],
        },
        ["images/Train/a.png", "images/Validation/b.png"],
        {
            "train": ("annotations/person_keypoints_Train.json", "images/Train"),
            "val": ("annotations/person_keypoints_Validation.json", "images/Validation"),
        },
    ),
    "FiftyOne": (
        {"train/labels.json": ["a.png"], "val/labels.json": ["b.png"]},
        ["train/data/a.png", "val/data/b.png"],
        {"train": ("train/labels.json", "train/data"), "val": ("val/labels.json", "val/data")},
    ),
}


@pytest.mark.parametrize("form", SPLITS)
def test_splits_by_the_words_of_names(tmp_path: Path, form: str) -> None:
    files, pictures, expected = SPLITS[form]
    folder = made(tmp_path / "data", files, pictures)
    (folder / "package.json").write_text('{"name": "train", "images": []}')
    assert seen(source.bring(str(folder), tmp_path / "root", BOTH), folder) == expected


@pytest.mark.parametrize(
    ("annotations", "image", "place", "store"),
    [
        ("annotations/person_keypoints_default.json", "{}.png", "images/default", "images/default"),  # CVAT
        ("result.json", "images/{}.png", "images", "."),  # Label Studio
        ("_annotations.coco.json", "{}.png", ".", "."),  # Roboflow's
        ("labels.json", "{}.png", "images", "images"),
    ],
)
def test_one_file_is_split(tmp_path: Path, annotations: str, image: str, place: str, store: str) -> None:
    names = [image.format(n) for n in range(10)]
    folder = made(tmp_path / "data", {annotations: names}, [f"{place}/{n}.png" for n in range(10)])
    files = source.bring(str(folder), tmp_path / "root", BOTH)
    assert files.pictures == dict.fromkeys(("train", "val"), folder / store)
    assert {each.name for each in files.annotations.values()} == {str(folder / annotations)}, "what messages say"
    held = {split: _names(files, split) for split in ("train", "val")}
    assert held == {"train": names[:8], "val": names[8:]}
    more = source.bring(str(folder), tmp_path / "root", TRAIN, val_share=0.5)
    assert len(_names(more, "val")) == 5


def _names(files: Files, split: str) -> list[str]:
    return [image["file_name"] for image in _document(files, split)["images"]]


def _document(files: Files, split: str) -> dict[str, Any]:
    with files.annotations[split].open() as file:
        return json.load(file)


def test_archives_of_pictures_and_of_everything(tmp_path: Path) -> None:
    folder = made(tmp_path / "data", *SPLITS["annotations"][:2])
    whole = Path(shutil.make_archive(str(tmp_path / "export"), "zip", tmp_path, "data"))
    for split, name in (("train", "a.png"), ("val", "b.png")):
        with zipfile.ZipFile(folder / f"{split}.zip", "w") as archive:
            archive.write(folder / split / name, name)
        shutil.rmtree(folder / split)
    files = source.bring(str(folder), tmp_path / "root", BOTH)
    assert files.pictures == {split: folder / f"{split}.zip" for split in ("train", "val")}
    unpacked = source.bring(str(whole), tmp_path / "root", BOTH)
    assert (unpacked.pictures["train"] / "a.png").is_file()
    assert unpacked.pictures["train"].is_relative_to(tmp_path / "root/archives")  # type: ignore[arg-type]


def test_an_archive_of_everything_at_an_address(tmp_path: Path, bucket: str) -> None:
    deeplabcut_of_one(tmp_path / "data", 4)
    shutil.make_archive(str(tmp_path / "export"), "zip", tmp_path, "data")
    with served(tmp_path) as url:
        for root in (tmp_path / "root", storage.path(bucket)):
            files = source.bring(f"{url}/export.zip", root, BOTH)
            assert (len(_names(files, "train")), len(_names(files, "val"))) == (3, 1)
            assert str(files.pictures["train"]).startswith(str(root))


@pytest.mark.parametrize("kind", ["coco", "deeplabcut"])
def test_to_a_bucket(tmp_path: Path, bucket: str, kind: str) -> None:
    if kind == "coco":
        folder = made(
            tmp_path / "data",
            {"result.json": [f"images/{n}.png" for n in range(4)]},
            [f"images/{n}.png" for n in range(4)],
        )
    else:
        folder = deeplabcut_of_one(tmp_path / "data", 4)
    files = source.bring(str(folder), storage.path(bucket), BOTH)
    for split, count in (("train", 3), ("val", 1)):
        assert str(files.annotations[split].place).startswith(bucket)
        with source.PictureStore(files.pictures[split]) as store:
            assert str(store.place).startswith(bucket)
            assert [store.size(name) > 0 for name in _names(files, split)] == [True] * count


@pytest.mark.parametrize(
    ("files", "pictures", "message"),
    [
        (
            {"a.json": ["a.png"], "b.json": ["a.png"]},
            ["a.png"],
            r"several files could be the train split: a\.json, b\.json",
        ),
        (
            {"train.json": ["a.png"]},
            ["images/b.png"],
            r"train\.json: its pictures, such as a\.png, are not in .* images",
        ),
        ({"val.json": ["a.png"]}, ["val/a.png"], r"neither annotations/person_keypoints_train2017\.json nor"),
        ({"result.json": ["a.png"]}, ["a.png"], r"has 1 images, too few to hold out"),
    ],
)
def test_what_cannot_be_used_is_one_message(
    tmp_path: Path, files: dict[str, list[str]], pictures: list[str], message: str
) -> None:
    folder = made(tmp_path / "data", files, pictures)
    with pytest.raises(InputError, match=message):
        source.bring(str(folder), tmp_path / "root", BOTH)
    assert not list((tmp_path / "root").rglob("*.json"))


def test_another_kind_of_file(tmp_path: Path) -> None:
    (tmp_path / "data.txt").write_text("?")
    with pytest.raises(InputError, match=r"data\.txt: not a file that a data set can be read from"):
        source.bring(str(tmp_path / "data.txt"), tmp_path / "root", BOTH)
