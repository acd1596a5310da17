"""A training on several machines of a Kubernetes cluster, watched by the step that started it.

The step itself does not train, so its pod needs little. It starts the group of `components/train/pods.py`, prints the
first machine's log as its own, and when a machine fails starts all of them anew, which go on from the last checkpoint.
The group goes when the step goes, however that ends: stopped, it deletes the group; deleted, Kubernetes does, by the
owner; killed, the group's lease (its Job's deadline) is no longer renewed.
"""

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from kubernetes import client, config
from kubernetes.client.exceptions import ApiException
from kubernetes.config.config_exception import ConfigException
from kubernetes.watch.watch import iter_resp_lines
from urllib3.exceptions import HTTPError

from components.train import pods
from components.train.machine import MACHINE, POD, Machine
from components.train.pods import Object
from openpose import progress
from openpose.errors import InputError
from openpose.training import sigterm

FAILURES = 3  # so often a machine may fail, then the training has failed
LEASE = 180  # seconds for which a group outlives a step that does not renew it
POLL = 2.0  # seconds from one look to the next
AWAY = 600.0  # seconds for which Kubernetes may not answer
LEAVE = 900.0  # seconds for the pods of an earlier try to end; a lost node's may never do
NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
LAST_LINES = 5  # of a failed machine's log
STOPPED = 143  # exit code after SIGTERM


def train(command: Sequence[str], machines: int, gpus: int) -> None:
    """Trains with a pod on each of several machines; returns when the training is done.

    Args:
        command: of the training on each machine.
        machines: how many.
        gpus: of each.

    Raises:
        InputError: this is no step on a cluster, it may not start pods, the pods find no room, the training cannot use
            what it was given, or machines failed too often.
        Interrupted: SIGTERM came; the pods write a checkpoint and end.
    """
    try:
        config.load_incluster_config()
        machine, pod, namespace = Machine.read(os.environ[MACHINE]), os.environ[POD], NAMESPACE.read_text()
    except (ConfigException, KeyError, OSError) as error:
        raise InputError(
            f"machines is {machines}, but this is no step of a pipeline on a cluster, which could start a pod on each; "
            "elsewhere give each machine the same command with its TF_CONFIG"
        ) from error
    with sigterm.noted() as stop:
        Group(client.ApiClient(), namespace, pod, command, machines, gpus, machine, stop).run()


class Group:
    """The pods that train, seen from the step.

    Args:
        api: of the cluster.
        namespace: of the step.
        pod: the step's own.
        command: of the training on each machine.
        machines: how many.
        gpus: of each.
        machine: what each pod asks for.
        stop: when set, all ends.
    """

    def __init__(
        self,
        api: client.ApiClient,
        namespace: str,
        pod: str,
        command: Sequence[str],
        machines: int,
        gpus: int,
        machine: Machine,
        stop: threading.Event,
    ) -> None:
        self.api, self.namespace, self.pod = api, namespace, pod
        self.command, self.machines, self.gpus, self.machine = command, machines, gpus, machine
        self.stop = stop
        self.core, self.batch = client.CoreV1Api(api), client.BatchV1Api(api)

    def run(self) -> None:
        """Trains; see `train`."""
        step = self._ask(self.core.read_namespaced_pod, name=self.pod)
        for failures in range(1, FAILURES + 1):
            self._remove_earlier(step)
            with self._started(step, f"{pods.NAME}-{step['metadata']['uid'][:8]}-{failures}") as name:
                why = _Watch(self, name).until_it_ends()
            if why is None:
                return
            print(f"warning: {why} (failure {failures} of at most {FAILURES})", file=sys.stderr, flush=True)
        raise InputError(
            f"a machine failed {FAILURES} times, the last time: {why}; its log is above, the checkpoints are kept, and "
            "the same parameters go on from there"
        )

    @contextmanager
    def _started(self, step: Object, name: str) -> Iterator[str]:
        """A new group's name; the group is deleted after the block."""
        wanted = pods.job(step, name, self.command, self.machines, self.gpus, self.machine, LEASE)
        made = self._ask(self.batch.create_namespaced_job, body=wanted)
        try:
            self._ask(self.core.create_namespaced_service, body=pods.service(made))
            print(f"machines: {self.machines} pods of the Job {name}", flush=True)
            yield name
        finally:
            self._delete(name)

    def _remove_earlier(self, step: Object) -> None:
        """Deletes what earlier tries have left, and waits until none of its pods can write any more."""
        selector = ",".join(f"{key}={value}" for key, value in pods.labels(step).items())
        deadline = time.monotonic() + LEAVE
        while left := self._ask(self.batch.list_namespaced_job, label_selector=selector)["items"]:
            for each in left:
                if "deletionTimestamp" not in each["metadata"]:
                    self._delete(each["metadata"]["name"])
            if time.monotonic() > deadline:
                names = ", ".join(each["metadata"]["name"] for each in left)
                raise InputError(
                    f"pods of {names} have not ended within {progress.duration(LEAVE)}, and a second training must not "
                    "write beside them; see whether their node was lost, and delete them"
                )
            self.pause()

    def _delete(self, name: str) -> None:
        """Asks once for a group's end, which its lease brings too; the Job stays until its pods have gone."""
        with suppress(ApiException, HTTPError):
            self.batch.delete_namespaced_job(name, self.namespace, propagation_policy="Foreground", _request_timeout=10)

    def job(self, name: str) -> Object:
        """A Job as it is now."""
        return self._ask(self.batch.read_namespaced_job, name=name)

    def machines_of(self, name: str) -> dict[int, Object]:
        """The pods of a Job by their numbers; of several with a number the newest."""
        found = self._ask(self.core.list_namespaced_pod, label_selector=f"{pods.JOB}={name}")["items"]
        found.sort(key=lambda pod: pod["metadata"]["creationTimestamp"])
        return {int(pod["metadata"]["annotations"][pods.INDEX]): pod for pod in found}

    def renew(self, name: str, seconds: int) -> None:
        """Lets a Job last until so many seconds after its start."""
        body = {"spec": {"activeDeadlineSeconds": seconds}}
        self._ask(self.batch.patch_namespaced_job, name=name, body=body)

    def warning_about(self, name: str) -> str:
        """The newest warning of Kubernetes about an object; empty when there is none."""
        selector = f"involvedObject.name={name},type=Warning"
        events = self._ask(self.core.list_namespaced_event, field_selector=selector)["items"]
        events.sort(key=lambda event: event.get("lastTimestamp") or event.get("eventTime") or "")
        return events[-1].get("message", "") if events else ""

    def pause(self) -> None:
        """Waits a moment.

        Raises:
            Interrupted: SIGTERM came.
        """
        if self.stop.wait(POLL):
            raise sigterm.Interrupted

    def _ask(self, call: Callable[..., Any], **named: Any) -> Object:
        """What Kubernetes answers, as it stands in YAML; waits while it is away."""
        deadline = time.monotonic() + AWAY
        while True:
            try:
                answer = call(namespace=self.namespace, _request_timeout=30, **named)
                return self.api.sanitize_for_serialization(answer)
            except (ApiException, HTTPError) as error:
                if isinstance(error, ApiException) and 400 <= error.status < 500 and error.status != 429:
                    raise _refused(error) from error
                if time.monotonic() > deadline:
                    raise InputError(f"Kubernetes does not answer ({error}); look at the cluster") from error
            self.pause()


class _NotFound(InputError):
    """Kubernetes does not have it."""


def _refused(error: ApiException) -> InputError:
    try:
        said = json.loads(error.body)["message"]
    except (TypeError, ValueError, KeyError):
        said = error.reason
    if error.status == 404:
        return _NotFound(f"Kubernetes: {said}")
    hint = "; give the step's account the rights of manifests/base/roles.yaml (make deploy)"
    return InputError(f"Kubernetes refuses: {said}{hint if error.status == 403 and 'cannot' in said else ''}")


class _Watch:
    """Looks after a group until it ends."""

    def __init__(self, group: Group, name: str) -> None:
        self.group, self.name = group, name
        self.start: str | None = None  # of the Job, as Kubernetes has it, and when that was seen first
        self.started = self.renewed = time.monotonic()
        self.waiting_since: float | None = None
        self.said: dict[int, str] = {}
        self.log: _Log | None = None
        self.pods: dict[int, Object] = {}
        self.seen: set[int] = set()  # numbers of the pods that have been there

    def until_it_ends(self) -> str | None:
        """Returns when the training is done, or why a machine failed.

        Raises:
            InputError: the training cannot use what it was given, or pods find no room.
        """
        try:
            while True:
                try:
                    job = self.group.job(self.name)
                except _NotFound:
                    return f"the Job {self.name} was deleted"
                self.pods = self.group.machines_of(self.name)
                self.seen |= self.pods.keys()
                self._print_log()
                state = _state(job)
                if state == "Complete":
                    return None
                if state:
                    return self._why(state)
                self._renew(job)
                self._wait(job)
                self.group.pause()
        finally:
            if self.log:
                self.log.finish()

    def _renew(self, job: Object) -> None:
        # Seconds are counted here, as the cluster's clock may be another.
        now, start = time.monotonic(), job["status"].get("startTime")
        if start != self.start:
            self.start, self.started = start, now
        if start and now - self.renewed > LEASE / 6:
            self.group.renew(self.name, round(now - self.started) + LEASE)
            self.renewed = now

    def _print_log(self) -> None:
        """Prints the first machine's log, from when it runs."""
        first = self.pods.get(0)
        if first and _has_started(first) and (self.log is None or self.log.pod != first["metadata"]["name"]):
            if self.log:
                self.log.finish()
            self.log = _Log(self.group, first["metadata"]["name"])

    def _wait(self, job: Object) -> None:
        """Says which machines have not started, and why; gives up when that takes too long."""
        missing = [number for number in range(self.group.machines) if not _has_started(self.pods.get(number, {}))]
        said = {number: self._why_waiting(number, job) for number in missing}
        for number, why in said.items():
            if self.said.get(number) != why:
                print(f"machine {number} waits: {why}", flush=True)
        if self.said and not said:
            print(f"all {self.group.machines} machines have started", flush=True)
        self.said = said
        if not missing or job["spec"].get("suspend"):  # a queue holds it back, so it holds no machine
            self.waiting_since = None
            return
        self.waiting_since = self.waiting_since or time.monotonic()
        limit = self.group.machine.wait_minutes * 60
        if time.monotonic() - self.waiting_since > limit:
            raise InputError(
                f"machine {missing[0]} has not started within {progress.duration(limit)} ({said[missing[0]]}), so all "
                "were given up; ask for less, make room, or wait longer (wait_minutes in the settings)"
            )

    def _why_waiting(self, number: int, job: Object) -> str:
        if job["spec"].get("suspend"):
            return "its queue holds it back"
        pod = self.pods.get(number)
        if pod is None:
            return self.group.warning_about(self.name) or "it has no pod yet"
        status = pod["status"]
        for condition in status.get("conditions", []):
            if condition["type"] == "PodScheduled" and condition["status"] == "False":
                return condition.get("message") or condition.get("reason", "no node was found yet")
        waiting = _container(pod).get("waiting", {})
        if waiting.get("message"):
            return f"{waiting['reason']}: {waiting['message']}"
        return self.group.warning_about(pod["metadata"]["name"]) or "its node prepares it"

    def _why(self, state: str) -> str:
        """What the machine said that failed first.

        Raises:
            InputError: it said that the training cannot use what it was given.
        """
        if state.startswith("DeadlineExceeded"):
            return f"the group's lease of {LEASE} s was not renewed: Kubernetes did not answer, or the step did not run"
        ended = {
            number: end
            for number, pod in self.pods.items()
            # The others were told to end, as the Job does when one has failed.
            if (end := _container(pod).get("terminated")) and end["exitCode"] != 0 and not _deleted(pod)
        }
        if not ended:
            return self._why_gone() or f"the Job {self.name} failed: {state}"
        number = min(ended, key=lambda each: (ended[each]["finishedAt"], -ended[each]["exitCode"]))
        end, pod = ended[number], self.pods[number]
        lines = [line for line in end.get("message", "").splitlines() if line.strip()]
        if lines and lines[-1].startswith("error: "):
            raise InputError(f"machine {number}: {lines[-1].removeprefix('error: ')}")
        if number:  # the first one's log is printed anyway
            print("".join(f"machine {number}: {line}\n" for line in lines[-LAST_LINES:]), end="", flush=True)
        return f"machine {number} (pod {pod['metadata']['name']}) {_how_ended(pod, end, lines)}"

    def _why_gone(self) -> str:
        """Whose pod was taken away; empty when all are there."""
        for number, pod in self.pods.items():
            if reason := _disruption(pod):
                return f"machine {number} was taken away: {reason}"
        deleted = sorted((_deleted(pod), number) for number, pod in self.pods.items() if _deleted(pod))
        gone = [*sorted(self.seen - self.pods.keys()), *(number for _, number in deleted)]
        return f"machine {gone[0]}: its pod was deleted" if gone else ""


class _Log:
    """Prints a pod's log as it grows, in a thread of its own."""

    def __init__(self, group: Group, pod: str) -> None:
        self.group, self.pod = group, pod
        self._last, self._over = "", threading.Event()
        self._thread = threading.Thread(target=self._print, daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Prints the rest."""
        self._over.set()
        self._thread.join(timeout=10)

    def _print(self) -> None:
        while True:
            last = self._over.is_set()
            with suppress(ApiException, HTTPError):
                self._print_new(follow=not last)
            if last:
                return
            self._over.wait(POLL)

    def _print_new(self, follow: bool) -> None:
        """Prints what comes after the last line; each line has its time in front, by which it is known."""
        answer = self.group.core.read_namespaced_pod_log(
            self.pod,
            self.group.namespace,
            follow=follow,
            timestamps=True,
            _preload_content=False,
            _request_timeout=(10, 300),  # seconds; a connection that nobody ends is made anew
        )
        try:
            for line in iter_resp_lines(answer):
                moment, _, text = line.partition(" ")
                if moment > self._last:
                    print(text, flush=True)
                    self._last = moment
        finally:
            answer.close()


def _state(job: Object) -> str:
    """Complete, or how a Job failed; empty when it goes on."""
    for condition in job["status"].get("conditions", []):
        if condition["status"] == "True" and condition["type"] == "Complete":
            return "Complete"
        if condition["status"] == "True" and condition["type"] in ("Failed", "FailureTarget"):
            return f"{condition.get('reason', '')}: {condition.get('message', '')}"
    return ""


def _container(pod: Object) -> Object:
    """The state of a pod's container."""
    statuses = pod.get("status", {}).get("containerStatuses")
    return statuses[0]["state"] if statuses else {}


def _has_started(pod: Object) -> bool:
    return "running" in _container(pod) or "terminated" in _container(pod)


def _deleted(pod: Object) -> str:
    """By when a pod was told to end; empty when it was not."""
    return pod["metadata"].get("deletionTimestamp", "")


def _disruption(pod: Object) -> str:
    """Why Kubernetes took a pod away: for a more important one, for a drained or lost node; empty when it did not."""
    for condition in pod["status"].get("conditions", []):
        if condition["type"] == "DisruptionTarget" and condition["status"] == "True":
            return condition.get("message") or condition.get("reason", "")
    return ""


def _how_ended(pod: Object, end: Object, lines: list[str]) -> str:
    if reason := _disruption(pod):
        return f"was taken away: {reason}"
    if end.get("reason") == "OOMKilled":
        return "was killed because its memory was full (OOMKilled); give it more memory in the settings"
    if pod["status"].get("message"):
        return f"ended: {pod['status']['message']}"
    if end["exitCode"] == STOPPED:
        return "was stopped (SIGTERM), as when its node is drained"
    said = f": {lines[-1]}" if lines else ""
    return f"ended with exit code {end['exitCode']}{said}"
