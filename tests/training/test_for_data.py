"""Parameters that are left to the data."""

import re
from typing import Any

import pytest

from openpose.errors import InputError
from openpose.records.manifest import Extents
from openpose.skeleton import Skeleton
from openpose.training import recipe
from openpose.training.parameters import TrainParameters
from tests import manifests
from tests.skeleton.made_up import skeleton

FLY = skeleton(24, 10)
FROM_ABOVE = Extents(smallest=0.3, largest=0.36, turned=True, height=400, aspect=1.5)


def chosen(
    of: Skeleton | None = None, extents: Extents | None = None, samples: int = 100, **given: Any
) -> TrainParameters:
    fields: dict[str, Any] = {"skeleton": of} if of else {}
    records = manifests.records(extents=extents, counts={"images": samples, "samples": samples}, **fields)
    return TrainParameters(**given).for_data(records)


def test_people_keep_cocos_recipe(capsys: pytest.CaptureFixture[str]) -> None:
    found = chosen()
    assert (found.model, found.size, found.predict_height, found.sigma) == ("mobilenet_thin", 368, 368, 7)
    assert (found.batch_size, found.epochs, found.passes) == (16, 30, 1)
    assert (found.learning_rate, found.decay, found.background) == ("0.001", "exponential", 0)
    assert (found.upright_epochs, found.inputs().augment.upright_from) == (0, None)
    assert (found.min_scale, found.max_scale, found.max_rotation, found.mirror) == (0.5, 1.1, 40, "yes")
    assert found == TrainParameters().filled()
    assert found.inputs() == found.whole_inputs(manifests.records()) == TrainParameters().inputs()
    assert chosen(size=128).predict_height == 128
    assert capsys.readouterr().out == ""


def test_others_have_a_network_sizes_and_a_length_by_their_data(capsys: pytest.CaptureFixture[str]) -> None:
    found = chosen(FLY, FROM_ABOVE)
    assert (found.model, found.size, found.predict_height, found.sigma) == ("unet", 192, 400, 5)
    assert (found.batch_size, found.passes, found.epochs) == (8, 21, 18)
    assert (found.upright_epochs, found.inputs().augment.upright_from) == (4, 14 * 21)
    assert (found.learning_rate, found.decay, found.background) == ("0.002", "cosine", 0.25)
    assert (found.min_scale, found.max_scale, found.max_rotation, found.mirror) == (0.833, 1.562, 180, "yes")
    assert found.filled() is found
    assert capsys.readouterr().out.splitlines() == [
        "network for thing: unet, input of 192 pixels, sigma 5; whole pictures at height 400",
        "training for thing: 18 epochs of 21 passes, 4,536 steps of 8, learning rate 0.002 (cosine)",
        "augmentation for thing: 50–94 % of the input's height (scale 0.833–1.562), ±180°, as they lie in all "
        "directions, half mirrored, 25 % of the samples at any place; the last 4 epochs neither rotate nor mirror",
    ]


def test_whole_pictures_are_validated_as_they_are_predicted() -> None:
    whole = chosen(FLY, FROM_ABOVE).whole_inputs(manifests.records(extents=FROM_ABOVE, skeleton=FLY))
    assert whole.size == (400, 600)
    assert whole.targets == chosen(FLY, FROM_ABOVE).inputs().targets


@pytest.mark.parametrize(
    ("smallest", "largest", "picture", "height", "size"),
    [
        (0.3, 0.3, 480, 400, 192),  # 120 pixels long
        (0.3, 0.3, 420, 420, 192),  # nearly so already
        (0.02, 0.05, 1000, 1000, 192),  # small ones are not enlarged in a large picture
        (0.2, 0.2, 200, 400, 192),  # but by up to 2 in a small one
        (0.02, 0.02, 4000, 1536, 192),
        (0.8, 0.95, 720, 256, 256),  # large ones keep some detail
        (0.8, 0.95, 120, 138, 192),
    ],
)
def test_pictures_are_resized_so_that_a_usual_one_spans_30_cells(
    smallest: float, largest: float, picture: int, height: int, size: int
) -> None:
    found = chosen(FLY, Extents(smallest=smallest, largest=largest, turned=True, height=picture, aspect=1.0))
    assert (found.predict_height, found.size) == (height, size)
    in_pixels = 0.6 * found.size * found.max_scale
    assert in_pixels == pytest.approx(1.25 * largest * height, rel=0.01), "training shows them as prediction does"


@pytest.mark.parametrize(
    ("samples", "batch", "passes", "epochs"), [(3, 3, 250, 18), (11, 8, 250, 18), (5000, 8, 1, 10)]
)
def test_few_pictures_pass_several_times_in_an_epoch(samples: int, batch: int, passes: int, epochs: int) -> None:
    found = chosen(FLY, FROM_ABOVE, samples=samples)
    assert (found.batch_size, found.passes, found.epochs) == (batch, passes, epochs)
    assert passes * epochs >= recipe.LEAST_EPOCHS


def test_given_epochs_are_single_passes() -> None:
    found = chosen(FLY, FROM_ABOVE, epochs=3)
    assert (found.epochs, found.passes) == (3, 1)


def test_given_values_are_kept() -> None:
    given: dict[str, Any] = {"min_scale": 0.9, "max_scale": 1.0, "max_rotation": 5.0, "mirror": "no", "sigma": 9.0}
    given |= {"model": "lightweight", "size": 256, "predict_height": 300, "batch_size": 5, "epochs": 2, "passes": 7}
    given |= {"learning_rate": "0.01", "decay": "exponential", "background": 0.5, "upright_epochs": 0}
    assert set(given) == set(recipe.NAMES)
    found = chosen(FLY, FROM_ABOVE, **given)
    assert found == TrainParameters(**given)
    assert found.inputs().augment.flip == 0


def test_a_network_of_another_stride_sees_them_as_many_cells_large() -> None:
    found = chosen(FLY, FROM_ABOVE, model="lightweight")
    assert (found.predict_height, found.size, found.sigma) == (512, 384, 7)


def test_without_mirror_pairs_nothing_is_mirrored_unless_asked() -> None:
    extents = Extents(smallest=0.3, largest=0.3, turned=False)
    assert chosen(skeleton(3), extents).inputs().augment.flip == 0
    assert chosen(skeleton(3), extents, mirror="yes").inputs().augment.flip == 0.5
    assert chosen(skeleton(3), extents).max_rotation == 40


def test_animals_without_an_extent_have_the_recipes_range() -> None:
    found = chosen(skeleton(1))
    assert (found.min_scale, found.max_scale, found.size, found.predict_height) == (0.5, 1.1, 256, 256)


def test_a_wrong_value_has_a_message_that_names_the_automatic_one() -> None:
    with pytest.raises(
        InputError, match=re.escape("epochs is 0; it must be at least 1, or -1 to leave it to the data")
    ):
        TrainParameters(epochs=0)
    with pytest.raises(InputError, match=r"max_scale is 0\.4; it must be at least 0\.5"):
        TrainParameters(max_scale=0.4)
