"""Decoding undoes encoding, and survives what networks and crowds bring."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO

from openpose import skeleton
from openpose.coco import annotations
from openpose.coco.person import Form
from openpose.codec import decode, encode
from openpose.errors import InputError
from openpose.evaluation import score
from openpose.predict.results import coco_results

OPENPOSE = skeleton.get("openpose18")
STRIDE = 8
GRID = (46, 62)

# A standing person seen from the front, 1 high, in the order of the parts; the person's right is on the left.
STANDING = np.array(
    [
        *[
            (0.0, 0.08),
            (0.0, 0.2),
            (-0.12, 0.2),
            (-0.17, 0.35),
            (-0.2, 0.5),
            (0.12, 0.2),
            (0.17, 0.35),
            (0.2, 0.5),
        ],
        *[(-0.08, 0.52), (-0.09, 0.75), (-0.1, 0.98), (0.08, 0.52), (0.09, 0.75), (0.1, 0.98)],
        *[(-0.03, 0.06), (0.03, 0.06), (-0.06, 0.08), (0.06, 0.08)],
    ],
    np.float32,
)


def part(name: str) -> int:
    return OPENPOSE.parts.index(name)


def standing(x: float, y: float, height: float) -> np.ndarray:
    """Part positions [K, 2] in input pixels of a person whose head's top is at x, y."""
    return np.array([x, y], np.float32) + height * STANDING


def maps_of(people: np.ndarray, labelled: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    people = np.asarray(people, np.float32).reshape(-1, OPENPOSE.num_parts, 2)
    if labelled is None:
        labelled = np.ones(people.shape[:2], bool)
    heatmap, vectmap = encode.encode(people, labelled, GRID, OPENPOSE)
    return heatmap.numpy(), vectmap.numpy()


def found_in(people: np.ndarray, labelled: np.ndarray | None = None) -> decode.People:
    return decode.decode(*maps_of(people, labelled), OPENPOSE).in_pixels(STRIDE)


def assert_same_people(found: decode.People, people: np.ndarray, cells: float) -> None:
    """Each person was found once, complete, with no part further off than that."""
    assert len(found) == len(people)
    for person in people:
        distance = np.linalg.norm(found.keypoints[..., :2] - person, axis=-1).max(1)
        assert distance.min() <= cells * STRIDE
    assert (found.keypoints[..., 2] > 0).all()


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(
    people=st.lists(st.tuples(st.floats(-20, 20), st.floats(40, 90), st.floats(150, 240)), min_size=1, max_size=3),
    mirrored=st.booleans(),
    seed=st.integers(0, 2**16),
)
def test_round_trip(people: list[tuple[float, float, float]], mirrored: bool, seed: int) -> None:
    """People who stand apart come back, each joint within a fifth of a cell."""
    rng = np.random.default_rng(seed)
    true = np.array([standing(90 + 150 * i + x, y, height) for i, (x, y, height) in enumerate(people)])
    true += rng.uniform(-5, 5, true.shape)
    if mirrored:  # seen from behind
        true = true[:, OPENPOSE.flip_parts]
    assert_same_people(found_in(true), true, cells=0.2)


def test_scores_are_high_on_true_maps_and_rank_whole_people_first() -> None:
    labelled = np.ones((2, OPENPOSE.num_parts), bool)
    labelled[0, part("right_hip") : part("left_ankle") + 1] = False
    found = found_in(np.array([standing(150, 60, 220), standing(350, 60, 220)]), labelled)
    assert (found.keypoints[0, :, 2] > 0.9).all()
    assert (found.keypoints[1, :, 2] > 0).tolist() == labelled[0].tolist()
    assert found.scores[0] > found.scores[1] > 0.4


def test_of_two_alike_the_larger_one_ranks_first() -> None:
    """Small people are found less often right, and AP rewards an order by what is right."""
    true = np.array([standing(100, 60, 120), standing(330, 60, 260)])
    found = found_in(true)
    assert len(found) == 2
    assert np.ptp(found.keypoints[0, :, 1]) > np.ptp(found.keypoints[1, :, 1])
    assert found.scores[0] > 1.1 * found.scores[1]


def test_overlapping_people_are_kept_apart() -> None:
    true = np.array([standing(200, 60, 240), standing(245, 75, 230)])
    assert_same_people(found_in(true), true, cells=0.4)


def test_crossing_limbs_are_kept_apart() -> None:
    true = np.array([standing(180, 60, 240), standing(300, 60, 240)])
    reach = part("left_elbow"), part("left_wrist"), part("right_elbow"), part("right_wrist")
    true[0, reach[:2]] = (230, 130), (285, 190)
    true[1, reach[2:]] = (245, 140), (215, 200)
    assert_same_people(found_in(true), true, cells=0.4)


def test_a_part_between_two_cells_is_found_once() -> None:
    """The two cells beside it are equal; neither must be lost nor both be taken."""
    boundary = standing(200, 60, 240)
    boundary = np.round(boundary / STRIDE) * STRIDE - 0.5
    assert_same_people(found_in(boundary[None]), boundary[None], cells=0.2)


def test_people_without_a_neck_are_put_together() -> None:
    """Where one shoulder is not labelled there is no neck, and no limb joins head, arm and legs."""
    true = np.array([standing(150, 60, 220), standing(350, 60, 220)])
    labelled = np.ones((2, OPENPOSE.num_parts), bool)
    labelled[:, [part("neck"), part("left_shoulder"), part("left_ear")]] = False
    found = found_in(true, labelled)
    assert len(found) == 2
    for person in found.keypoints:
        assert ((person[:, 2] > 0) == labelled[0]).all()
        assert np.ptp(person[person[:, 2] > 0, 0]) < 150, "parts of both people in one"


def test_pieces_are_not_joined_where_a_limb_would_be() -> None:
    """A head and a trunk of two people: the limb between nose and neck is not there, so they are not one."""
    true = standing(200, 60, 240)
    head = [part(name) for name in ("nose", "right_eye", "left_eye", "right_ear", "left_ear")]
    labelled = np.zeros((2, OPENPOSE.num_parts), bool)
    labelled[0, head] = True
    labelled[1] = ~labelled[0]
    found = found_in(np.array([true + [120, -30], true]), labelled)
    assert sorted((found.keypoints[..., 2] > 0).sum(1)) == [len(head), OPENPOSE.num_parts - len(head)]


def test_a_leftover_is_not_joined_across_other_people() -> None:
    """In a row of people the vectmap agrees between one's shoulder and another's elbow; the near one wins."""
    shoulder, elbow = part("right_shoulder"), part("right_elbow")
    limb = OPENPOSE.limbs.index((shoulder, elbow))
    heatmap, vectmap = maps_of(np.zeros((0, OPENPOSE.num_parts, 2)))
    vectmap[..., 2 * limb] = 1
    for x, name in ((5, shoulder), (45, shoulder), (49, elbow)):  # the first one's own elbow is hidden
        heatmap[20, x, name] = 1
    parameters = decode.DecodeParameters(min_parts=2, max_gap=0)
    found = decode.decode(heatmap, vectmap, OPENPOSE, parameters)
    assert len(found) == 1
    assert found.keypoints[0, [shoulder, elbow], 0] == pytest.approx([45, 49], abs=0.1)


def test_weak_people_are_dropped() -> None:
    labelled = np.zeros((1, OPENPOSE.num_parts), bool)
    labelled[0, [part("nose"), part("neck")]] = True
    maps = maps_of(standing(200, 60, 240)[None], labelled)
    assert len(decode.decode(*maps, OPENPOSE)) == 0
    assert len(decode.decode(*maps, OPENPOSE, decode.DecodeParameters(min_parts=2))) == 1
    heatmap, vectmap = maps_of(standing(200, 60, 240)[None])
    assert len(decode.decode(0.05 * heatmap, 0.05 * vectmap, OPENPOSE)) == 0
    faint = decode.DecodeParameters(min_score=0)
    assert len(decode.decode(0.05 * heatmap, 0.05 * vectmap, OPENPOSE, faint)) == 1


@pytest.mark.parametrize("grid", [GRID, (1, 1), (1, 30), (30, 1)])
def test_nobody(grid: tuple[int, int]) -> None:
    """Empty maps, of any size, have no people, and the arrays say so with their shapes."""
    for value in (0.0, 1.0):
        heatmap, vectmap = np.full((*grid, 19), value, np.float32), np.zeros((*grid, 38), np.float32)
        found = decode.decode(heatmap, vectmap, OPENPOSE).in_pixels(STRIDE)
        assert (found.keypoints.shape, found.scores.shape, len(found)) == ((0, 18, 3), (0,), 0)
        assert found.keypoints.dtype == found.scores.dtype == np.float32


def test_background_is_not_used() -> None:
    heatmap, vectmap = maps_of(standing(200, 60, 240)[None])
    expected = decode.decode(heatmap, vectmap, OPENPOSE)
    heatmap[..., OPENPOSE.background] = 7
    found = decode.decode(heatmap, vectmap, OPENPOSE)
    np.testing.assert_array_equal(found.keypoints, expected.keypoints)


def noise() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.random((*GRID, 19), np.float32), rng.uniform(-1, 1, (*GRID, 38)).astype(np.float32)


def test_noise_is_bounded() -> None:
    """Thousands of peaks: the number of pairs that are looked at does not depend on them."""
    heatmap, vectmap = noise()
    unbounded = dataclasses.replace(decode.DecodeParameters(), max_peaks=10**6)
    assert len(decode.find_peaks(heatmap, OPENPOSE, unbounded).part) > 2000
    parameters = decode.DecodeParameters()
    peaks = decode.find_peaks(heatmap, OPENPOSE, parameters)
    assert (np.bincount(peaks.part) == decode.max_peaks(OPENPOSE)).all()
    lowest_kept = [peaks.score[peaks.part == k].min() for k in range(18)]
    all_peaks = decode.find_peaks(heatmap, OPENPOSE, unbounded)
    dropped = [np.sort(all_peaks.score[all_peaks.part == k])[-decode.max_peaks(OPENPOSE) - 1] for k in range(18)]
    assert (np.array(lowest_kept) >= dropped).all(), "the highest ones are kept"
    assert len(decode._pairs(peaks, OPENPOSE).limb) <= OPENPOSE.num_limbs * decode.max_peaks(OPENPOSE) ** 2
    assert len(decode.decode(heatmap, vectmap, OPENPOSE)) <= OPENPOSE.num_parts * decode.max_peaks(OPENPOSE) / 3


def test_no_part_is_used_twice() -> None:
    found = decode.decode(*noise(), OPENPOSE)
    places = [(k, *xy) for person in found.keypoints for k, (*xy, value) in enumerate(person) if value > 0]
    assert len(places) == len({(k, round(float(x), 4), round(float(y), 4)) for k, x, y in places}) > 0


def test_same_maps_give_same_people() -> None:
    heatmap, vectmap = noise()
    first = decode.decode(heatmap, vectmap, OPENPOSE)
    # Nor does the arrays' layout matter.
    second = decode.decode(np.asfortranarray(heatmap).astype(np.float64), np.asfortranarray(vectmap), OPENPOSE)
    np.testing.assert_array_equal(first.keypoints, second.keypoints)
    np.testing.assert_array_equal(first.scores, second.scores)


def test_maps_are_not_changed() -> None:
    maps = maps_of(standing(200, 60, 240)[None])
    copies = [m.copy() for m in maps]
    decode.decode(*maps, OPENPOSE)
    for before, after in zip(copies, maps, strict=True):
        np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("which", ["heatmap", "vectmap"])
def test_broken_numbers_are_an_error(value: float, which: str) -> None:
    heatmap, vectmap = maps_of(standing(200, 60, 240)[None])
    {"heatmap": heatmap, "vectmap": vectmap}[which][3, 4, 5] = value
    with pytest.raises(InputError, match=f"{which} holds NaN"):
        decode.decode(heatmap, vectmap, OPENPOSE)


@pytest.mark.parametrize(
    ("heatmap", "vectmap", "message"),
    [
        ((46, 62, 18), (46, 62, 38), r"heatmap has shape \[46, 62, 18\]; .*needs \[h, w, 19\]"),
        ((46, 62, 19), (46, 62, 57), r"vectmap has shape \[46, 62, 57\]; .*needs \[h, w, 38\]"),
        ((1, 46, 62, 19), (1, 46, 62, 38), r"heatmap has shape \[1, 46, 62, 19\]"),
        ((0, 62, 19), (0, 62, 38), r"heatmap has shape \[0, 62, 19\]"),
        ((46, 62, 19), (46, 61, 38), "differ in height or width"),
    ],
)
def test_wrong_shapes_are_an_error(heatmap: tuple, vectmap: tuple, message: str) -> None:
    with pytest.raises(InputError, match=message):
        decode.decode(np.zeros(heatmap), np.zeros(vectmap), OPENPOSE)


def test_in_pixels() -> None:
    """Cell g is input pixel 8 g + 3.5; an input twice as wide as the picture halves x about pixel edges."""
    keypoints = np.zeros((1, 18, 3), np.float32)
    keypoints[0, 0] = 10, 4, 0.5
    people = decode.People(keypoints, np.ones(1, np.float32))
    assert people.in_pixels(8).keypoints[0, 0] == pytest.approx([83.5, 35.5, 0.5])
    assert people.in_pixels(8, (2, 1)).keypoints[0, 0] == pytest.approx([41.5, 35.5, 0.5])
    assert not people.in_pixels(8, 0.5).keypoints[0, 1:].any(), "parts that were not found stay 0"


@pytest.mark.slow
def test_oracle_on_real_people(shared: Path) -> None:
    """True maps of real photographs, decoded: it bounds what any network can reach."""
    path = shared / "coco" / "annotations" / "person_keypoints_val2017.json"
    results, coco = [], COCO(path)
    for image in coco.dataset["images"]:
        picture = annotations.make_picture(image, coco.imgToAnns[image["id"]], OPENPOSE, Form(path.name))
        scale = 368 / picture.height
        keypoints, labelled = OPENPOSE.part_keypoints(
            picture.keypoints[picture.labelled], picture.visibility[picture.labelled]
        )
        grid = (46, -(-round(picture.width * scale) // STRIDE))
        heatmap, vectmap = encode.encode((keypoints + 0.5) * scale - 0.5, labelled, grid, OPENPOSE)
        people = decode.decode(heatmap.numpy(), vectmap.numpy(), OPENPOSE).in_pixels(STRIDE, scale)
        results += coco_results(picture.id, people, OPENPOSE)
    ap = score.average_precision(path, results, OPENPOSE)["AP"]
    assert ap is not None
    assert ap >= 0.88
