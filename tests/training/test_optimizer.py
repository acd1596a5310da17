"""The optimizers move variables as Keras's do."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from openpose.training import optimizer

RATE = 0.01


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (optimizer.Adam(RATE, epsilon=1e-8), keras.optimizers.Adam(RATE, epsilon=1e-8)),
        (optimizer.Adam(RATE, weight_decay=0.1), keras.optimizers.AdamW(RATE, weight_decay=0.1)),
        (optimizer.SGD(RATE), keras.optimizers.SGD(RATE)),
        (optimizer.SGD(RATE, momentum=0.9), keras.optimizers.SGD(RATE, momentum=0.9)),
        (optimizer.SGD(RATE, momentum=0.9, nesterov=True), keras.optimizers.SGD(RATE, momentum=0.9, nesterov=True)),
        (optimizer.Adam(RATE, use_ema=True), keras.optimizers.Adam(RATE, use_ema=True)),
    ],
    ids=["adam", "adamw", "sgd", "momentum", "nesterov", "ema"],
)
def test_variables_move_as_with_keras(ours: optimizer.RateFactors, theirs: keras.optimizers.Optimizer) -> None:
    ours.factors = [1.0, 1.0]
    values = np.random.default_rng(0).normal(size=(2, 5)).astype(np.float32)
    moved = []
    for made in (ours, theirs):
        variables = [keras.Variable(value) for value in values]
        made.build(variables)
        for step in range(20):
            gradients = np.random.default_rng(step).normal(size=(2, 5)).astype(np.float32) * 10.0 ** (step % 4 - 2)
            made.apply([tf.constant(gradient) for gradient in gradients])
        made.finalize_variable_values(variables)
        moved.append(np.stack([variable.numpy() for variable in variables]))
    np.testing.assert_allclose(moved[0] - values, moved[1] - values, rtol=2e-4, atol=1e-6)


def test_factor_scales_the_rate() -> None:
    made = optimizer.SGD(RATE)
    made.factors = [1.0, 0.1]
    variables = [keras.Variable(0.0), keras.Variable(0.0)]
    made.build(variables)
    made.apply([tf.constant(1.0), tf.constant(1.0)])
    assert [float(variable) for variable in variables] == pytest.approx([-RATE, -0.1 * RATE])
