"""The loss mask: which people and crowds are left out of the loss, pixel by pixel."""

from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as rle

from openpose.records import read
from openpose.records.loss_mask import loss_mask, mask_image
from openpose.skeleton import OPENPOSE18
from tests import labelled
from tests.records.written import encoded, write

UNLABELLED = [0] * 51


def mask_of(*people: dict[str, Any]) -> np.ndarray:
    """The mask [60, 80] of a picture with these people."""
    return mask_image(loss_mask(labelled.picture(*people)), 60, 80)


def test_mask_leaves_out_crowds_and_unlabelled_people_but_not_labelled_ones() -> None:
    square = {"size": [60, 80], "counts": [0, 60 * 20, 60 * 60]}  # the first 20 columns
    two = [[40, 0, 50, 0, 50, 60, 40, 60], [60, 0, 70, 0, 70, 60, 60, 60]]
    mask = mask_of(
        {"iscrowd": 1, "segmentation": square, "keypoints": UNLABELLED},
        {"keypoints": UNLABELLED, "segmentation": two},
        {"segmentation": [[10, 0, 45, 0, 45, 60, 10, 60]]},
    )
    expected = np.ones(80, np.uint8)
    expected[:10] = 0  # the crowd, minus the labelled person
    expected[45:50] = 0  # the first polygon of the unlabelled one, minus the labelled person
    expected[60:70] = 0  # its second polygon
    np.testing.assert_array_equal(mask, np.tile(expected, (60, 1)))


def test_person_without_polygon_is_masked_by_box() -> None:
    mask = mask_of({"keypoints": UNLABELLED, "segmentation": [], "bbox": [10, 20, 5, 6]})
    assert mask[20:26, 10:15].max() == 0
    assert (mask == 0).sum() == 30


def test_polygons_far_outside_of_the_picture_are_fine() -> None:
    far = [[-1e8, -1e8, 1e8, -1e8, 1e8, 1e8, -1e8, 1e8]]
    assert mask_of({"iscrowd": 1, "segmentation": far}).max() == 0


def test_mask_in_the_records_is_lossless(tmp_path: Path) -> None:
    triangle = [5, 5, 44, 9, 20, 55]
    manifest = write(tmp_path, {"a.jpg": encoded()}, keypoints=UNLABELLED, segmentation=[triangle])
    (example,) = read.examples(manifest, OPENPOSE18).as_numpy_iterator()
    expected = rle.decode(rle.merge(rle.frPyObjects([triangle], 60, 80))) == 0
    np.testing.assert_array_equal(mask_image(example["mask_runs"], 60, 80), expected)
    assert 0 < expected.mean() < 1
