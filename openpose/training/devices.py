"""The devices that share a training: one, the GPUs of this machine, or those of several machines."""

from __future__ import annotations

import json
import os
import socket
import time
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

from openpose import retry
from openpose.errors import InputError
from openpose.training.sockets import answers

if TYPE_CHECKING:
    import tensorflow as tf

PATIENCE = 300.0  # seconds to wait for the other workers; a cluster may still be pulling their images
PATIENCE_VARIABLE = "OPENPOSE_PATIENCE"  # environment variable that overrides it
_PAUSE = 0.5  # seconds between two attempts to reach a worker


def strategy(gpus: int = 0) -> tf.distribute.Strategy:
    """The strategy for this machine's devices or, with TF_CONFIG in the environment, for several workers.

    With several workers, call it before TensorFlow's first operation.

    Args:
        gpus: GPUs of each machine; 0 for one device, a GPU if there is one.

    Raises:
        InputError: fewer GPUs are visible, TF_CONFIG cannot be used, or another worker does not appear.
    """
    import tensorflow as tf  # here, because what else is in this module is needed before it

    visible = tf.config.list_physical_devices("GPU")
    if gpus < 0 or gpus > len(visible):
        raise InputError(f"gpus is {gpus}, but {len(visible)} are visible here; give at most that, or 0 for one device")
    if os.environ.get("TF_CONFIG"):
        tf.config.set_visible_devices(visible[: max(gpus, 1)], "GPU")
        meet(*_cluster(os.environ["TF_CONFIG"]))
        return tf.distribute.MultiWorkerMirroredStrategy()
    if gpus > 1:
        return tf.distribute.MirroredStrategy([f"GPU:{number}" for number in range(gpus)])
    return tf.distribute.get_strategy()


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Whether this process writes files: it is the only one, the chief, or the first worker where there is no chief."""
    resolver = strategy.cluster_resolver
    return resolver is None or _leads(resolver.task_type, resolver.task_id, resolver.cluster_spec().as_dict())


def worker_suffix() -> str:
    """Suffix for a worker's own files, such as -worker1; empty for the chief and without TF_CONFIG.

    Raises:
        InputError: TF_CONFIG cannot be used.
    """
    text = os.environ.get("TF_CONFIG")
    if not text:
        return ""
    _cluster(text)
    task, cluster = json.loads(text)["task"], json.loads(text)["cluster"]
    return "" if _leads(task["type"], task["index"], cluster) else f"-{task['type']}{task['index']}"


def _leads(job: str, index: int, cluster: dict[str, Any]) -> bool:
    return job == "chief" or (index == 0 and "chief" not in cluster)


def _cluster(text: str) -> tuple[str, list[str]]:
    """This worker's address and the others', from the text of TF_CONFIG."""
    example = '{"cluster": {"worker": ["host0:2222", "host1:2222"]}, "task": {"type": "worker", "index": 0}}'
    try:
        config: dict[str, Any] = json.loads(text)
        cluster, task = config["cluster"], config["task"]
        own = cluster[task["type"]][task["index"]]
        addresses = [address for job in ("chief", "worker") for address in cluster.get(job, [])]
        ports = [int(address.rpartition(":")[2]) for address in addresses]
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise InputError(
            f"TF_CONFIG is {text!r}, which cannot be used ({type(error).__name__}: {error}); "
            f"it must be JSON like {example}"
        ) from error
    if own not in addresses or not all(ports):
        raise InputError(f"TF_CONFIG: task {task} is not a chief or worker of the cluster; it must be like {example}")
    return own, [address for address in addresses if address != own]


def meet(own: str, others: list[str], patience: float | None = None) -> None:
    """Waits until every other worker answers at its address. TensorFlow itself would wait forever.

    Each worker listens at its own address until all others have answered. Then TensorFlow's server takes the address
    over; to the others it answers as well.

    Raises:
        InputError: a worker has not appeared in time, or this worker's port is taken.
    """
    patience = float(os.environ.get(PATIENCE_VARIABLE, PATIENCE)) if patience is None else patience
    end = time.monotonic() + patience
    port = int(own.rpartition(":")[2])
    with ExitStack() as stack:
        try:
            stack.enter_context(socket.create_server(("", port), reuse_port=True))
        except OSError as error:
            raise InputError(f"TF_CONFIG: this worker cannot listen on port {port} ({error.strerror})") from error
        for address in others:
            if not retry.until(partial(_seen, address), seconds=end - time.monotonic(), pause=_PAUSE):
                raise InputError(
                    f"worker {address} has not come within {patience:.0f} s; start the same command there with its "
                    "own TF_CONFIG, and make sure that this machine can reach that address"
                )


def _seen(address: str) -> bool | None:
    return answers(address, seconds=_PAUSE) or None
