"""A training in a process of its own, to be killed or to share the work.

The JSON has `train` and `val` (records manifests), `folder`, `parameters`, `run`, `devices` (the number of logical CPU
devices that share the work), `float64` and `seen` (seconds after which workers see each other's files). The network
`mobilenet_thin` is that of tests/tiny.py. The final weights go to `<folder>/weights.npz`, written last.
"""

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from openpose import skeleton, storage
from openpose.networks import loss
from openpose.records.manifest import RecordsManifest
from openpose.training import devices, step
from openpose.training.loop import train
from openpose.training.parameters import RunParameters, TrainParameters
from tests import tiny
from tests.process import Program


def start(
    manifests: Mapping[str, RecordsManifest], folder: Path, environment: Mapping[str, str] | None = None, **given: Any
) -> Program:
    """Starts a training in a process of its own."""
    text = json.dumps({**storage.to_json(manifests), "folder": str(folder), **given})
    return Program("tests.training.train_process", text, environment=environment)


def main(given: dict) -> None:
    """Trains, and saves the weights."""
    storage.ATTRIBUTE_CACHE_SECONDS = given.get("seen", storage.ATTRIBUTE_CACHE_SECONDS)
    tiny.stand_in()
    strategy = devices.strategy()
    if given.get("devices"):
        shares = [tf.config.LogicalDeviceConfiguration() for _ in range(given["devices"])]
        tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], shares)
        strategy = tf.distribute.MirroredStrategy([f"CPU:{number}" for number in range(given["devices"])])
    if given.get("float64"):
        compute_in_float64()
    folder = Path(given["folder"])
    result = train(
        storage.from_json(RecordsManifest, given["train"]),
        storage.from_json(RecordsManifest, given["val"]),
        folder,
        TrainParameters(**given["parameters"]),
        skeleton.get("openpose18"),
        strategy,
        RunParameters(**given.get("run", {})),
    )
    temporary = folder / f"weights-{os.getpid()}.npz"
    np.savez(temporary, *result.model.get_weights())
    temporary.rename(folder / f"weights{devices.worker_suffix()}.npz")


def compute_in_float64() -> None:
    """Computes so precisely that rounding neither hides a difference nor makes one."""
    keras.config.set_floatx("float64")
    step._POLICIES["float32"] = "float64"
    losses = loss.losses

    def precise(outputs: list, maps: tf.Tensor, mask: tf.Tensor, *others: Any) -> dict[str, tf.Tensor]:
        values = losses(outputs, tf.cast(maps, tf.float64), tf.cast(mask, tf.float64), *others)
        return {name: tf.cast(value, tf.float32) for name, value in values.items()}

    loss.losses = precise  # type: ignore[assignment]


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
