"""Pictures of any kind are read upright and in RGB; a file that is not a picture gets a clear error."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from openpose import image_file
from openpose.errors import InputError
from tests.one_person import jpeg_bytes, photo


@pytest.mark.parametrize("mode", ["L", "1", "P", "CMYK", "RGBA", "LA", "I;16"])
def test_any_colours_become_rgb(mode: str, tmp_path: Path) -> None:
    path = tmp_path / ("picture.jpg" if mode == "CMYK" else "picture.png")
    grey = np.linspace(0, 255, 64).astype(np.uint8).reshape(8, 8)
    picture = Image.fromarray(grey.astype(np.uint16) * 257) if mode == "I;16" else Image.fromarray(grey).convert(mode)
    picture.save(path)
    read = image_file.read(path)
    assert (read.shape, read.dtype) == (((8, 8, 3)), np.uint8)
    assert np.ptp(read.astype(int), -1).max() <= 12, "grey stays grey"
    tolerance = 255 if mode == "1" else 16
    assert np.abs(read[..., 0].astype(int) - grey).max() <= tolerance


@pytest.mark.parametrize(("depth", "suffix"), [(8, ".tif"), (10, ".png"), (12, ".tif"), (14, ".png"), (16, ".tif")])
def test_16_bit_pixels_keep_the_upper_8_bits_of_the_cameras_depth(depth: int, suffix: str, tmp_path: Path) -> None:
    grey = np.linspace(0, 255, 64).astype(np.uint16).reshape(8, 8)
    Image.fromarray((grey << (depth - 8)) + (1 << depth) // 512).save(tmp_path / f"a{suffix}")
    np.testing.assert_array_equal(image_file.read(tmp_path / f"a{suffix}")[..., 0], grey)


@pytest.mark.parametrize(
    ("kind", "scale"),
    [(np.int32, 1), (np.int32, 256), (np.int32, 1 << 12), (np.uint32, 1 << 24), (np.float32, 1), (np.float32, 1 / 255)],
)
def test_32_bit_grey_is_not_all_white(kind: type, scale: float, tmp_path: Path) -> None:
    grey = np.linspace(0, 255, 64).round().reshape(8, 8)
    pixels: np.ndarray = (grey * scale).astype(kind)
    Image.fromarray(pixels.view(np.int32) if kind is np.uint32 else pixels).save(tmp_path / "a.tif")
    read = image_file.read(tmp_path / "a.tif")[..., 0].astype(int)
    assert np.abs(read - grey).max() <= 1


def test_picture_is_rotated_as_exif_says(tmp_path: Path) -> None:
    upright = photo(40, 60)
    upright[:10, :10] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # display rotated by 90° clockwise
    Image.fromarray(np.rot90(upright)).save(tmp_path / "turned.jpg", exif=exif, quality=95)
    read = image_file.read(tmp_path / "turned.jpg")
    assert read.shape == upright.shape
    assert np.abs(read[:8, :8].astype(int) - 255).max() < 20


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
def test_file_that_is_not_a_picture(content: bytes | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=f"{path}: {message}"):
        image_file.read(path)


def test_a_folder_is_not_a_picture(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a picture that can be read"):
        image_file.read(tmp_path)
