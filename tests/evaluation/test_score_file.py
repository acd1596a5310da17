"""The command that scores a file of detections: what it prints, and what it says of files that cannot be used."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from openpose.coco import truth
from openpose.evaluation import score_file
from openpose.evaluation.pixel_errors import FIGURES
from openpose.predict.results import coco_results
from openpose.skeleton import OPENPOSE18 as OPENPOSE
from tests.evaluation.coco_people import annotations, people, person


def run(capsys: pytest.CaptureFixture[str], truth: Path, detections: Path) -> tuple[int, str, str]:
    code = score_file.main(["--truth", str(truth), "--detections", str(detections)])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def test_command_prints_the_figures_of_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "truth.json").write_text(json.dumps(annotations({1: [person(0)]})))
    (tmp_path / "found.json").write_text(json.dumps(coco_results(1, people(person(0)), OPENPOSE)))
    code, printed, _ = run(capsys, tmp_path / "truth.json", tmp_path / "found.json")
    assert code == 0
    figures = {line[:18].strip(): line[18:].strip() for line in printed.splitlines()}
    assert (figures["AP"], figures["APm"], figures["AP left_wrist"]) == ("1.000", "undefined", "1.000")
    assert [figures[name] for name in FIGURES] == ["0.000", "0.000", "0.000", "1.000", "1.000", "1.000"]
    assert figures["left_wrist"].split() == ["0.000", "0.000", "0.000", "1.000", "1.000", "1.000", "1"]


def test_detections_of_other_keypoints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keypoints = [10, 10, 2, 40, 10, 2, 25, 30, 2]
    truth = {
        "images": [{"id": 1, "file_name": "a.png", "width": 99, "height": 99}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 7, "iscrowd": 0, "keypoints": keypoints, "num_keypoints": 3}
            | {"bbox": [10, 10, 30, 20], "area": 600}
        ],
        "categories": [{"id": 3, "name": "cup"}, {"id": 7, "name": "fish", "keypoints": ["mouth", "tail", "fin"]}],
    }
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    for category in (1, 7):
        found = [{"image_id": 1, "category_id": category, "keypoints": keypoints, "score": 0.9}]
        (tmp_path / "found.json").write_text(json.dumps(found))
        code, printed, _ = run(capsys, tmp_path / "truth.json", tmp_path / "found.json")
        assert code == 0
        figures = {line[:18].strip(): line[18:].strip() for line in printed.splitlines()}
        assert (figures["AP"], figures["AP tail"]) == ("1.000", "1.000")


def test_all_of_a_picture_with_many_animals_count(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    many = [[10 + 40 * n, 10, 2, 30 + 40 * n, 30, 2] for n in range(25)]
    labels = [
        {"id": n + 1, "image_id": 1, "category_id": 1, "iscrowd": 0, "keypoints": keypoints, "num_keypoints": 2}
        | {"bbox": [keypoints[0], 10, 20, 20], "area": 400}
        for n, keypoints in enumerate(many)
    ]
    truth = {
        "images": [{"id": 1, "file_name": "a.png", "width": 1100, "height": 60}],
        "annotations": labels,
        "categories": [{"id": 1, "name": "ant", "keypoints": ["head", "tail"]}],
    }
    found = [{"image_id": 1, "category_id": 1, "keypoints": keypoints, "score": 0.9} for keypoints in many]
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    (tmp_path / "found.json").write_text(json.dumps(found))
    code, printed, _ = run(capsys, tmp_path / "truth.json", tmp_path / "found.json")
    assert code == 0
    figures = {line[:18].strip(): line[18:].strip() for line in printed.splitlines()}
    assert (figures["AR"], figures["AP head"]) == ("1.000", "1.000"), "COCO counts the best 20 people"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[", "not valid JSON"),
        ("{}", "must be a list of detections in COCO's result format"),
        ('[{"category_id": 1}]', "`image_id` of entry 0 must be the number of a picture"),
        (
            '[{"image_id": 1, "category_id": 1, "score": 1, "keypoints": [0]}]',
            "`keypoints` of entry 0 must be 51 finite numbers",
        ),
        (
            '[{"image_id": 1, "category_id": 1, "score": NaN, "keypoints": [0]}]',
            "`score` of entry 0 must be a finite number",
        ),
        (
            '[{"image_id": 1, "category_id": 1, "score": true, "keypoints": [0]}]',
            "`score` of entry 0 must be a finite number",
        ),
        ('[{"image_id": 1, "category_id": 3}]', "entry 0 must be"),
        (json.dumps(coco_results(9, people(person(0)), OPENPOSE)), "such as [9]; give those of the same split"),
    ],
)
def test_detections_that_cannot_be_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, message: str
) -> None:
    (tmp_path / "truth.json").write_text(json.dumps(annotations({1: [person(0)]})))
    (tmp_path / "found.json").write_text(content)
    code, _, errors = run(capsys, tmp_path / "truth.json", tmp_path / "found.json")
    assert code == 1
    assert errors.count("\n") == 1
    assert errors.startswith(f"error: {tmp_path}/found.json: ")
    assert message in errors


def test_truth_that_is_no_truth(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "found.json").write_text("[]")
    code, _, errors = run(capsys, tmp_path / "found.json", tmp_path / "found.json")
    said = "`categories` is missing; it must be a list of objects, as in COCO's person_keypoints files"
    assert (code, errors) == (1, f"error: {tmp_path}/found.json: {said}\n")
    code, _, errors = run(capsys, tmp_path / "none.json", tmp_path / "found.json")
    assert (code, errors) == (1, f"error: {tmp_path}/none.json: no such file\n")


def all_have(**fields: Any) -> Callable[[dict[str, Any], list[dict[str, Any]]], None]:
    """Gives all annotations these fields; `...` takes a field away."""

    def change(truth: dict[str, Any], found: list[dict[str, Any]]) -> None:
        for entry in truth["annotations"]:
            entry |= fields
            for name in [name for name, value in fields.items() if value is ...]:
                del entry[name]

    return change


def found_have(**fields: Any) -> Callable[[dict[str, Any], list[dict[str, Any]]], None]:
    def change(truth: dict[str, Any], found: list[dict[str, Any]]) -> None:
        for entry in found:
            entry |= fields

    return change


def category_0(truth: dict[str, Any], found: list[dict[str, Any]]) -> None:
    truth["categories"] = [OPENPOSE.coco_category() | {"id": 0}]
    all_have(category_id=0)(truth, found)


def category_0_in_both(truth: dict[str, Any], found: list[dict[str, Any]]) -> None:
    category_0(truth, found)
    found_have(category_id=0)(truth, found)


def ids_from_0(truth: dict[str, Any], found: list[dict[str, Any]]) -> None:
    for number, entry in enumerate(truth["annotations"]):
        entry["id"] = number


def floats(truth: dict[str, Any], found: list[dict[str, Any]]) -> None:
    for entry in [*truth["annotations"], *found]:
        entry["image_id"] = float(entry["image_id"])
    for image in truth["images"]:
        image["id"] = float(image["id"])


def score(tmp_path: Path, capsys: pytest.CaptureFixture[str], change: Any) -> tuple[int, str, str]:
    """Scores the annotations themselves after a change of both files."""
    truth = annotations({1: [person(0), person(1)], 2: [person(2)]})
    for entry in truth["annotations"]:
        entry["bbox"] = [20, 20, 200, 200]
    found = [
        {"image_id": each["image_id"], "category_id": 1, "keypoints": list(each["keypoints"]), "score": 0.9}
        for each in truth["annotations"]
    ]
    change(truth, found)
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    (tmp_path / "found.json").write_text(json.dumps(found))
    return run(capsys, tmp_path / "truth.json", tmp_path / "found.json")


@pytest.mark.parametrize(
    "change",
    [
        *(all_have(**{field: ...}) for field in ("iscrowd", "area", "num_keypoints", "bbox", "id", "category_id")),
        *(all_have(iscrowd=value) for value in (None, "0", False)),
        *(all_have(area=0), all_have(bbox=[]), all_have(id=7), all_have(segmentation="?"), all_have(category_id="1")),
        *(category_0, ids_from_0, floats),
        *(found_have(caption="person"), found_have(bbox=None), found_have(bbox=[5, 5, 9]), found_have(segmentation=5)),
        category_0_in_both,
        lambda truth, found: truth["annotations"].append({"id": 9, "image_id": 2, "keypoints": [], "category_id": 1}),
        lambda truth, found: [image.pop("width") for image in truth["images"]],
        lambda truth, found: truth["annotations"].extend([dict(entry) for entry in truth["annotations"]]),
    ],
)
def test_what_is_not_needed_may_be_odd(tmp_path: Path, capsys: pytest.CaptureFixture[str], change: Any) -> None:
    code, printed, errors = score(tmp_path, capsys, change)
    assert (code, printed.split()[:2]) == (0, ["AP", "1.000"]), errors


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (all_have(area=None), "`area` of annotation 1 is null"),
        (all_have(image_id=...), "`image_id` of an entry (annotation 1) must be a whole number, it is missing"),
        (all_have(image_id=9), "annotation 1 has image_id 9, which is not among the images"),
        (
            all_have(keypoints=...),
            "nobody has a labelled keypoint that counts, so that AP is undefined; its annotations",
        ),
        (all_have(iscrowd=1), "3 crowds with keypoints, which are not used"),
        (all_have(keypoints=[1, 1, 2] * 14), "annotation 1 has 42 numbers; it must have 51"),
        (all_have(category_id=5), "`category_id` of annotation 1 is 5, which is none of `categories`"),
        (lambda truth, found: truth["images"][1].pop("id"), "`id` of an entry (number 2 of `images`) must be a whole"),
        (lambda truth, found: truth["images"].append(truth["images"][0]), "two images have the id 1"),
    ],
)
def test_truth_that_cannot_be_meant(tmp_path: Path, capsys: pytest.CaptureFixture[str], change: Any, said: str) -> None:
    code, printed, errors = score(tmp_path, capsys, change)
    assert (code, printed, errors.count("\n")) == (1, "", 1)
    assert errors.startswith(f"error: {tmp_path}/truth.json: ")
    assert said in errors


def test_why_an_ap_is_low_is_noted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def change(truth: dict[str, Any], found: list[dict[str, Any]]) -> None:
        truth["categories"].append({"id": 2, "name": "dog"})
        truth["annotations"][0]["category_id"] = 2
        found.append(dict(found[1]))

    code, printed, errors = score(tmp_path, capsys, change)
    assert (code, printed.split()[0]) == (0, "AP")
    assert float(printed.split()[1]) < 1
    assert "note: 1 detections are the same as another one of their picture" in errors
    assert "note: 1 of other categories: not used" in errors


def test_undefined_comes_with_the_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def small(truth: dict[str, Any], found: list[dict[str, Any]]) -> None:
        for entry in truth["annotations"]:
            entry["area"] = 100 * 100
            entry["keypoints"][:3] = [0, 0, 0]

    code, _, errors = score(tmp_path, capsys, small)
    assert code == 0
    assert "undefined: APm, ARm: nobody of that size is labelled" in errors
    assert "undefined: AP nose: nobody has a label for that keypoint" in errors


def test_file_of_the_real_subset_scores_as_pycocotools_read_it(shared: Path) -> None:
    place = shared / "coco/annotations/person_keypoints_val2017.json"
    document = json.loads(place.read_text())
    checked = truth.read(str(place)).document["annotations"]
    assert len(checked) == len(document["annotations"])
    by_keypoints = {(entry["image_id"], tuple(entry["bbox"])): entry for entry in document["annotations"]}
    for entry in checked:
        own = by_keypoints[entry["image_id"], tuple(entry["bbox"])]
        for field in ("area", "keypoints", "num_keypoints", "iscrowd", "category_id"):
            assert entry[field] == own[field]
