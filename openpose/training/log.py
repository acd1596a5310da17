"""The log of a training: TensorBoard's files, and the same numbers as JSON lines and in MLflow."""

import json
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tensorflow as tf
from tensorboard.plugins.image import metadata as image_metadata

from openpose import draw, image_file, storage, tracking
from openpose.skeleton import Skeleton
from openpose.training.read_log import numbers

CELL = 320  # pixels of the side of each of a sample picture's six parts
JPEG_QUALITY = 85
TF_POSE_TAGS = {
    "valid_loss": "loss_valid",
    "valid_loss_lastlayer": "loss_valid_lastlayer",
    "training samples": "training sample",
    "validation samples": "validation sample",
}  # name here -> that of tf-pose-estimation in TensorBoard, which is written too


class TrainLog:
    """A training's log in a folder: events for TensorBoard, and `steps.jsonl` with a line for each interval.

    Args:
        folder: of the log.
        first_step: number of steps done. Lines of later steps, from an earlier process, are removed, because these
            steps are repeated.
        writes: whether this process writes the log; of several workers only one does.
    """

    def __init__(self, folder: Path, first_step: int, writes: bool = True) -> None:
        self._lines = folder / "steps.jsonl"
        self._writer = tf.summary.create_file_writer(str(folder)) if writes else tf.summary.create_noop_writer()
        self.writes = writes
        if writes and self._lines.exists():
            lines = self._lines.read_text().splitlines()
            kept = [line for line in lines if numbers(line).get("step", math.inf) <= first_step]
            storage.write_text(self._lines, "".join(f"{line}\n" for line in kept))
        self.start_interval()

    def start_interval(self) -> None:
        """Starts the next interval now, so that its speed counts nothing but its steps."""
        self._waited, self._steps, self._start = 0.0, 0, time.monotonic()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Times the wait for a step's batch."""
        start = time.monotonic()
        yield
        self._waited += time.monotonic() - start
        self._steps += 1

    def interval(self, step: int, batch: int, values: Mapping[str, Any]) -> None:
        """Logs the values of a step, and the speed since the last interval."""
        seconds = time.monotonic() - self._start
        speed = {"images_per_second": self._steps * batch / seconds, "input_wait_share": self._waited / seconds}
        self.start_interval()
        line = {name: float(value) for name, value in {**values, **speed}.items()}
        self.scalars(step, line)
        if self.writes:
            with self._lines.open("a") as file:
                file.write(json.dumps({"step": step, "time": round(time.time(), 3), **line}) + "\n")

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Logs values by name, for TensorBoard and MLflow."""
        if self.writes:
            tracking.figures(values, step)
        with self._writer.as_default(step):
            for name, value in values.items():
                for tag in _tags(name):
                    tf.summary.scalar(tag, value)

    def text(self, name: str, table: Mapping[str, Any], step: int = 0) -> None:
        """Logs names and values as a table, for TensorBoard only."""
        rows = "\n".join(f"| {key} | {value} |" for key, value in table.items())
        with self._writer.as_default(step):
            tf.summary.text(name, f"| | |\n|-|-|\n{rows}")

    def pictures(self, name: str, step: int, batch: Mapping[str, np.ndarray], maps: np.ndarray, of: Skeleton) -> None:
        """Logs samples with their target maps and the network's, for TensorBoard only.

        Args:
            name: of the group of pictures.
            step: number of steps done.
            batch: image, maps and mask of B samples (`openpose.input.batches`).
            maps: the network's, float32 [B, h, w, maps].
            of: the skeleton.
        """
        drawn = [
            sample_picture(image, truth, found, mask, of)
            for image, truth, found, mask in zip(batch["image"], batch["maps"], maps, batch["mask"], strict=True)
        ]
        # `tf.summary.image` would write PNGs, which are ten times as large.
        height, width = drawn[0].shape[:2]
        encoded = (image_file.jpeg(picture, JPEG_QUALITY) for picture in drawn)
        content = [str(width).encode(), str(height).encode(), *encoded]
        described = image_metadata.create_summary_metadata(
            None, "picture; target maps above, found maps below; at the bottom left, the loss ignores the white area"
        )
        with self._writer.as_default(step):
            for tag in _tags(name):
                tf.summary.write(tag, tf.constant(content), metadata=described)

    def flush(self) -> None:
        """Writes everything to the files."""
        self._writer.flush()

    def close(self) -> None:
        """Closes the log."""
        self._writer.close()


def sample_picture(
    image: np.ndarray, truth: np.ndarray, found: np.ndarray, mask: np.ndarray, skeleton: Skeleton
) -> np.ndarray:
    """Draws a sample: picture, target heatmap and PAF; below them the picture where the loss counts, and found maps.

    Args:
        image: [H, W, 3], RGB, 0–255.
        truth: maps [h, w, maps].
        found: maps of the same shape.
        mask: [h, w, 1], 1 where the loss counts.
        skeleton: of the maps.

    Returns:
        uint8 [2 cells, 3 cells, 3].
    """
    height, width = image.shape[:2]
    scale = CELL / max(height, width)
    picture = cv2.resize(image.clip(0, 255).astype(np.uint8), (round(width * scale), round(height * scale)))
    heatmaps = skeleton.num_heatmaps
    counted = cv2.resize(mask[..., 0], picture.shape[1::-1], interpolation=cv2.INTER_NEAREST)[..., None]
    rows = []
    for first, maps in ((picture, truth), ((picture * counted + 255 * (1 - counted)).astype(np.uint8), found)):
        over = draw.heatmap(picture, maps[..., :heatmaps]), draw.vectmap(picture, maps[..., heatmaps:])
        rows.append(np.concatenate([first, *over], 1))
    return np.concatenate(rows)


def _tags(name: str) -> list[str]:
    """The tags of a value in TensorBoard: its name and, where tf-pose-estimation has another one, that too."""
    return [name, *([TF_POSE_TAGS[name]] if name in TF_POSE_TAGS else [])]
