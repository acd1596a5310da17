"""The command that scores a file of detections: what it prints, and what it says of files that cannot be used."""

import json
from pathlib import Path

import pytest

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
    assert (code, errors) == (
        1,
        f"error: {tmp_path}/found.json: no list `images`; give COCO's person_keypoints file of the pictures\n",
    )
