"""The loss is the formula, and learning rates are what was asked for."""

import numpy as np
import pytest
import tensorflow as tf

from openpose import skeleton
from openpose.errors import InputError
from openpose.networks import loss
from openpose.training import learning_rate

OPENPOSE = skeleton.get("openpose18")


def test_loss_is_the_formula_by_hand() -> None:
    rng = np.random.default_rng(0)
    outputs = [rng.normal(size=(4, 3, 2, 57)).astype(np.float32) for _ in range(3)]
    maps, mask = (
        rng.normal(size=(4, 3, 2, 57)).astype(np.float32),
        rng.integers(0, 2, (4, 3, 2, 1)).astype(np.float32),
    )
    values = loss.losses([tf.constant(o) for o in outputs], maps, mask, 4, OPENPOSE)
    half_squares = [0.5 * ((o - maps) ** 2 * mask) / 4 for o in outputs]
    assert float(values["loss"]) == pytest.approx(sum(h.sum() for h in half_squares), rel=1e-5)
    assert float(values["loss_lastlayer_heat"]) == pytest.approx(half_squares[-1][..., :19].sum(), rel=1e-5)
    assert float(values["loss_lastlayer_paf"]) == pytest.approx(half_squares[-1][..., 19:].sum(), rel=1e-5)
    assert float(values["loss_lastlayer"]) == pytest.approx(half_squares[-1].sum(), rel=1e-5)


def test_shares_of_a_global_batch_add_up() -> None:
    rng = np.random.default_rng(1)
    output, maps = (rng.normal(size=(4, 3, 2, 57)).astype(np.float32) for _ in range(2))
    mask = np.ones((4, 3, 2, 1), np.float32)
    whole = loss.losses([output], maps, mask, 4, OPENPOSE)
    shares = [loss.losses([output[s]], maps[s], mask[s], 4, OPENPOSE) for s in (slice(0, 2), slice(2, 4))]
    for name in loss.NAMES:
        assert float(whole[name]) == pytest.approx(sum(float(share[name]) for share in shares), rel=1e-5)


def rates(text: str, decay: str, steps: list[int], **options: int) -> list[float]:
    made = learning_rate.make(text, decay, steps_per_epoch=100, epochs=20, **options)
    return [float(made(step)) for step in steps]


def test_one_rate_decays_exponentially_in_stairs() -> None:
    expected = [0.01, 0.01, 0.0033, 0.01 * 0.33**2]
    assert rates("0.01", "exponential", [0, 9_999, 10_000, 20_000]) == pytest.approx(expected)


def test_comma_list_has_one_rate_for_five_epochs() -> None:
    assert rates("0.01,0.001,0.0001", "exponential", [500, 501, 1001, 1999]) == pytest.approx([0.01, 1e-3, 1e-4, 1e-4])


def test_cosine_warms_up_and_ends_at_zero() -> None:
    assert rates("0.01", "cosine", [0, 50, 100, 2000], warmup_steps=100) == pytest.approx([0, 0.005, 0.01, 0], abs=1e-9)
    assert rates("0.01", "cosine", [0, 1000, 2000]) == pytest.approx([0.01, 0.005, 0], abs=1e-9)


@pytest.mark.parametrize("text", ["fast", "", "0.1,,0.2", "-1", "nan", "0"])
def test_rate_that_is_none(text: str) -> None:
    with pytest.raises(InputError, match="give one positive number"):
        learning_rate.make(text, "cosine", 10, 10)


def test_unknown_decay_lists_the_known() -> None:
    with pytest.raises(InputError, match="'linear'; choose one of: exponential, cosine"):
        learning_rate.make("0.1", "linear", 10, 10)
