"""People in a picture: `python -m openpose.predict --graph graph.pb --image photo.jpg --out drawn.jpg`."""

import argparse
import io
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps

from openpose import draw, model_io, skeleton, storage
from openpose.decode import DecodeParameters, People, decode
from openpose.errors import InputError

PADDING_GREY = 128
# A picture that is wider than this many times its height is made smaller, or it would fill the memory.
_MAX_ASPECT = 8


@dataclass(frozen=True)
class Maps:
    """A network's maps of one picture.

    Attributes:
        heatmap: float32 [h, w, K + 1].
        vectmap: float32 [h, w, 2 L].
        stride: pixels of the network's input per cell.
        scale: size of the network's input, without padding, in proportion to the picture's: x, y.
    """

    heatmap: np.ndarray
    vectmap: np.ndarray
    stride: int
    scale: tuple[float, float]

    @property
    def cell(self) -> tuple[float, float]:
        """Width and height of a cell in pixels of the picture, as `draw` wants them."""
        return self.stride / self.scale[0], self.stride / self.scale[1]


@dataclass(frozen=True)
class Predictor:
    """Finds people in pictures of any size.

    Attributes:
        model: the network.
        height: pixels; pictures are resized to it, their aspect kept.
        parameters: of the decoder.
    """

    model: model_io.Model
    height: int = 368
    parameters: DecodeParameters = field(default_factory=DecodeParameters)

    def maps(self, image: np.ndarray) -> Maps:
        """The network's maps of a picture, RGB uint8 [H, W, 3], and of the padding right of it and below."""
        resized = _resize(image, self.height)
        stride = self.model.stride
        bottom, right = (-size % stride for size in resized.shape[:2])
        padded = np.pad(resized, ((0, bottom), (0, right), (0, 0)), constant_values=PADDING_GREY)
        heatmap, vectmap = self.model.maps(padded[None])
        scale = resized.shape[1] / image.shape[1], resized.shape[0] / image.shape[0]
        return Maps(heatmap[0], vectmap[0], stride, scale)

    def people_in(self, maps: Maps) -> People:
        """People in the maps, in pixels of the picture."""
        people = decode(maps.heatmap, maps.vectmap, self.model.skeleton, self.parameters)
        return people.in_pixels(maps.stride, maps.scale)

    def people(self, image: np.ndarray) -> People:
        """People in a picture, RGB uint8 [H, W, 3], in its pixels."""
        return self.people_in(self.maps(image))


def _resize(image: np.ndarray, height: int) -> np.ndarray:
    scale = min(height / image.shape[0], _MAX_ASPECT * height / image.shape[1])
    size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)


def read_picture(path: str | Path) -> np.ndarray:
    """A picture as RGB uint8 [H, W, 3], turned as its EXIF says; grey, palette and CMYK pictures too.

    Raises:
        InputError: there is no such file, or it is not a whole picture.
    """
    try:
        with Image.open(path) as picture:
            upright = ImageOps.exif_transpose(picture)
            if upright.mode.startswith("I;16"):  # Pillow would cut the values off at 255
                upright = Image.fromarray((np.asarray(upright) >> 8).astype(np.uint8))
            return np.asarray(upright.convert("RGB"))
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such picture") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(f"{path}: not a picture that can be read ({error})") from error


def write_picture(path: str | Path, image: np.ndarray) -> None:
    """Writes RGB uint8 [H, W, 3] in the format of the file's ending; the file is whole or not there.

    Raises:
        InputError: the ending belongs to no format of pictures.
    """
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, picture_format(path), quality=92)
    storage.write_bytes(storage.path(path), buffer.getvalue())


def picture_format(path: str | Path) -> str:
    """Pillow's name of the format that the file's ending stands for.

    Raises:
        InputError: there is none that can be written.
    """
    name = Image.registered_extensions().get(Path(path).suffix.lower())
    if name not in Image.SAVE:
        raise InputError(f"{path}: {Path(path).suffix or 'no ending'} is no format to write; use .jpg or .png")
    return name


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m openpose.predict",
        description="Finds the people in a picture and draws their skeletons.",
    )
    parser.add_argument("--graph", required=True, help="frozen graph (.pb) or Keras model (.keras)")
    parser.add_argument("--image", required=True, help="the picture")
    parser.add_argument("--out", required=True, help="where the drawn picture goes; .jpg, .png, …")
    parser.add_argument("--pixels", choices=model_io.PIXELS, help="order of the channels that the graph takes")
    parser.add_argument("--height", type=int, default=368, help="height at which the network sees it (%(default)s)")
    values = parser.parse_args(arguments)
    try:
        people = _predict(**vars(values))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    count = f"{len(people)} {'person' if len(people) == 1 else 'people'}"
    print(f"{values.image}: {count} found, drawn in {values.out}")
    return 0


def _predict(graph: str, image: str, out: str, pixels: str | None, height: int) -> People:
    if height < 1:
        raise InputError(f"--height is {height}; it must be a number of pixels, 1 or more")
    picture_format(out)
    picture = read_picture(image)
    predictor = Predictor(model_io.load(graph, skeleton.get("openpose18"), pixels), height)
    people = predictor.people(picture)
    write_picture(out, draw.skeletons(picture, people, predictor.model.skeleton))
    return people


if __name__ == "__main__":
    sys.exit(main())
