"""Batches made by other processes with tf.data's service, which `python -m openpose.data_service` runs."""

import queue
import re
import threading
import time
from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from openpose.errors import InputError, ServiceLost
from openpose.training.sockets import answers

PATIENCE = 60.0  # seconds without an answer after which the training ends
_TIMEOUT = 5.0  # seconds to wait for a batch, or for an answer, before looking again


def dispatcher(port: int, state: str = "") -> Any:
    """A running server that distributes trainings' work to data workers; it ends with its last reference.

    Args:
        port: to listen on.
        state: folder in which it keeps its state, so that a restarted one continues; empty for none.
    """
    kept = {"work_dir": state, "fault_tolerant_mode": True} if state else {}
    service = tf.data.experimental.service
    return service.DispatchServer(service.DispatcherConfig(port=port, **kept))


def distribute(dataset: tf.data.Dataset, address: str) -> tf.data.Dataset:
    """The same elements, made by the service at the address grpc://host:port.

    Raises:
        InputError: the address cannot be used, or no service answers there.
    """
    if not re.fullmatch(r"grpc://[^/:]+:\d+", address):
        raise InputError(f"remote data {address!r}: the address must be like grpc://host:5050")
    if not answers(address.removeprefix("grpc://"), _TIMEOUT):
        raise InputError(
            f"remote data {address}: no service answers there; start python -m openpose.data_service dispatcher"
        )
    policy = tf.data.experimental.service.ShardingPolicy.DYNAMIC
    return dataset.prefetch(2).apply(tf.data.experimental.service.distribute(policy, address)).prefetch(2)


def patient(elements: Iterator[Any], address: str) -> Iterator[Any]:
    """The same elements, with an error when the service has disappeared. TensorFlow itself would wait forever.

    Raises:
        ServiceLost: the service has not answered for `PATIENCE` seconds, or has lost its state.
    """
    ready: queue.Queue[Any] = queue.Queue(1)
    threading.Thread(target=_fetch, args=(elements, ready), daemon=True).start()
    seen = time.monotonic()
    while True:
        try:
            element = ready.get(timeout=min(_TIMEOUT, PATIENCE))
        except queue.Empty:
            if answers(address.removeprefix("grpc://"), _TIMEOUT):
                seen = time.monotonic()
            elif time.monotonic() - seen > PATIENCE:
                raise _gone(address, f"no answer for {PATIENCE:.0f} s") from None
            continue
        if isinstance(element, Exception):
            raise _gone(address, str(element).splitlines()[0]) from element
        seen = time.monotonic()
        yield element


def _fetch(elements: Iterator[Any], ready: queue.Queue[Any]) -> None:
    try:
        for element in elements:
            ready.put(element)
    except Exception as error:  # `patient` raises it
        ready.put(error)


def _gone(address: str, why: str) -> ServiceLost:
    return ServiceLost(
        f"remote data {address}: {why}; start the data service again, then the same training, which continues from its "
        "last checkpoint"
    )
