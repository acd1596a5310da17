"""The learning rate over the steps, as a Keras schedule."""

import keras

from openpose.training.learning_rate import EXPONENTIAL_FACTOR, EXPONENTIAL_STEPS, PIECEWISE_EPOCHS, check


def make(
    learning_rate: str, decay: str, steps_per_epoch: int, epochs: int, warmup_steps: int = 0
) -> keras.optimizers.schedules.LearningRateSchedule:
    """Makes the schedule from a training's parameters.

    Args:
        learning_rate: one number, which decays; or a comma list, one value for each 5 epochs.
        decay: of one number: `exponential` (×0.33 every 10 000 steps, in stairs) or `cosine` (to 0 at the end).
        steps_per_epoch: steps that see each sample once.
        epochs: length of the training.
        warmup_steps: length of a linear rise from 0 at the start, cut to half of the training.

    Raises:
        InputError: see `openpose.training.learning_rate.check`.
    """
    rates = check(learning_rate, decay)
    steps = epochs * steps_per_epoch
    warmup_steps = min(warmup_steps, steps // 2)
    if len(rates) > 1:
        boundaries = [PIECEWISE_EPOCHS * steps_per_epoch * piece for piece in range(1, len(rates))]
        made = keras.optimizers.schedules.PiecewiseConstantDecay(boundaries, rates)
    elif decay == "exponential":
        made = keras.optimizers.schedules.ExponentialDecay(
            rates[0], EXPONENTIAL_STEPS, EXPONENTIAL_FACTOR, staircase=True
        )
    elif warmup_steps:  # Keras's own warm-up: the cosine starts after it
        return keras.optimizers.schedules.CosineDecay(
            0.0, steps - warmup_steps, warmup_target=rates[0], warmup_steps=warmup_steps
        )
    else:
        made = keras.optimizers.schedules.CosineDecay(rates[0], steps)
    return WarmUp(made, warmup_steps) if warmup_steps else made


class WarmUp(keras.optimizers.schedules.LearningRateSchedule):
    """A linear rise from 0 to another schedule.

    Args:
        after: the other schedule; its steps count from the beginning of the training.
        steps: length of the rise.
    """

    def __init__(self, after: keras.optimizers.schedules.LearningRateSchedule, steps: int) -> None:
        self.after, self.steps = after, steps

    def __call__(self, step: keras.KerasTensor) -> keras.KerasTensor:
        rise = keras.ops.minimum(1.0, keras.ops.cast(step, "float32") / self.steps)
        return rise * self.after(step)


class Scaled(keras.optimizers.schedules.LearningRateSchedule):
    """Another schedule times a factor.

    Attributes:
        factor: may change until the training step is traced.
    """

    def __init__(self, schedule: keras.optimizers.schedules.LearningRateSchedule) -> None:
        self.schedule, self.factor = schedule, 1.0

    def __call__(self, step: keras.KerasTensor) -> keras.KerasTensor:
        return self.factor * self.schedule(step)
