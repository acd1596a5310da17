"""Drawings are in the right place and colour, and change no other pixel."""

import colorsys
from collections.abc import Mapping

import numpy as np
import pytest

from openpose import draw, skeleton
from openpose.codec.decode import People

OPENPOSE = skeleton.get("openpose18")
NOSE, NECK, WRIST = (OPENPOSE.parts.index(name) for name in ("nose", "neck", "right_wrist"))
EAR, SHOULDER = OPENPOSE.parts.index("right_ear"), OPENPOSE.parts.index("right_shoulder")


def picture(height: int = 120, width: int = 200) -> np.ndarray:
    return np.full((height, width, 3), 90, np.uint8)


def people(*persons: Mapping[int, tuple[float, float]]) -> People:
    keypoints = np.zeros((len(persons), 18, 3), np.float32)
    for person, parts in enumerate(persons):
        for part, xy in parts.items():
            keypoints[person, part] = *xy, 0.8
    return People(keypoints, np.ones(len(persons), np.float32))


def changed(image: np.ndarray) -> np.ndarray:
    return (image != picture(*image.shape[:2])).any(-1)


def test_skeleton_is_drawn_where_the_person_is() -> None:
    image = picture()
    drawn = draw.skeletons(image, people({NOSE: (40, 30), NECK: (40, 80)}), OPENPOSE)
    assert (drawn.shape, drawn.dtype) == (image.shape, np.uint8)
    assert (image == 90).all(), "the input is not changed"
    assert changed(drawn)[30:81, 40].all(), "the limb is whole"
    assert not changed(drawn)[:, :34].any()
    assert not changed(drawn)[:, 47:].any()
    assert not changed(drawn)[90:].any()


def test_parts_that_were_not_found_are_not_drawn() -> None:
    """A part with score 0 is at 0, 0: no dot and no line is drawn there."""
    drawn = draw.skeletons(picture(), people({WRIST: (100, 60)}), OPENPOSE)
    ys, xs = np.nonzero(changed(drawn))
    assert abs(ys - 60).max() <= 4
    assert abs(xs - 100).max() <= 4


def test_no_people_leave_the_picture_unchanged() -> None:
    assert not changed(draw.skeletons(picture(), people(), OPENPOSE)).any()


def test_people_beyond_the_border_are_clipped() -> None:
    drawn = draw.skeletons(picture(), people({NOSE: (190, 60), NECK: (260, 60)}), OPENPOSE)
    assert changed(drawn)[60, 190:].all()


def test_ear_and_shoulder_are_not_joined() -> None:
    drawn = draw.skeletons(picture(), people({EAR: (40, 20), SHOULDER: (40, 100)}), OPENPOSE)
    assert not changed(drawn)[30:90].any()


# From OpenPose's own pictures (its COCO model), in the order of the parts.
COLOURS = (
    *((255, 0, 85), (255, 0, 0), (255, 85, 0), (255, 170, 0), (255, 255, 0), (170, 255, 0), (85, 255, 0), (0, 255, 0)),
    *((0, 255, 85), (0, 255, 170), (0, 255, 255), (0, 170, 255), (0, 85, 255), (0, 0, 255)),
    *((255, 0, 170), (170, 0, 255), (255, 0, 255), (85, 0, 255)),
)


def test_each_part_has_its_colour() -> None:
    assert tuple(draw.part_colours(OPENPOSE)) == COLOURS
    for part, colour in enumerate(COLOURS):
        drawn = draw.skeletons(picture(), people({part: (50, 50)}), OPENPOSE)
        assert tuple(drawn[50, 50]) == colour


def test_thickness_grows_with_the_picture_and_the_person() -> None:
    def thickness(scale: int, length: int) -> int:
        parts = {NOSE: (100 * scale, 10 * scale), NECK: (100 * scale, 10 * scale + length)}
        return int(
            changed(draw.skeletons(picture(120 * scale, 200 * scale), people(parts), OPENPOSE))[
                10 * scale + length // 2
            ].sum()
        )

    assert thickness(1, 80) < thickness(8, 640)
    assert thickness(8, 60) < thickness(8, 640)


def heat(x: int, y: int) -> np.ndarray:
    maps = np.zeros((15, 25, 19), np.float32)
    maps[..., OPENPOSE.background] = 1
    maps[y, x, WRIST] = 1
    return maps


def test_heatmap_is_hot_at_the_part() -> None:
    image = picture()
    overlay = draw.heatmap(image, heat(10, 5))
    assert (overlay.shape, overlay.dtype) == (image.shape, np.uint8)
    assert (image == 90).all()
    # The centre of cell 10, 5 is at pixel 83.5, 43.5: cells have 8 pixels. Hot is red, cold is blue.
    assert overlay[43, 83, 0] > 130 > overlay[43, 83, 2]
    red = overlay[..., 0].astype(int) - overlay[..., 2]
    ys, xs = np.nonzero(red > 0)
    assert (ys.mean(), xs.mean()) == pytest.approx((43.5, 83.5), abs=0.5)


def test_maps_may_cover_padding() -> None:
    """With cells of 10 pixels the same maps extend beyond the picture, and the part inside stays in place."""
    red = draw.heatmap(picture(), heat(10, 5), cell=10).astype(int)
    ys, xs = np.nonzero(red[..., 0] - red[..., 2] > 0)
    assert (ys.mean(), xs.mean()) == pytest.approx((54.5, 104.5), abs=0.5)
    oblong = draw.heatmap(picture(), heat(10, 5), cell=(10, 8)).astype(int)
    ys, xs = np.nonzero(oblong[..., 0] - oblong[..., 2] > 0)
    assert (ys.mean(), xs.mean()) == pytest.approx((43.5, 104.5), abs=0.5)


@pytest.mark.parametrize("angle", [0, 90, 180, 270])
def test_vectmap_shows_direction_as_hue(angle: int) -> None:
    """The longest of a cell's limbs is drawn."""
    maps = np.zeros((15, 25, 38), np.float32)
    maps[4:7, 9:12, 8:10] = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    maps[4:7, 9:12, 20:22] = 0.3, 0.3
    image = picture()
    overlay = draw.vectmap(image, maps)
    assert (overlay.shape, overlay.dtype) == (image.shape, np.uint8)
    hue = 360 * colorsys.rgb_to_hsv(*(overlay[43, 83] / 255))[0]
    assert abs((hue - angle + 180) % 360 - 180) < 5
    assert not changed(overlay)[:20].any()


def test_side_by_side() -> None:
    left, right = picture(40, 30), picture(60, 50)
    row = draw.side_by_side(left, right, gap=4)
    assert row.shape == (60, 84, 3)
    assert (row[:40, :30] == left).all()
    assert (row[:, 34:] == right).all()
    assert (row[40:, :34] == 255).all()
    assert (row[:, 30:34] == 255).all()
