"""Files that return people: the same people as from the maps, in every runtime, whatever the picture."""

import json
from pathlib import Path

import cv2
import keras
import numpy as np
import onnxruntime
import pytest

from openpose import model_files, storage
from openpose.codec.decode import People
from openpose.errors import InputError
from openpose.model_files import facts, people_graph
from openpose.model_files.formats import FORMATS, FindPeople
from openpose.model_files.inference import Source
from openpose.predict.predictor import Predictor
from openpose.skeleton import Skeleton
from tests.skeleton import made_up

PAIR = made_up.skeleton(2)
NAMES = [name for name, format in FORMATS.items() if format.people]
HEIGHT = 64

pytestmark = pytest.mark.slow  # they export networks


def source(of: Skeleton = PAIR, max_people: int = 0, max_peaks: int = 0) -> Source:
    """A network that takes its maps from a picture's colours: red and green are the parts, blue is the limb."""
    image = keras.Input((None, None, 3), name="image")
    cells = keras.layers.AveragePooling2D(8, padding="same", name="cells")(image)
    colours = np.zeros((1, 1, 3, of.num_maps), np.float32)
    colours[..., 0, 0 : of.num_parts : 2] = colours[..., 1, 1 : of.num_parts : 2] = 1 / 255
    colours[..., 2, of.num_heatmaps :: 2] = 1 / 255  # limbs point to the right
    maps = keras.layers.Conv2D(of.num_maps, 1, name="maps")
    model = keras.Model(image, maps(cells), name="colours")
    maps.set_weights([colours, np.zeros(of.num_maps, np.float32)])
    return Source(model, "rgb", of.text(), 8, HEIGHT, max_people=max_people, max_peaks=max_peaks)


def pictures(count: int, height: int, width: int, most: int = 3) -> tuple[np.ndarray, list[np.ndarray]]:
    """Pictures uint8 [N, H, W, 3] with pairs of dots and the line between them; where the dots are, [P, 2, 2]."""
    images, where = np.zeros((count, height, width, 3), np.uint8), []
    unit = height / HEIGHT  # so that they have the same size for the network
    for number, image in enumerate(images):
        pairs = 1 + number % most
        x, y = width / unit / 4 + 3 * np.arange(pairs), HEIGHT * (np.arange(pairs) + 0.5) / pairs
        dots = np.stack([np.stack([x, y], -1), np.stack([x + 28, y], -1)], 1) * unit
        rows, columns = np.mgrid[:height, :width]
        for channel in range(2):
            x, y = dots[:, channel, :, None, None].swapaxes(0, 1)
            nearest = ((columns - x) ** 2 + (rows - y) ** 2).min(0)
            image[..., channel] = 255 * np.exp(-nearest / (2 * (7 * unit) ** 2))
        limb = np.zeros((height, width), np.uint8)
        for (x0, y0), (x1, _) in dots:
            cv2.rectangle(limb, (int(x0), int(y0 - 6 * unit)), (int(x1), int(y0 + 6 * unit)), 255, -1)
        image[..., 2] = limb
        where.append(dots)
    return images, where


@pytest.fixture(scope="module")
def made() -> Source:
    return source()


@pytest.fixture(scope="module")
def folder(made: Source, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The network in each format that returns people, and its frozen graph."""
    return written(made, tmp_path_factory.mktemp("people"))


def written(made: Source, folder: Path) -> Path:
    for name in (*NAMES, "graph"):
        FORMATS[name].write(made, folder / FORMATS[name].file)
        FORMATS[name].write_people(made, folder)
    return folder


def found(find: FindPeople, images: np.ndarray) -> list[People]:
    """The people in each picture; checks the tables that hold them."""
    keypoints, scores, count = find(images)
    assert (keypoints.dtype, scores.dtype, count.dtype) == (np.float32, np.float32, np.int32)
    for table, rows, used in zip(keypoints, scores, count, strict=True):
        assert not table[used:].any()
        assert not rows[used:].any()
        assert (np.diff(rows[:used]) <= 0).all()
    return [People(table[:used], rows[:used]) for table, rows, used in zip(keypoints, scores, count, strict=True)]


def assert_alike(mine: People, expected: People, tolerance: float) -> None:
    """The same people; keypoints differ by at most some pixels of the picture."""
    assert len(mine) == len(expected)
    np.testing.assert_array_equal(mine.keypoints[..., 2] > 0, expected.keypoints[..., 2] > 0)
    np.testing.assert_allclose(mine.keypoints[..., :2], expected.keypoints[..., :2], atol=tolerance)
    np.testing.assert_allclose(mine.scores, expected.scores, atol=1e-2)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [(64, 96), (128, 192), (70, 100), (40, 90), (33, 300)])
def test_the_people_of_the_predictor_in_its_pixels(folder: Path, name: str, size: tuple[int, int]) -> None:
    predictor = Predictor(model_files.load(folder / "graph.pb"), HEIGHT)
    images, dots = pictures(3, *size)
    for mine, image, known in zip(found(FORMATS[name].open_people(folder), images), images, dots, strict=True):
        assert_alike(mine, predictor.people(image), 0.1 * max(1, size[0] / HEIGHT))
        order = np.argsort(mine.keypoints[:, 0, 1])
        np.testing.assert_allclose(mine.keypoints[order, :, :2], known, atol=3 * size[0] / HEIGHT)


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_is_its_pictures_one_by_one(folder: Path, name: str) -> None:
    find, (images, dots) = FORMATS[name].open_people(folder), pictures(4, 70, 90)
    for _ in range(2):  # a file may be asked for other numbers of pictures in any order
        together = found(find, images)
        assert [len(people) for people in together] == [len(pairs) for pairs in dots]
        for image, of_batch in zip(images, together, strict=True):
            (alone,) = found(find, image[None])
            assert_alike(alone, of_batch, 1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_nobody_in_a_black_picture(folder: Path, name: str) -> None:
    people = found(FORMATS[name].open_people(folder), np.zeros((2, 50, 60, 3), np.uint8))
    assert [len(one) for one in people] == [0, 0]


def test_nobody_in_maps_that_hold_no_numbers(tmp_path: Path) -> None:
    made = source()
    kernel, bias = made.model.get_layer("maps").get_weights()
    spoilt = np.where(np.arange(len(bias)) % 2, np.inf, np.nan).astype(np.float32)
    made.model.get_layer("maps").set_weights([kernel, bias + spoilt])
    written(made, tmp_path)
    images, _ = pictures(2, 64, 96)
    for name in NAMES:
        assert [len(people) for people in found(FORMATS[name].open_people(tmp_path), images)] == [0, 0]


@pytest.mark.parametrize(("keypoints", "circle"), [(1, False), (5, True)])
def test_other_keypoints_and_limits(keypoints: int, circle: bool, tmp_path: Path) -> None:
    written(source(made_up.skeleton(keypoints, circle=circle), max_people=2, max_peaks=20), tmp_path)
    predictor, (images, _) = Predictor(model_files.load(tmp_path / "graph.pb"), HEIGHT), pictures(3, 64, 96)
    for name in NAMES:
        for mine, image in zip(found(FORMATS[name].open_people(tmp_path), images), images, strict=True):
            all_of_them = predictor.people(image)
            assert_alike(mine, People(all_of_them.keypoints[:2], all_of_them.scores[:2]), 0.1)


def test_the_same_network_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    written(source(), tmp_path)
    for name in storage.sizes(folder):
        assert storage.sha256(tmp_path / name) == storage.sha256(folder / name), name


def test_files_say_what_they_return(folder: Path, made: Source) -> None:
    wanted = people_graph.facts(made)
    said = json.loads(wanted.people)
    assert said["parts"] == list(PAIR.parts)
    assert said["limbs"] == [list(limb) for limb in PAIR.limb_names]
    assert said["max_people"] == said["thresholds"]["max_peaks"] == 1000
    assert facts.in_archive(folder / "people.tflite") == wanted
    session = onnxruntime.InferenceSession(str(folder / "people.onnx"))
    assert facts.Facts.read(session.get_modelmeta().custom_metadata_map) == wanted
    document = json.loads((folder / "saved_model" / "assets.extra" / "openpose.json").read_text())
    assert document == wanted.document()


@pytest.mark.parametrize("name", ["people.onnx", "people.tflite"])
def test_who_wants_maps_is_told_what_the_file_gives(folder: Path, name: str) -> None:
    with pytest.raises(InputError, match=rf"{name}: an OpenPose model .* one tensor of maps; .* takes .*pictures"):
        model_files.load(folder / name)


def test_a_file_is_at_most_half_a_megabyte_larger(folder: Path) -> None:
    for maps, people in (("model.onnx", "people.onnx"), ("model.tflite", "people.tflite")):
        assert (folder / people).stat().st_size < (folder / maps).stat().st_size + 500_000
