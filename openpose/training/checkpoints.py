"""Checkpoints that are complete or absent: each is written under a temporary name, then renamed.

A checkpoint is a folder `step-…` with TensorFlow's files `state.*`, and `notes.json` with what else the training loop
needs and which network and data the state belongs to.
"""

import json
import math
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf

from openpose import storage
from openpose.errors import InputError


class Checkpoints:
    """The checkpoints of a training in a folder.

    Args:
        folder: made when the first checkpoint is saved.
        about: what the state belongs to, such as the network and the data, by name.
        keep: number of newest checkpoints to keep.
        writes: whether this process writes them; the other workers of the training only take part in collecting state.
        **objects: what to save: model, optimizer, anything that TensorFlow tracks.
    """

    def __init__(
        self, folder: Path, about: Mapping[str, Any], keep: int = 2, writes: bool = True, **objects: tf.Module
    ) -> None:
        self.folder, self.about, self.keep, self.writes = folder, dict(about), keep, writes
        self._state = tf.train.Checkpoint(**objects)

    def save(self, step: int, notes: Mapping[str, Any], best: int | None = None) -> None:
        """Saves the state after `step` steps with the notes; removes all but the `keep` newest and that of step `best`.

        Also removes checkpoints of later steps, which a training that went back has left.

        Raises:
            InputError: the disk is full; earlier checkpoints are kept.
        """
        if not self.writes:  # TensorFlow may need all workers to collect the state
            with tempfile.TemporaryDirectory() as unused:
                self._state.write(f"{unused}/state")
            return
        with storage.atomic_folder(self._path(step)) as temporary:
            storage.write_json(temporary / "notes.json", {"about": self.about, "notes": notes})
            self._state.write(str(temporary / "state"))
        until_now = [path for path in self.saved() if _step(path) <= step]
        kept = {*until_now[-self.keep :], *([] if best is None else [self._path(best)])}
        for folder in self.folder.glob("step-*"):
            if folder not in kept:
                shutil.rmtree(folder)

    def restore(self, before: float = math.inf) -> tuple[int, dict[str, Any]]:
        """Restores the newest readable checkpoint, with a warning on stderr about each newer one.

        Args:
            before: only checkpoints of fewer steps.

        Returns:
            Number of steps done and the notes; (0, {}) if there is no checkpoint.

        Raises:
            InputError: none of the checkpoints can be read, or they belong to another network or other data.
        """
        if self.writes and self.folder.is_dir():
            storage.sweep(self.folder)
        return self._newest(self.folder, [path for path in self.saved() if _step(path) < before])

    def start_from(self, given: Path) -> tuple[int, dict[str, Any]]:
        """Restores a checkpoint from elsewhere: from a run's folder, its `checkpoints`, or one `step-…` folder.

        Raises:
            InputError: there is no readable checkpoint, or it belongs to another network or other data.
        """
        if (given / "state.index").is_file():
            return self._newest(given, [given])
        for folder in (given, given / "checkpoints"):
            if found := _saved(folder):
                return self._newest(folder, found)
        raise InputError(
            f"{given}: no checkpoint found; `checkpoint` must be a run's folder, its `checkpoints` or one step-… in it"
        )

    def restore_step(self, step: int) -> None:
        """Restores the checkpoint of a step."""
        self._read(self._path(step))

    def saved(self) -> list[Path]:
        """Folders of the complete checkpoints, oldest first."""
        return _saved(self.folder)

    def _path(self, step: int) -> Path:
        return self.folder / f"step-{step:08d}"

    def _newest(self, folder: Path, found: list[Path]) -> tuple[int, dict[str, Any]]:
        reason = ""
        for path in reversed(found):
            try:
                document = _notes(path)
                self._check(path, document["about"])
                self._read(path)
                return _step(path), document["notes"]
            except _OtherTraining:
                raise
            except (OSError, tf.errors.OpError, AssertionError, LookupError, TypeError, ValueError) as error:
                reason = str(error).splitlines()[0]
                print(f"warning: {path} cannot be used ({reason}); trying the one before", file=sys.stderr)
        if found:
            # The objects may be half restored, so training must not start from them.
            raise InputError(
                f"{folder}: no checkpoint can be read, of {len(found)} ({reason}); keep them, as they may be whole: "
                "look whether the disk is sound and whether this is the version that wrote them. To train from the "
                "beginning, move the folder to another place"
            )
        return 0, {}

    def _check(self, path: Path, about: Mapping[str, Any]) -> None:
        different = [
            f"{name} is {about.get(name)} there and {value} here"
            for name, value in self.about.items()
            if about.get(name) != value
        ]
        if different:
            raise _OtherTraining(f"{path} is a checkpoint of another training: {'; '.join(different)}")

    def _read(self, path: Path) -> None:
        with storage.without_wildcards(path) as name:
            self._state.read(str(name / "state")).assert_consumed()


class _OtherTraining(InputError):
    """The checkpoint can be read but belongs to another training."""


def _notes(path: Path) -> dict[str, Any]:
    """A checkpoint's notes; unlike `storage.read_json`, no message says to remove the file."""
    try:
        return json.loads((path / "notes.json").read_text())
    except ValueError as error:
        raise ValueError(f"its notes.json is not valid JSON: {error}") from error


def _step(path: Path) -> int:
    return int(path.name.removeprefix("step-"))


def _saved(folder: Path) -> list[Path]:
    # The index is written last, also to a bucket; a folder without one was left by an interruption.
    return sorted(index.parent for index in folder.glob("step-*/state.index"))
