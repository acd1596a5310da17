"""Checkpoints that are whole or not there: written under a temporary name, then renamed."""

import shutil
import sys
from pathlib import Path

import tensorflow as tf

from openpose.errors import InputError

KEEP = 2


class Checkpoints:
    """The newest states of a training in a folder, one folder `step-…` for each.

    Args:
        folder: where they are; made when the first is saved.
        **objects: what is saved: model, optimizer, anything that TensorFlow tracks.
    """

    def __init__(self, folder: Path, **objects: tf.Module) -> None:
        self.folder = folder
        self._state = tf.train.Checkpoint(**objects)

    def save(self, step: int) -> Path:
        """Saves the state after `step` steps and removes all but the newest."""
        final = self.folder / f"step-{step:08d}"
        temporary = self.folder / f".{final.name}"
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        try:
            self._state.write(str(temporary / "state"))
            shutil.rmtree(final, ignore_errors=True)
            temporary.rename(final)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        newest = self.saved()[-KEEP:]
        for folder in self.folder.glob("step-*"):
            if folder not in newest:
                shutil.rmtree(folder)
        return final

    def restore(self) -> int:
        """Restores the newest whole state.

        Returns:
            After how many steps it was saved; 0 when there is none. One that cannot be read is passed over with a
            warning on stderr.

        Raises:
            InputError: there are some, but none can be read.
        """
        for path in reversed(self.saved()):
            try:
                self._state.read(str(path / "state")).assert_consumed()
                return int(path.name.removeprefix("step-"))
            except (tf.errors.OpError, AssertionError, IndexError, ValueError) as error:
                reason = str(error).splitlines()[0]
                print(f"warning: {path} cannot be used ({reason}); trying the one before", file=sys.stderr)
        if self.saved():
            # The objects may be half restored by now.
            raise InputError(f"{self.folder}: no checkpoint can be read; remove the folder to train from the beginning")
        return 0

    def saved(self) -> list[Path]:
        """The whole states' folders, oldest first."""
        # The index is written last, and goes to a bucket last; a folder without one is what an interruption left.
        return sorted(index.parent for index in self.folder.glob("step-*/state.index"))
