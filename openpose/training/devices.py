"""The devices that share a training: one, the GPUs of this machine, or those of several machines."""

import json
import os
import socket
import time
from contextlib import ExitStack, suppress
from typing import Any

import tensorflow as tf

from openpose.errors import InputError

PATIENCE = 300.0  # seconds for the other workers to come; a cluster may still be pulling their images
PATIENCE_VARIABLE = "OPENPOSE_PATIENCE"  # environment variable with another number
_RETRY = 0.5  # seconds


def strategy(gpus: int = 0) -> tf.distribute.Strategy:
    """The strategy for so many GPUs; with TF_CONFIG in the environment, that of several workers.

    To be called before TensorFlow's first operation when there are several workers.

    Args:
        gpus: of each machine; 0 for one device, a GPU where there is one.

    Raises:
        InputError: fewer GPUs are visible, TF_CONFIG cannot be used, or another worker does not come.
    """
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
    """Whether this process is the one that writes files: the only one, or the first worker."""
    resolver = strategy.cluster_resolver
    return resolver is None or resolver.task_type == "chief" or (resolver.task_id == 0 and _no_chief(resolver))


def _no_chief(resolver: tf.distribute.cluster_resolver.ClusterResolver) -> bool:
    return "chief" not in resolver.cluster_spec().as_dict()


def worker_suffix() -> str:
    """What tells this worker from the chief in a name: "" for the chief and without TF_CONFIG, else such as -worker1.

    Raises:
        InputError: TF_CONFIG cannot be used.
    """
    text = os.environ.get("TF_CONFIG")
    if not text:
        return ""
    _cluster(text)
    task, cluster = json.loads(text)["task"], json.loads(text)["cluster"]
    chief = task["type"] == "chief" or (task["index"] == 0 and "chief" not in cluster)
    return "" if chief else f"-{task['type']}{task['index']}"


def _cluster(text: str) -> tuple[str, list[str]]:
    """This worker's address and the others', from TF_CONFIG."""
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
        raise InputError(f"TF_CONFIG: task {task} is no chief or worker of the cluster; it must be like {example}")
    return own, [address for address in addresses if address != own]


def meet(own: str, others: list[str], patience: float | None = None) -> None:
    """Waits until every other worker has been seen at its address. TensorFlow itself would wait without end.

    Each worker listens at its own address until it has seen all others; then TensorFlow's server takes the address
    over, which others see as well as this.

    Raises:
        InputError: one has not come in time, or the own address is taken.
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
            while not _answers(address):
                if time.monotonic() > end:
                    raise InputError(
                        f"worker {address} has not come within {patience:.0f} s; start the same command there, with "
                        "its own TF_CONFIG, and see to it that this machine can reach that address"
                    )
                time.sleep(_RETRY)


def _answers(address: str) -> bool:
    host, _, port = address.rpartition(":")
    with suppress(OSError), socket.create_connection((host, int(port)), timeout=_RETRY):
        return True
    return False
