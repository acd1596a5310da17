"""Compares each exported format, in its own runtime, with the Keras model on real pictures."""

import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from openpose import model_files, storage
from openpose.codec.decode import People
from openpose.errors import InputError
from openpose.evaluation import score
from openpose.model_files import saved_model
from openpose.model_files.formats import FORMATS
from openpose.predict.predictor import Maps, Predictor
from openpose.predict.results import coco_results
from openpose.records import read
from openpose.records.manifest import RecordsManifest
from openpose.skeleton import Skeleton

JPEG = "jpeg"  # the SavedModel's other signature
JPEG_BOUNDS = (0.5, 0.01)  # it resizes pictures with TensorFlow, which rounds some pixels differently
PEOPLE_BOUND = 0.02  # of the difference in AP on few pictures; a file prepares pictures with its own rounding
_TIMED = 5  # repetitions

Run = Callable[[bytes, np.ndarray], Maps]  # from a picture, encoded and as RGB
Timed = Callable[[bytes, np.ndarray], Any]


@dataclass(frozen=True)
class Figures:
    """What was measured of one format.

    Attributes:
        title: of the format.
        file: name of its file or folder.
        bytes: size.
        sha256: of each of its files, by name.
        largest: largest difference between its maps and the Keras model's, relative to the largest value of the Keras
            model's maps, or to 1 if that is smaller, because true maps are within -1…1; None if it returns people.
        mean: mean difference, relative to the same value; None if it returns people.
        ap: COCO AP on the pictures; None if they have no labelled person.
        images_per_second: on this machine, one picture at a time, without decoding.
    """

    title: str
    file: str
    bytes: int
    sha256: dict[str, str]
    largest: float | None
    mean: float | None
    ap: float | None
    images_per_second: float

    def as_dict(self) -> dict[str, Any]:
        """The figures by name, for JSON."""
        return asdict(self)

    def line(self) -> str:
        """The figures in one line, for the log."""
        ap = "undefined" if self.ap is None else f"{self.ap:.3f}"
        difference = "" if self.largest is None else f"  difference at most {self.largest:.1e}, mean {self.mean:.1e}"
        speed = f"{self.images_per_second:.1f} images/s"
        return f"{self.title:<25} {self.bytes / 1e6:7.2f} MB  COCO AP {ap}{difference}  {speed}"

    def check(self, largest: float, mean: float) -> None:
        """Raises InputError when a difference is above its bound, or NaN."""
        for what, found, bound in (("largest", self.largest, largest), ("mean", self.mean, mean)):
            if found is not None and not found <= bound:
                raise InputError(
                    f"{self.file}: the {what} difference between its maps and the Keras model's is {found:.1e}, but "
                    f"{self.title} may have at most {bound:.1e}; nothing is exported. Leave it out with `formats`"
                )

    def check_people(self, expected: float | None) -> None:
        """Raises InputError when the AP of a file that returns people is not about that of the Keras model."""
        if self.ap is not None and expected is not None and not abs(self.ap - expected) <= PEOPLE_BOUND:
            raise InputError(
                f"{self.file}: the people that it returns have COCO AP {self.ap:.3f}, but those in the Keras model's "
                f"maps have {expected:.3f}; nothing is exported. Leave the format out with `formats`"
            )


@dataclass(frozen=True)
class Pictures:
    """Real pictures and their labelled people.

    Attributes:
        encoded: JPEG or PNG.
        images: RGB uint8 [H, W, 3].
        ids: in the data set.
        truth: the people, as a COCO document.
    """

    encoded: Sequence[bytes]
    images: Sequence[np.ndarray]
    ids: Sequence[int]
    truth: dict[str, Any]

    def __len__(self) -> int:
        return len(self.ids)


def pictures(split: RecordsManifest, skeleton: Skeleton, count: int) -> Pictures:
    """The first pictures of a split's records: a random but fixed choice, because records are shuffled."""
    examples = list(read.examples(split, skeleton).take(count).as_numpy_iterator())
    return Pictures(
        [example["encoded"] for example in examples],
        [read.decode_picture(example) for example in examples],
        [int(example["id"]) for example in examples],
        read.ground_truth(read.examples(split, skeleton, end=count), skeleton),
    )


class Comparison:
    """Compares formats with a Keras model.

    Args:
        model: the Keras model's file.
        pictures: what all of them run on.
        skeleton: of the maps.
        height: of the network's input, pixels.

    Raises:
        InputError: the Keras model's maps hold NaN or infinity.
    """

    def __init__(self, model: storage.StoragePath, pictures: Pictures, skeleton: Skeleton, height: int) -> None:
        self._pictures, self._skeleton, self._height = pictures, skeleton, height
        self._keras = Predictor(model_files.load(model, skeleton), height)
        self._maps = [self._keras.maps(image) for image in pictures.images]
        self._unit = max(1.0, *(float(np.abs(_joined(maps)).max()) for maps in self._maps))
        self.stride = self._keras.model.stride
        self._model = model

    def keras(self) -> Figures:
        """The Keras model's own figures."""
        size = storage.size(self._model) or 0
        return self._measure("Keras", self._model.name, size, {}, _run_on_image(self._keras), self._maps)

    def format(self, name: str, folder: Path) -> Figures:
        """The figures of one exported format.

        Args:
            name: one of `FORMATS`, or `jpeg` for the SavedModel's other signature.
            folder: that holds its file.

        Raises:
            InputError: the maps differ by more than the format's bounds.
        """
        format = FORMATS["saved_model" if name == JPEG else name]
        path = folder / format.file
        if name == JPEG:
            run = _run_on_jpeg(path, self._skeleton, self.stride)
        else:
            run = _run_on_image(Predictor(model_files.load(path, self._skeleton), self._height))
        title = f"{format.title}, from JPEG" if name == JPEG else format.title
        found = map(run, self._pictures.encoded, self._pictures.images)
        figures = self._measure(title, format.file, *_files(path), run, found)
        figures.check(*(JPEG_BOUNDS if name == JPEG else (format.largest, format.mean)))
        return figures

    def people(self, name: str, folder: Path, pixels: str) -> Figures:
        """The figures of the file of a format that returns people.

        Args:
            name: one of `FORMATS`.
            folder: that holds the file.
            pixels: the channel order that it takes.

        Raises:
            InputError: its AP is not about that of the Keras model.
        """
        format = FORMATS[name]
        find, order = format.open_people(folder), -1 if pixels == "bgr" else 1

        def run(encoded: bytes, image: np.ndarray) -> People:
            keypoints, scores, (count,) = find(np.ascontiguousarray(image[None, ..., ::order]))
            return People(keypoints[0, :count], scores[0, :count])

        ap = self._average_precision(map(run, self._pictures.encoded, self._pictures.images))
        title, file = f"{format.title}, keypoints", folder / format.people
        figures = Figures(title, format.people, *_files(file), None, None, ap, self._speed(run))
        figures.check_people(self._average_precision(map(self._keras.people_in, self._maps)))
        return figures

    def _measure(
        self, title: str, file: str, size: int, sums: dict[str, str], run: Run, found: Iterable[Maps]
    ) -> Figures:
        largest, total, count = 0.0, 0.0, 0
        people = []
        for maps, expected in zip(found, self._maps, strict=True):
            difference = np.abs(_joined(maps) - _joined(expected)) / self._unit
            largest, total, count = max(largest, difference.max()), total + difference.sum(), count + difference.size
            people.append(self._keras.people_in(maps))
        ap = self._average_precision(people)
        return Figures(title, file, size, sums, float(largest), float(total / count), ap, self._speed(run))

    def _average_precision(self, found: Iterable[People]) -> float | None:
        detections: list[dict[str, Any]] = []
        for number, people in zip(self._pictures.ids, found, strict=True):
            detections += coco_results(number, people, self._skeleton)
        return score.average_precision(self._pictures.truth, detections, self._skeleton)["AP"]

    def _speed(self, run: Timed) -> float:
        encoded, image = self._pictures.encoded[0], self._pictures.images[0]
        run(encoded, image)
        times = []
        for _ in range(_TIMED):
            start = time.perf_counter()
            run(encoded, image)
            times.append(time.perf_counter() - start)
        return 1 / statistics.median(times)


def _files(path: Path) -> tuple[int, dict[str, str]]:
    """Size of a file or folder, and the SHA-256 of each of its files by name."""
    sizes = storage.sizes(path) if path.is_dir() else {"": path.stat().st_size}
    sums = {(Path(path.name) / file).as_posix(): storage.sha256(path / file) for file in sorted(sizes)}
    return sum(sizes.values()), sums


def _joined(maps: Maps) -> np.ndarray:
    return np.concatenate([maps.heatmap, maps.vectmap], -1)


def _run_on_image(predictor: Predictor) -> Run:
    return lambda encoded, image: predictor.maps(image)


def _run_on_jpeg(folder: Path, skeleton: Skeleton, stride: int) -> Run:
    with storage.without_wildcards(folder) as name:
        signature = tf.saved_model.load(str(name)).signatures[saved_model.JPEG_SIGNATURE]
    heatmaps = skeleton.num_heatmaps

    def run(encoded: bytes, image: np.ndarray) -> Maps:
        found = signature(encoded=tf.constant(encoded))
        maps, scale = found["maps"].numpy()[0], found["scale"].numpy()
        return Maps(maps[..., :heatmaps], maps[..., heatmaps:], stride, (float(scale[0]), float(scale[1])))

    return run
