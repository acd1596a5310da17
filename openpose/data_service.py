"""Makes batches for trainings on other machines, with tf.data's service.

    python -m openpose.data_service dispatcher --port 5050                     (on one machine)
    python -m openpose.data_service worker --dispatcher host:5050              (on each machine that makes batches)
    python -m components.train … --remote-data grpc://host:5050                (the training)

All machines must see the records' folder under the same path. With one worker, the batches and their order are those
that the training would make itself. With several, each makes whole epochs of its own in turn; in each of these every
sample still comes once.
"""

import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import tyro

from openpose.errors import InputError
from openpose.training.sockets import answers


@dataclass(frozen=True)
class Dispatcher:
    """Distributes the work to the workers; trainings are given its address."""

    port: int = 5050
    """Port to listen on."""
    state: str = ""
    """Folder in which it keeps its state, so that a restarted dispatcher continues."""

    def start(self, service: Any) -> Any:
        """Starts the server of `tf.data.experimental.service`."""
        state = {"work_dir": self.state, "fault_tolerant_mode": True} if self.state else {}
        server = service.DispatchServer(service.DispatcherConfig(port=self.port, **state))
        print(f"dispatcher at {server.target}", flush=True)
        return server


@dataclass(frozen=True)
class Worker:
    """Makes batches."""

    dispatcher: str
    """Address of the dispatcher, host:port."""
    port: int = 5051
    """Port to listen on."""
    address: str = ""
    """Address host:port under which trainings reach this worker; by default this machine's name and the port."""

    def start(self, service: Any) -> Any:
        """Starts the server of `tf.data.experimental.service`."""
        if not answers(self.dispatcher, seconds=5):
            raise InputError(f"dispatcher {self.dispatcher}: no dispatcher answers there; start it first")
        own = self.address or f"{socket.getfqdn()}:{self.port}"
        config = service.WorkerConfig(dispatcher_address=self.dispatcher, worker_address=own, port=self.port)
        server = service.WorkerServer(config)
        print(f"worker at {own} for {self.dispatcher}", flush=True)
        return server


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a dispatcher or a worker until it is stopped."""
    role: Dispatcher | Worker = tyro.cli(
        Dispatcher | Worker,
        prog="python -m openpose.data_service",
        description="Makes batches for trainings on other machines, with tf.data's service.",
        args=arguments,
    )
    import tensorflow as tf  # here, so that --help does not wait for it

    try:
        server = role.start(tf.data.experimental.service)
    except (InputError, tf.errors.OpError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    server.join()
    return 0


if __name__ == "__main__":
    sys.exit(main())
