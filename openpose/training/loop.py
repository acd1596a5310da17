"""The training loop: steps, validation, checkpoints and logs, from the beginning or from where a run stopped."""

import json
import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from openpose import model_files, networks, progress, storage
from openpose.errors import InputError
from openpose.evaluation.valid_score import ValidScore
from openpose.input import batches
from openpose.networks import loss
from openpose.predict.predictor import Predictor
from openpose.skeleton import Skeleton
from openpose.training import devices, initial_weights, sigterm
from openpose.training.checkpoints import Checkpoints
from openpose.training.log import TrainLog
from openpose.training.parameters import RunParameters, TrainParameters
from openpose.training.step import Trainer

TRAINING_PICTURES, VALIDATION_PICTURES = 4, 12
PICTURES_SECONDS = 60
CALIBRATION_PICTURES = 64
ROLLBACK_FACTOR = 0.5  # on the learning rate
RESTORE_ATTEMPTS = 9
Epoch = dict[str, float]


@dataclass(frozen=True)
class TrainResult:
    """What a training ends with.

    Attributes:
        model: the trained network.
        history: for each epoch its step, the four losses and the four valid losses, and where asked for `valid_ap`.
    """

    model: keras.Model
    history: list[Epoch]


def train(
    train_records: dict[str, Any],
    valid_records: dict[str, Any],
    folder: Path,
    parameters: TrainParameters,
    skeleton: Skeleton,
    strategy: tf.distribute.Strategy | None = None,
    run: RunParameters | None = None,
    saved: Callable[[], None] = lambda: None,
) -> TrainResult:
    """Trains a network, going on from the newest checkpoint in the folder, also in the middle of an epoch.

    Args:
        train_records: manifest of the training split's records.
        valid_records: manifest of the validation split's.
        folder: gets `checkpoints/`, `logs/` (TensorBoard, `steps.jsonl`) and `history.jsonl` (one line for each epoch).
        parameters: what to train and how.
        skeleton: of the records.
        strategy: over which devices; one by default.
        run: checkpoints, logs and other things that do not change what comes out.
        saved: called after each checkpoint, when all of it is in the folder.

    Raises:
        InputError: parameters, data and checkpoint do not fit, or the loss is no longer a number.
        Interrupted: SIGTERM came; a checkpoint has been written.
    """
    strategy, run = strategy or tf.distribute.get_strategy(), run or RunParameters()
    with sigterm.noted() as stop:
        start = partial(
            _Loop, train_records, valid_records, folder, parameters, skeleton, strategy, run, saved, stop.is_set
        )
        return _with_rollbacks(start, run.rollbacks)


def _with_rollbacks(start: Callable[[int, float], "_Loop"], most: int) -> TrainResult:
    """Runs a loop, and new ones that go back when it came to a loss that is no number, `most` times."""
    rollbacks, before = 0, math.inf
    while True:
        loop = start(rollbacks, before)
        try:
            return loop.run()
        except NoNumber as error:
            if loop.rollbacks >= most:
                raise
            # What it went back to once without getting to the next checkpoint was beyond help already.
            before = loop.first_step if rollbacks and loop.saved_step == loop.first_step else math.inf
            rollbacks = loop.rollbacks + 1
            print(f"warning: {error.what}; roll-back {rollbacks} of {most}", file=sys.stderr)


class NoNumber(InputError):
    """A loss or gradient is not a finite number; `what` says which, when, and for which samples."""

    def __init__(self, what: str, checkpoints: Path) -> None:
        self.what = what
        super().__init__(
            f"{what}; train again with a smaller learning rate, or let it go back and halve the rate by itself "
            f"(rollbacks); the last good checkpoint is kept in {checkpoints}"
        )


class _Loop:
    """One training in its folder, from its newest checkpoint of fewer than `before` steps.

    Attributes:
        first_step: how many steps were done before this process, or before it went back.
        step: how many steps were done.
        history: of the epochs that are finished.
        sums: of each loss over the steps of the epoch that is not.
        rollbacks: how often the training went back and on at a smaller rate, in all processes.
    """

    def __init__(
        self,
        train_records: dict[str, Any],
        valid_records: dict[str, Any],
        folder: Path,
        parameters: TrainParameters,
        skeleton: Skeleton,
        strategy: tf.distribute.Strategy,
        run: RunParameters,
        saved: Callable[[], None],
        stopped: Callable[[], bool],
        rollbacks: int,
        before: float,
    ) -> None:
        self.train_records, self.valid_records, self.folder = train_records, valid_records, folder
        self.parameters, self.skeleton, self.settings = parameters, skeleton, run
        self.saved, self.stopped, self.writes = saved, stopped, devices.is_chief(strategy)
        parameters.inputs()  # says what is wrong with the size before a network is built
        self.steps_per_epoch = batches.steps_per_epoch(train_records, parameters.batch_size)
        self.trainer = Trainer(parameters, skeleton, self.steps_per_epoch, strategy, run.xla)
        self.checkpoints = Checkpoints(
            folder / "checkpoints",
            _about(parameters, skeleton, train_records),
            run.keep,
            self.writes,
            model=self.trainer.model,
            optimizer=self.trainer.optimizer,
        )
        images = run.ap_images
        self.score = ValidScore(valid_records, images, skeleton) if images else None
        self.first_step, notes = self._restore_together(before)
        self.step = self.first_step
        self.rollbacks = max(rollbacks, notes.get("rollbacks", 0))
        self.trainer.rate.factor = ROLLBACK_FACTOR**self.rollbacks
        self.history: list[Epoch] = notes.get("history", [])
        self.sums = {name: tf.constant(notes.get("sums", {}).get(name, 0.0)) for name in loss.NAMES}
        self.unchecked: list[tuple[int, dict[str, Any], Any]] = []  # steps, losses and ids that nobody looked at yet
        self.last_batch: dict[str, Any] | None = None
        self.saved_step, self.saved_time, self.drawn_time = self.step, time.monotonic(), -math.inf

    def run(self) -> TrainResult:
        """Trains until the last epoch is done, or until it gets no better."""
        last = self.parameters.epochs * self.steps_per_epoch
        self.log = TrainLog(Path(self.settings.logs or self.folder / "logs"), self.step, self.writes)
        shown = progress.bar(last, "train", "step", initial=self.step, lines=sys.stdout)
        with closing(self.log), shown as bar:
            self.log.text("parameters", self.parameters.as_dict())
            if self.rollbacks:
                factors = {"times": self.rollbacks, "factor on the learning rate": self.trainer.rate.factor}
                self.log.text("roll-backs", factors, self.step)
            samples = self.trainer.training_batches(self.train_records, self.step, self.settings.remote_data)
            while len(self.history) < self.parameters.epochs and not self._gets_no_better():
                self._train_epoch(samples, bar)
                self._finish_epoch(bar)
                self.log.start_interval()
        best = _best(self.history)
        if self.writes and best is not None and self._gets_no_better():
            self.checkpoints.restore_step(best)
        return TrainResult(self.trainer.finished_model(), self.history)

    def _restore_together(self, before: float) -> tuple[int, dict[str, Any]]:
        """What `_restore` gives, once all workers go on from the same step: some may see the newest one a bit later."""
        for attempt in range(RESTORE_ATTEMPTS):
            if attempt:
                time.sleep(storage.ATTRIBUTE_CACHE_SECONDS / RESTORE_ATTEMPTS)
            step, notes = self._restore(before)
            # Equal if and only if all steps are; and each worker comes to the same answer.
            if self.trainer.total(step**2) * self.trainer.replicas == self.trainer.total(step) ** 2:
                return step, notes
        raise InputError(
            f"this worker would go on from step {step} and another one from another step: they see other checkpoints "
            f"in {self.checkpoints.folder}; give all workers the same storage"
        )

    def _restore(self, before: float) -> tuple[int, dict[str, Any]]:
        step, notes = self.checkpoints.restore(before)
        if step:
            return step, notes
        if not self.settings.checkpoint:
            self._load_weights()
            return step, notes
        with storage.workspace(storage.path(self.settings.checkpoint)) as given:
            return self.checkpoints.start_from(given.folder)

    def _load_weights(self) -> None:
        """The weights to start from, where some are asked for."""
        if not self.parameters.init:
            return
        model = self.trainer.model
        loaded = initial_weights.load(model, self.parameters.init, self.parameters.init_partial)
        batch = min(self.parameters.batch_size, CALIBRATION_PICTURES)
        samples = batches.training(self.train_records, self.skeleton, self.parameters.inputs(), batch)
        some = samples.take(CALIBRATION_PICTURES // batch).as_numpy_iterator()
        initial_weights.calibrate(model, loaded.uncalibrated, (sample["image"].astype(np.float32) for sample in some))

    def _train_epoch(self, samples: Iterator[Any], bar: progress.Bar) -> None:
        """Trains the rest of an epoch: nothing, when all that it lacks is its validation."""
        end = (len(self.history) + 1) * self.steps_per_epoch
        while self.step < end:
            with self.log.waiting():
                self.last_batch = next(samples)
            values = self.trainer.train_step(self.last_batch)
            self.step += 1
            self.sums = {name: self.sums[name] + values[name] for name in loss.NAMES}
            self.unchecked.append((self.step, values, self.last_batch["id"]))
            bar.update(1)
            if self.step % self.settings.log_steps == 0 or self.step == end:
                self._check_losses()
                epoch = f"{len(self.history) + 1}/{self.parameters.epochs}"
                bar.update(0, epoch=epoch, loss=float(values["loss"]))
                rate = self.trainer.rate(self.step - 1)
                self.log.interval(self.step, self.parameters.batch_size, {**values, "learning_rate": rate})
            # Several workers ask each other, for which a step waits; so they do it when the log makes it wait anyway.
            if not self.trainer.several_workers or self.step % self.settings.log_steps == 0 or self.step == end:
                if self.step < end and self.trainer.any_worker(self._is_time_to_save()):
                    self._save()
                self._stop_if_asked()

    def _finish_epoch(self, bar: progress.Bar) -> None:
        """Validates, and keeps all that there is now."""
        losses = {name: float(value) / self.steps_per_epoch for name, value in self.sums.items()}
        with self.trainer.averaged():
            valid = self._validate()
            if valid is not None:
                self._draw(last=len(self.history) + 1 == self.parameters.epochs)
        if valid is None:
            self._stop_if_asked()
            return
        self.log.scalars(self.step, valid)
        self.history.append({"step": self.step, **losses, **valid})
        self.sums = {name: tf.constant(0.0) for name in loss.NAMES}
        bar.update(
            0, loss=losses["loss"], **{name: valid[name] for name in ("valid_loss", "valid_ap") if name in valid}
        )
        if self.writes:
            lines = "".join(json.dumps(epoch) + "\n" for epoch in self.history)
            storage.write_text(self.folder / "history.jsonl", lines)
        self._save()

    def _validate(self) -> dict[str, float] | None:
        """The four losses over the whole validation split under their names with `valid_`, and where asked for the AP.

        Of several workers only the chief computes the AP. None when stopped.
        """
        total: dict[str, float] = dict.fromkeys(loss.NAMES, 0.0)
        for batch in self.trainer.validation_batches(self.valid_records):
            if self.trainer.any_worker(self.stopped()):
                return None
            for name, value in self.trainer.valid_step(batch).items():
                total[name] += float(value)
        values = {f"valid_{name}": value / self.valid_records["counts"]["images"] for name, value in total.items()}
        if self.score is None:
            return values
        stride = networks.get(self.parameters.model).stride
        network = model_files.Model(self.folder, "rgb", self.skeleton, self.trainer.maps, stride)
        predictor = Predictor(network, self.parameters.size)
        scored = {"valid_ap": self.score.ap(predictor, self.stopped)} if self.writes else {}
        return None if self.trainer.any_worker(None in scored.values()) else values | scored

    def _draw(self, last: bool) -> None:
        """Logs sample pictures of both splits, not more often than once a minute."""
        if not self.writes or (not last and time.monotonic() - self.drawn_time < PICTURES_SECONDS):
            return
        self.drawn_time = time.monotonic()
        valid = batches.validation(self.valid_records, self.skeleton, self.parameters.inputs(), VALIDATION_PICTURES)
        groups = {"validation samples": next(valid.take(1).as_numpy_iterator())}
        if self.last_batch is not None:
            local = self.trainer.samples(
                {name: self.trainer.local(value)[0] for name, value in self.last_batch.items()}
            )
            groups["training samples"] = {name: value[:TRAINING_PICTURES].numpy() for name, value in local.items()}
        images = np.concatenate([group["image"].astype(np.float32) for group in groups.values()])
        maps = iter(self.trainer.maps(images).numpy())
        for name, group in groups.items():
            found = np.stack([next(maps) for _ in group["image"]])
            self.log.pictures(name, self.step, group, found, self.skeleton)

    def _is_time_to_save(self) -> bool:
        steps, minutes = self.settings.save_steps, self.settings.save_minutes
        return bool(
            (steps and self.step - self.saved_step >= steps)
            or (minutes and time.monotonic() - self.saved_time >= 60 * minutes)
        )

    def _save(self) -> None:
        """Saves a checkpoint, when the losses up to here are numbers."""
        self._check_losses()
        self.log.flush()
        sums = {name: float(value) for name, value in self.sums.items()}
        notes = {"history": self.history, "sums": sums, "rollbacks": self.rollbacks}
        self.checkpoints.save(self.step, notes, _best(self.history))
        self.saved_step, self.saved_time = self.step, time.monotonic()
        if self.writes:
            self.saved()

    def _stop_if_asked(self) -> None:
        if self.trainer.any_worker(self.stopped()):
            self._save()
            raise sigterm.Interrupted

    def _gets_no_better(self) -> bool:
        patience = self.parameters.early_stop
        since_best = [epoch for epoch in self.history if epoch["step"] > (_best(self.history) or 0)]
        return 0 < patience <= len(since_best)

    def _check_losses(self) -> None:
        """Raises an error about the first step with a loss or gradient that is no number."""
        unchecked, self.unchecked = self.unchecked, []
        # Float16's gradients may overflow; that step changes no weight.
        names = ["loss"] if self.parameters.precision == "float16" else ["loss", "gradient_norm"]
        for step, values, ids in unchecked:
            for name in names:
                if not math.isfinite(value := float(values[name])):
                    rate = float(self.trainer.rate(step - 1))
                    samples = ", ".join(str(int(id_)) for share in self.trainer.local(ids) for id_ in share)
                    what = f"the {name.replace('_', ' ')} is {value} at step {step} (learning rate {rate:g}, samples "
                    raise NoNumber(f"{what}{samples})", self.checkpoints.folder)


def _best(history: list[Epoch]) -> int | None:
    """The step at the end of the epoch with the smallest validation loss."""
    return min(history, key=lambda epoch: epoch["valid_loss"])["step"] if history else None  # type: ignore[return-value]


def _about(parameters: TrainParameters, skeleton: Skeleton, records: dict[str, Any]) -> dict[str, Any]:
    """What a checkpoint must have in common with a training that goes on from it, by names for people."""
    content = storage.fingerprint([shard["sha256"] for shard in records["shards"]])[:12]
    return {
        "network": f"{parameters.model} (width {parameters.width:g}, stages {parameters.stages or 'as published'})",
        "skeleton": skeleton.name,
        "optimizer": parameters.optimizer,
        "average of the weights": bool(parameters.ema),
        "loss scale": parameters.precision == "float16",
        "batch": parameters.batch_size,
        "training data": f"{records['counts']['samples']} samples, content {content}",
    }
