"""The drawn sample data set: COCO's format, its variety, and keypoints that match the pictures."""

import contextlib
import io
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from pycocotools.coco import COCO

from openpose import skeleton
from openpose.coco import index
from openpose.drawn_people import dataset
from openpose.drawn_people.__main__ import main
from openpose.drawn_people.scene import Sample
from openpose.errors import InputError

ARCHIVES = ("train2017.zip", "val2017.zip", "annotations_trainval2017.zip")
PARTS = skeleton.OPENPOSE18.source_parts
SMALL = {"train": 2, "val": 1, "size": 96}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("sample")
    assert dataset.make(out, Sample(seed=5, train=60, val=12, size=256, difficulty=0.5))
    return out


@pytest.fixture(scope="module")
def unpacked(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archives where the official ones would be unpacked."""
    out = tmp_path_factory.mktemp("unpacked")
    for name in ARCHIVES:
        with zipfile.ZipFile(folder / name) as archive:
            archive.extractall(out)
    return out


@pytest.fixture(scope="module")
def ground_truth(unpacked: Path) -> COCO:
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(str(unpacked / "annotations/person_keypoints_train2017.json"))


@pytest.fixture(scope="module")
def pictures() -> list[tuple[np.ndarray, list[dict[str, Any]]]]:
    """Enough of the default sample to contain everything that it should."""
    return [dataset.draw(Sample(), "train2017", index) for index in range(250)]


def people(
    pictures: list[tuple[np.ndarray, list[dict[str, Any]]]],
) -> list[tuple[np.ndarray, dict[str, Any]]]:
    return [(picture, a) for picture, annotations in pictures for a in annotations if not a["iscrowd"]]


def joints(annotation: dict[str, Any]) -> dict[str, np.ndarray]:
    return dict(zip(PARTS, np.array(annotation["keypoints"]).reshape(-1, 3), strict=True))


def read(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in ARCHIVES}


@pytest.mark.slow
def test_several_processes_draw_the_same_pictures_as_one(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    monkeypatch.setattr(dataset, "PICTURES_PER_PROCESS", 30)
    assert dataset.make(tmp_path, Sample(seed=5, train=60, val=12, size=256, difficulty=0.5))
    assert read(tmp_path) == read(folder)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        dataset.make(tmp_path / name, Sample(seed=seed, **SMALL))
    first, again, other = (read(tmp_path / name) for name in "abc")
    assert first == again
    assert all(first[name] != other[name] for name in ARCHIVES)


@pytest.mark.slow
def test_the_archives_have_the_official_layout(folder: Path) -> None:
    with zipfile.ZipFile(folder / "train2017.zip") as archive:
        entries = archive.infolist()
    assert [entry.filename for entry in entries][:2] == [
        "train2017/000000000001.jpg",
        "train2017/000000000002.jpg",
    ]
    assert len(entries) == 60
    assert {entry.compress_type for entry in entries} == {zipfile.ZIP_STORED}
    with zipfile.ZipFile(folder / "annotations_trainval2017.zip") as archive:
        assert archive.namelist() == [f"annotations/person_keypoints_{split}2017.json" for split in ("train", "val")]


def test_a_picture_drawn_alone_is_the_one_in_the_archive(unpacked: Path) -> None:
    picture, _ = dataset.draw(Sample(5, 60, 12, 256, 0.5), "train2017", 7)
    stored = cv2.imread(str(unpacked / "train2017/000000000008.jpg"))
    assert stored is not None
    assert np.abs(picture[..., ::-1].astype(int) - stored).mean() < 4  # JPEG


def test_the_annotation_file_has_all_fields_of_cocos(unpacked: Path) -> None:
    documents = [
        json.loads((unpacked / f"annotations/person_keypoints_{split}2017.json").read_text())
        for split in ("train", "val")
    ]
    for document, count in zip(documents, (60, 12), strict=True):
        assert set(document) == {"info", "licenses", "images", "annotations", "categories"}
        assert len(document["images"]) == count
        keys = {"id", "license", "file_name", "width", "height", "date_captured", "coco_url", "flickr_url"}
        assert all(set(image) == keys for image in document["images"])
        keys = {"id", "image_id", "category_id", "segmentation", "area", "bbox", "iscrowd"}
        assert all(set(a) == keys | {"keypoints", "num_keypoints"} for a in document["annotations"])
        category = document["categories"][0]
        assert tuple(category["keypoints"]) == PARTS
        assert len(category["skeleton"]) == 19
        ids = [a["id"] for a in document["annotations"]]
        assert len(set(ids)) == len(ids)
    train, val = ({image["id"] for image in document["images"]} for document in documents)
    assert not train & val


def test_pycocotools_reads_the_same_masks_areas_and_boxes(ground_truth: COCO) -> None:
    annotations = ground_truth.loadAnns(ground_truth.getAnnIds())
    assert len(annotations) > 60
    for annotation in annotations:
        mask = ground_truth.annToMask(annotation)
        assert mask.sum() == annotation["area"]
        rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
        x, y, width, height = annotation["bbox"]
        assert (columns[0], rows[0]) == (x, y)
        assert (columns[-1] + 1, rows[-1] + 1) == (x + width, y + height)


def test_people_do_not_share_pixels(ground_truth: COCO) -> None:
    for image in ground_truth.getImgIds():
        masks = [ground_truth.annToMask(a) for a in ground_truth.imgToAnns[image]]
        assert not masks or np.sum(masks, 0).max() == 1


def test_our_reader_accepts_it(unpacked: Path, tmp_path: Path) -> None:
    path = unpacked / "annotations/person_keypoints_val2017.json"
    described = index.index(
        lambda: path.open("rb"), path.name, tmp_path, skeleton.OPENPOSE18, {"val": 1.0}, lambda name: 1
    )
    counts = described["val"].counts
    assert counts["images"] == 12
    assert counts["main_persons"] > 5


def test_visibility_means_what_it_means_in_coco(ground_truth: COCO) -> None:
    seen = hidden = 0
    for annotation in ground_truth.loadAnns(ground_truth.getAnnIds()):
        x, y, v = np.array(annotation["keypoints"]).reshape(-1, 3).T
        assert annotation["num_keypoints"] == np.count_nonzero(v)
        assert set(v) <= {0, 1, 2}
        assert not x[v == 0].any()
        assert not y[v == 0].any()
        assert np.all((x >= 0) & (x < 256) & (y >= 0) & (y < 256))
        mask = ground_truth.annToMask(annotation)
        assert mask[y[v == 2], x[v == 2]].all()
        seen, hidden = seen + np.sum(v == 2), hidden + np.sum(v == 1)
    assert seen > 5 * hidden > 0


@pytest.mark.slow
def test_keypoints_sit_on_what_is_drawn(pictures: list) -> None:
    """A pupil is darker than the face half-way to the other eye."""
    darker = []
    for picture, annotation in people(pictures):
        eyes = [joints(annotation)[side + "_eye"] for side in ("left", "right")]
        if annotation["bbox"][3] > 150 and all(eye[2] == 2 for eye in eyes) and abs(eyes[0][0] - eyes[1][0]) > 6:
            (ax, ay, _), (bx, by, _) = eyes
            between = picture[(ay + by) // 2, (ax + bx) // 2].sum()
            darker += [picture[y, x].sum() < between for x, y in ((ax, ay), (bx, by))]
    assert len(darker) > 100
    assert np.mean(darker) > 0.95


@pytest.mark.slow
def test_left_and_right_follow_from_the_face(pictures: list) -> None:
    facing: list[bool] = []
    away: list[bool] = []
    for _, annotation in people(pictures):
        at = joints(annotation)
        if at["left_shoulder"][2] and at["right_shoulder"][2]:
            right_first = at["right_shoulder"][0] < at["left_shoulder"][0]
            (facing if at["left_eye"][2] and at["right_eye"][2] else away).append(right_first)
    assert np.mean(facing) > 0.97
    assert len(facing) > 4 * len(away) > 0
    assert np.mean(away) < 0.8  # from behind, and some from the side


def test_the_sample_has_variety(pictures: list) -> None:
    annotations = [a for _, a in people(pictures)]
    counts = [sum(not a["iscrowd"] for a in found) for _, found in pictures]
    assert set(counts) == set(range(7))
    assert np.median(counts) in (1, 2)
    small = [a for a in annotations if a["area"] < 32**2]
    assert small
    assert not any(a["num_keypoints"] for a in small)
    assert any(a["num_keypoints"] == 0 and a["area"] > 2000 for a in annotations)
    cut = [a for a in annotations if 0 < a["num_keypoints"] < 17 and a["bbox"][1] + a["bbox"][3] == 256]
    assert any(joints(a)["left_ankle"][2] == 0 for a in cut)
    heights = [a["bbox"][3] for a in annotations]
    assert min(heights) < 50
    assert max(heights) > 250
    assert np.median(heights) > 130


def test_crowds_are_one_region_without_keypoints(pictures: list) -> None:
    crowds = [a for _, found in pictures for a in found if a["iscrowd"]]
    assert crowds
    for crowd in crowds:
        assert crowd["num_keypoints"] == 0
        assert crowd["segmentation"]["size"] == [256, 256]
        assert sum(crowd["segmentation"]["counts"]) == 256 * 256
        assert sum(crowd["segmentation"]["counts"][1::2]) == crowd["area"]


def test_polygons_stay_in_the_picture(pictures: list) -> None:
    for _, annotation in people(pictures):
        assert annotation["segmentation"]
        for polygon in annotation["segmentation"]:
            assert len(polygon) >= 6
            assert 0 <= min(polygon) <= max(polygon) <= 256


@pytest.mark.slow
def test_harder_means_more_and_smaller_people() -> None:
    easy, hard = (people([dataset.draw(Sample(difficulty=d), "val2017", index) for index in range(40)]) for d in (0, 1))
    assert len(hard) > 1.3 * len(easy)
    assert np.median([a["area"] for _, a in hard]) < 0.6 * np.median([a["area"] for _, a in easy])


def test_finished_sample_is_found_and_anything_else_is_redrawn(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["--out", str(tmp_path), "--train", "2", "--val", "1", "--size", "96"]
    assert main(command) == 0
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert set(before) == {*ARCHIVES, "sample.json"}
    capsys.readouterr()
    assert main(command) == 0
    assert "nothing to do" in capsys.readouterr().out
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before
    assert dataset.make(tmp_path, Sample(seed=3, **SMALL))
    (tmp_path / "val2017.zip").unlink()
    assert dataset.make(tmp_path, Sample(seed=3, **SMALL))
    (tmp_path / "sample.json").write_text("{")
    assert dataset.make(tmp_path, Sample(seed=3, **SMALL))


def test_interrupted_drawing_leaves_no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = dataset.draw

    def interrupted(what: Sample, split: str, index: int) -> Any:
        if index == 2:
            raise KeyboardInterrupt
        return draw(what, split, index)

    monkeypatch.setattr(dataset, "draw", interrupted)
    with pytest.raises(KeyboardInterrupt):
        dataset.make(tmp_path, Sample(train=4, val=1, size=96))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("field", "value"),
    [("train", 0), ("val", 0), ("size", 32), ("seed", -1), ("difficulty", 1.5), ("difficulty", float("nan"))],
)
def test_value_out_of_range_is_named(field: str, value: float) -> None:
    with pytest.raises(InputError, match=f"{field} is {value}.*give a"):
        Sample(**{field: value})  # type: ignore[arg-type]


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert main(["--out", str(tmp_path / "file"), "--train", "1", "--val", "1"]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"error: {tmp_path / 'file'}: ")
    assert "cannot be written" in error
