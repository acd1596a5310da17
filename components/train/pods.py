"""The JobSet of a training on several machines or with data workers (https://jobset.sigs.k8s.io).

An Indexed Job runs a pod on each machine, made like the pod of the step that starts it. Its headless Service gives the
pods stable names. A pod's completion index is its number in TF_CONFIG. With data workers, another Indexed Job runs
these, and the first machine dispatches their work.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from components.train.machine import (
    DATA_MACHINE,
    DISPATCHER,
    JOB_SET,
    MACHINE,
    NAME_LABEL,
    POD,
    REFUSED,
    STOPPED,
    TRAIN,
    WORKFLOW,
    Machine,
)
from openpose import storage
from openpose.training import devices

Object = dict[str, Any]

RUN = "pipeline/runid"  # Kubeflow's label on the pods of a run
WORKFLOW_LABEL = "workflows.argoproj.io/workflow"  # Argo's
INDEX = "batch.kubernetes.io/job-completion-index"
GROUP = "jobset.sigs.k8s.io/jobset-name"
ATTEMPT = "jobset.sigs.k8s.io/restart-attempt"
JOB = "jobset.sigs.k8s.io/replicatedjob-name"
QUEUE = "kueue.x-k8s.io/queue-name"
WORKER, DATA = "worker", "data"  # names of the replicated Jobs, of the machines and of the data workers
CONTAINER = "train"
PORT, DISPATCHER_PORT = 2222, 5050
FAILURES = 3  # of machines; then the training has failed
DATA_FAILURES = 6  # of data workers; then all pods start again, which counts as a failure
GRACE = 60  # seconds that a pod has to write a checkpoint when it is told to end
FORGET = 24 * 3600  # seconds until Kubernetes removes a finished JobSet that its step did not remove

LOST = 30  # seconds until the pod of an unreachable node counts as taken away: while its peers wait (`worker.WAIT`)

_LOST_NODE = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")  # taints
_INDEX_VARIABLE = "JOB_COMPLETION_INDEX"
_STEP_ONLY = (
    MACHINE,
    DATA_MACHINE,
    POD,
    "KFP_",
    "ARGO_",
)  # prefixes of environment variables the training must not inherit
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
_DISRUPTED: list[Object] = [{"type": "DisruptionTarget", "status": "True"}]
_OWNER = ("apiVersion", "kind", "name", "uid")


@dataclass(frozen=True)
class Training:
    """What runs in a group.

    Attributes:
        command: starts the training on each machine.
        machines: how many.
        gpus: of each machine.
        machine: the resources of each machine.
        data_workers: how many pods make batches.
        data_machine: the resources of each of these.
        copied: manifest of records in a bucket, of which each data worker makes a copy; empty for none.
    """

    command: Sequence[str]
    machines: int
    gpus: int
    machine: Machine
    data_workers: int = 0
    data_machine: Machine | None = None
    copied: str = ""

    @property
    def names(self) -> list[str]:
        """The pods' names in messages."""
        return self.names_in(WORKER) + self.names_in(DATA)

    def names_in(self, job: str) -> list[str]:
        """The names in messages of a replicated Job's pods."""
        return [name_in(job, number) for number in range(self.data_workers if job == DATA else self.machines)]

    def __str__(self) -> str:
        return " and ".join(
            f"{count} {name}{'s' if count > 1 else ''}"
            for count, name in ((self.machines, "machine"), (self.data_workers, "data worker"))
            if count
        )


def name_in(job: str, number: int) -> str:
    """The name in messages of a replicated Job's pod."""
    return f"{'data worker' if job == DATA else 'machine'} {number}"


def labels(step: Object) -> dict[str, str]:
    """The labels of all objects of a run's training."""
    return {NAME_LABEL: TRAIN, RUN: step["metadata"]["labels"][RUN]}


def name_of(step: Object, training: Training) -> str:
    """The name of a training's JobSet: the same each time that Kubernetes makes the step's pod again."""
    run = step["metadata"]["labels"][RUN]
    return f"{TRAIN}-{run[:8]}-{storage.fingerprint([run, *training.command])[:6]}"


def name(pod: Object) -> str:
    """A pod's name in messages, such as machine 0."""
    return name_in(job_of(pod), int(pod["metadata"]["annotations"][INDEX]))


def job_of(pod: Object) -> str:
    """The replicated Job of a pod."""
    return pod["metadata"]["labels"][JOB]


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
            "successPolicy": {"operator": "All", "targetReplicatedJobs": [WORKER]},
            "replicatedJobs": [
                {"name": job, "replicas": 1, "template": {"spec": spec}}
                for job, spec in _jobs(step, name, training).items()
            ],
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


def _jobs(step: Object, name: str, training: Training) -> dict[str, Object]:
    """The replicated Jobs, by name."""
    jobs = {WORKER: _machines(step, name, training)}
    if training.data_machine:
        jobs[DATA] = _data_workers(step, name, training, training.data_machine)
    return jobs


def _machines(step: Object, name: str, training: Training) -> Object:
    """The Job of the machines, which fails with the first of its pods."""
    remote = [f"--remote-data=grpc://{_dispatcher(name)}"] if training.data_workers else []
    variables = _variables(step, name, training)
    pod = _pod(step, [*training.command, *remote], training.machine.resources(training.gpus), variables)
    codes = {"containerName": CONTAINER, "operator": "In", "values": [REFUSED, STOPPED]}
    refused: Object = {"action": "FailJob", "onExitCodes": codes}
    rules = [{"action": "FailJob", "onPodConditions": _DISRUPTED}, refused]
    return _job(training.machines, pod, rules, failures=0)


def _data_workers(step: Object, name: str, training: Training, machine: Machine) -> Object:
    """The Job of the data workers. The training goes on without a lost one, which Kubernetes makes again."""
    command = ["python", "-m", "openpose.data_service", "worker", f"--dispatcher={_dispatcher(name)}"]
    command += [f"--wait={_patience(training)}"] + ([f"--records={training.copied}"] if training.copied else [])
    pod = _pod(step, command, machine.resources(0), [])
    pod["spec"] |= {"nodeSelector": machine.node_selector, "tolerations": machine.tolerations}
    rules = [{"action": "Ignore", "onPodConditions": _DISRUPTED}]
    return _job(training.data_workers, pod, rules, failures=DATA_FAILURES)


def _dispatcher(name: str) -> str:
    """The address at which the first machine dispatches work."""
    return f"{_host(name, 0)}:{DISPATCHER_PORT}"


def _host(name: str, number: int) -> str:
    """The name by which the JobSet's pods reach a machine."""
    return f"{name}-{WORKER}-0-{number}.{name}"


def _patience(training: Training) -> int:
    """Seconds for which a pod waits for others: longer than the step, which knows why they do not come."""
    return round(training.machine.wait_minutes * 60) + GRACE


def _job(pods: int, template: Object, rules: Sequence[Object], failures: int) -> Object:
    """An Indexed Job, which accepts some failures of its pods."""
    return {
        "completionMode": "Indexed",
        "completions": pods,
        "parallelism": pods,
        "backoffLimit": failures,
        "podFailurePolicy": {"rules": list(rules)},
        "template": template,
    }


def _pod(step: Object, command: list[str], resources: Object, variables: list[Object]) -> Object:
    """A template of pods, with the image, variables, volumes, account and placement of the step's pod."""
    like = step["spec"]
    main = next(container for container in like["containers"] if container["name"] == "main")
    volumes = {volume["name"]: volume for volume in like.get("volumes", []) if _is_for_training(volume)}
    mounts = [mount for mount in main.get("volumeMounts", []) if mount["name"] in volumes]
    mounted = {mount["name"] for mount in mounts}
    spec = {
        "containers": [_container(main, command, resources, variables) | {"volumeMounts": mounts}],
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


def _container(main: Object, command: list[str], resources: Object, variables: list[Object]) -> Object:
    """The container of a pod, like the step's `main` container, with more variables."""
    own = [variable for variable in main.get("env", []) if not variable["name"].startswith(_STEP_ONLY)]
    return {
        "name": CONTAINER,
        "image": main["image"],
        "imagePullPolicy": main.get("imagePullPolicy", "IfNotPresent"),
        "command": command,
        "env": [*own, *variables],
        "resources": resources,
        "securityContext": main.get("securityContext", {}) | _RESTRICTED,
        "terminationMessagePolicy": "FallbackToLogsOnError",  # puts an error's last lines into the pod's status
    }


def _is_for_training(volume: Object) -> bool:
    """False for what KFP, Argo and Kubernetes add to the step: folders on the node's disk, and its token."""
    return "projected" not in volume and volume.get("emptyDir", {"medium": "Memory"}).get("medium") == "Memory"


def _variables(step: Object, name: str, training: Training) -> list[Object]:
    """The variables by which the machines find each other and their run."""
    workflow = step["metadata"]["labels"].get(WORKFLOW_LABEL, "")
    variables = [{"name": JOB_SET, "value": name}, {"name": WORKFLOW, "value": workflow}]
    if training.data_workers:
        variables.append({"name": DISPATCHER, "value": str(DISPATCHER_PORT)})
    if training.machines == 1:
        return variables
    cluster = json.dumps({"worker": [f"{_host(name, number)}:{PORT}" for number in range(training.machines)]})
    # Kubernetes replaces $(…) by the value of a variable that stands earlier in the list.
    task = f'{{"type": "worker", "index": $({_INDEX_VARIABLE})}}'
    index = {"fieldRef": {"fieldPath": f"metadata.annotations['{INDEX}']"}}
    return [
        {"name": _INDEX_VARIABLE, "valueFrom": index},
        {"name": "TF_CONFIG", "value": f'{{"cluster": {cluster}, "task": {task}}}'},
        {"name": devices.PATIENCE_VARIABLE, "value": str(_patience(training))},
        *variables,
    ]
