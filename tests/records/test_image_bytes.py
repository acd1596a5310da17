"""JPEGs that lost a part of their data are found, although header and end are whole."""

import io

import numpy as np
import pytest
from PIL import Image

from openpose.records.image_bytes import BadImage, upright

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
