"""Starts a training on several machines of a Kubernetes cluster, and watches it.

The step itself does not train, so its pod needs little. It creates the JobSet of `components/train/pods.py`, which
starts all machines again from the last checkpoint when one fails, and prints the first machine's log as its own. When
Kubernetes makes the step's pod again, it finds the JobSet and goes on watching. The JobSet ends with the training, with
a failed or stopped run, whose last step deletes it, and at the latest with the run's workflow, which owns it.
"""

import os
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from kubernetes import client, config
from kubernetes.client.exceptions import ApiException
from kubernetes.config.config_exception import ConfigException
from urllib3.exceptions import HTTPError

from components.train import pods
from components.train.cluster import Cluster, NotFound
from components.train.machine import MACHINE, POD, Machine
from components.train.pods import Training
from components.train.watch import Watch
from openpose import progress
from openpose.errors import InputError
from openpose.training import sigterm

WORKFLOW = "workflows.argoproj.io/workflow"  # Argo's label on the pods of a workflow
LEAVE = 900.0  # seconds that the pods of a deleted JobSet have to end; on a lost node they may never do
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
        Interrupted: SIGTERM came; if the run was stopped, the pods write a checkpoint and end.
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


def end_run(run: str) -> None:
    """Deletes the JobSets of a run that has ended; does nothing outside of a cluster.

    Kubeflow's launcher ends a stopped step at once, so the step itself has no time to.
    """
    with suppress(ConfigException, OSError):
        config.load_incluster_config()
        delete_all(Cluster(client.ApiClient(), NAMESPACE.read_text(), threading.Event()), run)


def delete_all(cluster: Cluster, run: str) -> None:
    """Deletes all JobSets of a run, and prints their names, or why that cannot be done."""
    try:
        for name in cluster.delete_all(run):
            print(f"machines: the JobSet {name} was deleted, as its run has ended", flush=True)
    except (ApiException, HTTPError) as error:
        reason = getattr(error, "reason", None) or error
        print(
            f"warning: machines of this run may still train (Kubernetes: {reason}); this ends them: kubectl delete "
            f"jobset -l {pods.RUN}={run}",
            file=sys.stderr,
        )


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
        except sigterm.Interrupted:
            # Kubernetes makes the step's pod again, unless the run was stopped.
            workflow = step["metadata"]["labels"].get(WORKFLOW)
            if workflow is None or self.cluster.is_ending(workflow):
                self.cluster.delete(name)
            raise
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
        print(f"machines: {self.training.machines} pods of the JobSet {name}", flush=True)
