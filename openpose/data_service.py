"""Makes batches for trainings on other machines, with tf.data's service.

    python -m openpose.data_service dispatcher --port 5050                     (on one machine)
    python -m openpose.data_service worker --dispatcher host:5050              (on each machine that makes batches)
    python -m components.train … --remote-data grpc://host:5050                (the training)

All machines must see the records' folder under the same path; of records in a bucket each worker makes a copy
(`--records`). With one worker, the batches and their order are those that the training would make itself. With several,
each makes whole epochs of its own in turn; in each of these every sample still comes once.
"""

import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import tyro

from openpose import retry, storage
from openpose.errors import InputError, reports_errors
from openpose.records.manifest import RecordsManifest
from openpose.training.sockets import answers


@dataclass(frozen=True)
class Dispatcher:
    """Distributes the work to the workers; trainings are given its address."""

    port: int = 5050
    """Port to listen on."""
    state: str = ""
    """Folder in which it keeps its state, so that a restarted dispatcher continues."""

    def start(self) -> Any:
        """Starts the server."""
        from openpose.training import data_service  # here because TensorFlow takes seconds to import

        server = data_service.dispatcher(self.port, self.state)
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
    records: str = ""
    """Manifest of the training's records in a bucket; the worker first copies them into the folder of temporary files,
    which must have the same path here and where the training runs (TMPDIR)."""
    wait: float = 5.0
    """Seconds to wait for the dispatcher."""

    def start(self) -> Any:
        """Starts the server."""
        from tensorflow.data.experimental import service  # here because TensorFlow takes seconds to import

        from openpose.records import cache
        from openpose.training import process

        process.settle()
        if self.records:
            cache.copy(storage.open_manifest(self.records, RecordsManifest))
        if not retry.until(lambda: answers(self.dispatcher, seconds=5) or None, seconds=self.wait, pause=1.0):
            raise InputError(f"dispatcher {self.dispatcher}: no dispatcher answers there; start it first")
        own = self.address or f"{socket.getfqdn()}:{self.port}"
        config = service.WorkerConfig(dispatcher_address=self.dispatcher, worker_address=own, port=self.port)
        server = service.WorkerServer(config)
        print(f"worker at {own} for {self.dispatcher}", flush=True)
        return server


@reports_errors
def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a dispatcher or a worker until it is stopped."""
    role: Dispatcher | Worker = tyro.cli(
        Dispatcher | Worker,
        prog="python -m openpose.data_service",
        description="Makes batches for trainings on other machines, with tf.data's service.",
        args=arguments,
    )
    from tensorflow.errors import OpError  # here, so that --help does not wait for it

    try:
        server = role.start()
    except OpError as error:
        raise InputError(str(error)) from error
    server.join()
    return 0


if __name__ == "__main__":
    sys.exit(main())
