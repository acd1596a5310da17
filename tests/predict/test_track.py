"""People keep their ids through the frames of a film."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openpose.codec.decode import People
from openpose.predict.track import Tracker

RATE, SIZE = 10.0, (480, 640)
SHAPE = np.array([[0, 0], [0, 40], [-12, 80], [12, 80]], np.float32)  # of a person, pixels


def people(*places: tuple[float, float], missing: int | None = None) -> People:
    """A person of four keypoints at each place; one keypoint of the first person is not found if `missing`."""
    keypoints = np.ones((len(places), 4, 3), np.float32)
    for person, place in zip(keypoints, places, strict=True):
        person[:, :2] = SHAPE + place
    if missing is not None:
        keypoints[0, missing] = 0
    return People(keypoints, np.ones(len(places), np.float32))


def ids(found: People) -> list[int]:
    assert found.ids is not None
    return found.ids.tolist()


def test_people_who_cross_keep_their_ids() -> None:
    """They pass each other within half a person's width, in both orders of detection."""
    tracker = Tracker(RATE, SIZE)
    for frame in range(40):
        left, right = (100.0 + 10 * frame, 200.0), (490.0 - 10 * frame, 210.0)
        swapped = frame % 2
        found = tracker.follow(people(right, left) if swapped else people(left, right))
        assert ids(found) == ([1, 0] if swapped else [0, 1]), frame


def test_person_who_is_hidden_for_less_than_a_second_comes_back_where_the_motion_led() -> None:
    tracker = Tracker(RATE, SIZE)
    for frame in range(10):
        tracker.follow(people((100 + 8 * frame, 200), (500, 300)))
    for _ in range(8):
        assert ids(tracker.follow(people((500, 300)))) == [1]
    assert ids(tracker.follow(people((500, 300), (100 + 8 * 18, 200)))) == [1, 0]


def test_person_who_was_away_for_longer_is_a_new_one() -> None:
    tracker = Tracker(RATE, SIZE)
    tracker.follow(people((100, 200)))
    for _ in range(11):
        assert ids(tracker.follow(people())) == []
    assert ids(tracker.follow(people((100, 200)))) == [1]


def test_somebody_else_far_away_is_a_new_one() -> None:
    tracker = Tracker(RATE, SIZE)
    tracker.follow(people((100, 200)))
    assert ids(tracker.follow(people((400, 200)))) == [1]


def test_one_who_was_seen_once_beside_somebody_does_not_take_the_number() -> None:
    """As a network may find a second person in one frame where there is one."""
    tracker = Tracker(RATE, SIZE)
    for frame in range(9):
        place = (200.0 + 9 * (frame % 2), 200.0)
        found = tracker.follow(people(place, (225.0, 215.0)) if frame == 3 else people(place))
        assert ids(found)[0] == 0


@pytest.mark.parametrize("frames", [1, 5])
def test_missing_keypoints_do_not_matter(frames: int) -> None:
    tracker = Tracker(RATE, SIZE)
    tracker.follow(people((100, 200), (300, 200)))
    for frame in range(frames):
        assert ids(tracker.follow(people((101 + frame, 200), (300, 200), missing=frame % 4))) == [0, 1]


def test_single_points_are_followed() -> None:
    tracker = Tracker(RATE, SIZE)
    for frame in range(20):
        points = np.array([[[100 + 3 * frame, 50, 1]], [[100, 300 - 3 * frame, 1]]], np.float32)
        assert ids(tracker.follow(People(points, np.ones(2, np.float32)))) == [0, 1]


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_order_of_detection_does_not_matter(data: st.DataObject) -> None:
    """Up to eight people walk on lines of their own, at least a person's height apart, at up to 12 pixels a frame."""
    count = data.draw(st.integers(1, 8))
    speeds = data.draw(st.lists(st.floats(-12, 12), min_size=count, max_size=count))
    tracker = Tracker(RATE, SIZE)
    expected: dict[int, int] = {}
    for frame in range(6):
        order = data.draw(st.permutations(range(count)))
        found = tracker.follow(people(*((300 + speeds[one] * frame, 100.0 * one) for one in order)))
        for one, number in zip(order, ids(found), strict=True):
            assert expected.setdefault(one, number) == number
    assert len(set(expected.values())) == count
