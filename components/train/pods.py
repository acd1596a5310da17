"""The Kubernetes objects of a training on several machines.

An Indexed Job runs a pod on each machine, made like the pod of the step that starts it. A headless Service gives the
pods stable names. A pod's completion index is its number in TF_CONFIG.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from components.train.machine import MACHINE, NAME_LABEL, POD, TRAIN, Machine
from openpose.training import devices

RUN = "pipeline/runid"  # Kubeflow's label on the pods of a run
INDEX = "batch.kubernetes.io/job-completion-index"
JOB = "batch.kubernetes.io/job-name"
QUEUE = "kueue.x-k8s.io/queue-name"
PORT = 2222
LEASE = 180  # seconds that a group outlives a step which no longer renews it
GRACE = 60  # seconds that a pod has to write a checkpoint when it is told to end
FORGET = 60  # seconds until Kubernetes removes a finished Job that nobody removed

_INDEX_VARIABLE = "JOB_COMPLETION_INDEX"
_STEP_ONLY = (MACHINE, POD, "KFP_", "ARGO_")  # prefixes of environment variables the training must not inherit
_RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}
# The fields of the step's pod that the training's pods copy.
_SAME = (
    *("serviceAccountName", "imagePullSecrets", "securityContext", "runtimeClassName"),
    *("nodeSelector", "affinity", "tolerations", "schedulerName", "priorityClassName"),
)

Object = dict[str, Any]


@dataclass(frozen=True)
class Training:
    """What runs in a group.

    Attributes:
        command: starts the training on each machine.
        machines: how many.
        gpus: of each machine.
        machine: the resources of each machine.
    """

    command: Sequence[str]
    machines: int
    gpus: int
    machine: Machine


def labels(step: Object) -> dict[str, str]:
    """The labels of all objects of a run's training."""
    return {NAME_LABEL: TRAIN, RUN: step["metadata"]["labels"][RUN]}


def machine(pod: Object) -> int:
    """The number of a pod's machine."""
    return int(pod["metadata"]["annotations"][INDEX])


def job(step: Object, name: str, training: Training) -> Object:
    """The Job of a group; it fails with the first pod that fails, because then all machines must restart.

    Args:
        step: the pod of the step that starts it; Kubernetes deletes the group with this pod.
        name: of the Job and of the Service.
        training: what runs.
    """
    queue = step["metadata"]["labels"].get(QUEUE)
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name,
            "labels": labels(step) | ({QUEUE: queue} if queue else {}),
            "ownerReferences": [_owner("v1", "Pod", step)],
        },
        "spec": {
            "completionMode": "Indexed",
            "completions": training.machines,
            "parallelism": training.machines,
            "backoffLimit": 0,
            "activeDeadlineSeconds": LEASE,
            "ttlSecondsAfterFinished": FORGET,
            "template": _pod(step, name, training),
        },
    }


def service(job: Object) -> Object:
    """The Service of a group, owned by its Job; it resolves pods before they are ready."""
    name = job["metadata"]["name"]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": name,
            "labels": {key: value for key, value in job["metadata"]["labels"].items() if key != QUEUE},
            "ownerReferences": [_owner("batch/v1", "Job", job)],
        },
        "spec": {
            "clusterIP": "None",
            "publishNotReadyAddresses": True,
            "selector": {JOB: name},
            "ports": [{"name": "training", "port": PORT}],
        },
    }


def _owner(version: str, kind: str, owner: Object) -> Object:
    metadata = owner["metadata"]
    return {"apiVersion": version, "kind": kind, "name": metadata["name"], "uid": metadata["uid"]}


def _pod(step: Object, name: str, training: Training) -> Object:
    """The template of the pods, with the image, variables, volumes, account and placement of the step's pod."""
    like = step["spec"]
    main = next(container for container in like["containers"] if container["name"] == "main")
    volumes = {volume["name"]: volume for volume in like.get("volumes", []) if _is_for_training(volume)}
    mounts = [mount for mount in main.get("volumeMounts", []) if mount["name"] in volumes]
    mounted = {mount["name"] for mount in mounts}
    spec = {
        "containers": [_container(main, name, training) | {"volumeMounts": mounts}],
        "restartPolicy": "Never",
        "subdomain": name,
        "terminationGracePeriodSeconds": GRACE,
        "automountServiceAccountToken": False,  # a training never calls Kubernetes
        "volumes": [volume for name, volume in volumes.items() if name in mounted],
    }
    side = {key: value for key, value in step["metadata"].get("annotations", {}).items() if "istio.io/" in key}
    return {
        "metadata": {"labels": labels(step), "annotations": side},
        "spec": spec | {key: like[key] for key in _SAME if key in like},
    }


def _container(main: Object, name: str, training: Training) -> Object:
    """The container of each pod, like the step's `main` container."""
    return {
        "name": "train",
        "image": main["image"],
        "imagePullPolicy": main.get("imagePullPolicy", "IfNotPresent"),
        "command": list(training.command),
        "env": _variables(main, name, training),
        "resources": training.machine.resources(training.gpus),
        "securityContext": main.get("securityContext", {}) | _RESTRICTED,
        "terminationMessagePolicy": "FallbackToLogsOnError",  # puts an error's last lines into the pod's status
    }


def _is_for_training(volume: Object) -> bool:
    """False for what KFP, Argo and Kubernetes add to the step: folders on the node's disk, and its token."""
    return "projected" not in volume and volume.get("emptyDir", {"medium": "Memory"}).get("medium") == "Memory"


def _variables(main: Object, name: str, training: Training) -> list[Object]:
    """The step's own variables, and those by which the machines find each other."""
    own = [variable for variable in main.get("env", []) if not variable["name"].startswith(_STEP_ONLY)]
    addresses = [f"{name}-{number}.{name}:{PORT}" for number in range(training.machines)]
    cluster = json.dumps({"worker": addresses})
    # Kubernetes replaces $(…) by the value of a variable that stands earlier in the list.
    task = f'{{"type": "worker", "index": $({_INDEX_VARIABLE})}}'
    index = {"fieldRef": {"fieldPath": f"metadata.annotations['{INDEX}']"}}
    patience = str(round(training.machine.wait_minutes * 60) + GRACE)  # longer than the step, which knows the reason
    return [
        *own,
        {"name": _INDEX_VARIABLE, "valueFrom": index},
        {"name": "TF_CONFIG", "value": f'{{"cluster": {cluster}, "task": {task}}}'},
        {"name": devices.PATIENCE_VARIABLE, "value": patience},
    ]
