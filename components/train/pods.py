"""The objects of Kubernetes that a training on several machines is made of.

An Indexed Job has a pod for each machine, made like the pod of the step that starts it, and a headless Service gives
the pods names that do not change. The completion index of a pod is its number in TF_CONFIG.
"""

import json
from collections.abc import Sequence
from typing import Any

from components.train.machine import MACHINE, POD, Machine
from openpose.training import devices

RUN = "pipeline/runid"  # Kubeflow's label of the pods of a run, which the network policy goes by
INDEX = "batch.kubernetes.io/job-completion-index"
JOB = "batch.kubernetes.io/job-name"
QUEUE = "kueue.x-k8s.io/queue-name"
NAME = "openpose-train"
PORT = 2222
GRACE = 60  # seconds to write a checkpoint in when a pod is to end
FORGET = 60  # seconds after which Kubernetes removes a Job that has ended and that nobody removed

_INDEX_VARIABLE = "JOB_COMPLETION_INDEX"
_OF_THE_STEP = (MACHINE, POD, "KFP_", "ARGO_")  # how variables begin that are not for the training
_RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}

Object = dict[str, Any]


def labels(step: Object) -> dict[str, str]:
    """By which the objects of a run's training are found."""
    return {"app.kubernetes.io/name": NAME, RUN: step["metadata"]["labels"][RUN]}


def job(
    step: Object, name: str, command: Sequence[str], machines: int, gpus: int, machine: Machine, lease: int
) -> Object:
    """The Job of a group. It fails with the first pod that fails: then all have to start anew.

    Args:
        step: the pod of the step that starts it; the group goes when it is deleted.
        name: of the Job, and of the Service.
        command: of each machine's training.
        machines: how many.
        gpus: of each.
        machine: what each asks for.
        lease: the group ends after so many seconds, unless the step raises the number in time.
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
            "completions": machines,
            "parallelism": machines,
            "backoffLimit": 0,
            "activeDeadlineSeconds": lease,
            "ttlSecondsAfterFinished": FORGET,
            "template": _pod(step, name, command, machines, gpus, machine),
        },
    }


def service(made: Object) -> Object:
    """The Service of a group's Job, which goes with it. It knows pods also before they are ready."""
    name = made["metadata"]["name"]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": name,
            "labels": {key: value for key, value in made["metadata"]["labels"].items() if key != QUEUE},
            "ownerReferences": [_owner("batch/v1", "Job", made)],
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


def _pod(step: Object, name: str, command: Sequence[str], machines: int, gpus: int, machine: Machine) -> Object:
    """The template of the pods: image, variables, volumes, account and place are those of the step's pod."""
    like = step["spec"]
    main = next(container for container in like["containers"] if container["name"] == "main")
    wanted = {volume["name"]: volume for volume in like.get("volumes", []) if _is_for_training(volume)}
    mounts = [mount for mount in main.get("volumeMounts", []) if mount["name"] in wanted]
    mounted = {mount["name"] for mount in mounts}
    container = {
        "name": "train",
        "image": main["image"],
        "imagePullPolicy": main.get("imagePullPolicy", "IfNotPresent"),
        "command": list(command),
        "env": _variables(main, name, machines, machine),
        "resources": machine.resources(gpus),
        "securityContext": main.get("securityContext", {}) | _RESTRICTED,
        # An error's last lines are in the pod's status then.
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": mounts,
    }
    spec = {
        "containers": [container],
        "restartPolicy": "Never",
        "subdomain": name,
        "terminationGracePeriodSeconds": GRACE,
        "automountServiceAccountToken": False,  # a training asks Kubernetes for nothing
        "volumes": [volume for name, volume in wanted.items() if name in mounted],
    }
    same = ["serviceAccountName", "imagePullSecrets", "securityContext", "runtimeClassName"]
    same += ["nodeSelector", "affinity", "tolerations", "schedulerName", "priorityClassName"]
    side = {key: value for key, value in step["metadata"].get("annotations", {}).items() if "istio.io/" in key}
    return {
        "metadata": {"labels": labels(step), "annotations": side},
        "spec": spec | {key: like[key] for key in same if key in like},
    }


def _is_for_training(volume: Object) -> bool:
    """Not so what KFP, Argo and Kubernetes give the step: folders on the node's disk, and its token."""
    return "projected" not in volume and volume.get("emptyDir", {"medium": "Memory"}).get("medium") == "Memory"


def _variables(main: Object, name: str, machines: int, machine: Machine) -> list[Object]:
    """The step's own variables, and those by which the machines find each other."""
    own = [variable for variable in main.get("env", []) if not variable["name"].startswith(_OF_THE_STEP)]
    addresses = [f"{name}-{number}.{name}:{PORT}" for number in range(machines)]
    cluster = json.dumps({"worker": addresses})
    # Kubernetes puts the value of a variable that stands before in place of $(…).
    task = f'{{"type": "worker", "index": $({_INDEX_VARIABLE})}}'
    index = {"fieldRef": {"fieldPath": f"metadata.annotations['{INDEX}']"}}
    patience = str(round(machine.wait_minutes * 60) + GRACE)  # the step gives up first, as it knows why
    return [
        *own,
        {"name": _INDEX_VARIABLE, "valueFrom": index},
        {"name": "TF_CONFIG", "value": f'{{"cluster": {cluster}, "task": {task}}}'},
        {"name": devices.PATIENCE_VARIABLE, "value": patience},
    ]
