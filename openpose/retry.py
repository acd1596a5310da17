"""Retries what may work later, waiting longer after each failure.

    answer = retry.attempts(seconds=600)(ask, "val2017.zip")  # the first answer without a TemporaryError

    for attempt in retry.attempts(tries=8, say=lambda error, wait: print(f"{error}; trying again in {wait:.0f} s")):
        with attempt:
            ...

Both raise the last error when they give up. `until` waits for a result instead.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

import tenacity

Result = TypeVar("Result")


class TemporaryError(Exception):
    """A failure that may not happen again.

    Attributes:
        retry_after: seconds that the server asks to wait before the next attempt; None when it does not say.
    """

    def __init__(self, text: str, retry_after: float | None = None) -> None:
        super().__init__(text)
        self.retry_after = retry_after


def attempts(
    *,
    tries: int | None = None,
    seconds: float | None = None,
    errors: type[Exception] | tuple[type[Exception], ...] = TemporaryError,
    pause: float = 0.5,
    longest_pause: float = 60.0,
    say: Callable[[BaseException, float], object] | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> tenacity.Retrying:
    """Attempts of the same work until one succeeds; give `tries`, `seconds` or both.

    Setting `attempt.retry_state.attempt_number = 1` in an attempt that got further forgives the failures before it.

    Args:
        tries: gives up after this number of failures.
        seconds: gives up at the first failure after this time.
        errors: the exceptions to retry on; all others are raised at once.
        pause: seconds before the second attempt, doubled before each further one. Random jitter takes up to half off.
        longest_pause: upper limit of the pause. `TemporaryError.retry_after` goes before both.
        say: called with the error and the pause in seconds before each wait.
        sleep: waits for the pause; may raise to end the attempts.
    """
    backoff = tenacity.wait_exponential(multiplier=pause, max=longest_pause)

    def wait(state: tenacity.RetryCallState) -> float:
        retry_after = getattr(_error(state), "retry_after", None)
        return random.uniform(0.5, 1.0) * backoff(state) if retry_after is None else retry_after

    def before_sleep(state: tenacity.RetryCallState) -> None:
        if say is not None:
            say(_error(state), state.upcoming_sleep)

    return tenacity.Retrying(
        stop=_stop(tries, seconds),
        wait=wait,
        retry=tenacity.retry_if_exception_type(errors),
        before_sleep=before_sleep,
        sleep=sleep,
        reraise=True,
    )


def until(
    ask: Callable[[], Result | None],
    *,
    tries: int | None = None,
    seconds: float | None = None,
    pause: float,
    sleep: Callable[[float], None] = time.sleep,
) -> Result | None:
    """Calls `ask` every `pause` seconds until it returns something other than None; None when it never does.

    Args: see `attempts`.
    """
    retrying = tenacity.Retrying(
        stop=_stop(tries, seconds),
        wait=tenacity.wait_fixed(pause),
        retry=tenacity.retry_if_result(lambda result: result is None),
        retry_error_callback=lambda state: None,
        sleep=sleep,
    )
    return retrying(ask)


def _error(state: tenacity.RetryCallState) -> BaseException:
    error = state.outcome.exception() if state.outcome else None
    assert error is not None  # tenacity waits only after an attempt that raised
    return error


def _stop(tries: int | None, seconds: float | None) -> tenacity.stop.stop_base:
    limits: list[tenacity.stop.stop_base] = []
    if tries is not None:
        limits.append(tenacity.stop_after_attempt(tries))
    if seconds is not None:
        limits.append(tenacity.stop_after_delay(seconds))
    if not limits:
        raise TypeError("give `tries`, `seconds` or both")
    return tenacity.stop_any(*limits)
