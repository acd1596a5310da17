"""Retries end when the work succeeds, at a limit, or at an error that is not temporary; they wait in between."""

from collections.abc import Callable

import pytest

from openpose import retry
from openpose.retry import TemporaryError


def failing(*errors: Exception) -> Callable[[], str]:
    """Work that raises these errors, one a call, and then succeeds."""
    left = list(errors)

    def work() -> str:
        if left:
            raise left.pop(0)
        return "done"

    return work


def test_waits_double_up_to_the_longest_with_jitter_and_are_told() -> None:
    slept: list[float] = []
    told: list[tuple[str, float]] = []
    attempts = retry.attempts(
        tries=9,
        pause=0.5,
        longest_pause=4.0,
        say=lambda error, wait: told.append((str(error), wait)),
        sleep=slept.append,
    )
    assert attempts(failing(*(TemporaryError(str(number)) for number in range(6)))) == "done"
    shares = [pause / full for pause, full in zip(slept, (0.5, 1, 2, 4, 4, 4), strict=True)]
    assert all(0.5 <= share <= 1 for share in shares)
    assert len(set(shares)) == 6
    assert told == [(str(number), pause) for number, pause in enumerate(slept)]


def test_the_last_error_is_raised_after_the_last_try() -> None:
    work = failing(*(TemporaryError(str(number)) for number in range(9)))
    with pytest.raises(TemporaryError, match="2"):
        retry.attempts(tries=3, sleep=lambda _: None)(work)


def test_the_last_error_is_raised_at_the_deadline() -> None:
    slept: list[float] = []
    with pytest.raises(TemporaryError):
        retry.attempts(seconds=0.0, sleep=slept.append)(failing(TemporaryError("x")))
    assert slept == []
    assert retry.attempts(seconds=60.0, sleep=slept.append)(failing(TemporaryError("x"))) == "done"


def test_the_server_says_how_long_to_wait() -> None:
    slept: list[float] = []
    retry.attempts(tries=3, sleep=slept.append)(failing(TemporaryError("x", 7.0), TemporaryError("x", 0.0)))
    assert slept == [7.0, 0.0]


def test_other_errors_are_raised_at_once() -> None:
    with pytest.raises(ValueError, match="x"):
        retry.attempts(tries=3, sleep=lambda _: pytest.fail("it waited"))(failing(ValueError("x")))
    assert retry.attempts(tries=3, errors=ValueError, sleep=lambda _: None)(failing(ValueError("x"))) == "done"


def test_what_got_further_may_fail_again() -> None:
    work = failing(*[TemporaryError("x")] * 5)
    for attempt in retry.attempts(tries=2, sleep=lambda _: None):
        with attempt:
            attempt.retry_state.attempt_number = 1
            assert work() == "done"


def test_until_polls_for_a_result() -> None:
    slept: list[float] = []
    answers = iter([None, None, 0])
    assert retry.until(lambda: next(answers), tries=5, pause=1.5, sleep=slept.append) == 0
    assert slept == [1.5, 1.5]
    assert retry.until(lambda: None, tries=2, pause=0.0) is None
    assert retry.until(lambda: None, seconds=0.0, pause=9.0) is None


def test_a_limit_is_needed() -> None:
    with pytest.raises(TypeError, match="give `tries`, `seconds` or both"):
        retry.attempts()
