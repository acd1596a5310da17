"""Distances from the labels: figures known by hand, which find belongs to which animal, and what is undefined."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openpose.evaluation.pixel_errors import FIGURES, PixelErrors, pixel_errors, rows, table
from openpose.skeleton import OPENPOSE18

MOUSE = replace(OPENPOSE18, source_parts=("snout", "ear", "tail"))
UNDEFINED = dict.fromkeys(FIGURES)


def points(*xy: tuple[float, float] | None) -> list[float]:
    """COCO's numbers of keypoints; None is not labelled, or not found."""
    return [number for each in xy for number in ((*each, 2) if each else (0, 0, 0))]


def animal(*xy: tuple[float, float] | None, picture: int = 1, box: tuple[float, float] = (100, 40)) -> dict[str, Any]:
    keypoints = points(*xy)
    return {
        **{"image_id": picture, "category_id": 1, "iscrowd": 0, "area": 1.0, "bbox": [0, 0, *box]},
        **{"keypoints": keypoints, "num_keypoints": sum(v > 0 for v in keypoints[2::3])},
    }


def find(*xy: tuple[float, float] | None, picture: int = 1, score: float = 1.0) -> dict[str, Any]:
    return {"image_id": picture, "category_id": 1, "score": score, "keypoints": points(*xy)}


def errors(animals: list[dict[str, Any]], finds: list[dict[str, Any]]) -> PixelErrors:
    return pixel_errors({"annotations": animals}, finds, MOUSE)


def figures(animals: list[dict[str, Any]], finds: list[dict[str, Any]]) -> dict[str, float | None]:
    """The figures of all keypoints, which JSON can hold."""
    found = errors(animals, finds).figures()
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    return found


def line(left: float = 0, top: float = 0) -> tuple[tuple[float, float], ...]:
    """Keypoints of an animal 100 pixels long."""
    return (left, top), (left + 50, top), (left + 100, top)


def test_figures_known_by_hand() -> None:
    animals = [animal(*line()), animal((0, 900), None, (100, 900))]
    finds = [find((3, 4), (50, 0), None), find((0, 912), (50, 900), (106, 908))]
    assert figures(animals, finds) == pytest.approx(
        {
            "rmse": np.sqrt((5**2 + 0 + 12**2 + 10**2) / 4),
            "median_error": 7.5,
            "p90_error": 11.4,  # 0.7 of the way from 10 to 12
            "pck_5": 2 / 5,
            "pck_10": 3 / 5,
            "found": 4 / 5,
        }
    )
    assert errors(animals, finds).by_keypoint(MOUSE) == {
        "snout": pytest.approx(
            {"rmse": np.sqrt((25 + 144) / 2), "median_error": 8.5, "p90_error": 11.3}
            | {"pck_5": 0.5, "pck_10": 0.5, "found": 1, "labelled": 2}
        ),
        "ear": {"rmse": 0, "median_error": 0, "p90_error": 0, "pck_5": 1, "pck_10": 1, "found": 1, "labelled": 1},
        "tail": {"rmse": 10, "median_error": 10, "p90_error": 10, "pck_5": 0, "pck_10": 0.5, "found": 0.5}
        | {"labelled": 2},
    }


def test_size_is_the_longer_side_of_the_box() -> None:
    for box in ((40, 100), (100, 40)):
        assert figures([animal(*line(), box=box)], [find(*line(0, 9))])["pck_10"] == 1
    assert figures([animal(*line(), box=(40, 80))], [find(*line(0, 9))])["pck_10"] == 0


def test_without_a_size_only_pck_is_undefined() -> None:
    one = animal(None, (50, 0), None, box=(0, 0))
    for animals in ([one], [one, animal(*line(0, 900), box=(0, 0))]):
        found = figures(animals, [find(None, (53, 4), None)])
        assert (found["rmse"], found["pck_5"], found["pck_10"]) == (5, None, None)
    sized = animal(*line(0, 900))
    assert figures([one, sized], [find(None, (50, 0), None)])["pck_5"] == 0, "of the other, which was missed"


@pytest.mark.parametrize("finds", [[], [find(*line())]])
def test_nobody_is_labelled(finds: list[dict[str, Any]]) -> None:
    crowd = animal(*line()) | {"iscrowd": 1}
    for animals in ([], [animal(None, None, None)], [crowd]):
        assert figures(animals, finds) == UNDEFINED
        assert errors(animals, finds).by_keypoint(MOUSE)["ear"] == UNDEFINED | {"labelled": 0}


def test_nothing_is_found() -> None:
    nothing = UNDEFINED | {"pck_5": 0, "pck_10": 0, "found": 0}
    assert figures([animal(*line())], []) == nothing
    assert figures([animal(*line())], [find(*line(), picture=2)]) == nothing
    assert figures([animal(*line())], [find(None, None, None)]) == nothing


def test_one_keypoint_is_labelled_of_nobody() -> None:
    by_keypoint = errors([animal((0, 0), None, (100, 0))], [find(*line(0, 5))]).by_keypoint(MOUSE)
    assert by_keypoint["ear"] == UNDEFINED | {"labelled": 0}
    assert by_keypoint["tail"]["rmse"] == 5


@pytest.mark.parametrize("order", [1, -1])
def test_animals_that_touch(order: int) -> None:
    """The find between both goes to the animal that is left, whatever the scores and the order say."""
    animals = [animal(*line(0, 0)), animal(*line(0, 20))]
    finds = [find(*line(0, 11), score=0.9), find(*line(0, 18), score=0.3)][::order]
    assert errors(animals, finds).distance.tolist() == [[11] * 3, [2] * 3]


def test_fragment_does_not_take_an_animal_away() -> None:
    animals = [animal(*line(0, 0)), animal(*line(0, 30))]
    finds = [find((0, 0), None, None, score=0.9), find(*line(0, 4)), find(*line(0, 34))]
    assert figures(animals, finds)["found"] == 1
    assert figures(animals, finds)["rmse"] == 4


def test_gross_error_of_a_keypoint_does_not_undo_the_pair() -> None:
    animals = [animal(*line(0, 0)), animal(*line(0, 300))]
    finds = [find(*line(0, -80)), find((0, 0), (50, 0), (900, 0)), find(*line(0, 302))]
    assert errors(animals, finds).distance.tolist() == [[0, 0, 800], [2, 2, 2]]


def test_find_elsewhere() -> None:
    """It is a false positive where several animals are, and the error of the only one where there is one."""
    elsewhere = find(*line(0, 500))
    for other in (animal(*line(600)), animal(*line(600)) | {"iscrowd": 1}, animal(None, None, None)):
        missed = figures([animal(*line()), other], [elsewhere])
        assert (missed["rmse"], missed["found"]) == (None, 0)
    alone = figures([animal(*line()), animal(*line(), picture=2)], [elsewhere])
    assert (alone["rmse"], alone["found"]) == (500, 0.5)
    nearer = find(*line(0, 400), score=0.1)
    assert figures([animal(*line())], [elsewhere, nearer])["rmse"] == 400


def test_of_two_equally_close_finds_the_better_scored_one_counts() -> None:
    for scores, expected in (((0.8, 0.2), [2, 4, 3]), ((0.2, 0.8), [4, 2, 3])):
        finds = [find((0, 2), (50, 4), (100, 3), score=scores[0]), find((0, 4), (50, 2), (100, 3), score=scores[1])]
        assert errors([animal(*line())], finds).distance.tolist() == [expected]
    complete, fragment = find(*line(0, 3), score=0.2), find((0, 3), (50, 3), None, score=0.8)
    assert figures([animal(*line())], [fragment, complete])["found"] == 1, "the complete one is closer"


def test_animals_of_other_categories_are_not_looked_at() -> None:
    other = {"image_id": 1, "category_id": 2, "bbox": [0, 0, 1, 1]}
    alone = figures([animal(*line()), other], [find(*line(0, 500))])
    assert alone["rmse"] == 500


PLACES = st.lists(st.lists(st.booleans(), min_size=3, max_size=3), min_size=1, max_size=6)


def scattered(labelled: list[list[bool]], by: tuple[float, float] = (0, 0)) -> list[list[tuple[float, float] | None]]:
    """Animals far from each other, with what is labelled of each; all are shifted."""
    return [
        [(x + by[0], y + by[1]) if shown else None for (x, y), shown in zip(line(0, 500 * row), each, strict=True)]
        for row, each in enumerate(labelled)
    ]


@given(PLACES)
def test_everything_shifted_is_as_wrong_as_the_shift_is_long(labelled: list[list[bool]]) -> None:
    animals = [animal(*each) for each in scattered(labelled)]
    found = figures(animals, [find(*each) for each in scattered(labelled, (3, 4))])
    shifted = {"rmse": 5, "median_error": 5, "p90_error": 5, "pck_5": 1, "pck_10": 1, "found": 1}
    assert found == (pytest.approx(shifted) if np.any(labelled) else UNDEFINED)


@given(PLACES, st.data())
def test_what_is_dropped_is_not_found_and_has_no_error(labelled: list[list[bool]], data: st.DataObject) -> None:
    kept = [[shown and data.draw(st.booleans()) for shown in each] for each in labelled]
    finds = [find(*each) for each in scattered(kept, (3, 4))]
    found = figures([animal(*each) for each in scattered(labelled)], data.draw(st.permutations(finds)))
    if np.any(labelled):
        share = np.sum(kept) / np.sum(labelled)
        assert (found["found"], found["pck_5"], found["pck_10"]) == pytest.approx((share, share, share))
        assert found["rmse"] == found["median_error"] == (pytest.approx(5) if np.any(kept) else None)


def test_table_for_a_terminal() -> None:
    measured = errors([animal((0, 0), None, (100, 0))], [find((3, 4), None, None)])
    everything = {"AP": 0.25} | measured.figures()
    lines = table(rows(everything, measured.by_keypoint(MOUSE), dict.fromkeys(MOUSE.source_parts)))
    assert lines[0].split() == ["AP", *FIGURES, "labelled"]
    assert lines[1].split() == ["all", "keypoints", "0.250", "5.000", "5.000", "5.000", *["0.500"] * 3, "2"]
    assert lines[3].split() == ["ear", *["undefined"] * 7, "0"]
    assert table(rows({"AP": 0.5}, {}, {})) == [], "an older evaluation has none"
