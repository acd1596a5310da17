"""Pictures that EXIF turns: size, other pictures or predict's rule tell what their annotations follow."""

import io
from collections import Counter

import numpy as np
import pytest
from PIL import Image, ImageOps

from openpose.records import exif, image_bytes
from openpose.records.exif import Follows

TURNED, STORED = Follows.TURNED, Follows.STORED


def picture(orientation: object, size: tuple[int, int] = (80, 60), form: str = "JPEG") -> bytes:
    gradient = np.add.outer(np.arange(size[1]), np.arange(size[0]) * 2).astype(np.uint8)
    tags = Image.Exif()
    tags[exif.ORIENTATION] = orientation
    buffer = io.BytesIO()
    Image.fromarray(gradient).save(buffer, form, exif=tags)
    return buffer.getvalue()


def pixels(encoded: bytes, turn: bool) -> np.ndarray:
    with Image.open(io.BytesIO(encoded)) as image:
        return np.asarray((ImageOps.exif_transpose(image) if turn else image).convert("L"), int)


@pytest.mark.parametrize("form", ["JPEG", "PNG"])
@pytest.mark.parametrize("size", [(80, 60), (60, 60)])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_as_turned_and_as_stored(orientation: int, size: tuple[int, int], form: str) -> None:
    encoded = picture(orientation, size, form)
    for unclear in (TURNED, STORED):
        expected = pixels(encoded, unclear is TURNED)
        got = image_bytes.upright(lambda _: encoded, "a.jpg", expected.shape[::-1], unclear)
        assert np.abs(pixels(got, turn=False) - expected).mean() < 2
        if unclear is STORED:
            assert got == encoded


@pytest.mark.parametrize("orientation", [0, 9, 65535, 256])
def test_orientation_that_means_nothing(orientation: object) -> None:
    encoded = picture(orientation)
    assert image_bytes.upright(lambda _: encoded, "a.jpg", (80, 60)) == encoded
    assert exif.of_file(encoded) == (1, (80, 60))


def test_the_first_bytes_are_enough() -> None:
    assert exif.of_file(picture(3, (800, 600))[: exif.HEAD]) == (3, (800, 600))
    assert exif.of_file(b"hello") is None


@pytest.mark.parametrize(
    ("orientation", "expected", "tells"),
    [
        (1, (80, 60), []),
        (6, (80, 60), [STORED]),
        (6, (60, 80), [TURNED]),
        (3, (80, 60), [None]),
        (2, (80, 60), [None]),
        (3, (60, 80), []),
        (6, (99, 60), []),
    ],
)
def test_what_a_picture_tells(orientation: int, expected: tuple[int, int], tells: list[Follows | None]) -> None:
    assert exif.told(exif.of_file(picture(orientation)), expected) == tells


@pytest.mark.parametrize(
    ("own", "other", "asked", "decided", "why"),
    [
        ({None: 3}, {}, "auto", TURNED, "as predict takes pictures"),
        ({None: 3, STORED: 2, TURNED: 1}, {}, "auto", STORED, "as 2 of the split's other pictures are"),
        ({None: 3, TURNED: 2}, {STORED: 9}, "auto", TURNED, "as 2 of the split's other pictures are"),
        ({None: 3}, {STORED: 9}, "auto", STORED, "as 9 of the data set's other pictures are"),
        ({None: 3, TURNED: 2}, {}, "stored", STORED, "as the parameter exif says"),
        ({None: 3, STORED: 2}, {}, "turned", TURNED, "as the parameter exif says"),
    ],
)
def test_the_other_pictures_decide(
    own: dict[Follows | None, int], other: dict[Follows | None, int], asked: str, decided: Follows, why: str
) -> None:
    found, said = exif.decide({"train": Counter(own), "val": Counter(other)}, asked, {})
    assert found["train"] is decided
    assert said["train"].startswith("3 pictures of train are turned by EXIF")
    assert why in said["train"]
    assert "val" not in said


def test_that_only_some_pictures_were_looked_at_is_said() -> None:
    _, said = exif.decide({"train": Counter({None: 3}), "val": Counter({None: 1})}, "auto", {"train": 20_000})
    assert said["train"].startswith("3 of the first 20,000 pictures of train are turned")
    assert said["train"].endswith("such pictures among the others are taken the same way")
    assert said["val"].startswith("1 pictures of val are turned")
