"""Batches made by other machines: tf.data's service.

    python -m openpose.data_service dispatcher --port 5050                     (on one machine)
    python -m openpose.data_service worker --dispatcher host:5050              (on each that is to make batches)
    python -m components.train … --remote-data grpc://host:5050                (the training)

All of them must see the records' folder under the same path. With one worker the batches and their order are those that
the training would make itself; with several each makes whole epochs of its own, in turn, and each sample still comes
once in each of these.
"""

import argparse
import queue
import re
import socket
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import tensorflow as tf

from openpose import storage
from openpose.errors import InputError

PATIENCE = 60.0  # seconds that a service may be away before the training ends


def distribute(dataset: tf.data.Dataset, records: dict[str, Any], address: str) -> tf.data.Dataset:
    """The same elements, made by the service at an address grpc://host:port.

    Raises:
        InputError: the address cannot be used, nobody is there, or the records are in a bucket.
    """
    if not re.fullmatch(r"grpc://[^/:]+:\d+", address):
        raise InputError(f"remote data {address!r}: the address must be like grpc://host:5050")
    if not storage.is_local(storage.path(records["folder"])):
        raise InputError(f"{records['folder']}: a data service reads records from folders only, not from a bucket")
    if not answers(address.removeprefix("grpc://")):
        raise InputError(f"remote data {address}: nobody is there; start python -m openpose.data_service dispatcher")
    policy = tf.data.experimental.service.ShardingPolicy.DYNAMIC
    return dataset.apply(tf.data.experimental.service.distribute(policy, address)).prefetch(2)


def answers(address: str) -> bool:
    """Whether somebody listens at host:port."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=5):
            return True
    except OSError:
        return False


def patient(elements: Iterator[Any], address: str) -> Iterator[Any]:
    """The same elements, until the service has been away for too long. TensorFlow itself would wait without end.

    Raises:
        InputError: nobody is at the address any more, or the service has lost the work.
    """
    ready: queue.Queue[Any] = queue.Queue(1)
    threading.Thread(target=_fetch, args=(elements, ready), daemon=True).start()
    seen = time.monotonic()
    while True:
        try:
            element = ready.get(timeout=min(5.0, PATIENCE))
        except queue.Empty:
            if answers(address.removeprefix("grpc://")):
                seen = time.monotonic()
            elif time.monotonic() - seen > PATIENCE:
                raise _gone(address, f"nobody has been there for {PATIENCE:.0f} s") from None
            continue
        if isinstance(element, Exception):
            raise _gone(address, str(element).splitlines()[0]) from element
        seen = time.monotonic()
        yield element


def _fetch(elements: Iterator[Any], ready: queue.Queue[Any]) -> None:
    try:
        for element in elements:
            ready.put(element)
    except Exception as error:  # the one who waits raises it
        ready.put(error)


def _gone(address: str, why: str) -> InputError:
    return InputError(
        f"remote data {address}: {why}; start the data service again, then the same training: it goes on from its last "
        "checkpoint"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a dispatcher or a worker until it is stopped."""
    options = _parser().parse_args(arguments)
    service = tf.data.experimental.service
    try:
        if options.role == "dispatcher":
            state = {"work_dir": options.state, "fault_tolerant_mode": True} if options.state else {}
            server = service.DispatchServer(service.DispatcherConfig(port=options.port, **state))
            print(f"dispatcher at {server.target}", flush=True)
        else:
            if not answers(options.dispatcher):
                raise InputError(f"dispatcher {options.dispatcher}: nobody is there; start it first")
            own = options.address or f"{socket.getfqdn()}:{options.port}"
            config = service.WorkerConfig(dispatcher_address=options.dispatcher, worker_address=own, port=options.port)
            server = service.WorkerServer(config)
            print(f"worker at {own} for {options.dispatcher}", flush=True)
    except (InputError, tf.errors.OpError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    server.join()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m openpose.data_service", description="Makes batches for trainings.")
    roles = parser.add_subparsers(dest="role", required=True)
    dispatcher = roles.add_parser("dispatcher", help="hands the work out; a training is told its address")
    dispatcher.add_argument("--port", type=int, default=5050, help="(default: %(default)s)")
    dispatcher.add_argument("--state", help="folder with which a dispatcher that is started again goes on")
    worker = roles.add_parser("worker", help="makes batches")
    worker.add_argument("--dispatcher", required=True, metavar="HOST:PORT", help="the dispatcher's address")
    worker.add_argument("--port", type=int, default=5051, help="(default: %(default)s)")
    worker.add_argument("--address", metavar="HOST:PORT", help="of this worker for trainings (default: its name)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
