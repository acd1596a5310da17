"""Trains on a machine of a JobSet: `components.train` with exit codes from which the JobSet decides what follows.

| exit code | meaning | what follows |
|---|---|---|
| 0 | the training is done | nothing |
| 78, `EX_CONFIG` of sysexits.h | the training cannot use its parameters or data | no other try |
| 143 | SIGTERM came, here or on another machine, and a checkpoint was written | all start again; not a failure |
| any other | a failure | all start again, twice at most |
"""

import os
import sys
import threading
import time
import traceback
from typing import Any

from components import command
from components.train.machine import DISPATCHER, JOB_SET, REFUSED, STOPPED, WORKER_PROGRAM, WORKFLOW
from components.train.train import train
from openpose.errors import InputError, ServiceLost
from openpose.training import sigterm
from openpose.training.devices import worker_suffix

AGAIN = 600.0  # seconds until it asks Kubernetes again, which did not answer
WAIT = 180.0  # seconds, longer than a machine may take to end or Kubernetes to notice that a node is lost


def main() -> int:
    """Runs the command line; returns the exit code."""
    is_first = not worker_suffix()
    if os.environ.get(WORKFLOW) and is_first:
        threading.Thread(target=_end_with_run, daemon=True).start()
    # The variable keeps the server, which ends with the last reference to it.
    _server = _dispatcher() if os.environ.get(DISPATCHER) and is_first else None
    try:
        code = command.run(train, WORKER_PROGRAM)
        if code != ServiceLost.exit_code:
            return REFUSED if code == InputError.exit_code else code
    except sigterm.Interrupted:
        return STOPPED
    except Exception as error:
        traceback.print_exc()
        if not _is_of_another_machine(error):
            return 1
    # That machine says what happened, but it may take longer to end. This one's exit code would hide the reason.
    with sigterm.deferred() as stop:
        print("another machine was lost; waiting for what Kubernetes says of it", file=sys.stderr, flush=True)
        return STOPPED if stop.wait(WAIT) else 1


def _dispatcher() -> Any:
    """The server that distributes the training's work to its data workers."""
    from openpose.training import data_service  # here because TensorFlow takes seconds to import

    return data_service.dispatcher(int(os.environ[DISPATCHER]))


def _end_with_run() -> None:
    """Has this training deleted when its run ends."""
    from components.train import group  # here because Kubernetes' client takes a second to import

    while True:
        try:
            return group.end_with_run(os.environ[JOB_SET], os.environ[WORKFLOW])
        except Exception as error:  # the training goes on
            print(f"warning: this training may outlive its run: {error}", file=sys.stderr, flush=True)
            time.sleep(AGAIN)


def _is_of_another_machine(error: Exception) -> bool:
    """Whether an error can be that of a collective operation that lost its peer."""
    from tensorflow import errors  # here because TensorFlow takes seconds to import

    lost = (errors.UnavailableError, errors.AbortedError, errors.CancelledError, errors.InternalError)
    return isinstance(error, (*lost, errors.DeadlineExceededError))


if __name__ == "__main__":
    code = main()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    if code:
        os._exit(code)  # at Python's own end TensorFlow waits for machines that may be gone
