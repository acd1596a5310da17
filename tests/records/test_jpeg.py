"""JPEGs that lost a part of their data are found, although header and end are whole."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from openpose.records import jpeg as jpeg_file
from openpose.records.image_bytes import BadImage, CutImage, upright

SIZE = (800, 600)
NOISE = np.random.default_rng(0).integers(0, 255, (120, 160, 3), np.uint8).repeat(5, 0).repeat(5, 1)


def jpeg(pixels: np.ndarray, progressive: bool) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", optimize=True, progressive=progressive)
    return buffer.getvalue()


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize(("start", "length"), [(0.5, 0.4), (0.3, 2000)])
def test_a_hole_is_named(start: float, length: float, progressive: bool) -> None:
    whole = jpeg(NOISE, progressive)
    assert upright(lambda _: whole, "a.jpg", SIZE) == whole
    first = int(start * len(whole))
    last = first + int(length if length > 1 else length * len(whole))
    holed = whole[:first] + bytes(last - first) + whole[last:]
    with pytest.raises(BadImage, match="its data have a hole"):
        upright(lambda _: holed, "a.jpg", SIZE)


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("colour", [0, 128])
def test_zeros_of_a_flat_area_are_no_hole(colour: int, progressive: bool) -> None:
    pixels = np.full_like(NOISE, colour)
    one_colour = jpeg(pixels, progressive)
    pixels[300:360, 300:380] = NOISE[:60, :80]
    for image in (one_colour, jpeg(pixels, progressive)):
        assert bytes(32) in image[600:]
        assert upright(lambda _, image=image: image, "a.jpg", SIZE) == image  # type: ignore[misc]


KINDS: list[dict[str, Any]] = [
    {},
    {"progressive": True},
    {"optimize": True},
    {"quality": 100},
    {"subsampling": "4:4:4"},
    {"restart_marker_blocks": 5},
]


def kinds() -> list[bytes]:
    """JPEGs of different modes and options, all of them whole."""
    found = []
    for mode in ("RGB", "L", "CMYK"):
        for options in KINDS:
            buffer = io.BytesIO()
            Image.fromarray(NOISE).convert(mode).save(buffer, "JPEG", **options)
            found.append(buffer.getvalue())
    return found


def test_whole_pictures_are_not_cut() -> None:
    for image in kinds():
        assert not jpeg_file.is_cut(image)
        assert not jpeg_file.is_cut(image, thorough=True)


@pytest.mark.slow
def test_a_cut_with_an_end_marker_is_always_found_by_decoding_and_often_without() -> None:
    found = []
    for image in kinds():
        for share in (0.3, 0.5, 0.7, 0.8, 0.9):
            cut = image[: int(share * len(image))] + b"\xff\xd9"
            assert jpeg_file.is_cut(cut, thorough=True), share
            found.append(jpeg_file.is_cut(cut))
    assert sum(found) > len(found) / 3


def test_zeros_after_the_end_are_no_hole() -> None:
    padded = jpeg(NOISE, progressive=False) + bytes(500)
    assert upright(lambda _: padded, "a.jpg", SIZE) == padded


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "but HEIC or AVIF; convert it"),
        (b"GIF89a" + bytes(99), "but a GIF; convert it"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
        (b"\n<html><body>404</body></html>", "but a page or another text"),
        (b"", "but empty; fetch it again"),
    ],
)
def test_what_a_file_is_instead_of_a_picture_is_said(content: bytes, said: str) -> None:
    with pytest.raises(BadImage, match=f"it is not a JPEG, PNG, TIFF, BMP or WebP image, .*{said}"):
        upright(lambda _: content, "a.jpg", SIZE)


def test_a_cut_within_an_escaped_byte_is_found() -> None:
    image = jpeg(NOISE, progressive=False)
    at = image.index(b"\xff\x00", len(image) // 2) + 1
    cut = image[:at] + b"\xff\xd9"
    assert jpeg_file.is_cut(cut, thorough=True)


def test_a_cut_picture_is_named() -> None:
    whole = jpeg(NOISE, progressive=False)
    cut = whole[: len(whole) // 2] + b"\xff\xd9"
    with pytest.raises(CutImage, match="its data end too early"):
        upright(lambda _: cut, "a.jpg", SIZE, thorough=True)
