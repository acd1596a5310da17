"""The loss is the formula."""

import numpy as np
import pytest
import tensorflow as tf

from openpose import skeleton
from openpose.networks import loss

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


def test_heatmaps_part_is_that_of_all_stages() -> None:
    rng = np.random.default_rng(2)
    outputs = [tf.constant(rng.normal(size=(2, 3, 2, 57)).astype(np.float32)) for _ in range(2)]
    maps, mask = rng.normal(size=(2, 3, 2, 57)).astype(np.float32), np.ones((2, 3, 2, 1), np.float32)
    each = [float(loss.losses([output], maps, mask, 2, OPENPOSE)["loss_lastlayer_heat"]) for output in outputs]
    assert float(loss.heatmap_loss(outputs, maps, mask, 2, OPENPOSE)) == pytest.approx(sum(each), rel=1e-5)
