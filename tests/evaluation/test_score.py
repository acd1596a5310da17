"""COCO AP: what is perfect, what is nothing, what is undefined."""

import copy
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from openpose.errors import InputError
from openpose.evaluation import score
from openpose.predict.results import coco_results
from openpose.skeleton import OPENPOSE18 as OPENPOSE
from tests.evaluation.coco_people import annotations, people, person


def test_result_format() -> None:
    """COCO's order of keypoints, floating-point coordinates, zeros for what was not found."""
    parts = person(0)
    parts[OPENPOSE.parts.index("left_wrist")] = 7, 8, 0
    (result,) = coco_results(5, people(parts, scores=(0.75,)), OPENPOSE)
    assert {name: result[name] for name in ("image_id", "category_id", "score")} == {
        "image_id": 5,
        "category_id": 1,
        "score": 0.75,
    }
    keypoints = np.array(result["keypoints"]).reshape(17, 3)
    nose, wrist = OPENPOSE.source_parts.index("nose"), OPENPOSE.source_parts.index("left_wrist")
    assert keypoints[nose] == pytest.approx([*parts[OPENPOSE.parts.index("nose"), :2], 1])
    assert keypoints[wrist].tolist() == [0, 0, 0]
    assert json.loads(json.dumps(result)) == result


def test_perfect_detections() -> None:
    truth = annotations({1: [person(0), person(1)], 2: [person(2, size=60)], 3: []})
    found = [
        *coco_results(1, people(person(0), person(1)), OPENPOSE),
        *coco_results(2, people(person(2, size=60)), OPENPOSE),
    ]
    figures = score.average_precision(truth, found, OPENPOSE)
    assert tuple(figures) == score.METRICS
    assert all(value == pytest.approx(1) for value in figures.values())


def test_no_detections() -> None:
    figures = score.average_precision(annotations({1: [person(0)], 2: [person(1, size=60)]}), [], OPENPOSE)
    assert all(value == 0 for value in figures.values())


@pytest.mark.parametrize("detected", [False, True])
def test_undefined_without_labelled_people(detected: bool) -> None:
    """pycocotools says -1 where there is nobody to find; that is no figure."""
    found = coco_results(1, people(person(0)), OPENPOSE) if detected else []
    unlabelled = np.zeros((18, 3), np.float32)
    for truth in (annotations({1: []}), annotations({1: [unlabelled]})):
        assert set(score.average_precision(truth, found, OPENPOSE).values()) == {None}


def test_undefined_for_a_size_that_is_not_there() -> None:
    figures = score.average_precision(
        annotations({1: [person(0)]}), coco_results(1, people(person(0)), OPENPOSE), OPENPOSE
    )
    assert figures["APm"] is figures["ARm"] is None
    assert figures["AP"] == figures["APl"] == pytest.approx(1)


def test_all_images_count() -> None:
    """People found in pictures without people cost precision; people missed in other pictures cost recall."""
    truth = annotations({1: [person(0)], 2: []})
    right = coco_results(1, people(person(0), scores=(0.5,)), OPENPOSE)
    ghost = coco_results(2, people(person(1), scores=(0.9,)), OPENPOSE)
    assert score.average_precision(truth, right + ghost, OPENPOSE)["AP"] == pytest.approx(0.5)
    assert score.average_precision(truth, right + ghost, OPENPOSE, image_ids=[1])["AP"] == pytest.approx(1)
    both = annotations({1: [person(0)], 2: [person(1)]})
    assert score.average_precision(both, right, OPENPOSE)["AR"] == pytest.approx(0.5)
    assert score.average_precision(both, right, OPENPOSE, image_ids=[1])["AR"] == pytest.approx(1)


def test_ground_truth_from_a_file_is_the_same_and_stays_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    truth = annotations({1: [person(0)]})
    original = copy.deepcopy(truth)
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    found = coco_results(1, people(person(0) + [3, 0, 0]), OPENPOSE)
    found_before = copy.deepcopy(found)
    figures = score.average_precision(truth, found, OPENPOSE)
    assert score.average_precision(tmp_path / "truth.json", found, OPENPOSE) == figures
    assert 0 < (figures["AP"] or 0) < 1
    assert (truth, found) == (original, found_before)
    assert capsys.readouterr().out == "", "pycocotools' own prints are for nobody"


def test_detections_of_other_images_are_an_error() -> None:
    truth = annotations({1: [person(0)]})
    with pytest.raises(InputError, match=r"detections: 1 pictures are not in the annotations, such as \[9\]; give"):
        score.average_precision(truth, coco_results(9, people(person(0)), OPENPOSE), OPENPOSE)
    with pytest.raises(InputError, match=r"image_ids: 2 pictures .* such as \[7, 9\]"):
        score.average_precision(truth, [], OPENPOSE, image_ids=[1, 9, 7])


def test_published_detections_reach_their_published_figure(shared: Path) -> None:
    """Another project's detections on 200 real images, scored by its authors' script at 0.254 AP."""
    truth = shared / "coco" / "annotations" / "person_keypoints_val2017.json"
    name = "tf-pose-mobilenet_thin-val2017-detections.json"
    figures = score.average_precision(truth, json.loads((shared / "reference" / name).read_text()), OPENPOSE)
    assert figures["AP"] == pytest.approx(0.254, abs=5e-4)
    assert figures["AR"] == pytest.approx(0.311, abs=5e-4)


def test_sigmas_are_the_skeleton_s_own() -> None:
    truth, found = annotations({1: [person(0)]}), coco_results(1, people(person(0) + [20, 0, 0]), OPENPOSE)
    lenient = replace(OPENPOSE, source_sigmas=tuple(10 * sigma for sigma in OPENPOSE.source_sigmas))
    assert score.average_precision(truth, found, OPENPOSE)["AP"] == pytest.approx(0.3)
    assert score.average_precision(truth, found, lenient)["AP"] == pytest.approx(1)


def test_parts_by_themselves() -> None:
    """A part that is wrong costs its own AP only; one that was not found costs what is missed, and is no false find."""
    wrong, lacking = person(0), person(1)
    wrong[OPENPOSE.parts.index("left_wrist"), 0] += 100
    lacking[OPENPOSE.parts.index("nose"), 2] = 0
    truth = annotations({1: [person(0)], 2: [person(1)]})
    found = [*coco_results(1, people(wrong), OPENPOSE), *coco_results(2, people(lacking), OPENPOSE)]
    parts = score.part_precision(truth, found, OPENPOSE)
    assert tuple(parts) == OPENPOSE.source_parts
    values = {name: parts.pop(name) for name in ("left_wrist", "nose")}
    assert values["nose"] == pytest.approx(51 / 101)  # COCO's recalls are 0, 0.01, …, 1: half of them is reached
    assert values["left_wrist"] is not None
    assert values["left_wrist"] < 0.6
    assert list(parts.values()) == pytest.approx([1] * 15)


def test_part_that_is_labelled_of_nobody() -> None:
    """It has no AP, and to find it on the person of whom it is not labelled is no mistake."""
    unlabelled = person(0)
    unlabelled[OPENPOSE.parts.index("nose"), 2] = 0
    found = coco_results(1, people(person(0)), OPENPOSE)
    parts = score.part_precision(annotations({1: [unlabelled]}), found, OPENPOSE)
    assert parts.pop("nose") is None
    assert list(parts.values()) == pytest.approx([1] * 16)
    found += coco_results(2, people(person(1)), OPENPOSE)
    parts = score.part_precision(annotations({1: [unlabelled], 2: [person(1)]}), found, OPENPOSE)
    assert parts["nose"] == pytest.approx(1)
