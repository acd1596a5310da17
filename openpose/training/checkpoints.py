"""Checkpoints that are whole or not there: written under a temporary name, then renamed.

Each is a folder `step-…` with TensorFlow's files `state.*` and `notes.json`: what the training loop needs besides, and
what network and data the state belongs to.
"""

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
    """The states of a training in a folder.

    Args:
        folder: where they are; made when the first is saved.
        about: what they belong to, such as the network and the data, by name.
        keep: how many of the newest stay.
        writes: whether this process writes them; other workers of the same training only take part.
        **objects: what is saved: model, optimizer, anything that TensorFlow tracks.
    """

    def __init__(
        self, folder: Path, about: Mapping[str, Any], keep: int = 2, writes: bool = True, **objects: tf.Module
    ) -> None:
        self.folder, self.about, self.keep, self.writes = folder, dict(about), keep, writes
        self._state = tf.train.Checkpoint(**objects)

    def save(self, step: int, notes: Mapping[str, Any], best: int | None = None) -> None:
        """Saves the state after `step` steps with the notes; removes all but the newest and that of step `best`.

        Those of later steps, which a training that went back has left, are removed too.

        Raises:
            InputError: the disk is full; those before are kept.
        """
        if not self.writes:  # TensorFlow may need all workers to collect the state
            with tempfile.TemporaryDirectory() as thrown_away:
                self._state.write(f"{thrown_away}/state")
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
        """Restores the newest whole state.

        Args:
            before: only states of fewer steps.

        Returns:
            After how many steps it was saved, and its notes; (0, {}) when there is none. One that cannot be read is
            passed over with a warning on stderr.

        Raises:
            InputError: there are some, but none can be read; or they belong to another network or other data.
        """
        if self.writes and self.folder.is_dir():
            storage.sweep(self.folder)
        return self._newest(self.folder, [path for path in self.saved() if _step(path) < before])

    def start_from(self, given: Path) -> tuple[int, dict[str, Any]]:
        """Restores a state from elsewhere: a run's folder, its `checkpoints`, or one of these.

        Raises:
            InputError: there is none, none can be read, or it belongs to another network or other data.
        """
        if (given / "state.index").is_file():
            return self._newest(given, [given])
        for folder in (given, given / "checkpoints"):
            if found := _saved(folder):
                return self._newest(folder, found)
        raise InputError(
            f"{given}: no checkpoint is there; `checkpoint` is a run's folder, its checkpoints, or one step-… of these"
        )

    def restore_step(self, step: int) -> None:
        """Restores the state of a step that is kept."""
        self._read(self._path(step))

    def saved(self) -> list[Path]:
        """The whole states' folders, oldest first."""
        return _saved(self.folder)

    def _path(self, step: int) -> Path:
        return self.folder / f"step-{step:08d}"

    def _newest(self, folder: Path, found: list[Path]) -> tuple[int, dict[str, Any]]:
        for path in reversed(found):
            try:
                document = storage.read_json(path / "notes.json")
                self._check(path, document["about"])
                self._read(path)
                return _step(path), document["notes"]
            except _OtherTraining:
                raise
            except (InputError, tf.errors.OpError, AssertionError, LookupError, ValueError) as error:
                reason = str(error).splitlines()[0]
                print(f"warning: {path} cannot be used ({reason}); trying the one before", file=sys.stderr)
        if found:
            # The objects may be half restored by now.
            raise InputError(f"{folder}: no checkpoint can be read; remove it to train from the beginning")
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
        self._state.read(str(path / "state")).assert_consumed()


class _OtherTraining(InputError):
    """A checkpoint that can be read, but not for this training."""


def _step(path: Path) -> int:
    return int(path.name.removeprefix("step-"))


def _saved(folder: Path) -> list[Path]:
    # The index is written last, and goes to a bucket last; a folder without one is what an interruption left.
    return sorted(index.parent for index in folder.glob("step-*/state.index"))
