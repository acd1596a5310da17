"""What becomes of keypoints: each kind of error is told from the others."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openpose import skeleton
from openpose.evaluation import keypoint_errors
from openpose.evaluation.keypoint_errors import KINDS, Comparison, PictureTruth

OPENPOSE = skeleton.get("openpose18")
PARTS = OPENPOSE.source_parts
AREA = 100.0**2
NOWHERE = np.zeros((0, 4))


def person(left: float = 0) -> np.ndarray:
    """Keypoints [17, 3] of a person 100 pixels wide and 200 high, no two of them near each other."""
    places = np.array([(x, y) for y in range(0, 240, 40) for x in (0, 50, 100)][:17], float)
    return np.concatenate([places + (left, 0), np.ones((17, 1))], -1)


def truth(*people: np.ndarray, ignored: np.ndarray = NOWHERE) -> PictureTruth:
    stacked = np.array(people).reshape(-1, 17, 3)
    return PictureTruth(stacked[..., :2], stacked[..., 2] > 0, np.full(len(people), AREA), ignored)


def compare(true: PictureTruth, *found: np.ndarray) -> Comparison:
    return keypoint_errors.compare(true, np.array(found).reshape(-1, 17, 3), OPENPOSE)


def kinds(compared: Comparison) -> dict[str, int]:
    """How often each kind is there, when it is."""
    counts = compared.counts.kinds.sum(1)
    return {name: int(count) for name, count in zip(KINDS, counts, strict=True) if count}


def kind_of(compared: Comparison, part: str) -> str:
    return list(KINDS)[int(compared.counts.kinds[:, PARTS.index(part)].argmax())]


def moved(part: str, similarity: float) -> np.ndarray:
    """The person with one keypoint as far from its place as this OKS says."""
    found = person()
    sigma = 2 * OPENPOSE.source_sigmas[PARTS.index(part)] * np.sqrt(AREA)
    found[PARTS.index(part), 0] += sigma * np.sqrt(-2 * np.log(similarity))
    return found


def test_what_is_where_it_is_labelled() -> None:
    compared = compare(truth(person(), person(500)), person(500), person())
    assert kinds(compared) == {"right": 34}
    assert (compared.quality, compared.missed, compared.false_positives) == (pytest.approx(1), 0, 0)
    assert compared.counts.background.sum() == 0


@pytest.mark.parametrize(
    ("similarity", "kind"), [(0.86, "right"), (0.84, "jitter"), (0.51, "jitter"), (0.49, "elsewhere")]
)
def test_limits_are_those_of_the_paper(similarity: float, kind: str) -> None:
    compared = compare(truth(person()), moved("left_wrist", similarity))
    assert kind_of(compared, "left_wrist") == kind
    assert kinds(compared).get("right", 0) == 16 + (kind == "right")


def test_swapped_sides() -> None:
    found = person()[list(OPENPOSE.flip_source)]
    found[0] = person()[0]
    found[PARTS.index("left_hip")], found[PARTS.index("right_hip")] = person()[11], person()[12]
    assert kinds(compare(truth(person()), found)) == {"right": 3, "swapped sides": 14}


def test_of_somebody_else() -> None:
    found = person()
    found[PARTS.index("right_ankle")] = person(500)[PARTS.index("right_ankle")]
    compared = compare(truth(person(), person(500)), found)
    assert kind_of(compare(truth(person()), found), "right_ankle") == "elsewhere"
    assert kinds(compared) == {"right": 16, "other person": 1, "person missed": 17}
    assert compared.missed == 1
    assert compared.quality == pytest.approx(16 / 17 / 2)


def test_not_found() -> None:
    found = person()
    found[3, 2] = 0
    assert kinds(compare(truth(person()), found)) == {"right": 16, "missed": 1}
    compared = compare(truth(person()))
    assert kinds(compared) == {"person missed": 17}
    assert (compared.quality, compared.missed) == (0, 1)


def test_nobody_is_there() -> None:
    ghost = person(700)
    ghost[0, 2] = 0
    compared = compare(truth(person()), person(), ghost)
    assert compared.counts.background.tolist() == [0] + 16 * [1]
    assert compared.counts.found.tolist() == [1] + 16 * [2]
    assert (compared.quality, compared.false_positives) == (pytest.approx(0.5), 1)
    assert compare(truth(), ghost).quality == 0
    assert compare(truth()).quality is None


def test_found_twice_is_once_too_often() -> None:
    assert compare(truth(person()), person(), person()).false_positives == 1


def test_people_of_whom_nothing_is_labelled_are_nobodys_mistake() -> None:
    crowd = np.array([[690.0, -10, 130, 300]])
    compared = compare(truth(person(), ignored=crowd), person(), person(700))
    assert compared.false_positives == 0
    assert compared.counts.background.sum() == 0
    assert compare(truth(ignored=crowd), person(700)).quality is None


@given(st.integers(0, 4), st.integers(0, 4), st.integers(0, 2**32 - 1))
def test_every_labelled_keypoint_is_of_one_kind(people: int, found: int, seed: int) -> None:
    rng = np.random.default_rng(seed)

    def some(count: int) -> np.ndarray:
        places = rng.uniform(0, 100, (count, 17, 2))
        return np.concatenate([places, rng.integers(0, 2, (count, 17, 1))], -1)

    true = truth(*[one for one in some(people) if one[:, 2].any()])
    compared = compare(true, *some(found))
    assert (compared.counts.labelled == true.labelled.sum(0)).all()
    assert (compared.counts.background <= compared.counts.found).all()
    assert compared.quality is None or 0 <= compared.quality <= 1
    both = keypoint_errors.total([compared.counts, compared.counts], OPENPOSE)
    assert (both.kinds == 2 * compared.counts.kinds).all()
    assert sum(both.as_dict(OPENPOSE)["nose"][kind] for kind in KINDS) == 2 * true.labelled[:, 0].sum()
