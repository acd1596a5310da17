"""Starts a training on several machines of a Kubernetes cluster and restarts it when a machine fails.

The step itself does not train, so its pod needs little. It starts the group of `components/train/pods.py`, prints the
first machine's log as its own, and when a machine fails restarts all of them from the last checkpoint. The group ends
with the step, however the step ends: a stopped step deletes the group; for a deleted step Kubernetes does, as the
step's pod owns it; a killed step no longer renews the group's lease (the Job's deadline).
"""

import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from kubernetes import client, config
from kubernetes.config.config_exception import ConfigException

from components.train import pods
from components.train.cluster import Cluster
from components.train.machine import MACHINE, POD, TRAIN, Machine
from components.train.pods import Object, Training
from components.train.watch import Watch
from openpose import progress
from openpose.errors import InputError
from openpose.training import sigterm

FAILURES = 3  # of machines; then the training has failed
LEAVE = 900.0  # seconds that the pods of an earlier attempt have to end; on a lost node they may never do
NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


def train(command: Sequence[str], machines: int, gpus: int) -> None:
    """Trains with a pod on each of several machines; returns when the training is done.

    Args:
        command: starts the training on each machine.
        machines: how many.
        gpus: of each.

    Raises:
        InputError: this is not a step on a cluster, it may not start pods, the pods find no room, the training cannot
            use its parameters or data, or machines failed too often.
        Interrupted: SIGTERM came; the pods write a checkpoint and end.
    """
    try:
        config.load_incluster_config()
        machine, pod, namespace = Machine.from_json(os.environ[MACHINE]), os.environ[POD], NAMESPACE.read_text()
    except (ConfigException, KeyError, OSError) as error:
        raise InputError(
            f"machines is {machines}, but only a step of a pipeline on a cluster can start a pod on each machine; "
            "elsewhere run the same command on each machine, with its TF_CONFIG"
        ) from error
    with sigterm.deferred() as stop:
        cluster = Cluster(client.ApiClient(), namespace, stop)
        Group(cluster, pod, Training(command, machines, gpus, machine)).run()


class Group:
    """The pods that train, as their step sees them.

    Args:
        cluster: where they run.
        pod: the name of the step's own pod.
        training: what they run.
    """

    def __init__(self, cluster: Cluster, pod: str, training: Training) -> None:
        self.cluster, self.pod, self.training = cluster, pod, training

    def run(self) -> None:
        """Trains; see `train`."""
        step = self.cluster.pod(self.pod)
        for failures in range(1, FAILURES + 1):
            self._remove_earlier(step)
            with self._started(step, f"{TRAIN}-{step['metadata']['uid'][:8]}-{failures}") as name:
                failure = Watch(self.cluster, name, self.training).until_end()
            if failure is None:
                return
            print(f"warning: {failure} (failure {failures} of at most {FAILURES})", file=sys.stderr, flush=True)
        raise InputError(
            f"a machine failed {FAILURES} times, the last time: {failure}; its log is above, the checkpoints are kept, "
            "and a run with the same parameters continues from there"
        )

    @contextmanager
    def _started(self, step: Object, name: str) -> Iterator[str]:
        """Starts a group of this name and deletes it after the block."""
        job = self.cluster.create_job(pods.job(step, name, self.training))
        try:
            self.cluster.create_service(pods.service(job))
            print(f"machines: {self.training.machines} pods of the Job {name}", flush=True)
            yield name
        finally:
            self.cluster.delete_job(name)

    def _remove_earlier(self, step: Object) -> None:
        """Deletes the Jobs of earlier attempts and waits until none of their pods can write any more."""
        deadline = time.monotonic() + LEAVE
        while left := self.cluster.jobs(pods.labels(step)):
            for job in left:
                if "deletionTimestamp" not in job["metadata"]:
                    self.cluster.delete_job(job["metadata"]["name"])
            if time.monotonic() > deadline:
                names = ", ".join(job["metadata"]["name"] for job in left)
                raise InputError(
                    f"pods of {names} have not ended within {progress.duration(LEAVE)}, and a second training must not "
                    "write beside them; see whether their node was lost, and delete them"
                )
            self.cluster.pause()
