"""Projects how much the network between machines slows down a training step on 1 to 64 GPUs.

`python -m benchmarks.scaling` builds the model, counts the bytes of its gradients and its synchronised norms, and
measures a step on this machine's device, or takes another device's from `--step-seconds`. The network's speed and
latency are parameters, not measurements. A ring all-reduce moves 2 (N-1)/N times the gradients through each link; each
norm exchanges its statistics once forwards and once backwards, which costs only latency, log2(N) times. The projection
assumes no overlap, so a real training is at least as fast, unless the input or a slow machine limits it. The reference
is the same number of GPUs without exchange; the figure is the remaining share of their speed with the most GPUs.
"""

import argparse
import math
import statistics
import sys
import time
from dataclasses import dataclass

import tensorflow as tf

from benchmarks import train_step
from openpose.networks.layers import Norm
from openpose.training.parameters import TrainParameters
from openpose.training.step import Trainer

BOUND = 0.5
GPUS = (1, 2, 4, 8, 16, 32, 64)
ROUNDS = 3


@dataclass(frozen=True)
class Network:
    """The links between GPUs.

    Attributes:
        inside: bytes/s between GPUs of a machine.
        between: bytes/s between machines.
        latency: seconds of one exchange between machines; neglected inside a machine.
        gpus: of a machine.
    """

    inside: float
    between: float
    latency: float
    gpus: int

    def exchange(self, gpus: int, sent: int, exchanges: int) -> float:
        """Seconds in which `gpus` GPUs add up `sent` bytes and exchange small sums `exchanges` times."""
        machines = math.ceil(gpus / self.gpus)
        speed = self.between if machines > 1 else self.inside
        return 2 * (gpus - 1) / gpus * sent / speed + exchanges * self.latency * math.log2(machines)


def main() -> int:
    """Prints the table; returns 0 when the bound is reached."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description=__doc__)
    parser.add_argument("--model", default="lightweight", help="network (default: %(default)s)")
    parser.add_argument("--step-seconds", type=float, help="of a step of 8 pictures, measured on another GPU")
    parser.add_argument("--gpus", type=int, default=4, help="GPUs per machine (default: %(default)s)")
    parser.add_argument("--inside", type=float, default=200, help="GB/s inside a machine (default: %(default)s)")
    parser.add_argument("--between", type=float, default=25, help="Gbit/s between machines (default: %(default)s)")
    parser.add_argument("--latency", type=float, default=50, help="µs per exchange (default: %(default)s)")
    options = parser.parse_args()
    parameters = TrainParameters(model=options.model, size=train_step.SIZE, batch_size=train_step.BATCH)
    trainer = Trainer(parameters, train_step.OPENPOSE, 1000, tf.distribute.get_strategy())
    sent = sum(4 * math.prod(weights.shape) for weights in trainer.model.trainable_variables)
    norms = sum(isinstance(layer, Norm) for layer in trainer.model.layers)
    step = options.step_seconds or measured(trainer)
    network = Network(options.inside * 1e9, options.between * 1e9 / 8, options.latency * 1e-6, options.gpus)
    what = f"gradients {sent / 1e6:.1f} MB, {norms} norms; a step of {train_step.BATCH} pictures {step:.3f} s"
    print(f"{options.model}: {what}")
    print("GPUs  machines  exchange/ms  step for 90 %/ms  images/s  share of the speed")
    for gpus in GPUS:
        exchange = network.exchange(gpus, sent, 2 * norms)
        share = step / (step + exchange)
        print(
            f"{gpus:4d}  {math.ceil(gpus / options.gpus):8d}  {1e3 * exchange:11.1f}  {9e3 * exchange:16.0f}  "
            f"{gpus * train_step.BATCH / step * share:8.0f}  {share:18.2f}"
        )
    print(f"scaling: {share:.2f} (bound {BOUND:.2f})")
    return 0 if share >= BOUND else 1


def measured(trainer: Trainer) -> float:
    """Seconds of a step on this machine's device."""
    batch = train_step.any_batch()
    seconds = []
    for _ in range(ROUNDS + 1):  # the first one traces
        start = time.perf_counter()
        float(trainer.train_step(batch)["loss"])
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[1:])


if __name__ == "__main__":
    sys.exit(main())
