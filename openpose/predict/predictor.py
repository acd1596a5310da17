"""Finds the people in a picture with a network and the decoder."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from openpose import image_file, model_files
from openpose.codec import channels
from openpose.codec.decode import DecodeParameters, People, decode
from openpose.errors import InputError
from openpose.model_files.facts import HEIGHT
from openpose.skeleton import Skeleton

_MAX_SCALE = 8


@dataclass(frozen=True)
class Maps:
    """A network's maps of one picture.

    Attributes:
        heatmap: float32 [h, w, K + 1].
        vectmap: float32 [h, w, 2 L].
        stride: pixels of the network's input per cell.
        scale: x and y: size of the network's input without padding, relative to the picture's size.
    """

    heatmap: np.ndarray
    vectmap: np.ndarray
    stride: int
    scale: tuple[float, float]

    @property
    def cell(self) -> tuple[float, float]:
        """Width and height of a cell in pixels of the picture, as `draw` takes them."""
        return self.stride / self.scale[0], self.stride / self.scale[1]


@dataclass(frozen=True)
class Passes:
    """How often the network runs on each picture; the maps of all passes are averaged.

    More passes find more people and take more time: `benchmarks.decode` measures both.

    Attributes:
        scales: heights of the passes, relative to the predictor's height.
        flip: run on the mirrored picture too, at each height.

    Raises:
        InputError: no scale is given, or a scale is not above 0 and at most 8.
    """

    scales: tuple[float, ...] = (1.0,)
    flip: bool = False

    def __post_init__(self) -> None:
        if not self.scales or not all(0 < scale <= _MAX_SCALE for scale in self.scales):
            raise InputError(f"scales are {list(self.scales)}; give one or more, each above 0 and at most {_MAX_SCALE}")


@dataclass(frozen=True)
class Views:
    """The network's inputs for one picture.

    Attributes:
        images: for each scale RGB uint8 [1, H, W, 3], or [2, H, W, 3] with the mirrored picture; H and W are multiples
            of the stride. All cover the same area, so that their maps can be averaged.
        scale: x and y: size of the picture at the predictor's height, without padding, relative to its own size.
    """

    images: tuple[np.ndarray, ...]
    scale: tuple[float, float]

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """The images' shapes; pictures with equal shapes can go through the network together."""
        return tuple(image.shape for image in self.images)


@dataclass(frozen=True)
class Predictor:
    """Finds people in pictures of any size.

    Attributes:
        model: the network.
        height: pixels to which pictures are resized; the aspect is kept.
        parameters: of the decoder.
        passes: how often the network runs on each picture.
    """

    model: model_files.Model
    height: int = HEIGHT
    parameters: DecodeParameters = field(default_factory=DecodeParameters)
    passes: Passes = field(default_factory=Passes)

    def people(self, image: np.ndarray) -> People:
        """The people in a picture, RGB uint8 [H, W, 3], in its pixels."""
        return self.people_in(self.maps(image))

    def maps(self, image: np.ndarray) -> Maps:
        """The network's maps of a picture, RGB uint8 [H, W, 3]; they cover the padding at its right and bottom too."""
        return self.maps_of([self.views(image)])[0]

    def views(self, image: np.ndarray) -> Views:
        """Prepares a picture, RGB uint8 [H, W, 3], for the network."""
        stride = self.model.stride
        width, height = image_file.network_size(image, self.height)
        cells = np.array([-(-width // stride), -(-height // stride)])
        images = []
        for scale in self.passes.scales:
            scaled = np.maximum(1, np.rint(cells * scale)).astype(int)
            size = np.maximum(1, np.rint(np.array([width, height]) * scaled / cells)).astype(int)
            view = image_file.pad(image_file.resize(image, (int(size[0]), int(size[1]))), *(scaled * stride))
            images.append(np.stack([view, view[:, ::-1]]) if self.passes.flip else view[None])
        return Views(tuple(images), (width / image.shape[1], height / image.shape[0]))

    def maps_of(self, views: Sequence[Views]) -> list[Maps]:
        """The averaged maps of pictures whose views have the same shapes; the network runs once for each scale."""
        person = self.model.skeleton
        heat, vect = [], []
        for scale in zip(*(view.images for view in views), strict=True):
            heatmaps, vectmaps = self.model.maps(np.concatenate(scale))
            if self.passes.flip:
                heatmaps = (heatmaps[::2] + mirrored_heatmap(heatmaps[1::2], person)) / 2
                vectmaps = (vectmaps[::2] + mirrored_vectmap(vectmaps[1::2], person)) / 2
            heat.append(heatmaps)
            vect.append(vectmaps)
        return [
            Maps(_mean([maps[n] for maps in heat]), _mean([maps[n] for maps in vect]), self.model.stride, view.scale)
            for n, view in enumerate(views)
        ]

    def people_in(self, maps: Maps) -> People:
        """The people in the maps, in pixels of the picture.

        Raises:
            InputError: the maps hold NaN or infinity.
        """
        try:
            people = decode(maps.heatmap, maps.vectmap, self.model.skeleton, self.parameters)
        except InputError as error:
            raise InputError(f"{self.model.path}: its {error}") from error
        return people.in_pixels(maps.stride, maps.scale)


def mirrored_heatmap(heatmap: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """Mirrors a heatmap [..., h, w, K + 1]: right and left parts change places."""
    return heatmap[..., ::-1, list(skeleton.flip_heatmap)]


def mirrored_vectmap(vectmap: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """Mirrors a vectmap [..., h, w, 2 L]: right and left limbs change places, and x changes its sign.

    A limb between mirror parts, such as hip to hip, turns round.
    """
    return vectmap[..., ::-1, list(skeleton.flip_vectmap)] * skeleton.flip_signs


def _mean(maps: list[np.ndarray]) -> np.ndarray:
    """The mean of maps [h, w, C] that cover the same area, resized to the size of the first."""
    (h, w, _), *_ = (one.shape for one in maps)
    total = maps[0].astype(np.float32)
    for one in maps[1:]:
        total = total + channels.resize(one, (w, h), cv2.INTER_CUBIC)
    return total / len(maps)
