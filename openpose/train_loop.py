"""The training loop: one for every number of devices, over `tf.distribute.Strategy.run`."""

import json
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from openpose import input as batches
from openpose import loss, networks, progress, schedule, storage
from openpose.augment import AugmentParameters
from openpose.checkpoints import Checkpoints
from openpose.errors import InputError
from openpose.input import InputParameters
from openpose.skeleton import Skeleton


@dataclass(frozen=True)
class TrainParameters:
    """What decides a training, besides the data.

    Attributes:
        model: name of the network.
        width: factor on its number of channels; 1 is the published network.
        stages: number of its stages; 0 for the published number.
        size: height and width of the input, pixels.
        batch: samples in a step, over all replicas.
        epochs: how often each sample is seen.
        learning_rate: one number, or a comma list with one value for each 5 epochs.
        decay: of one number: exponential or cosine.
        min_scale: augmentation: the centre person's smallest height, as a factor on 0.6 of the input's.
        max_scale: its largest height.
        max_rotation: augmentation: degrees, either way.
        seed: of weights, order and augmentation.
    """

    model: str = "mobilenet_thin"
    width: float = 1.0
    stages: int = 0
    size: int = 368
    batch: int = 16
    epochs: int = 30
    learning_rate: str = "0.001"
    decay: str = "exponential"
    min_scale: float = 0.5
    max_scale: float = 1.1
    max_rotation: float = 40.0
    seed: int = 0

    def __post_init__(self) -> None:
        networks.get(self.model)
        for name in ("batch", "epochs"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; it must be at least 1")

    def as_dict(self) -> dict[str, Any]:
        """By name, for `run.json` and for the training's fingerprint."""
        return asdict(self)

    def inputs(self) -> InputParameters:
        """The network's input."""
        varied = AugmentParameters(min_scale=self.min_scale, max_scale=self.max_scale, max_rotation=self.max_rotation)
        return InputParameters(size=(self.size, self.size), augment=varied, seed=self.seed)


@dataclass(frozen=True)
class TrainResult:
    """What a training ends with.

    Attributes:
        model: the trained network.
        history: for each epoch its step, the four losses and the four valid losses.
    """

    model: keras.Model
    history: list[dict[str, float]]


class Trainer:
    """A network with its optimiser on a strategy's devices."""

    def __init__(
        self,
        parameters: TrainParameters,
        skeleton: Skeleton,
        steps_per_epoch: int,
        strategy: tf.distribute.Strategy,
    ) -> None:
        self.skeleton, self.strategy, self.batch = skeleton, strategy, parameters.batch
        if parameters.batch % strategy.num_replicas_in_sync:
            raise InputError(f"batch {parameters.batch} does not divide among {strategy.num_replicas_in_sync} replicas")
        # Keras takes its initializers' seeds from Python's generator. TensorFlow's own global seed stays unset:
        # nothing here draws from it.
        random.seed(parameters.seed)
        with strategy.scope():
            self.model = networks.build(parameters.model, skeleton, parameters.width, parameters.stages or None)
            rate = schedule.make(
                parameters.learning_rate,
                parameters.decay,
                steps_per_epoch,
                parameters.epochs,
                warmup_steps=200,
            )
            self.optimizer = keras.optimizers.Adam(rate, epsilon=1e-8)
            self.optimizer.build(self.model.trainable_variables)

    @tf.function
    def train_step(self, batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """One step on a global batch; returns its losses."""
        return self._sum(self.strategy.run(self._train_replica, args=(batch,)))

    @tf.function
    def valid_step(self, batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Losses of a global batch times its size, with `training=False`; they add up over batches."""
        return self._sum(self.strategy.run(self._valid_replica, args=(batch,)))

    def _train_replica(self, batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        with tf.GradientTape() as tape:
            outputs = networks.stage_outputs(self.model, batch["image"], training=True)
            values = loss.losses(outputs, batch["maps"], batch["mask"], self.batch, self.skeleton)
        gradients = tape.gradient(values["loss"], self.model.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.model.trainable_variables, strict=True))
        return values

    def _valid_replica(self, batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        outputs = networks.stage_outputs(self.model, batch["image"], training=False)
        return loss.losses(outputs, batch["maps"], batch["mask"], 1, self.skeleton)

    def _sum(self, per_replica: dict[str, Any]) -> dict[str, tf.Tensor]:
        return {
            name: self.strategy.reduce(tf.distribute.ReduceOp.SUM, value, axis=None)
            for name, value in per_replica.items()
        }

    def validate(self, valid: dict[str, Any], inputs: InputParameters) -> dict[str, float]:
        """The four losses over the whole validation split, under their names with `valid_`."""
        dataset = batches.validation(valid, self.skeleton, inputs, self.batch)
        total: dict[str, float] = dict.fromkeys(loss.NAMES, 0.0)
        for batch in self.strategy.experimental_distribute_dataset(dataset):
            for name, value in self.valid_step(batch).items():
                total[name] += float(value)
        return {f"valid_{name}": value / valid["counts"]["images"] for name, value in total.items()}


def train(
    train_records: dict[str, Any],
    valid_records: dict[str, Any],
    folder: Path,
    parameters: TrainParameters,
    skeleton: Skeleton,
    strategy: tf.distribute.Strategy | None = None,
    saved: Callable[[], None] = lambda: None,
) -> TrainResult:
    """Trains a network, going on from the newest checkpoint in the folder.

    Args:
        train_records: manifest of the training split's records.
        valid_records: manifest of the validation split's.
        folder: gets `checkpoints/`, `logs/` (TensorBoard) and `history.jsonl` (one line for each epoch).
        parameters: what to train and how.
        skeleton: of the records.
        strategy: over which devices; one by default.
        saved: called after each epoch, when all of it is in the folder.

    Raises:
        InputError: parameters and data do not fit, or the loss is no longer a number.
    """
    inputs = parameters.inputs()
    steps_per_epoch = batches.steps_per_epoch(train_records, parameters.batch)
    trainer = Trainer(parameters, skeleton, steps_per_epoch, strategy or tf.distribute.get_strategy())
    checkpoints = Checkpoints(folder / "checkpoints", model=trainer.model, optimizer=trainer.optimizer)
    first = checkpoints.restore()
    last = parameters.epochs * steps_per_epoch
    history = _history(folder / "history.jsonl", first)
    dataset = batches.training(train_records, skeleton, inputs, parameters.batch, first_step=first)
    samples = iter(trainer.strategy.experimental_distribute_dataset(dataset))
    writer = tf.summary.create_file_writer(str(folder / "logs"))
    with writer.as_default(), progress.bar(last, "train", "step", initial=first) as bar:
        while (step := int(trainer.optimizer.iterations)) < last:
            epoch_losses = _epoch(trainer, samples, bar, steps_per_epoch - step % steps_per_epoch)
            step = int(trainer.optimizer.iterations)
            valid_losses = trainer.validate(valid_records, inputs)
            _log(valid_losses, step)
            history.append({"step": step, **epoch_losses, **valid_losses})
            bar.update(0, loss=epoch_losses["loss"], valid_loss=valid_losses["valid_loss"])
            _write_history(folder / "history.jsonl", history)
            checkpoints.save(step)
            writer.flush()
            saved()
    return TrainResult(trainer.model, history)


LOG_STEPS = 20


def _epoch(trainer: Trainer, samples: Iterator[Any], bar: progress.Bar, steps: int) -> dict[str, float]:
    """Trains the rest of an epoch; returns the mean of each loss over it."""
    total = dict.fromkeys(loss.NAMES, tf.constant(0.0))
    logged, window_start = 0, time.monotonic()
    for done in range(1, steps + 1):
        values = trainer.train_step(next(samples))
        total = {name: total[name] + values[name] for name in loss.NAMES}
        bar.update(1)
        if done % LOG_STEPS == 0 or done == steps:
            step = int(trainer.optimizer.iterations)
            _check_finite(float(values["loss"]), step)
            now = time.monotonic()
            speed = (done - logged) * trainer.batch / (now - window_start)
            _log({**values, "learning_rate": trainer.optimizer.learning_rate, "images_per_second": speed}, step)
            logged, window_start = done, now
    return {name: float(value) / steps for name, value in total.items()}


def _check_finite(value: float, step: int) -> None:
    if not tf.math.is_finite(value):
        raise InputError(
            f"the loss is {value} at step {step}; train again with a smaller learning rate "
            "(the last checkpoint before it is kept)"
        )


def _log(values: dict[str, Any], step: int) -> None:
    for name, value in values.items():
        tf.summary.scalar(name, value, step)


def _history(path: Path, first: int) -> list[dict[str, float]]:
    """The epochs of an interrupted training, up to the checkpoint that it goes on from."""
    lines = path.read_text().splitlines() if path.exists() else []
    return [epoch for epoch in map(json.loads, lines) if epoch["step"] <= first]


def _write_history(path: Path, history: list[dict[str, float]]) -> None:
    storage.write_text(path, "".join(json.dumps(epoch) + "\n" for epoch in history))
