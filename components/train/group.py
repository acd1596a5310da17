"""Starts a training in pods of its own on a Kubernetes cluster, and watches it.

The step itself does not train, so its pod needs little. It creates the JobSet of `components/train/pods.py`, which
starts all machines again from the last checkpoint when one fails, and prints the first machine's log as its own. When
Kubernetes makes the step's pod again, it finds the JobSet and goes on watching. The JobSet ends with the training or
with its run: the first machine sees that a run was stopped or has failed, and the run's workflow owns the JobSet.
"""

import os
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from kubernetes import client, config
from kubernetes.config.config_exception import ConfigException

from components.train import pods
from components.train.cluster import Cluster, NotFound
from components.train.machine import DATA_MACHINE, MACHINE, POD, Machine
from components.train.pods import Training
from components.train.watch import Watch
from openpose import progress
from openpose.errors import InputError
from openpose.training import sigterm
from openpose.training.parameters import DeviceParameters

LEAVE = 900.0  # seconds that the pods of a deleted JobSet have to end; on a lost node they may never do
NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


def train(command: Sequence[str], asked: DeviceParameters, copied: str = "") -> None:
    """Trains with a pod on each machine and one for each data worker; returns when the training is done.

    Args:
        command: starts the training on each machine.
        asked: how many machines, GPUs of each, and data workers.
        copied: manifest of records in a bucket, which data workers copy; empty for records in a folder.

    Raises:
        InputError: this is not a step on a cluster, it may not start pods, the pods find no room, the training cannot
            use its parameters or data, or machines failed too often.
        Interrupted: SIGTERM came; the machines go on until Kubernetes makes the step's pod again, or the run ends.
    """
    try:
        config.load_incluster_config()
        machine, pod, namespace = Machine.from_json(os.environ[MACHINE]), os.environ[POD], NAMESPACE.read_text()
        data_machine = Machine.from_json(os.environ[DATA_MACHINE]) if asked.data_workers else None
    except (ConfigException, KeyError, OSError) as error:
        raise InputError(
            f"machines is {asked.machines} and data_workers {asked.data_workers}, but only a step of a pipeline on a "
            "cluster can start their pods; elsewhere run the same command on each machine, with its TF_CONFIG, and "
            "data workers as python -m openpose.data_service, with --remote-data"
        ) from error
    training = Training(command, asked.machines, asked.gpus, machine, asked.data_workers, data_machine, copied)
    with sigterm.deferred() as stop:
        Group(Cluster(client.ApiClient(), namespace, stop), pod, training).run()


def end_with_run(name: str, workflow: str) -> None:
    """Waits for the end of a run, and deletes its JobSet if that is still there then.

    A machine of the training calls this, because Kubeflow gives the stopped step no time to.

    Args:
        name: of the JobSet.
        workflow: of the run.
    """
    config.load_incluster_config()
    cluster = Cluster(client.ApiClient(), NAMESPACE.read_text(), threading.Event())
    cluster.delete_after(name, workflow)


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
        name = pods.name_of(step, self.training)
        self._start_or_find(pods.job_set(step, name, self.training))
        try:
            Watch(self.cluster, name, self.training).until_end()
        except InputError:
            self.cluster.delete(name)
            raise
        self.cluster.delete(name)

    def _start_or_find(self, job_set: pods.Object) -> None:
        """Creates the JobSet, or finds the one that this training has; waits while an earlier one is being deleted."""
        name, deadline = job_set["metadata"]["name"], time.monotonic() + LEAVE
        while not self.cluster.create(job_set):
            with suppress(NotFound):
                if "deletionTimestamp" not in self.cluster.job_set(name)["metadata"]:
                    print(f"machines: the JobSet {name} is there already; this step goes on watching it", flush=True)
                    return
            if time.monotonic() > deadline:
                raise InputError(
                    f"the pods of the JobSet {name} have not ended within {progress.duration(LEAVE)}, and a second "
                    "training must not write beside them; see whether their node was lost, and delete them"
                )
            self.cluster.pause()
        print(f"machines: {len(self.training.names)} pods of the JobSet {name}", flush=True)
