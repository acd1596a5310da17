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
        warmup_steps: linear rise from 0, for `cosine`.

    Raises:
        InputError: a rate that is no positive number, or an unknown decay.
    """
    rates = [_rate(text, learning_rate) for text in learning_rate.split(",")]
    if len(rates) > 1:
        boundaries = [PIECEWISE_EPOCHS * steps_per_epoch * piece for piece in range(1, len(rates))]
        return keras.optimizers.schedules.PiecewiseConstantDecay(boundaries, rates)
    if decay == "exponential":
        return keras.optimizers.schedules.ExponentialDecay(
            rates[0], EXPONENTIAL_STEPS, EXPONENTIAL_FACTOR, staircase=True
        )
    if decay == "cosine":
        steps = epochs * steps_per_epoch
        warmup_steps = min(warmup_steps, steps // 2)
        if warmup_steps == 0:
            return keras.optimizers.schedules.CosineDecay(rates[0], steps)
        return keras.optimizers.schedules.CosineDecay(
            0.0, steps - warmup_steps, warmup_target=rates[0], warmup_steps=warmup_steps
        )
    raise InputError(f"no decay is called {decay!r}; choose one of: {', '.join(DECAYS)}")


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
