"""The learning rate is what was asked for, after a warm-up with any decay."""

import pytest

from openpose.errors import InputError
from openpose.training import learning_rate, schedule


def rates(text: str, decay: str, steps: list[int], warmup_steps: int = 0) -> list[float]:
    made = schedule.make(text, decay, steps_per_epoch=100, epochs=20, warmup_steps=warmup_steps)
    return [float(made(step)) for step in steps]


def test_warm_up_comes_first_and_leaves_the_rest_as_it_is() -> None:
    steps = [0, 50, 100, 600, 1999]
    assert rates("0.01", "exponential", steps, 100) == pytest.approx([0, 0.005, 0.01, 0.01, 0.01])
    assert rates("0.01,0.001", "exponential", steps, 100) == pytest.approx([0, 0.005, 0.01, 0.001, 0.001])
    assert rates("0.01", "cosine", steps[:3], 100) == pytest.approx([0, 0.005, 0.01])


def test_warm_up_is_at_most_half_of_the_training() -> None:
    assert rates("0.01", "exponential", [500, 1000], 5000) == pytest.approx([0.005, 0.01])


def test_one_rate_decays_exponentially_in_stairs() -> None:
    expected = [0.01, 0.01, 0.0033, 0.01 * 0.33**2]
    assert rates("0.01", "exponential", [0, 9_999, 10_000, 20_000]) == pytest.approx(expected)


def test_comma_list_has_one_rate_for_five_epochs() -> None:
    assert rates("0.01,0.001,0.0001", "exponential", [500, 501, 1001, 1999]) == pytest.approx([0.01, 1e-3, 1e-4, 1e-4])


def test_cosine_warms_up_and_ends_at_zero() -> None:
    assert rates("0.01", "cosine", [0, 50, 100, 2000], 100) == pytest.approx([0, 0.005, 0.01, 0], abs=1e-9)
    assert rates("0.01", "cosine", [0, 1000, 2000]) == pytest.approx([0.01, 0.005, 0], abs=1e-9)


@pytest.mark.parametrize("text", ["fast", "", "0.1,,0.2", "-1", "nan", "0"])
def test_unusable_rate(text: str) -> None:
    with pytest.raises(InputError, match="give one positive number"):
        learning_rate.check(text, "cosine")


def test_unknown_decay_lists_the_known() -> None:
    with pytest.raises(InputError, match="'linear'; choose one of: exponential, cosine"):
        schedule.make("0.1", "linear", 10, 10)
