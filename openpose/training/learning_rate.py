"""What a learning rate and its decay may be; read without Keras."""

import math

from openpose.errors import InputError

DECAYS = ("exponential", "cosine")
EXPONENTIAL_STEPS = 10_000
EXPONENTIAL_FACTOR = 0.33
PIECEWISE_EPOCHS = 5


def check(learning_rate: str, decay: str) -> list[float]:
    """The rates of a comma list.

    Raises:
        InputError: a rate is not a positive number, or the decay is unknown.
    """
    rates = [_rate(text, learning_rate) for text in learning_rate.split(",")]
    if decay not in DECAYS:
        raise InputError(f"no decay is called {decay!r}; choose one of: {', '.join(DECAYS)}")
    return rates


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
