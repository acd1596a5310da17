"""Numbers of the augmentation that are left to the data."""

from typing import Any

import pytest

from openpose.records.manifest import Extents
from openpose.skeleton import Skeleton
from openpose.training.parameters import TrainParameters
from tests import manifests
from tests.skeleton.made_up import skeleton

FLY = skeleton(24, 10)


def chosen(of: Skeleton | None = None, extents: Extents | None = None, **given: Any) -> TrainParameters:
    fields: dict[str, Any] = {"skeleton": of} if of else {}
    records = manifests.records(extents=extents, **fields)
    return TrainParameters(**given).for_data(records)


def test_people_keep_cocos_recipe(capsys: pytest.CaptureFixture[str]) -> None:
    found = chosen()
    assert (found.min_scale, found.max_scale, found.max_rotation, found.mirror) == (0.5, 1.1, 40, "yes")
    assert found.inputs() == TrainParameters().inputs()
    assert capsys.readouterr().out == ""


def test_animals_are_shown_at_the_sizes_of_the_data(capsys: pytest.CaptureFixture[str]) -> None:
    found = chosen(FLY, Extents(smallest=0.3, largest=0.36, turned=True))
    assert (found.min_scale, found.max_scale, found.max_rotation, found.mirror) == (0.4, 0.75, 180, "yes")
    assert "augmentation for thing: 24–45 % of the input's height (scale 0.4–0.75), ±180°, half mirrored" in (
        capsys.readouterr().out
    )


def test_given_numbers_are_kept() -> None:
    given: dict[str, Any] = {"min_scale": 0.9, "max_scale": 1.0, "max_rotation": 5.0, "mirror": "no"}
    found = chosen(FLY, Extents(smallest=0.3, largest=0.36, turned=True), **given)
    assert found == TrainParameters(**given)
    assert found.inputs().augment.flip == 0


def test_without_mirror_pairs_nothing_is_mirrored_unless_asked() -> None:
    extents = Extents(smallest=0.3, largest=0.3, turned=False)
    assert chosen(skeleton(3), extents).inputs().augment.flip == 0
    assert chosen(skeleton(3), extents, mirror="yes").inputs().augment.flip == 0.5


def test_animals_without_an_extent_have_the_recipes_range() -> None:
    found = chosen(skeleton(1))
    assert (found.min_scale, found.max_scale) == (0.5, 1.1)
