"""The index holds every image once with its people, in an order that depends only on the seed."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools.coco import COCO

from openpose import skeleton
from openpose.coco import annotations
from openpose.coco import index as coco_index
from openpose.coco.person import Form
from openpose.errors import InputError
from openpose.records import schema
from openpose.records.picture import Picture, total_counts

OPENPOSE = skeleton.get("openpose18")


def person(image_id: int, **changes: Any) -> dict[str, Any]:
    return {
        "id": 1000 + image_id,
        "image_id": image_id,
        "category_id": 1,
        "keypoints": [value for k in range(17) for value in (10 + k + image_id / 7, 20 + k, 2)],
        "bbox": [5, 5, 40, 50],
        "area": 1500,
        "iscrowd": 0,
        "segmentation": [[5, 5, 45, 5, 45, 55, 5, 55]],
    } | changes


def document(images: int, people: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "categories": [{"id": 1, "keypoints": list(OPENPOSE.source_parts)}],
        "images": [{"id": i, "file_name": f"{i}.jpg", "width": 80, "height": 60} for i in range(images)],
        "annotations": people,
    }


def index(folder: Path, content: dict[str, Any], seed: int = 0, **shares: float) -> dict[str, list[Picture]]:
    """Indexes a document; returns the pictures of each split, in their order."""
    folder.mkdir(exist_ok=True)
    encoded = json.dumps(content).encode()
    described = coco_index.index(
        lambda: io.BytesIO(encoded), "a.json", folder, OPENPOSE, shares or {"train": 1.0}, len, seed
    )
    result = {}
    for split, files in described.items():
        opened = coco_index.Split(folder / files.people, folder / files.index)
        result[split] = [schema.to_picture(example, OPENPOSE) for example in opened.read(0, len(opened))]
        assert files.counts == total_counts(result[split])
        assert opened.picture_bytes.tolist() == [len(picture.file_name) for picture in result[split]]
    return result


def test_every_image_has_its_people(tmp_path: Path) -> None:
    people = [person(i) for i in range(50) if i % 3] + [person(7, id=5, iscrowd=1)]
    for order in (("categories", "images", "annotations"), ("annotations", "images", "categories")):
        whole = document(50, people)
        pictures = index(tmp_path, {key: whole[key] for key in order})["train"]
        assert sorted(picture.id for picture in pictures) == list(range(50))
        assert [picture.id for picture in pictures] != list(range(50))
        for picture in pictures:
            assert picture.file_name == f"{picture.id}.jpg"
            assert len(picture.ids) == (picture.id % 3 > 0) + (picture.id == 7)
            if len(picture.ids):
                assert picture.keypoints[0, 0, 0] == np.float32(10 + picture.id / 7)


def test_seed_decides_the_order_and_bytes(tmp_path: Path) -> None:
    content = document(30, [person(i) for i in range(30)])
    first, again, other = (
        [picture.id for picture in index(tmp_path / str(number), content, seed)["train"]]
        for number, seed in enumerate((1, 1, 2))
    )
    assert first == again != other
    assert (tmp_path / "0/train.examples").read_bytes() == (tmp_path / "1/train.examples").read_bytes()


def test_held_out_share_has_the_exact_size_and_no_overlap(tmp_path: Path) -> None:
    content = document(40, [person(i) for i in range(40)])
    splits = index(tmp_path, content, train=0.9, val=0.1)
    assert {split: len(pictures) for split, pictures in splits.items()} == {"train": 36, "val": 4}
    assert sorted(picture.id for pictures in splits.values() for picture in pictures) == list(range(40))
    with pytest.raises(InputError, match=r"1\.0% of its 40 images leave no image for val; give a larger share"):
        index(tmp_path, content, train=0.99, val=0.01)


def test_index_equals_the_annotation_file(tmp_path: Path, shared: Path) -> None:
    path = shared / "coco/annotations/person_keypoints_val2017.json"
    coco = COCO(path)
    whole = {
        image["id"]: annotations.make_picture(image, coco.imgToAnns[image["id"]], OPENPOSE, Form("a.json"))
        for image in coco.dataset["images"]
    }
    pictures = index(tmp_path, json.loads(path.read_bytes()))["train"]
    assert len(pictures) == len(whole) == 200
    for picture in pictures:
        for field in ("file_name", "width", "keypoints", "visibility", "bbox", "area", "crowd", "main", "ids"):
            np.testing.assert_array_equal(getattr(picture, field), getattr(whole[picture.id], field))


@pytest.mark.parametrize(
    "changes",
    [
        {"segmentation": []},
        {"segmentation": [[]]},
        {"segmentation": [[1, 1, 1, 1, 1, 1]]},
        {"segmentation": [[-50, -50, 500, -50, 500, 500]]},
        {"bbox": [10, 10, 0, 0]},
        {"bbox": [-100, -100, 10, 10], "segmentation": None},
        {"bbox": [1000, 1000, 10, 10], "segmentation": None},
        {"segmentation": {"size": [60, 80], "counts": [0, 4800]}},
        {"keypoints": [0] * 51},
        {"keypoints": [-500.5, 3000, 1] * 17},
    ],
)
def test_strange_people_are_fine(tmp_path: Path, changes: dict[str, Any]) -> None:
    for labelled in (True, False):
        people = [person(0, **({} if labelled else {"keypoints": [0] * 51}) | changes), person(0, id=2, area=1501)]
        ((picture,),) = index(tmp_path, document(1, people)).values()
        assert len(picture.ids) == 2


def test_crowded_empty_and_oddly_named_pictures(tmp_path: Path) -> None:
    content = document(4, [person(0, id=7, area=1000 + n) for n in range(200)])  # one annotation id for all
    content["images"][1]["file_name"] = "Straße 1/ä ö.jpg"
    content["images"][2]["file_name"] = content["images"][3]["file_name"] = "twice.jpg"
    pictures = {picture.id: picture for picture in index(tmp_path, content)["train"]}
    assert len(pictures[0].ids) == 200
    assert pictures[1].file_name == "Straße 1/ä ö.jpg"
    assert pictures[2].file_name == pictures[3].file_name
    nobody = index(tmp_path, document(3, []))["train"]
    assert total_counts(nobody)["people"] == 0


def test_ids_with_gaps_and_signs(tmp_path: Path) -> None:
    content = document(3, [])
    ids = [-5, 2**62, 17]
    for image, image_id in zip(content["images"], ids, strict=True):
        image["id"] = image_id
    assert sorted(picture.id for picture in index(tmp_path, content)["train"]) == sorted(ids)
