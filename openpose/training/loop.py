"""The training loop: steps, validation, checkpoints and logs, from the start or from the last checkpoint."""

import json
import math
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from openpose import model_files, networks, progress, retry, storage
from openpose.errors import InputError
from openpose.evaluation.valid_score import ValidScore
from openpose.input import batches
from openpose.networks import loss
from openpose.predict.predictor import Predictor
from openpose.records.manifest import RecordsManifest
from openpose.skeleton import Skeleton
from openpose.training import devices, initial_weights, process, sigterm
from openpose.training.checkpoints import Checkpoints
from openpose.training.log import TrainLog
from openpose.training.parameters import RunParameters, TrainParameters
from openpose.training.step import Trainer

TRAINING_PICTURES, VALIDATION_PICTURES = 4, 12
PICTURES_SECONDS = 60  # least time between two logs of sample pictures
CALIBRATION_PICTURES = 64
ROLLBACK_FACTOR = 0.5  # on the learning rate, for each roll-back
RESTORE_ATTEMPTS = 9
Epoch = dict[str, float]


@dataclass(frozen=True)
class TrainResult:
    """The outcome of a training.

    Attributes:
        model: the trained network.
        history: step, the four losses, the four valid losses and, if requested, `valid_ap` of each epoch.
    """

    model: keras.Model
    history: list[Epoch]


def train(
    train_records: RecordsManifest,
    valid_records: RecordsManifest,
    folder: Path,
    parameters: TrainParameters,
    skeleton: Skeleton,
    strategy: tf.distribute.Strategy | None = None,
    run: RunParameters | None = None,
    saved: Callable[[], None] = lambda: None,
) -> TrainResult:
    """Trains a network, continuing from the newest checkpoint in the folder, even in the middle of an epoch.

    Args:
        train_records: manifest of the training split's records.
        valid_records: manifest of the validation split's records.
        folder: gets `checkpoints/`, `logs/` (TensorBoard, `steps.jsonl`) and `history.jsonl` (one line per epoch).
        parameters: what to train and how.
        skeleton: of the records.
        strategy: the devices; by default one.
        run: checkpoints, logs and other settings that do not change the result.
        saved: called after each checkpoint, once it is complete in the folder.

    Raises:
        InputError: parameters, data and checkpoint do not fit together, or the loss became NaN or infinite.
        Interrupted: SIGTERM arrived; a checkpoint has been written.
    """
    process.settle()
    strategy, run = strategy or tf.distribute.get_strategy(), run or RunParameters()
    with sigterm.deferred() as stop:
        training = _Training(
            train_records, valid_records, folder, parameters, skeleton, strategy, run, saved, stop.is_set
        )
        return _with_rollbacks(training)


@dataclass(frozen=True)
class _Training:
    """The arguments of `train`, and whether SIGTERM has arrived."""

    train_records: RecordsManifest
    valid_records: RecordsManifest
    folder: Path
    parameters: TrainParameters
    skeleton: Skeleton
    strategy: tf.distribute.Strategy
    run: RunParameters
    saved: Callable[[], None]
    stopped: Callable[[], bool]


def _with_rollbacks(training: _Training) -> TrainResult:
    """Trains; on a NaN or infinite loss restarts from the last checkpoint, at most `run.rollbacks` times."""
    rollbacks, before = 0, math.inf
    while True:
        loop = _Loop(training, rollbacks, before)
        try:
            return loop.run()
        except NotFinite as error:
            if loop.rollbacks >= training.run.rollbacks:
                raise
            # If the last roll-back did not reach its next checkpoint, that state is already bad: take an older one.
            before = loop.first_step if rollbacks and loop.saved_step == loop.first_step else math.inf
            rollbacks = loop.rollbacks + 1
            print(f"warning: {error.what}; roll-back {rollbacks} of {training.run.rollbacks}", file=sys.stderr)


class NotFinite(InputError):
    """A loss or gradient is NaN or infinite; `what` tells which, at which step and for which samples."""

    def __init__(self, what: str, checkpoints: Path) -> None:
        self.what = what
        super().__init__(
            f"{what}; train again with a smaller learning rate, or let the training go back and halve the rate by "
            f"itself (rollbacks); the last good checkpoint is kept in {checkpoints}"
        )


class _Loop:
    """One attempt at a training, from its newest checkpoint of fewer than `before` steps.

    Attributes:
        first_step: number of steps done when the attempt starts.
        step: number of steps done.
        history: of the finished epochs.
        sums: of each loss over the steps of the current epoch.
        rollbacks: number of times that the training went back to continue at a smaller rate, in all processes.
    """

    def __init__(self, training: _Training, rollbacks: int, before: float) -> None:
        self.train_records, self.valid_records = training.train_records, training.valid_records
        self.folder, self.parameters, self.skeleton = training.folder, training.parameters.filled(), training.skeleton
        self.settings, self.saved, self.stopped = training.run, training.saved, training.stopped
        self.writes = devices.is_chief(training.strategy)
        parameters = self.parameters
        steps_per_pass = batches.steps_per_epoch(self.train_records, parameters.batch_size)
        self.steps_per_epoch = parameters.passes * steps_per_pass
        self.trainer = Trainer(parameters, self.skeleton, self.steps_per_epoch, training.strategy, self.settings.xla)
        self.checkpoints = Checkpoints(
            self.folder / "checkpoints",
            _about(parameters, self.skeleton, self.train_records),
            self.settings.keep,
            self.writes,
            model=self.trainer.model,
            optimizer=self.trainer.optimizer,
        )
        images = self.settings.ap_images
        self.score = ValidScore(self.valid_records, images, self.skeleton) if images else None
        self.first_step, notes = self._restore_together(before)
        self.step = self.first_step
        self.rollbacks = max(rollbacks, notes.get("rollbacks", 0))
        self.trainer.rate.factor = ROLLBACK_FACTOR**self.rollbacks
        self.history: list[Epoch] = notes.get("history", [])
        self.sums = {name: tf.constant(notes.get("sums", {}).get(name, 0.0)) for name in loss.NAMES}
        self.unchecked: list[tuple[int, dict[str, Any], Any]] = []  # step, losses and sample ids
        self.last_batch: dict[str, Any] | None = None
        self.first_valid: list[dict[str, tf.Tensor]] = []  # samples of the first batches of the latest validation
        self.saved_step, self.saved_time, self.drawn_time = self.step, time.monotonic(), -math.inf

    def run(self) -> TrainResult:
        """Trains until the last epoch is done, or until the early stop."""
        last = self.parameters.epochs * self.steps_per_epoch
        self.log = TrainLog(Path(self.settings.logs or self.folder / "logs"), self.step, self.writes)
        shown = progress.bar(last, "train", "step", initial=self.step, lines=sys.stdout)
        with closing(self.log), shown as bar:
            self.log.text("parameters", self.parameters.as_dict())
            if self.rollbacks:
                factors = {"times": self.rollbacks, "factor on the learning rate": self.trainer.rate.factor}
                self.log.text("roll-backs", factors, self.step)
            samples = self.trainer.training_batches(self.train_records, self.step, self.settings.remote_data)
            while len(self.history) < self.parameters.epochs and not self._stops_early():
                self._train_epoch(samples, bar)
                self._finish_epoch(bar)
                self.log.start_interval()
        best = _best(self.history)
        if self.writes and best is not None and self._stops_early():
            self.checkpoints.restore_step(best)
        return TrainResult(self.trainer.finished_model(), self.history)

    def _restore_together(self, before: float) -> tuple[int, dict[str, Any]]:
        """Calls `_restore` until all workers have the same step; some may see the newest checkpoint a bit later."""
        step = 0

        def restored() -> tuple[int, dict[str, Any]] | None:
            nonlocal step
            step, notes = self._restore(before)
            # Equal if and only if all steps are, so that every worker comes to the same conclusion.
            same = self.trainer.total(step**2) * self.trainer.replicas == self.trainer.total(step) ** 2
            return (step, notes) if same else None

        pause = storage.ATTRIBUTE_CACHE_SECONDS / RESTORE_ATTEMPTS
        if found := retry.until(restored, tries=RESTORE_ATTEMPTS, pause=pause):
            return found
        raise InputError(
            f"this worker would continue from step {step} and another one from another step: they see different "
            f"checkpoints in {self.checkpoints.folder}; give all workers the same storage"
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
        """Loads the initial weights, if the parameters name some."""
        if not self.parameters.init:
            return
        model = self.trainer.model
        loaded = initial_weights.load(model, self.parameters.init, self.parameters.init_partial, self.skeleton)
        batch = min(self.parameters.batch_size, CALIBRATION_PICTURES)
        samples = batches.training(self.train_records, self.skeleton, self.parameters.inputs(), batch)
        some = samples.take(CALIBRATION_PICTURES // batch).as_numpy_iterator()
        initial_weights.calibrate(model, loaded.uncalibrated, (sample["image"].astype(np.float32) for sample in some))

    def _train_epoch(self, samples: Iterator[Any], bar: progress.Bar) -> None:
        """Trains the rest of an epoch, which is nothing when only its validation is missing."""
        end = (len(self.history) + 1) * self.steps_per_epoch
        while self.step < end:
            with self.log.waiting():
                self.last_batch = next(samples)
            values = self.trainer.train_step(self.last_batch)
            self.step += 1
            self.sums = {name: self.sums[name] + values[name] for name in loss.NAMES}
            self.unchecked.append((self.step, values, self.last_batch["id"]))
            bar.update(1)
            logs = self.step % self.settings.log_steps == 0 or self.step == end
            if logs:
                self._check_losses()
                epoch = f"{len(self.history) + 1}/{self.parameters.epochs}"
                bar.update(0, epoch=epoch, loss=float(values["loss"]))
                rate = self.trainer.rate(self.step - 1)
                more = {"learning_rate": rate, "queue_size": self.trainer.queue.size}
                self.log.interval(self.step, self.parameters.batch_size, {**values, **more})
            # `any_worker` waits for the step on several workers, so call it only where the log waits anyway.
            if logs or not self.trainer.several_workers:
                if self.step < end and self.trainer.any_worker(self._save_is_due()):
                    self._save()
                self._stop_if_asked()

    def _finish_epoch(self, bar: progress.Bar) -> None:
        """Validates, writes the history and saves a checkpoint."""
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

    @cached_property
    def _validations(self) -> Iterator[Iterable[Any]]:
        """The batches of each validation; made once, because that takes longer than a small validation."""
        return self.trainer.validation_batches(self.valid_records)

    def _validate(self) -> dict[str, float] | None:
        """The valid losses over the whole validation split and, if requested, `valid_ap`; None when stopped.

        Of several workers only the chief computes the AP.
        """
        total: dict[str, float] = dict.fromkeys(loss.NAMES, 0.0)
        self.first_valid = []
        for batch in next(self._validations):
            if self.trainer.any_worker(self.stopped()):
                return None
            if sum(len(samples["id"]) for samples in self.first_valid) < VALIDATION_PICTURES:
                self.first_valid.append(self._local_samples(batch))
            for name, value in self.trainer.valid_step(batch).items():
                total[name] += float(value)
        values = {f"valid_{name}": value / self.valid_records.counts["images"] for name, value in total.items()}
        if self.score is None:
            return values
        stride = networks.get(self.parameters.model).stride
        network = model_files.Model(self.folder, "rgb", self.skeleton, self.trainer.maps, stride)
        predictor = Predictor(network, self.parameters.predict_height)
        ap = self.score.ap(predictor, self.stopped) if self.writes else None
        if self.trainer.any_worker(self.writes and ap is None):
            return None
        return values if ap is None else values | {"valid_ap": ap}

    def _draw(self, last: bool) -> None:
        """Logs sample pictures of both splits, at most once a minute except for the `last` epoch."""
        if not self.writes or (not last and time.monotonic() - self.drawn_time < PICTURES_SECONDS):
            return
        self.drawn_time = time.monotonic()
        valid = {name: tf.concat([samples[name] for samples in self.first_valid], 0) for name in self.first_valid[0]}
        groups = {"validation samples": (valid, VALIDATION_PICTURES)}
        if self.last_batch is not None:
            groups["training samples"] = (self._local_samples(self.last_batch), TRAINING_PICTURES)
        for name, (samples, count) in groups.items():
            group = {key: value[:count].numpy() for key, value in samples.items()}
            found = self.trainer.maps(group["image"]).numpy()
            self.log.pictures(name, self.step, group, found, self.skeleton)

    def _local_samples(self, batch: dict[str, Any]) -> dict[str, tf.Tensor]:
        """The samples of a global batch that the first replica of this process has."""
        return self.trainer.samples({name: self.trainer.local(value)[0] for name, value in batch.items()})

    def _save_is_due(self) -> bool:
        steps, minutes = self.settings.save_steps, self.settings.save_minutes
        return bool(
            (steps and self.step - self.saved_step >= steps)
            or (minutes and time.monotonic() - self.saved_time >= 60 * minutes)
        )

    def _save(self) -> None:
        """Saves a checkpoint, provided that all losses so far are finite."""
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

    def _stops_early(self) -> bool:
        patience = self.parameters.early_stop
        since_best = [epoch for epoch in self.history if epoch["step"] > (_best(self.history) or 0)]
        return 0 < patience <= len(since_best)

    def _check_losses(self) -> None:
        """Raises NotFinite for the first step with a NaN or infinite loss or gradient."""
        unchecked, self.unchecked = self.unchecked, []
        # Float16's gradients may overflow; the optimizer then skips the step.
        names = ["loss"] if self.parameters.precision == "float16" else ["loss", "gradient_norm"]
        for step, values, ids in unchecked:
            for name in names:
                if not math.isfinite(value := float(values[name])):
                    rate = float(self.trainer.rate(step - 1))
                    samples = ", ".join(str(int(id_)) for share in self.trainer.local(ids) for id_ in share)
                    what = f"the {name.replace('_', ' ')} is {value} at step {step} (learning rate {rate:g}, samples "
                    raise NotFinite(f"{what}{samples})", self.checkpoints.folder)


def _best(history: list[Epoch]) -> int | None:
    """The step at the end of the epoch with the smallest validation loss."""
    return min(history, key=lambda epoch: epoch["valid_loss"])["step"] if history else None  # type: ignore[return-value]


def _about(parameters: TrainParameters, skeleton: Skeleton, records: RecordsManifest) -> dict[str, Any]:
    """What a checkpoint and a training that continues from it must have in common, with names for messages."""
    content = _hash([shard.sha256 for shard in records.shards])
    return {
        "network": f"{parameters.model} (width {parameters.width:g}, stages {parameters.stages or 'as published'})",
        "skeleton": skeleton.name if skeleton.is_known else f"{skeleton.name} ({_hash(skeleton.described())})",
        "optimizer": parameters.optimizer,
        "average of the weights": bool(parameters.ema),
        "loss scale": parameters.precision == "float16",
        "batch": parameters.batch_size,
        "training data": f"{records.counts['samples']} samples, content {content}",
    }


def _hash(document: Any) -> str:
    return storage.fingerprint(document)[:12]
