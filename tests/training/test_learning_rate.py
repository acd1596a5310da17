"""The learning rate rises before it falls, whatever the decay."""

import pytest

from openpose.training import learning_rate


def rates(text: str, decay: str, steps: list[int], warmup_steps: int) -> list[float]:
    made = learning_rate.make(text, decay, steps_per_epoch=100, epochs=20, warmup_steps=warmup_steps)
    return [float(made(step)) for step in steps]


def test_warm_up_comes_first_and_leaves_the_rest_as_it_is() -> None:
    steps = [0, 50, 100, 600, 1999]
    assert rates("0.01", "exponential", steps, 100) == pytest.approx([0, 0.005, 0.01, 0.01, 0.01])
    assert rates("0.01,0.001", "exponential", steps, 100) == pytest.approx([0, 0.005, 0.01, 0.001, 0.001])
    assert rates("0.01", "cosine", steps[:3], 100) == pytest.approx([0, 0.005, 0.01])


def test_warm_up_is_at_most_half_of_the_training() -> None:
    assert rates("0.01", "exponential", [500, 1000], 5000) == pytest.approx([0.005, 0.01])
