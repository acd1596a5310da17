"""What `import openpose` offers: `load` a network, find `People` in pictures with it, and `train` one.

Wrong input raises `InputError`, whose message says what to do.
"""

from __future__ import annotations

import functools
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import numpy as np

from openpose import draw, image_file, model_files
from openpose.codec import decode
from openpose.errors import InputError
from openpose.model_files.formats import Pixels
from openpose.predict import in_batches, results
from openpose.predict.predictor import Passes, Predictor
from openpose.skeleton import Skeleton

__all__ = ["InputError", "Model", "People", "Trained", "load", "train"]

#: A picture: the path of a file, or RGB uint8 [H, W, 3].
Picture = str | os.PathLike[str] | np.ndarray

_FOUND = (0, 3)  # exit codes of a finished training: accepted, rejected


@dataclass(frozen=True, eq=False)
class People:
    """P people found in one picture, best first; `len(people)` is P.

    Attributes:
        keypoints: float32 [P, K, 3]: x and y in pixels of the picture, and score, of the skeleton's K parts; 0, 0, 0
            for a part that was not found. The centre of the picture's first pixel is at 0, 0.
        scores: float32 [P], for ranking; not a probability.
        skeleton: names of the parts, and the limbs that join them.
        picture: the one that was given.
    """

    keypoints: np.ndarray
    scores: np.ndarray
    skeleton: Skeleton
    picture: Picture

    def __len__(self) -> int:
        return len(self.scores)

    def draw(self, path: str | os.PathLike[str] | None = None) -> np.ndarray:
        """Draws the skeletons over a copy of the picture.

        Args:
            path: file to write it to, such as drawn.jpg.

        Returns:
            RGB uint8 [H, W, 3].

        Raises:
            InputError: the picture's file no longer exists, or pictures cannot be written in that format.
        """
        drawn = draw.skeletons(_pixels(self.picture), self._found, self.skeleton)
        if path is not None:
            image_file.write(Path(path), drawn)
        return drawn

    def to_coco(self, image_id: int = 1) -> list[dict[str, Any]]:
        """The people in COCO's result format, one entry each, as pycocotools' `loadRes` takes them.

        Args:
            image_id: the picture's id in the data set.
        """
        return results.coco_results(image_id, self._found, self.skeleton)

    @property
    def _found(self) -> decode.People:
        return decode.People(self.keypoints, self.scores)


@dataclass(frozen=True)
class Model:
    """A trained network that finds people in pictures; `load` makes it.

    Attributes:
        predictor: runs the network and decodes its maps.
    """

    predictor: Predictor

    @property
    def skeleton(self) -> Skeleton:
        """The parts that the network finds, and the limbs that join them."""
        return self.predictor.model.skeleton

    @property
    def pixels(self) -> str:
        """The channel order that the network takes, `rgb` or `bgr`; `predict` always takes RGB."""
        return self.predictor.model.pixels

    @property
    def height(self) -> int:
        """Pixels to which pictures are resized for the network."""
        return self.predictor.height

    @overload
    def predict(self, picture: Picture) -> People: ...  # type: ignore[overload-overlap]  # a text is a sequence too

    @overload
    def predict(self, picture: Sequence[Picture]) -> list[People]: ...

    def predict(self, picture: Picture | Sequence[Picture]) -> People | list[People]:
        """Finds the people in a picture, or in each of several.

        Args:
            picture: the path of a file; or an array, RGB uint8 [H, W, 3]; or a list of these, which is faster than one
                call for each.

        Returns:
            The people of the picture; for a list, a list in the same order.

        Raises:
            InputError: a picture cannot be read, or the network's maps hold NaN or infinity.
        """
        if isinstance(picture, str | os.PathLike | np.ndarray):
            return self._find([picture])[0]
        return self._find(picture)

    def _find(self, pictures: Sequence[Picture]) -> list[People]:
        def finish(found: in_batches.Found[int]) -> tuple[int, People]:
            people = found.people
            return found.key, People(people.keypoints, people.scores, self.skeleton, pictures[found.key])

        entries = (in_batches.Picture(n, functools.partial(_pixels, each)) for n, each in enumerate(pictures))
        with ThreadPoolExecutor(in_batches.THREADS) as threads:
            finder = in_batches.Finder(self.predictor, in_batches.BATCH, threads, _fail)
            found = dict(finder.find(entries, finish))
        return [found[n] for n in range(len(pictures))]


def load(
    path: str | os.PathLike[str],
    *,
    pixels: Pixels | None = None,
    height: int | None = None,
    flip: bool = False,
    scales: Sequence[float] = (1.0,),
) -> Model:
    """Loads a trained network from a file of any format that this project writes, or a graph of tf-pose-estimation.

    Skeleton, channel order and height come from the file.

    Args:
        path: a file (`.pb`, `.onnx`, `.tflite`, `.keras`) or the folder of a SavedModel, local or in a bucket.
        pixels: channel order that the network takes; by default what its file says.
        height: pixels to which pictures are resized; by default what its file says, or 368.
        flip: run the network on the mirrored picture too, which finds more and takes twice the time.
        scales: run the network at each of these multiples of the height; several find more.

    Raises:
        InputError: the file is not a trained network, or an argument cannot be used.
    """
    if height is not None and height < 1:
        raise InputError(f"height is {height}; it must be 1 or more")
    passes = Passes(tuple(scales), flip)
    model = model_files.load(path if isinstance(path, str) else os.fspath(path), pixels=pixels)
    return Model(Predictor(model, height or model.height, passes=passes))


@dataclass(frozen=True)
class Trained:
    """The result of a training.

    Attributes:
        verdict: `accepted`, or `rejected` when the network is not good enough to be exported.
        reason: of the verdict.
        ap: COCO AP on the validation split; None when its people have no labelled keypoints.
        model: file for `load`: the exported graph, or the Keras model of a rejected one.
        report: page about the evaluation.
    """

    verdict: str
    reason: str
    ap: float | None
    model: Path
    report: Path


def train(
    data: str | os.PathLike[str], *, out: str | os.PathLike[str] = "out", **parameters: str | int | float | bool
) -> Trained:
    """Trains a network on data in COCO's format, measures it, and exports it if it is good enough.

    It runs the command `openpose run --data … --out …` in a process of its own, so results and files are the same, and
    the memory and the GPUs of the training are free at its end. The same call resumes a stopped training.

    Args:
        data: folder, file or address of data of COCO's form, DeepLabCut, SLEAP, Ultralytics or LabelMe; or `coco2017`.
        out: folder for all output.
        parameters: flags of the command with underscores, such as model="lightweight" and batch_size=8;
            `openpose run --help` lists them.

    Raises:
        InputError: data or a parameter cannot be used.
    """
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "parameters.json"
        config.write_text(json.dumps(parameters, default=str))
        flags = [f"--data={os.fspath(data)}", f"--out={os.fspath(out)}", f"--config={config}"]
        code, error = _run([sys.executable, "-m", "pipelines", "run", *flags])
        if code not in _FOUND:
            message = error.removeprefix(f"{config}: ") or f"it ended with exit code {code}; its output says why"
            raise InputError(f"training: {message}")
    summary = json.loads((Path(out) / "summary.json").read_text())
    model, report = summary["graph"] or f"{summary['run']}/model.keras", summary["report"]
    return Trained(summary["verdict"], summary["reason"], summary["ap"], Path(model), Path(report))


def _run(command: Sequence[str]) -> tuple[int, str]:
    """Runs a command of this project and shows its output; returns its exit code and the last error that it printed."""
    here, error = str(Path(__file__).resolve().parent.parent), ""
    path = os.pathsep.join(filter(None, [here, os.environ.get("PYTHONPATH")]))
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # Safe path: a folder `pipelines` of the user's is not ours.
        env=os.environ | {"PYTHONPATH": path, "PYTHONSAFEPATH": "1", "PYTHONUNBUFFERED": "1"},
        process_group=0,  # so that Ctrl-C reaches it once, from here, as in a notebook
    ) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                print(line, end="", flush=True)
                error = line.removeprefix("error: ").strip() if line.startswith("error: ") else error
        except BaseException:
            process.send_signal(signal.SIGINT)  # it stops its steps and keeps what is finished
            print(process.communicate()[0], end="", flush=True)
            raise
    return process.returncode, error


def _pixels(picture: Picture) -> np.ndarray:
    """A picture's pixels, RGB uint8 [H, W, 3]."""
    if not isinstance(picture, np.ndarray):
        return image_file.read(Path(picture))
    if picture.ndim != 3 or picture.shape[-1] != 3 or picture.dtype != np.uint8 or not picture.size:
        raise InputError(f"a picture is an array {picture.dtype} {list(picture.shape)}; give RGB uint8 [H, W, 3]")
    return picture


def _fail(message: str) -> None:
    raise InputError(message)
