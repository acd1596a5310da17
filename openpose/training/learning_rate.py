"""Learning rate over the steps."""

import math

import keras

from openpose.errors import InputError

DECAYS = ("exponential", "cosine")
EXPONENTIAL_STEPS = 10_000
EXPONENTIAL_FACTOR = 0.33
PIECEWISE_EPOCHS = 5


def make(
    learning_rate: str, decay: str, steps_per_epoch: int, epochs: int, warmup_steps: int = 0
) -> keras.optimizers.schedules.LearningRateSchedule:
    """The schedule that a command line asks for.

    Args:
        learning_rate: one number, which decays; or a comma list, one value for each 5 epochs.
        decay: of one number: `exponential` (×0.33 every 10 000 steps, in stairs) or `cosine` (to 0 at the end).
        steps_per_epoch: steps that see each sample once.
        epochs: length of the training.
        warmup_steps: a linear rise from 0 comes first, at most half of the training.

    Raises:
        InputError: a rate that is no positive number, or an unknown decay.
    """
    rates = [_rate(text, learning_rate) for text in learning_rate.split(",")]
    if decay not in DECAYS:
        raise InputError(f"no decay is called {decay!r}; choose one of: {', '.join(DECAYS)}")
    steps = epochs * steps_per_epoch
    warmup_steps = min(warmup_steps, steps // 2)
    if len(rates) > 1:
        boundaries = [PIECEWISE_EPOCHS * steps_per_epoch * piece for piece in range(1, len(rates))]
        made = keras.optimizers.schedules.PiecewiseConstantDecay(boundaries, rates)
    elif decay == "exponential":
        made = keras.optimizers.schedules.ExponentialDecay(
            rates[0], EXPONENTIAL_STEPS, EXPONENTIAL_FACTOR, staircase=True
        )
    elif warmup_steps:  # Keras's own: the cosine begins after it
        return keras.optimizers.schedules.CosineDecay(
            0.0, steps - warmup_steps, warmup_target=rates[0], warmup_steps=warmup_steps
        )
    else:
        made = keras.optimizers.schedules.CosineDecay(rates[0], steps)
    return WarmUp(made, warmup_steps) if warmup_steps else made


class WarmUp(keras.optimizers.schedules.LearningRateSchedule):
    """Another schedule after a linear rise from 0.

    Args:
        after: the other schedule; its steps count from the beginning.
        steps: of the rise.
    """

    def __init__(self, after: keras.optimizers.schedules.LearningRateSchedule, steps: int) -> None:
        self.after, self.steps = after, steps

    def __call__(self, step: keras.KerasTensor) -> keras.KerasTensor:
        rise = keras.ops.minimum(1.0, keras.ops.cast(step, "float32") / self.steps)
        return rise * self.after(step)


class Scaled(keras.optimizers.schedules.LearningRateSchedule):
    """Another schedule times a factor, which may be changed until a step is traced.

    Args:
        schedule: the other one.

    Attributes:
        factor: on its rates.
    """

    def __init__(self, schedule: keras.optimizers.schedules.LearningRateSchedule) -> None:
        self.schedule, self.factor = schedule, 1.0

    def __call__(self, step: keras.KerasTensor) -> keras.KerasTensor:
        return self.factor * self.schedule(step)


def _rate(text: str, whole: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = math.nan
    if not math.isfinite(rate) or rate <= 0:
        raise InputError(
            f"learning rate {whole!r}: give one positive number (0.001), or several with commas (0.001,0.0003)"
        )
    return rate
