"""The validation pictures on which a model is best and worst."""

import base64
from collections.abc import Iterable
from dataclasses import dataclass, replace

import cv2
import numpy as np

from openpose import draw, image_file
from openpose.codec.decode import People
from openpose.evaluation.keypoint_errors import Comparison
from openpose.skeleton import Skeleton

PICTURE_HEIGHT, PICTURE_MAX_WIDTH = 300, 500  # pixels of a picture in a report
JPEG_QUALITY = 82


def shrink(image: np.ndarray) -> np.ndarray:
    """Shrinks an image that is larger than reports show pictures."""
    height, width = image.shape[:2]
    scale = min(PICTURE_HEIGHT / height, PICTURE_MAX_WIDTH / width)
    if scale >= 1:
        return image
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


@dataclass(frozen=True)
class Example:
    """A validation picture with its labelled people, the people found, and the network's maps.

    Attributes:
        name: file name.
        image: RGB uint8 [H, W, 3].
        truth: labelled people, in pixels.
        found: people found by the network, in pixels.
        heatmap: float32 [h, w, K + 1].
        vectmap: float32 [h, w, 2 L].
        cell: width and height of a cell of the maps, in pixels.
        note: one line below the name.
    """

    name: str
    image: np.ndarray
    truth: People
    found: People
    heatmap: np.ndarray
    vectmap: np.ndarray
    cell: tuple[float, float]
    note: str = ""

    def shrunk(self) -> "Example":
        """The example at the size at which a report shows it."""
        image = shrink(self.image)
        x, y = (after / before for before, after in zip(self.image.shape[1::-1], image.shape[1::-1], strict=True))
        truth, found = (people.in_pixels(1.0, (1 / x, 1 / y)) for people in (self.truth, self.found))
        return replace(self, image=image, truth=truth, found=found, cell=(self.cell[0] * x, self.cell[1] * y))


@dataclass(frozen=True)
class Shown:
    """A picture as a report shows it.

    Attributes:
        rank: quality, number of people, and place in the split; the best picture has the largest rank.
        name: file name.
        note: one line below the name.
        panels: JPEG files in base64, by caption.
    """

    rank: tuple[float, int, int]
    name: str
    note: str
    panels: dict[str, str]


class Gallery:
    """Keeps the best and the worst pictures of a split that does not fit in memory.

    Args:
        size: number of best pictures, and of worst ones.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._kept: list[tuple[tuple[float, int, int], Example]] = []

    def add(self, example: Example, compared: Comparison, number: int) -> None:
        """Considers a picture; one without labelled people and without false positives says nothing.

        Args:
            example: the picture.
            compared: the people found in it against the labelled ones.
            number: its place in the split.
        """
        if compared.quality is None:
            return
        # Of two pictures of equal quality, good or bad, the one with more people says more.
        people = len(example.truth) + compared.false_positives
        weight = people if compared.quality >= 0.5 else -people
        self._kept.append(((compared.quality, weight, -number), example.shrunk()))
        self._kept.sort(key=lambda entry: entry[0], reverse=True)
        if len(self._kept) > 2 * self._size:
            del self._kept[self._size]

    def drawn(self, skeleton: Skeleton) -> list[Shown]:
        """Draws the kept pictures, the best first."""
        return [Shown(rank, one.name, one.note, _panels(one, skeleton)) for rank, one in self._kept]


def chosen(pictures: Iterable[Shown], size: int) -> tuple[list[Shown], list[Shown]]:
    """The `size` best pictures, best first, and as many worst, worst first; none is in both lists."""
    ranked = sorted(pictures, key=lambda picture: picture.rank, reverse=True)
    half = min(size, (len(ranked) + 1) // 2)
    return ranked[:half], ranked[half:][::-1][:size]


def _panels(example: Example, skeleton: Skeleton) -> dict[str, str]:
    image, cell = example.image, example.cell
    panels = {
        "found": draw.skeletons(image, example.found, skeleton),
        "true": draw.skeletons(image, example.truth, skeleton),
        "heatmap: the likeliest part at each point": draw.heatmap(image, example.heatmap, cell),
        "PAF: colour is the limb's direction": draw.vectmap(image, example.vectmap, cell),
    }
    jpegs = {caption: image_file.jpeg(panel, JPEG_QUALITY) for caption, panel in panels.items()}
    return {caption: base64.b64encode(jpeg).decode() for caption, jpeg in jpegs.items()}
