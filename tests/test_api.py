"""What `import openpose` offers: every format finds the same people; tests/pipeline/test_local.py trains with it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest
from pycocotools.coco import COCO

import openpose
from openpose import image_file
from openpose.api import Picture
from openpose.model_files import keras_file
from openpose.model_files.formats import FORMATS
from openpose.model_files.inference import Source
from openpose.skeleton import OPENPOSE18
from tests.one_person import photo, save, true_person, write_graph

ROOT = Path(__file__).resolve().parent.parent
HEIGHT = 128  # of the pictures that the network of three spots takes
SPOTS = {"nose": (128, 100), "right_eye": (180, 100), "left_eye": (76, 100)}  # x, y in a picture of 256 × 256 pixels


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> openpose.Model:
    return openpose.load(write_graph(tmp_path_factory.mktemp("graph") / "graph.pb"), pixels="rgb")


def three_spots() -> np.ndarray:
    """A picture with a red nose and a green and a blue eye beside it."""
    image = np.zeros((256, 256, 3), np.float32)
    for channel, place in enumerate(SPOTS.values()):
        spot = np.zeros(image.shape[:2], np.float32)
        spot[place[1], place[0]] = 1
        spot = cv2.GaussianBlur(spot, (0, 0), 14)
        image[..., channel] = 250 * spot / spot.max()
    return image.astype(np.uint8)


def sees_three_spots() -> keras.Model:
    """A network that sees a nose where it is red, eyes where it is green or blue, and eyes at both sides of noses."""
    picture = keras.Input([None, None, 3], name="image")
    layer = keras.layers.Conv2D(OPENPOSE18.num_maps, 1)
    network = keras.Model(picture, layer(keras.layers.AveragePooling2D(8)(picture)))
    kernel, bias = (np.zeros(values.shape, np.float32) for values in layer.get_weights())
    for channel, part in enumerate(SPOTS):
        kernel[0, 0, channel, OPENPOSE18.parts.index(part)] = 1 / 255
    for part, x in (("right_eye", 1), ("left_eye", -1)):
        bias[OPENPOSE18.num_heatmaps + 2 * OPENPOSE18.limb_names.index(("nose", part))] = x
    layer.set_weights([kernel, bias])
    return network


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A network in every format."""
    folder, network = tmp_path_factory.mktemp("formats"), sees_three_spots()
    calibration = [cv2.resize(three_spots(), (HEIGHT, HEIGHT))[None].astype(np.float32)]
    source = Source(network, "bgr", OPENPOSE18.name, 8, HEIGHT, calibration)
    keras_file.write(network, folder / "model.keras", OPENPOSE18.name, HEIGHT)
    for format in FORMATS.values():
        format.write(source, folder / format.file)
    return {"keras": folder / "model.keras"} | {name: folder / format.file for name, format in FORMATS.items()}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["keras", *FORMATS])
def test_every_format_says_how_it_is_used(files: dict[str, Path], name: str) -> None:
    model = openpose.load(files[name])
    assert (model.skeleton.name, model.height) == ("openpose18", HEIGHT)
    assert model.pixels == ("rgb" if name == "keras" else "bgr")
    people = model.predict(three_spots())
    assert len(people) == 1
    for part, place in SPOTS.items():  # red and blue would change places in the wrong channel order
        assert people.keypoints[0, OPENPOSE18.parts.index(part), :2] == pytest.approx(place, abs=3)
    assert (people.keypoints[0, :, 2] > 0).sum() == 3


def test_import_is_cheap() -> None:
    code = "import sys, openpose; print(*sys.modules); assert 'load' in dir(openpose)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "openpose" in loaded
    assert not loaded & {"numpy", "cv2", "tensorflow", "keras", "tyro", "openpose.api"}
    with pytest.raises(AttributeError, match="module 'openpose' has no attribute 'lod'"):
        _ = openpose.lod  # type: ignore[attr-defined]


def test_people_of_a_file_and_of_its_pixels(model: openpose.Model, tmp_path: Path) -> None:
    file = save(tmp_path / "photo.png")
    from_text, from_path, from_pixels = (model.predict(each) for each in (str(file), file, image_file.read(file)))
    assert from_text.keypoints.shape == (1, 18, 3)
    assert from_text.keypoints.dtype == np.float32
    assert len(from_text) == from_text.scores.shape[0] == 1
    # The network's pictures are 368 pixels high, this one is 184.
    distance = np.linalg.norm(from_text.keypoints[0, :, :2] - ((true_person() + 0.5) / 2 - 0.5), axis=-1)
    assert distance.max() < 1
    for same in (from_path, from_pixels):
        np.testing.assert_array_equal(same.keypoints, from_text.keypoints)
        np.testing.assert_array_equal(same.scores, from_text.scores)


def test_list_keeps_its_order_whatever_the_sizes(model: openpose.Model, tmp_path: Path) -> None:
    pictures: list[Picture] = [
        photo(184, 200),
        save(tmp_path / "a.png", photo(368, 400)),
        photo(184, 200),
        photo(92, 100) // 4,
    ]
    found = model.predict(pictures)
    assert [len(people) for people in found] == [1, 1, 1, 0]  # the last one is dark
    for people, picture in zip(found, pictures, strict=True):
        np.testing.assert_allclose(people.keypoints, model.predict(picture).keypoints, atol=1e-4)
        assert people.picture is picture
    assert model.predict([]) == []


def test_passes_and_height_are_those_of_the_command(model: openpose.Model) -> None:
    path = str(model.predictor.model.path)
    other = openpose.load(path, pixels="rgb", height=184, flip=True, scales=[1, 1.5])
    assert (other.height, other.predictor.passes.flip, other.predictor.passes.scales) == (184, True, (1, 1.5))
    assert (model.height, model.pixels, openpose.load(path).pixels) == (368, "rgb", "bgr")


def test_drawing(model: openpose.Model, tmp_path: Path) -> None:
    people = model.predict(save(tmp_path / "photo.png"))
    drawn = people.draw(tmp_path / "drawn.png")
    np.testing.assert_array_equal(drawn, image_file.read(tmp_path / "drawn.png"))
    assert (drawn != photo()).any()
    np.testing.assert_array_equal(people.draw(), drawn)
    with pytest.raises(openpose.InputError, match=r"drawn\.xyz: \.xyz is not a picture format that can be written"):
        people.draw(tmp_path / "drawn.xyz")


def test_coco_reads_the_people(model: openpose.Model, capsys: pytest.CaptureFixture[str]) -> None:
    people = model.predict(photo())
    truth = COCO()
    truth.dataset = {"images": [{"id": 7}], "annotations": [], "categories": [OPENPOSE18.coco_category()]}
    truth.createIndex()
    (read,) = truth.loadRes(people.to_coco(7)).anns.values()
    capsys.readouterr()
    assert read["score"] == people.scores[0]
    source = OPENPOSE18.to_source_keypoints(people.keypoints)[0]
    np.testing.assert_allclose(np.reshape(read["keypoints"], (17, 3))[:, :2], source[:, :2])
    assert people.to_coco()[0]["image_id"] == 1


def test_wrong_input_says_what_to_give(model: openpose.Model, tmp_path: Path) -> None:
    path = str(model.predictor.model.path)
    (tmp_path / "text.jpg").write_text("text")
    for wrong, message in (
        (tmp_path / "none.jpg", r"none\.jpg: no such picture"),
        ([photo(), tmp_path / "text.jpg"], r"text\.jpg: not a picture that can be read"),
        (np.zeros((4, 4)), r"a picture is an array float64 \[4, 4\]; give RGB uint8 \[H, W, 3\]"),
        (np.zeros((4, 4, 4), np.uint8), r"a picture is an array uint8 \[4, 4, 4\]"),
    ):
        with pytest.raises(openpose.InputError, match=message):
            model.predict(wrong)  # type: ignore[arg-type]
    with pytest.raises(openpose.InputError, match=r"none\.pb: no such model file"):
        openpose.load(tmp_path / "none.pb")
    with pytest.raises(openpose.InputError, match="height is 0; it must be 1 or more"):
        openpose.load(path, height=0)
    with pytest.raises(openpose.InputError, match="scales are"):
        openpose.load(path, scales=())
    with pytest.raises(openpose.InputError, match="pixels are 'grb'; choose one of: bgr, rgb"):
        openpose.load(path, pixels="grb")  # type: ignore[arg-type]


@pytest.mark.slow
def test_training_with_a_wrong_parameter(tmp_path: Path) -> None:
    with pytest.raises(openpose.InputError, match=r"^training: unknown parameter 'epoch'; choose one of: .*epochs"):
        openpose.train("data", out=tmp_path, epoch=3)
    with pytest.raises(openpose.InputError, match=r"^training: epochs is 'many'; it must be a whole number$"):
        openpose.train("data", out=tmp_path, epochs="many")
    with pytest.raises(openpose.InputError, match=r"^training: .*nowhere"):
        openpose.train(tmp_path / "nowhere", out=tmp_path)


@pytest.mark.slow
def test_interrupted_training_stops_its_steps(sample_folder: Path, tmp_path: Path) -> None:
    code = f"import openpose; openpose.train({str(sample_folder)!r}, out={str(tmp_path)!r}, epochs=1000, size=64)"
    with subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("== coco_download"):
                break
        process.send_signal(signal.SIGINT)
        rest = process.communicate()[0]
    assert "stopped; finished work is kept, and the same command resumes from there" in rest
    assert rest.rstrip().endswith("KeyboardInterrupt")
