"""The derived lists are the ones that the field has published."""

from dataclasses import replace

import numpy as np
import pytest

from openpose import skeleton
from openpose.errors import InputError
from tests.skeleton import made_up

OPENPOSE = skeleton.get("openpose18")


def test_channels_are_the_published_ones() -> None:
    published = (
        "(1,8)(8,9)(9,10)(1,11)(11,12)(12,13)(1,2)(2,3)(3,4)(2,16)(1,5)(5,6)(6,7)(5,17)(1,0)(0,14)(0,15)(14,16)(15,17)"
    )
    assert "".join(f"({a},{b})" for a, b in OPENPOSE.limbs) == published
    assert (OPENPOSE.num_heatmaps, OPENPOSE.num_vectmaps, OPENPOSE.num_maps) == (19, 38, 57)
    assert OPENPOSE.background == 18


def test_mapping_from_and_to_coco_is_the_published_one() -> None:
    mapping = [0, (5, 6), 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3]
    assert OPENPOSE.from_source == tuple(m if isinstance(m, tuple) else (m,) for m in mapping)
    assert OPENPOSE.to_source == (0, 15, 14, 17, 16, 5, 2, 6, 3, 7, 4, 11, 8, 12, 9, 13, 10)


def test_flip_swaps_are_the_published_ones() -> None:
    right, left = [2, 3, 4, 8, 9, 10, 14, 16], [5, 6, 7, 11, 12, 13, 15, 17]
    flipped = np.arange(18)
    flipped[right], flipped[left] = left, right
    assert OPENPOSE.flip_parts == tuple(flipped)


def test_mirrored_limb_connects_mirrored_parts() -> None:
    limbs = [OPENPOSE.flip_vectmap[2 * i] // 2 for i in range(OPENPOSE.num_limbs)]
    for limb, mirrored in zip(OPENPOSE.limbs, limbs, strict=True):
        assert tuple(OPENPOSE.flip_parts[part] for part in limb) == OPENPOSE.limbs[mirrored]
    assert [OPENPOSE.flip_vectmap[c] for c in OPENPOSE.flip_vectmap] == list(range(38))


def test_neck_needs_both_shoulders() -> None:
    keypoints = np.random.default_rng(0).uniform(-5, 100, (2, 17, 2)).astype(np.float32)
    visibility = np.full((2, 17), 2)
    visibility[1, 5] = 0
    parts, labelled = OPENPOSE.part_keypoints(keypoints, visibility)
    np.testing.assert_allclose(parts[0, 1], keypoints[0, 5:7].mean(0), rtol=1e-6)
    assert labelled[0].all()
    assert list(np.flatnonzero(~labelled[1])) == [1, 5]
    np.testing.assert_array_equal(OPENPOSE.to_source_keypoints(parts)[0], keypoints[0])


def test_label_is_the_visibility_not_the_coordinate() -> None:
    keypoints = np.full((1, 17, 2), -3.0, np.float32)
    _, labelled = OPENPOSE.part_keypoints(keypoints, np.ones((1, 17)))
    assert labelled.all()


def test_sigmas_are_those_of_pycocotools() -> None:
    from pycocotools.cocoeval import Params

    np.testing.assert_allclose(OPENPOSE.source_sigmas, Params(iouType="keypoints").kpt_oks_sigmas)


def test_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(InputError, match="openpose18"):
        skeleton.get("hand21")


def test_skeleton_of_categories_is_the_one_with_their_keypoints(monkeypatch: pytest.MonkeyPatch) -> None:
    pair = replace(OPENPOSE, name="pair", source_parts=("tip", "end"))
    monkeypatch.setitem(skeleton.KNOWN, "pair", pair)
    assert skeleton.of_categories([{"name": "cup"}, {"name": "pen", "keypoints": ["tip", "end"]}]) is pair
    assert skeleton.of_categories([OPENPOSE.coco_category()]) is OPENPOSE
    assert skeleton.of_categories([{"name": "person"}]) is OPENPOSE, "the default, where no keypoints are listed"


def test_limbs_between_mirror_parts_point_the_other_way() -> None:
    made = skeleton.Skeleton.from_document(
        {
            "name": "hips",
            "keypoints": ["left_hip", "right_hip", "neck"],
            "limbs": [["left_hip", "right_hip"], ["neck", "left_hip"], ["right_hip", "neck"]],
            "flip_pairs": [["left_hip", "right_hip"]],
            "sigmas": [0.1, 0.1, 0.1],
        }
    )
    assert made.flip_vectmap == (0, 1, 4, 5, 2, 3)
    assert made.flip_signs.tolist() == [1, -1, 1, -1, 1, -1]
    assert OPENPOSE.flip_signs.tolist() == [-1, 1] * 19


@pytest.mark.parametrize(("parts", "least", "main"), [(1, 1, 1), (2, 2, 1), (4, 2, 1), (24, 4, 7), (133, 22, 39)])
def test_least_parts_are_in_proportion(parts: int, least: int, main: int) -> None:
    made = made_up.skeleton(parts)
    assert (made.min_parts, made.main_keypoints) == (least, main)
    assert (OPENPOSE.min_parts, OPENPOSE.main_keypoints) == (3, 5)


def test_texts_speak_of_what_the_skeleton_is_of() -> None:
    assert made_up.skeleton(1).worded("near another person's label") == "near another thing's label"
    assert OPENPOSE.worded("another person") == "another person"
