"""The command draws people and writes JSON; a file that it cannot use is reported, and the rest is done."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from openpose import image_file, skeleton
from openpose.errors import InputError
from openpose.model_files import inference
from openpose.predict.__main__ import main
from openpose.predict.files import find
from tests.one_person import ORANGE, jpeg_bytes, photo, save, true_person, write_graph

OPENPOSE = skeleton.get("openpose18")
COCO_FILES = "coco.json", "coco_results.json"


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_graph(tmp_path_factory.mktemp("graph") / "graph.pb")


def command(graph: Path, image: object, out: Path, *more: str) -> int:
    return main(["--model", str(graph), "--image", str(image), "--out", str(out), "--pixels", "rgb", *more])


def read(path: Path) -> Any:
    return json.loads(path.read_text())


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def write_video(path: Path, count: int, size: tuple[int, int] = (184, 200), rate: float = 10) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), rate, size[::-1])
    noise = np.random.default_rng(0).integers(128, 255, (count, 20, 20, 1), np.uint8)
    for number in range(count):
        image = photo(*size)
        left = 5 * number % (size[1] - 20)
        image[:20, left : left + 20] = noise[number]
        writer.write(image[..., ::-1])
    writer.release()
    return path


def test_one_picture_to_a_file(graph: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, out = save(tmp_path / "photo.jpg"), tmp_path / "drawn" / "photo.png"
    assert command(graph, source, out) == 0
    assert capsys.readouterr().out == f"{source}: 1 person found, drawn in {out}\n"
    drawn = np.asarray(Image.open(out)).astype(int)
    assert drawn.shape == (184, 200, 3)
    difference = np.abs(drawn - image_file.read(source)).max(-1)
    # The input was twice as large as the picture.
    for x, y in ((true_person() + 0.5) / 2 - 0.5).round().astype(int):
        assert difference[y - 1 : y + 2, x - 1 : x + 2].max() > 40
    assert (difference[:, :20] == 0).all()
    assert files(out.parent) == ["photo.png"], "nothing temporary is left, and no JSON"


def test_order_of_the_pixels(graph: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A graph that does not say its channel order takes BGR: an orange picture's first channel is dark then."""
    source, out = save(tmp_path / "photo.png"), tmp_path / "out.jpg"
    assert command(graph, source, out, "--pixels", "bgr") == 0
    assert "0 people found" in capsys.readouterr().out
    assert np.abs(image_file.read(out).astype(int) - ORANGE).max() < 8


def test_a_folder(graph: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Pictures of several sizes and formats, in more than one batch, with another file among them."""
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    for number in range(5):
        save(folder / f"a{number}.jpg")
    save(folder / "b.png", photo(100, 90))
    save(folder / "B.GIF", 0 * photo(184, 200))
    (folder / "notes.txt").write_text("not a picture")
    assert command(graph, folder, out, "--batch", "2", "--threads", "2") == 0
    captured = capsys.readouterr()
    assert captured.out == f"{folder}: 6 people found in 7 pictures, drawn in {out}\n"
    assert "predict: 7 pictures in" in captured.err
    names = ["B", *(f"a{number}" for number in range(5)), "b"]
    assert files(out) == sorted(
        ["coco.json", "coco_results.json", "B.GIF", "b.png", *(f"a{number}.jpg" for number in range(5))]
        + [f"openpose/{name}_keypoints.json" for name in names]
    )
    coco = read(out / "coco.json")
    assert [(image["id"], image["file_name"]) for image in coco["images"]] == list(
        enumerate(["B.GIF", *(f"a{number}.jpg" for number in range(5)), "b.png"], 1)
    )
    assert [person["image_id"] for person in coco["annotations"]] == [2, 3, 4, 5, 6, 7]


def test_a_folder_with_wildcards_in_its_name(tmp_path: Path) -> None:
    for name in ("team[a]", "teama", "teamb"):
        (tmp_path / name).mkdir()
        save(tmp_path / name / "x.jpg")
    found = [find(str(tmp_path / pattern)) for pattern in ("team[a]/*.jpg", "team[ab]/*.jpg", "**/*.jpg", "team[a]")]
    x = [tmp_path / name / "x.jpg" for name in ("team[a]", "teama", "teamb")]
    assert found == [x[:1], x[1:], x, x[:1]]


def test_openpose_json(graph: Path, tmp_path: Path) -> None:
    save(tmp_path / "in.jpg")
    save(tmp_path / "nobody.jpg", 0 * photo())
    assert command(graph, tmp_path / "*.jpg", tmp_path / "out") == 0
    document = read(tmp_path / "out" / "openpose" / "in_keypoints.json")
    assert document["version"] == 1.3
    (person,) = document["people"]
    numbers = np.array(person["pose_keypoints_2d"]).reshape(-1, 3)
    np.testing.assert_allclose(numbers[:, :2], (true_person() + 0.5) / 2 - 0.5, atol=1)
    assert ((numbers[:, 2] > 0.5) & (numbers[:, 2] <= 1)).all()
    assert person["face_keypoints_2d"] == person["hand_left_keypoints_2d"] == []
    assert read(tmp_path / "out" / "openpose" / "nobody_keypoints.json")["people"] == []


def test_coco_json_is_read_by_pycocotools(graph: Path, tmp_path: Path) -> None:
    """As a data set and as results; pictures whose names are COCO's ids keep these ids."""
    folder = tmp_path / "in"
    folder.mkdir()
    save(folder / "000000000139.jpg")
    save(folder / "000000000785.jpg", 0 * photo())
    assert command(graph, folder, tmp_path / "out") == 0
    coco = COCO(str(tmp_path / "out" / "coco.json"))
    assert sorted(coco.imgs) == [139, 785]
    assert coco.imgs[139] == {"id": 139, "file_name": "000000000139.jpg", "width": 200, "height": 184}
    results = coco.loadRes(str(tmp_path / "out" / "coco_results.json"))
    (person,) = results.loadAnns(results.getAnnIds())
    keypoints = np.array(person["keypoints"]).reshape(17, 3)
    expected = OPENPOSE.to_source_keypoints(((true_person() + 0.5) / 2 - 0.5)[None])[0]
    np.testing.assert_allclose(keypoints[:, :2], expected, atol=1)
    assert coco.dataset["annotations"][0]["num_keypoints"] == 17
    left, top, width, height = coco.dataset["annotations"][0]["bbox"]
    assert (left, top) == pytest.approx(tuple(expected.min(0)), abs=1)
    assert (width, height) == pytest.approx(tuple(np.ptp(expected, 0)), abs=2)


def test_files_of_the_same_name_do_not_overwrite_each_other(graph: Path, tmp_path: Path) -> None:
    for folder in ("x", "y"):
        (tmp_path / "in" / folder).mkdir(parents=True)
        save(tmp_path / "in" / folder / "a.jpg")
    save(tmp_path / "in" / "x" / "a.png")
    assert command(graph, tmp_path / "in" / "**" / "*.*", tmp_path / "out") == 0
    assert files(tmp_path / "out") == [
        "coco.json",
        "coco_results.json",
        "openpose/x/a.jpg_keypoints.json",
        "openpose/x/a.png_keypoints.json",
        "openpose/y/a_keypoints.json",
        "x/a.jpg",
        "x/a.png",
        "y/a.jpg",
    ]


def test_a_video(graph: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, out = write_video(tmp_path / "clip.mp4", 7), tmp_path / "out"
    assert command(graph, source, out, "--batch", "3") == 0
    captured = capsys.readouterr()
    assert captured.out == f"{source}: 7 people found in 7 pictures, drawn in {out}\n"
    assert "warning" not in captured.err
    assert files(out) == ["clip.mp4", *COCO_FILES, *(f"openpose/clip_{n:012d}_keypoints.json" for n in range(7))]
    drawn, plain = cv2.VideoCapture(str(out / "clip.mp4")), cv2.VideoCapture(str(source))
    assert drawn.get(cv2.CAP_PROP_FPS) == 10
    for number in range(7):
        (_, found), (_, original) = drawn.read(), plain.read()
        assert found.shape == original.shape
        assert np.abs(found[:20].astype(int) - original[:20]).mean() < 4, f"picture {number} is in its place"
        assert (np.abs(found[20:].astype(int) - original[20:]).max(-1) > 60).mean() > 0.02
    assert not drawn.read()[0]
    assert [image["id"] for image in read(out / "coco.json")["images"]] == list(range(1, 8))


@pytest.mark.parametrize(("flags", "number"), [([], 0), (["--no-tracking"], -1)])
def test_a_person_in_a_video_has_one_id(flags: list[str], number: int, graph: Path, tmp_path: Path) -> None:
    source, out = write_video(tmp_path / "clip.mp4", 5), tmp_path / "out"
    assert command(graph, source, out, *flags) == 0
    found = [read(path)["people"] for path in sorted((out / "openpose").iterdir())]
    assert [person["person_id"] for people in found for person in people] == [[number]] * 5
    tracks = [person.get("track_id", -1) for person in read(out / "coco_results.json")]
    assert tracks == [person.get("track_id", -1) for person in read(out / "coco.json")["annotations"]] == [number] * 5


@pytest.mark.parametrize("kind", ["csv", "h5"])
def test_a_video_gets_a_table(kind: str, graph: Path, tmp_path: Path) -> None:
    source, out = write_video(tmp_path / "clip.mp4", 3), tmp_path / "drawn.mp4"
    assert command(graph, source, out, "--table", kind) == 0
    assert files(tmp_path) == sorted(["clip.mp4", "drawn.mp4", f"drawn.{kind}"])
    assert (tmp_path / f"drawn.{kind}").stat().st_size > 500


def test_a_table_needs_tracking(graph: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(graph, save(tmp_path / "a.jpg"), tmp_path / "out", "--table", "csv", "--no-tracking") == 1
    assert capsys.readouterr().err == "error: --table has a column for each person, so it needs --tracking\n"


def test_a_video_to_a_file(graph: Path, tmp_path: Path) -> None:
    source, out = write_video(tmp_path / "clip.avi", 2, (101, 75)), tmp_path / "drawn.mp4"
    assert command(graph, source, out) == 0
    assert files(tmp_path) == ["clip.avi", "drawn.mp4"]


def test_a_video_that_ends_early(graph: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The frames that exist are processed; a warning says that some are missing."""
    source, out = write_video(tmp_path / "clip.avi", 30), tmp_path / "out"
    content = source.read_bytes()
    source.write_bytes(content[: len(content) // 2])
    assert command(graph, source, out) == 0
    captured = capsys.readouterr()
    assert f"warning: {source}: ends early, after " in captured.err
    assert "of 30 announced pictures" in captured.err
    count = len(read(out / "coco.json")["images"])
    assert 5 < count < 29
    assert f"found in {count} pictures" in captured.out


@pytest.mark.parametrize("content", [b"I am a text file\n", b"", None], ids=["text", "empty", "no end"])
def test_file_that_is_not_a_video(
    content: bytes | None, graph: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without its end, where the index is, an MP4 file cannot be read either."""
    source, out = write_video(tmp_path / "clip.mp4", 5), tmp_path / "out"
    source.write_bytes(source.read_bytes()[:-900] if content is None else content)
    assert command(graph, source, out) == 1
    captured = capsys.readouterr()
    assert f"error: {source}: not a video that can be read" in captured.err
    assert captured.out == ""
    assert not out.exists() or files(out) == []


def test_a_text_file_between_pictures(graph: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    save(folder / "a.jpg")
    (folder / "b.jpg").write_text("I am a text file")
    (folder / "c.jpg").write_bytes(jpeg_bytes()[:900])
    save(folder / "d.jpg", photo(1, 1))
    assert command(graph, folder, out) == 1
    captured = capsys.readouterr()
    assert "found in 2 pictures" in captured.out
    for name in ("b.jpg", "c.jpg"):
        assert captured.err.count(f"error: {folder / name}: not a picture that can be read") == 1
    assert [name for name in files(out) if "/" not in name] == ["a.jpg", *COCO_FILES, "d.jpg"]
    assert [image["file_name"] for image in read(out / "coco.json")["images"]] == ["a.jpg", "d.jpg"]


@pytest.mark.parametrize("size", [(1, 1), (10, 10_000), (10_000, 10)])
def test_odd_sizes(size: tuple[int, int], graph: Path, tmp_path: Path) -> None:
    source, out = save(tmp_path / "odd.png", photo(*size)), tmp_path / "out.png"
    assert command(graph, source, out, "--flip", "--scales", "1", "1.5") == 0
    assert image_file.read(out).shape == (*size, 3)


def test_no_picture_found(graph: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("notes")
    for image, message in {
        "none.jpg": "no such picture, video or folder",
        "none.mp4": "no such picture, video or folder",
        "empty": "no picture or video in this folder",
        "other": "it has 1 other files, such as notes.txt",
        "*.jpg": "no picture or video matches",
    }.items():
        assert command(graph, tmp_path / image, tmp_path / "out") == 1
        error = capsys.readouterr().err
        assert f"error: {tmp_path / image}: " in error
        assert message in error
    assert not (tmp_path / "out").exists()


def test_graph_of_something_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The message lists the tensors that the graph has instead."""
    other, source = write_graph(tmp_path / "other.pb", "classes"), save(tmp_path / "photo.jpg")
    assert command(other, source, tmp_path / "out.jpg") == 1
    error = capsys.readouterr().err
    assert inference.GRAPH_OUTPUT in error
    assert "classes" in error


def test_maps_with_nan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The first picture ends the command, because the model is at fault; no COCO file claims a complete result."""
    broken = write_graph(tmp_path / "broken.pb", value=np.nan)
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(20):
        save(folder / f"{number}.jpg")
    assert command(broken, folder, tmp_path / "out") == 1
    error = capsys.readouterr().err
    assert error.count("NaN or infinity") == 1
    assert f"error: {broken}: its " in error
    assert files(tmp_path / "out") == []


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--out", "drawn.xyz", ".xyz is not a picture format that can be written; use .jpg or .png"),
        ("--out", "a.jpg", "would replace the picture itself"),
        ("--height", "0", "--height is 0"),
        ("--batch", "0", "--batch-size is 0"),
        ("--threads", "-1", "--threads is -1"),
        ("--scales", "0", "scales are"),
        ("--model", "missing.pb", "no such model file"),
    ],
)
def test_wrong_options(
    option: str, value: str, message: str, graph: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = {"--model": str(graph), "--image": str(save(tmp_path / "a.jpg")), "--out": str(tmp_path / "b.jpg")}
    options[option] = str(tmp_path / value) if option == "--out" else value
    assert main([word for pair in options.items() for word in pair]) == 1
    assert message in capsys.readouterr().err
    assert files(tmp_path) == ["a.jpg"]


def test_drawing_into_the_folder_of_the_pictures(
    graph: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The user's pictures are never overwritten, and several pictures are not drawn into one file."""
    before = save(tmp_path / "a.jpg").read_bytes()
    save(tmp_path / "b.jpg")
    assert command(graph, tmp_path, tmp_path) == 1
    assert "would replace the picture itself" in capsys.readouterr().err
    assert command(graph, tmp_path, tmp_path / "c.jpg") == 1
    assert "is one file, but --image has 2; give a folder" in capsys.readouterr().err
    assert (files(tmp_path), (tmp_path / "a.jpg").read_bytes()) == (["a.jpg", "b.jpg"], before)


def test_wrong_flags(capsys: pytest.CaptureFixture[str]) -> None:
    for flags in ([], ["--graph", "a.pb", "--image", "a.jpg", "--out", "b.jpg", "--pixels", "xyz"]):
        with pytest.raises(SystemExit) as exit:
            main(flags)
        assert exit.value.code == 2
        assert ("--pixels" if flags else "--image") in capsys.readouterr().err


@pytest.mark.slow
def test_help_does_not_import_tensorflow() -> None:
    code = "import sys; from openpose.predict.__main__ import main; sys.exit(main(['--help']))"
    command = [sys.executable, "-X", "importtime", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    for flag in ("--model", "--graph", "--image", "--out", "--pixels", "--height", "--flip", "--scales", "--threads"):
        assert flag in done.stdout
    assert "--batch" in done.stdout
    assert "openpose.predict" in done.stderr
    assert "tensorflow" not in done.stderr


@pytest.mark.slow
def test_errors_have_no_traceback(graph: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "openpose.predict", "--graph", str(graph), "--image", "none.jpg"]
    done = subprocess.run([*command, "--out", str(tmp_path / "o.jpg")], capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: none.jpg: no such picture, video or folder\n"


def several(folder: Path) -> Path:
    """A folder of pictures with one person each, one of them unreadable, and a film."""
    folder.mkdir()
    for number in (3, 20, 100, 101):
        save(folder / f"{number}.jpg", photo(184 + number, 200))
    (folder / "7.jpg").write_bytes(b"no picture")
    write_video(folder / "film.mp4", count=3)
    return folder


def test_shares_find_together_what_one_run_finds(
    graph: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, whole, shared = several(tmp_path / "in"), tmp_path / "whole", tmp_path / "shared"
    assert command(graph, source, whole) == 1
    for number in (2, 3, 1):
        capsys.readouterr()
        code = command(graph, source, shared, f"--share={number}/3")
        said = capsys.readouterr().err
        assert code == int("7.jpg: " in said)
        assert ("other shares are not done yet, or" in said) == (number != 1)
        assert (shared / "coco.json").exists() == (number == 1)
    parts = [f"parts/{number}-of-3.jsonl" for number in (1, 2, 3)]
    assert files(shared) == sorted([*files(whole), *parts])
    for name in files(whole):
        assert (shared / name).read_bytes() == (whole / name).read_bytes(), name
    # A share that is repeated finds its pictures done, and the files about all are written again.
    assert command(graph, source, shared, "--share=3/3") == 0
    assert (shared / "coco.json").read_bytes() == (whole / "coco.json").read_bytes()


def test_interrupted_run_goes_on(graph: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, whole, out = several(tmp_path / "in"), tmp_path / "whole", tmp_path / "out"
    command(graph, source, whole)
    written: list[Path] = []
    write = image_file.write

    def full(path: Path, image: np.ndarray) -> None:
        if len(written) == 2:
            raise InputError(f"{path}: no space left")
        written.append(path)
        write(path, image)

    with monkeypatch.context() as disk:
        disk.setattr(image_file, "write", full)
        assert command(graph, source, out, "--threads=1") == 1
    assert not (out / "coco.json").exists()
    first, second = written
    second.unlink()  # as somebody may do
    before = first.stat().st_mtime_ns
    assert command(graph, source, out) == 1  # because of the unreadable one
    assert first.stat().st_mtime_ns == before
    assert files(out) == files(whole)
    for name in COCO_FILES:
        assert (out / name).read_bytes() == (whole / name).read_bytes()


def test_other_settings_and_other_pictures_are_looked_at_anew(graph: Path, tmp_path: Path) -> None:
    source, out = several(tmp_path / "in"), tmp_path / "out"
    share = "--share=1/2"

    def drawn(*flags: str) -> int:
        command(graph, source, out, share, *flags)
        return (out / "100.jpg").stat().st_mtime_ns

    first = drawn()
    assert drawn() == first
    higher = drawn("--height=192")
    assert higher > first
    save(source / "3.jpg", photo(100, 90))
    assert drawn("--height=192") > higher


@pytest.mark.parametrize("share", ["0/3", "4/3", "3", "1/0", "a/b"])
def test_share_that_does_not_exist(graph: Path, tmp_path: Path, share: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(graph, save(tmp_path / "photo.jpg"), tmp_path / "out", f"--share={share}") == 1
    assert f"error: --share is '{share}'; it must be like 3/8" in capsys.readouterr().err
