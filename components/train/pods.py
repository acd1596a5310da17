"""The JobSet of a training on several machines (https://jobset.sigs.k8s.io).

Its Indexed Job runs a pod on each machine, made like the pod of the step that starts it. Its headless Service gives the
pods stable names. A pod's completion index is its number in TF_CONFIG.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from components.train.machine import JOB_SET, MACHINE, NAME_LABEL, POD, REFUSED, STOPPED, TRAIN, WORKFLOW, Machine
from openpose import storage
from openpose.training import devices

RUN = "pipeline/runid"  # Kubeflow's label on the pods of a run
WORKFLOW_LABEL = "workflows.argoproj.io/workflow"  # Argo's
INDEX = "batch.kubernetes.io/job-completion-index"
GROUP = "jobset.sigs.k8s.io/jobset-name"
ATTEMPT = "jobset.sigs.k8s.io/restart-attempt"
QUEUE = "kueue.x-k8s.io/queue-name"
WORKER = "worker"  # the replicated Job's name
CONTAINER = "train"
PORT = 2222
FAILURES = 3  # of machines; then the training has failed
GRACE = 60  # seconds that a pod has to write a checkpoint when it is told to end
FORGET = 24 * 3600  # seconds until Kubernetes removes a finished JobSet that its step did not remove

LOST = 30  # seconds until the pod of an unreachable node counts as taken away: while its peers wait (`worker.WAIT`)

_LOST_NODE = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")  # taints
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
    *("nodeSelector", "affinity", "schedulerName", "priorityClassName"),
)
_OWNER = ("apiVersion", "kind", "name", "uid")

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


def name_of(step: Object, training: Training) -> str:
    """The name of a training's JobSet: the same each time that Kubernetes makes the step's pod again."""
    run = step["metadata"]["labels"][RUN]
    return f"{TRAIN}-{run[:8]}-{storage.fingerprint([run, *training.command])[:6]}"


def machine(pod: Object) -> int:
    """The number of a pod's machine."""
    return int(pod["metadata"]["annotations"][INDEX])


def attempt(pod: Object) -> int:
    """How often all machines had started again when this pod was made."""
    return int(pod["metadata"]["labels"][ATTEMPT])


def job_set(step: Object, name: str, training: Training) -> Object:
    """The JobSet of a group.

    All pods start again when one fails. A pod that Kubernetes takes away (evicted, preempted, node drained or lost) is
    not a failure, nor is one that ended by SIGTERM, as a worker does when another was told to end.

    Args:
        step: the pod of the step that starts it; Kubernetes deletes the group with the workflow that owns this pod.
        name: of the JobSet and of its Service.
        training: what runs.
    """
    queue = step["metadata"]["labels"].get(QUEUE)
    owners = [{key: owner[key] for key in _OWNER} for owner in step["metadata"].get("ownerReferences", [])]
    return {
        "apiVersion": "jobset.x-k8s.io/v1alpha2",
        "kind": "JobSet",
        "metadata": {
            "name": name,
            "labels": labels(step) | ({QUEUE: queue} if queue else {}),
            "ownerReferences": owners,
        },
        "spec": {
            "failurePolicy": {
                "maxRestarts": FAILURES - 1,
                "restartStrategy": "BlockingRecreate",
                "rules": [
                    _rule("refused", "FailJobSet", f"failed with exit code {REFUSED} "),
                    _rule("stopped", "RestartJobSetAndIgnoreMaxRestarts", f"failed with exit code {STOPPED} "),
                    _rule("disrupted", "RestartJobSetAndIgnoreMaxRestarts", "has condition DisruptionTarget "),
                ],
            },
            "replicatedJobs": [{"name": WORKER, "replicas": 1, "template": {"spec": _job(step, name, training)}}],
            "ttlSecondsAfterFinished": FORGET,
        },
    }


def _rule(name: str, action: str, message: str) -> Object:
    """A rule of the JobSet; all rules of its Job give the same reason, and only their messages tell them apart."""
    return {
        "name": name,
        "action": action,
        "onJobFailureReasons": ["PodFailurePolicy"],
        "onJobFailureMessagePatterns": [message],
    }


def _job(step: Object, name: str, training: Training) -> Object:
    codes = {"containerName": CONTAINER, "operator": "In", "values": [REFUSED, STOPPED]}
    return {
        "completionMode": "Indexed",
        "completions": training.machines,
        "parallelism": training.machines,
        "backoffLimit": 0,
        "podFailurePolicy": {
            "rules": [
                {"action": "FailJob", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
                {"action": "FailJob", "onExitCodes": codes},
            ]
        },
        "template": _pod(step, name, training),
    }


def _pod(step: Object, name: str, training: Training) -> Object:
    """The template of the pods, with the image, variables, volumes, account and placement of the step's pod."""
    like = step["spec"]
    main = next(container for container in like["containers"] if container["name"] == "main")
    volumes = {volume["name"]: volume for volume in like.get("volumes", []) if _is_for_training(volume)}
    mounts = [mount for mount in main.get("volumeMounts", []) if mount["name"] in volumes]
    mounted = {mount["name"] for mount in mounts}
    spec = {
        "containers": [_container(step, main, name, training) | {"volumeMounts": mounts}],
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": GRACE,
        # The first process of a process namespace ignores SIGTERM until it handles it: a training that has not begun
        # would hold up a restart for all of that time.
        "shareProcessNamespace": True,
        "automountServiceAccountToken": True,  # the first machine looks whether the run has ended
        "volumes": [volume for name, volume in volumes.items() if name in mounted],
    }
    tolerations = [each for each in like.get("tolerations", []) if each.get("key") not in _LOST_NODE]
    tolerations += [_briefly(key) for key in _LOST_NODE]
    side = {key: value for key, value in step["metadata"].get("annotations", {}).items() if "istio.io/" in key}
    return {
        "metadata": {"labels": labels(step), "annotations": side},
        "spec": spec | {key: like[key] for key in _SAME if key in like} | {"tolerations": tolerations},
    }


def _briefly(taint: str) -> Object:
    """How long a pod stays on a node with a taint; Kubernetes' default is 300 s."""
    return {"key": taint, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": LOST}


def _container(step: Object, main: Object, name: str, training: Training) -> Object:
    """The container of each pod, like the step's `main` container."""
    return {
        "name": CONTAINER,
        "image": main["image"],
        "imagePullPolicy": main.get("imagePullPolicy", "IfNotPresent"),
        "command": list(training.command),
        "env": _variables(step, main, name, training),
        "resources": training.machine.resources(training.gpus),
        "securityContext": main.get("securityContext", {}) | _RESTRICTED,
        "terminationMessagePolicy": "FallbackToLogsOnError",  # puts an error's last lines into the pod's status
    }


def _is_for_training(volume: Object) -> bool:
    """False for what KFP, Argo and Kubernetes add to the step: folders on the node's disk, and its token."""
    return "projected" not in volume and volume.get("emptyDir", {"medium": "Memory"}).get("medium") == "Memory"


def _variables(step: Object, main: Object, name: str, training: Training) -> list[Object]:
    """The step's own variables, and those by which the machines find each other and their run."""
    own = [variable for variable in main.get("env", []) if not variable["name"].startswith(_STEP_ONLY)]
    addresses = [f"{name}-{WORKER}-0-{number}.{name}:{PORT}" for number in range(training.machines)]
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
        {"name": JOB_SET, "value": name},
        {"name": WORKFLOW, "value": step["metadata"]["labels"].get(WORKFLOW_LABEL, "")},
    ]
