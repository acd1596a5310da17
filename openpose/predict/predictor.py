"""People in a picture, by a network and the decoder. The command `python -m openpose.predict` is `predict_files`."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from openpose import image_file, model_files
from openpose.codec.decode import DecodeParameters, People, decode
from openpose.errors import InputError
from openpose.skeleton import Skeleton

_MAX_SCALE = 8


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
class Passes:
    """How often the network looks at each picture; the maps of all its looks are averaged.

    More looks find more, and cost as many times more: `benchmarks.decode` measures both.

    Attributes:
        scales: heights at which it looks, in proportion to the predictor's height.
        flip: at each height it also looks at the mirrored picture.

    Raises:
        InputError: no scale at all, or one that is not above 0 and at most 8.
    """

    scales: tuple[float, ...] = (1.0,)
    flip: bool = False

    def __post_init__(self) -> None:
        if not self.scales or not all(0 < scale <= _MAX_SCALE for scale in self.scales):
            raise InputError(f"scales are {list(self.scales)}; give one or more, each above 0 and at most {_MAX_SCALE}")


@dataclass(frozen=True)
class Views:
    """What the network gets to see of one picture.

    Attributes:
        images: for each scale uint8 [1, H, W, 3], RGB, or [2, H, W, 3] with the mirrored one; H and W are multiples
            of the stride. They show the same part of the plane, so that their maps lie on each other.
        scale: size of the first scale's picture, without padding, in proportion to the picture's: x, y.
    """

    images: tuple[np.ndarray, ...]
    scale: tuple[float, float]

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Pictures whose views have the same shapes can go through the network together."""
        return tuple(image.shape for image in self.images)


@dataclass(frozen=True)
class Predictor:
    """Finds people in pictures of any size.

    Attributes:
        model: the network.
        height: pixels; pictures are resized to it, their aspect kept.
        parameters: of the decoder.
        passes: how often the network looks at each picture.
    """

    model: model_files.Model
    height: int = 368
    parameters: DecodeParameters = field(default_factory=DecodeParameters)
    passes: Passes = field(default_factory=Passes)

    def people(self, image: np.ndarray) -> People:
        """People in a picture, RGB uint8 [H, W, 3], in its pixels."""
        return self.people_in(self.maps(image))

    def maps(self, image: np.ndarray) -> Maps:
        """The network's maps of a picture, RGB uint8 [H, W, 3], and of the padding right of it and below."""
        return self.maps_of([self.views(image)])[0]

    def views(self, image: np.ndarray) -> Views:
        """A picture, RGB uint8 [H, W, 3], as the network is to see it."""
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
        """The averaged maps of pictures whose views have the same shapes, in one go of the network for each scale."""
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
        """People in the maps, in pixels of the picture.

        Raises:
            InputError: the maps hold NaN or infinity.
        """
        try:
            people = decode(maps.heatmap, maps.vectmap, self.model.skeleton, self.parameters)
        except InputError as error:
            raise InputError(f"{self.model.path}: its {error}") from error
        return people.in_pixels(maps.stride, maps.scale)


def mirrored_heatmap(heatmap: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """The heatmap [..., h, w, K + 1] of the mirrored picture: right and left parts change places."""
    return heatmap[..., ::-1, list(skeleton.flip_heatmap)]


def mirrored_vectmap(vectmap: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """The vectmap [..., h, w, 2 L] of the mirrored picture: right and left limbs change places, x changes its sign."""
    sign = np.tile(np.array([-1, 1], np.float32), skeleton.num_limbs)
    return vectmap[..., ::-1, list(skeleton.flip_vectmap)] * sign


def _mean(maps: list[np.ndarray]) -> np.ndarray:
    """The mean of maps [h, w, C] of different sizes that cover the same area, as large as the first."""
    (h, w, channels), *_ = (one.shape for one in maps)
    total = maps[0].astype(np.float32)
    for one in maps[1:]:
        total = total + cv2.resize(one, (w, h), interpolation=cv2.INTER_CUBIC).reshape(h, w, channels)
    return total / len(maps)
