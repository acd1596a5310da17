"""The devices that share a training: one, the GPUs of this machine, or those of several machines."""

from __future__ import annotations

import json
import os
import re
import socket
import sys
import time
from collections.abc import Sequence
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
    _warn_of_unusable(visible[: max(gpus, 1)])
    if os.environ.get("TF_CONFIG"):
        tf.config.set_visible_devices(visible[: max(gpus, 1)], "GPU")
        meet(*_cluster(os.environ["TF_CONFIG"]))
        return tf.distribute.MultiWorkerMirroredStrategy()
    if gpus > 1:
        return tf.distribute.MirroredStrategy([f"GPU:{number}" for number in range(gpus)])
    return tf.distribute.get_strategy()


def _warn_of_unusable(gpus: list[tf.config.PhysicalDevice]) -> None:
    """Names each GPU that this TensorFlow cannot use: TensorFlow itself fails later, and does not say why."""
    import tensorflow as tf

    built_for = tf.sysconfig.get_build_info().get("cuda_compute_capabilities", [])
    for gpu in gpus:
        details = tf.config.experimental.get_device_details(gpu)
        problem = unusable(built_for, details.get("compute_capability"))
        if problem:
            print(f"warning: {gpu.name} ({details.get('device_name')}) {problem}", file=sys.stderr, flush=True)


def unusable(built_for: Sequence[str], capability: tuple[int, int] | None) -> str:
    """Why TensorFlow cannot use a GPU of this compute capability, and what to do; empty if it can.

    A GPU runs code that was built for its own major version, up to its minor one. CUDA also promises to compile the PTX
    of an older major version. With TensorFlow that fails on Blackwell (12.0): CUDA_ERROR_INVALID_PTX, see TensorFlow's
    issues 89272, 97387 and 101746. So only the major version counts here.

    Args:
        built_for: compute capabilities, as `tf.sysconfig.get_build_info()` lists them. The wheels of TensorFlow 2.21
            have sm_60, sm_70, sm_80 and sm_89 (code), and compute_90 (PTX). Empty if TensorFlow was built without CUDA.
        capability: major and minor version of the GPU; None if it has none, as one that is not NVIDIA's.
    """
    versions = sorted(_version(name) for name in built_for)
    if not versions or capability is None or any(v[0] == capability[0] and v <= capability for v in versions):
        return ""
    names = ", ".join(f"{major}.{minor}" for major, minor in versions)
    return (
        f"has compute capability {capability[0]}.{capability[1]}, but this TensorFlow was built for {names}, and is "
        "known to fail on others; if the training fails now, use a TensorFlow that was built for this GPU, such as "
        "that of NVIDIA's container nvcr.io/nvidia/tensorflow, or another GPU, or none: CUDA_VISIBLE_DEVICES=-1"
    )


def _version(name: str) -> tuple[int, int]:
    """Major and minor version in sm_89, sm_90a, compute_120 or 12.0."""
    digits = re.sub(r"\D", "", name)
    return int(digits[:-1]), int(digits[-1])


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
