"""What came of a network in each format: asked for the maps of real pictures, in its own runtime, beside Keras."""

import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from openpose import model_files, storage
from openpose.errors import InputError
from openpose.evaluation import score
from openpose.model_files import saved_model
from openpose.model_files.formats import FORMATS
from openpose.predict.predictor import Maps, Predictor
from openpose.predict.results import coco_results
from openpose.records import read
from openpose.skeleton import Skeleton

JPEG = "jpeg"  # the SavedModel's other signature
JPEG_BOUNDS = (0.5, 0.01)  # it resizes pictures by TensorFlow, which rounds some pixels differently
_TIMED = 5  # pictures

Ask = Callable[[bytes, np.ndarray], Maps]


@dataclass(frozen=True)
class Figures:
    """What was measured of one format.

    Attributes:
        title: of the format.
        file: name of its file or folder.
        bytes: size.
        sha256: of each of its files, by name.
        largest: largest difference of its maps to the Keras model's, in proportion to the largest value of these, or 1
            when they are smaller, as true maps are within -1…1.
        mean: mean difference, in the same proportion.
        ap: COCO AP on the pictures, None where nobody in them is labelled.
        images_per_second: on this machine, one picture at a time, without decoding.
    """

    title: str
    file: str
    bytes: int
    sha256: dict[str, str]
    largest: float
    mean: float
    ap: float | None
    images_per_second: float

    def as_dict(self) -> dict[str, Any]:
        """By name, for JSON."""
        return asdict(self)

    def line(self) -> str:
        """For the log."""
        ap = "undefined" if self.ap is None else f"{self.ap:.3f}"
        return (
            f"{self.title:<24} {self.bytes / 1e6:7.2f} MB  COCO AP {ap}  difference {self.largest:.1e} at most, "
            f"{self.mean:.1e} in the mean  {self.images_per_second:.1f} images/s"
        )

    def check(self, largest: float, mean: float) -> None:
        """Raises InputError when the differences are above their bounds, or are no numbers."""
        for what, found, bound in (("largest", self.largest, largest), ("mean", self.mean, mean)):
            if not found <= bound:
                raise InputError(
                    f"{self.file}: the {what} difference of its maps to the Keras model's is {found:.1e}, more than "
                    f"the {bound:.1e} allowed for {self.title}; nothing is exported. Leave it out with `formats`"
                )


@dataclass(frozen=True)
class Pictures:
    """Real pictures with their people.

    Attributes:
        encoded: JPEG or PNG.
        images: RGB uint8 [H, W, 3].
        ids: of the data set.
        truth: as a COCO document.
    """

    encoded: Sequence[bytes]
    images: Sequence[np.ndarray]
    ids: Sequence[int]
    truth: dict[str, Any]

    def __len__(self) -> int:
        return len(self.ids)


def pictures(split: dict[str, Any], skeleton: Skeleton, count: int) -> Pictures:
    """The first pictures of a split's records, always the same ones: a choice by chance, as records are shuffled."""
    examples = list(read.examples(split, skeleton).take(count).as_numpy_iterator())
    return Pictures(
        [example["encoded"] for example in examples],
        [read.decode_picture(example) for example in examples],
        [int(example["id"]) for example in examples],
        read.ground_truth(split, skeleton, count),
    )


class Comparison:
    """Compares formats with a Keras model.

    Args:
        model: the Keras model's file.
        shown: pictures that all are asked for.
        skeleton: of the maps.
        height: of the network's input, pixels.

    Raises:
        InputError: the Keras model's maps hold NaN.
    """

    def __init__(self, model: storage.StoragePath, shown: Pictures, skeleton: Skeleton, height: int) -> None:
        self._shown, self._skeleton, self._height = shown, skeleton, height
        self._keras = Predictor(model_files.load(model, skeleton), height)
        self._maps = [self._keras.maps(image) for image in shown.images]
        self._unit = max(1.0, *(float(np.abs(_joined(maps)).max()) for maps in self._maps))
        self.stride = self._keras.model.stride
        self._model = model

    def keras(self) -> Figures:
        """The Keras model's own figures."""
        size = storage.size(self._model) or 0
        return self._measure("Keras", self._model.name, size, {}, _asked_image(self._keras), self._maps)

    def format(self, name: str, folder: Path) -> Figures:
        """The figures of a format's file in a folder.

        Args:
            name: one of `FORMATS`, or `jpeg` for the SavedModel's other signature.
            folder: where its file is.

        Raises:
            InputError: the maps differ by more than the format's bounds.
        """
        format = FORMATS["saved_model" if name == JPEG else name]
        path = folder / format.file
        if name == JPEG:
            ask = _asked_jpeg(path, self._skeleton, self.stride)
        else:
            ask = _asked_image(Predictor(model_files.load(path, self._skeleton), self._height))
        sizes = storage.sizes(path) if path.is_dir() else {"": path.stat().st_size}
        sums = {(Path(format.file) / file).as_posix(): storage.sha256(path / file) for file in sorted(sizes)}
        title = f"{format.title}, from JPEG" if name == JPEG else format.title
        found = map(ask, self._shown.encoded, self._shown.images)
        figures = self._measure(title, format.file, sum(sizes.values()), sums, ask, found)
        figures.check(*(JPEG_BOUNDS if name == JPEG else (format.largest, format.mean)))
        return figures

    def _measure(
        self, title: str, file: str, size: int, sums: dict[str, str], ask: Ask, found: Iterable[Maps]
    ) -> Figures:
        largest, total, count = 0.0, 0.0, 0
        detections: list[dict[str, Any]] = []
        for number, maps, expected in zip(self._shown.ids, found, self._maps, strict=True):
            difference = np.abs(_joined(maps) - _joined(expected)) / self._unit
            largest, total, count = max(largest, difference.max()), total + difference.sum(), count + difference.size
            detections += coco_results(number, self._keras.people_in(maps), self._skeleton)
        ap = score.average_precision(self._shown.truth, detections, self._skeleton)["AP"]
        return Figures(title, file, size, sums, float(largest), float(total / count), ap, self._speed(ask))

    def _speed(self, ask: Ask) -> float:
        encoded, image = self._shown.encoded[0], self._shown.images[0]
        ask(encoded, image)
        times = []
        for _ in range(_TIMED):
            start = time.perf_counter()
            ask(encoded, image)
            times.append(time.perf_counter() - start)
        return 1 / statistics.median(times)


def _joined(maps: Maps) -> np.ndarray:
    return np.concatenate([maps.heatmap, maps.vectmap], -1)


def _asked_image(predictor: Predictor) -> Ask:
    return lambda encoded, image: predictor.maps(image)


def _asked_jpeg(folder: Path, skeleton: Skeleton, stride: int) -> Ask:
    signature = tf.saved_model.load(str(folder)).signatures[saved_model.JPEG_SIGNATURE]
    heatmaps = skeleton.num_heatmaps

    def ask(encoded: bytes, image: np.ndarray) -> Maps:
        found = signature(encoded=tf.constant(encoded))
        maps, scale = found["maps"].numpy()[0], found["scale"].numpy()
        return Maps(maps[..., :heatmaps], maps[..., heatmaps:], stride, (float(scale[0]), float(scale[1])))

    return ask
