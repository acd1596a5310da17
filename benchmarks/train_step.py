"""Speed of a training step of `lightweight` against plain Keras: 368×368, batch 8, on this machine's CPU.

The reference is `train_on_batch` of the same network made of Keras's own layers, with the same loss, optimiser, batch
and precision. Both take turns in the same run; the figure is the ratio of the medians. `--profile FOLDER` also writes a
trace for TensorBoard.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from openpose import networks, skeleton
from openpose.networks import loss
from openpose.networks.layers import Norm
from openpose.training.parameters import TrainParameters
from openpose.training.step import Trainer

BOUND = 1.25
SIZE, BATCH, STRIDE = 368, 8, 8
OPENPOSE = skeleton.get("openpose18")


def main() -> int:
    """Times both; returns 0 when the bound is reached."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.train_step", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="steps of each (default: %(default)s)")
    parser.add_argument("--profile", help="folder for a trace of one step")
    options = parser.parse_args()
    batch = any_batch()
    steps = {"plain Keras": plain_step(batch), "ours": our_step(batch)}
    for step in steps.values():  # traces
        step()
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(options.rounds):
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            seconds[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    for name, median in medians.items():
        print(f"{name:>12}: {median:.2f} s a step, {BATCH / median:.2f} images/s")
    if options.profile:
        with tf.profiler.experimental.Profile(options.profile):
            steps["ours"]()
    ratio = medians["plain Keras"] / medians["ours"]
    print(f"train_step: {ratio:.2f} (bound {BOUND:.2f})")
    return 0 if ratio >= BOUND else 1


def any_batch() -> dict[str, tf.Tensor]:
    """A batch of random pictures and maps."""
    numbers, cells = np.random.default_rng(0), SIZE // STRIDE
    return {
        "image": tf.constant(numbers.uniform(0, 255, (BATCH, SIZE, SIZE, 3)).astype(np.float32)),
        "maps": tf.constant(numbers.uniform(0, 1, (BATCH, cells, cells, OPENPOSE.num_maps)).astype(np.float32)),
        "mask": tf.ones((BATCH, cells, cells, 1)),
        "id": tf.range(BATCH, dtype=tf.int64),
    }


def our_step(batch: dict[str, tf.Tensor]) -> Callable[[], Any]:
    """Our step on the batch."""
    parameters = TrainParameters(model="lightweight", size=SIZE, batch_size=BATCH)
    trainer = Trainer(parameters, OPENPOSE, 1000, tf.distribute.get_strategy())
    return lambda: float(trainer.train_step(batch)["loss"])


def plain_step(batch: dict[str, tf.Tensor]) -> Callable[[], Any]:
    """Keras's own step on the batch, with its own layers."""
    model = keras.models.clone_model(networks.build("lightweight", OPENPOSE), clone_function=plain_layer)

    def masked(truth: tf.Tensor, output: tf.Tensor) -> tf.Tensor:
        maps, mask = truth[..., :-1], truth[..., -1:]
        return loss.losses([output], maps, mask, BATCH, OPENPOSE)["loss"]

    model.compile(optimizer=keras.optimizers.Adam(1e-3, epsilon=1e-8), loss=[masked] * len(model.outputs))
    truth = tf.concat([batch["maps"], batch["mask"]], -1)
    return lambda: model.train_on_batch(batch["image"], [truth] * len(model.outputs))


def plain_layer(layer: keras.Layer) -> keras.Layer:
    """The layer that users of plain Keras would use."""
    if isinstance(layer, Norm):
        return keras.layers.BatchNormalization(name=layer.name)
    return layer.__class__.from_config(layer.get_config())


if __name__ == "__main__":
    sys.exit(main())
