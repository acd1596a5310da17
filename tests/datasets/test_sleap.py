"""A SLEAP file becomes COCO's form, with the frames of its films as pictures."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from PIL import Image

from openpose.errors import InputError
from tests.datasets.projects import SIZE, converted, film, keypoints, picture, sleap

A, B = [(10.0, 20.0), (30.0, 20.0), (20.0, 5.0)], [(11.0, 21.0), (np.nan, np.nan), (20.0, 6.0)]
NAMED = {"wingL": (10, 20, 2), "wingR": (30, 20, 2), "head": (20, 5, 2)}


def video(name: str) -> dict[str, Any]:
    return {"backend": {"filename": name, "grayscale": True, "bgr": True}}


def test_frames_of_films_and_peoples_labels(tmp_path: Path) -> None:
    for name in ("a.avi", "b.avi"):
        film(tmp_path / name, 8)
    animals = [
        (0, 2, False, A),
        (0, 2, True, B),
        (0, 5, False, B),
        (0, 6, True, A),
        (1, 0, False, A),
        (1, 99, False, A),
    ]
    videos = [video(r"C:\films\a.avi"), video("/gone/b.avi")]
    place = sleap(tmp_path / "labels.slp", animals, videos)
    made, documents = converted(tmp_path, tmp_path / "root")
    assert keypoints(documents["train"]) == {
        "a/000002.jpg": [NAMED],
        "a/000005.jpg": [{"wingL": (11, 21, 2), "head": (20, 6, 2)}],
        "b/000000.jpg": [NAMED],
    }
    assert [image["film"] for image in documents["train"]["images"]] == ["a", "a", "b"]
    for number in (2, 5):  # the right frames
        with Image.open(made.pictures["train"] / f"a/{number:06}.jpg") as frame:
            assert (frame.mode, frame.size) == ("L", SIZE)
            assert abs(float(np.mean(np.asarray(frame))) - 10 * number) < 4
    (category,) = documents["train"]["categories"]
    assert (category["skeleton"], category["flip_pairs"]) == ([[3, 1], [3, 2]], [["wingL", "wingR"]])
    said = " ".join(made.said)
    assert "4 instances are a person's and are used" in said
    assert "left out: 2 instances that a network predicted" in said
    assert "left out: 1 frames without an instance that is used" in said
    assert "left out: 1 frames that the film b does not have" in said
    again, _ = converted(place, tmp_path / "root")
    assert again == made


def test_predictions_where_nobody_labelled_and_old_coordinates(tmp_path: Path) -> None:
    film(tmp_path / "a.avi", 3)
    sleap(tmp_path / "labels.slp", [(0, 1, True, A)], [video("a.avi")], format_id=1.0)
    made, documents = converted(tmp_path, tmp_path / "root")
    assert keypoints(documents["train"])["a/000001.jpg"][0]["head"] == (19.5, 4.5, 2)
    assert "all 1 instances are a network's predictions" in " ".join(made.said)


@pytest.mark.parametrize("kind", ["png", "hdf5"])
def test_pictures_in_the_file(tmp_path: Path, kind: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (2, SIZE[1], SIZE[0], 1), np.uint8)
    with h5py.File(tmp_path / "labels.pkg.slp", "w") as file:
        group = file.create_group("video3")  # of the films that the package was made of, the only one with labels
        if kind == "hdf5":
            group["video"] = pixels
        else:
            group.create_dataset("video", 2, h5py.vlen_dtype(np.int8))
            for number, frame in enumerate(pixels):
                buffer = io.BytesIO()
                Image.fromarray(frame[..., 0]).save(buffer, "PNG")
                group["video"][number] = np.frombuffer(buffer.getvalue() + b"\0" * 99, np.int8)
            group["video"].attrs["format"] = "png"
        group["frame_numbers"] = [4, 70]
    backend = {"filename": ".", "dataset": "video3/video"}
    sleap(tmp_path / "labels.pkg.slp", [(3, 4, False, A), (3, 70, False, A)], [{"backend": backend}])
    made, documents = converted(tmp_path, tmp_path / "root")
    assert list(keypoints(documents["train"])) == ["video3/000004.png", "video3/000070.png"]
    with Image.open(made.pictures["train"] / "video3/000070.png") as frame:
        np.testing.assert_array_equal(np.asarray(frame.convert("L")), pixels[1, ..., 0])
    assert (made.pictures["train"] / "video3/000070.png").read_bytes().endswith(b"IEND\xaeB`\x82")


def test_package_cannot_write_outside_its_folder(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "labels.pkg.slp", "w") as file:
        file.create_dataset("video0/video", 1, h5py.vlen_dtype(np.int8)).attrs["format"] = "png/../../../out.png"
    backend = {"filename": ".", "dataset": "video0/video"}
    sleap(tmp_path / "labels.pkg.slp", [(0, 0, False, A)], [{"backend": backend}])
    with pytest.raises(InputError, match=r"labels\.pkg\.slp: the pictures of video0/video are of the format 'png/\.\."):
        converted(tmp_path, tmp_path / "root")


def test_frames_that_are_picture_files(tmp_path: Path) -> None:
    for number in range(3):
        picture(tmp_path / f"frames/{number}.png", number)
    backend = {"filename": "frames/0.png", "filenames": [f"/old/frames/{number}.png" for number in range(3)]}
    sleap(tmp_path / "labels.slp", [(0, 2, False, A)], [{"backend": backend}])
    made, _ = converted(tmp_path, tmp_path / "root")
    assert (made.pictures["train"] / "0/000002.png").read_bytes() == (tmp_path / "frames/2.png").read_bytes()


def _without_frames(place: Path) -> None:
    with h5py.File(place, "a") as file:
        del file["frames"]


def _too_many_instances(place: Path) -> None:
    with h5py.File(place, "a") as file:
        frames = file["frames"][()]
        frames["instance_id_end"] = 10**15  # as many steps would take years
        file["frames"][...] = frames


def _same_names(place: Path) -> None:
    with h5py.File(place, "a") as file:
        metadata = json.loads(file["metadata"].attrs["json"])
        metadata["nodes"][1]["name"] = "wingL"
        file["metadata"].attrs["json"] = json.dumps(metadata)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda place: place.with_name("a.avi").unlink(), r"labels\.slp: its film a\.avi is neither there nor beside"),
        (lambda place: place.with_name("a.avi").write_bytes(b"junk"), r"a\.avi: not a film that can be read"),
        (lambda place: place.write_bytes(b"junk"), r"labels\.slp: not a SLEAP file that can be read"),
        (_without_frames, r"labels\.slp: not a SLEAP file that can be read .*frames"),
        (_too_many_instances, r"labels\.slp: not a SLEAP file .*frame 0 names more instances than the 1 in it"),
        (_same_names, r"labels\.slp: `nodes` names wingL more than once"),
        (lambda place: place.with_name("more.slp").write_bytes(b""), r"several SLEAP files \(labels\.slp, more\.slp\)"),
    ],
)
def test_what_cannot_be_used_is_one_message(tmp_path: Path, spoil: Callable[[Path], Any], message: str) -> None:
    film(tmp_path / "a.avi", 3)
    place = sleap(tmp_path / "labels.slp", [(0, 1, False, A)], [video("a.avi")])
    spoil(place)
    with pytest.raises(InputError, match=message):
        converted(tmp_path, tmp_path / "root")
    assert not list((tmp_path / "root").rglob("*.json"))


@pytest.mark.slow
def test_the_real_film(shared: Path, tmp_path: Path) -> None:
    place = shared / "animals/flies-sleap/centered_pair_predictions.slp"
    if not place.is_file():
        pytest.skip(f"needs the developers' data in {place}")
    _, documents = converted(place, tmp_path)
    found = {name.rpartition("/")[2]: animals for name, animals in keypoints(documents["train"]).items()}
    assert (len(found), sum(map(len, found.values()))) == (1100, 2274)
    # The same frames in COCO's form, from which a tenth of the keypoints was removed.
    for split in ("train", "val"):
        expected = json.loads((shared / f"animals/flies/annotations/{split}.json").read_text())
        for name, animals in keypoints(expected).items():
            for animal in animals:
                assert any(animal.items() <= other.items() for other in found[name]), name
