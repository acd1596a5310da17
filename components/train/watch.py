"""Follows one attempt of a training on several machines: prints its log and says what keeps it waiting or ended it."""

import threading
import time
from contextlib import suppress

from kubernetes.client.exceptions import ApiException
from kubernetes.watch.watch import iter_resp_lines
from urllib3.exceptions import HTTPError

from components.train import cluster, pods
from components.train.cluster import Cluster, NotFound
from components.train.pods import Object, Training
from openpose import progress
from openpose.errors import InputError

LAST_LINES = 5  # of a failed machine's log
STOPPED = 143  # exit code after SIGTERM


class Watch:
    """Follows a group's Job until it ends.

    Args:
        cluster: where it runs.
        name: of the Job.
        training: what it runs.
    """

    def __init__(self, cluster: Cluster, name: str, training: Training) -> None:
        self._cluster, self._name, self._training = cluster, name, training
        self._pods: dict[int, Object] = {}
        self._seen: set[int] = set()  # machines that have had a pod
        self._whole = ""  # version of the last list in which no pod was deleted
        self._log: _Log | None = None
        self._reasons: dict[int, str] = {}  # printed last for each machine that waits
        self._waiting_since: float | None = None
        self._start_time: str | None = None  # of the Job, on Kubernetes' clock
        self._started = self._renewed = time.monotonic()

    def until_end(self) -> str | None:
        """Returns None when the training is done, else how a machine failed.

        Raises:
            InputError: the training cannot use its parameters or data, or pods find no room.
        """
        try:
            while True:
                try:
                    job = self._cluster.job(self._name)
                except NotFound:
                    return f"the Job {self._name} was deleted"
                self._pods, version = self._cluster.pods_of(self._name)
                self._seen |= self._pods.keys()
                if self._seen == self._pods.keys() and not any(map(_deleted, self._pods.values())):
                    self._whole = version
                self._follow_log()
                state = _state(job)
                if state:
                    return None if state == "Complete" else self._failure(state)
                self._renew(job)
                self._check_waiting(job)
                self._cluster.pause()
        finally:
            if self._log:
                self._log.finish()

    def _renew(self, job: Object) -> None:
        # Counts seconds on this machine, because the cluster's clock may differ.
        now, start = time.monotonic(), job["status"].get("startTime")
        if start != self._start_time:
            self._start_time, self._started = start, now
        if start and now - self._renewed > pods.LEASE / 6:
            self._cluster.renew(self._name, round(now - self._started) + pods.LEASE)
            self._renewed = now

    def _follow_log(self) -> None:
        """Prints the first machine's log as soon as it runs."""
        first = self._pods.get(0)
        if first and _has_started(first) and (self._log is None or self._log.pod != first["metadata"]["name"]):
            if self._log:
                self._log.finish()
            self._log = _Log(self._cluster, first["metadata"]["name"])

    def _check_waiting(self, job: Object) -> None:
        """Prints which machines have not started, and why; raises InputError when that takes too long."""
        machines = self._training.machines
        waiting = [number for number in range(machines) if not _has_started(self._pods.get(number, {}))]
        reasons = {number: self._why_waiting(number, job) for number in waiting}
        for number, reason in reasons.items():
            if self._reasons.get(number) != reason:
                print(f"machine {number} waits: {reason}", flush=True)
        if self._reasons and not reasons:
            print(f"all {machines} machines have started", flush=True)
        self._reasons = reasons
        if not waiting or job["spec"].get("suspend"):  # a Job that its queue holds back occupies no machine
            self._waiting_since = None
            return
        self._waiting_since = self._waiting_since or time.monotonic()
        limit = self._training.machine.wait_minutes * 60
        if time.monotonic() - self._waiting_since > limit:
            raise InputError(
                f"machine {waiting[0]} has not started within {progress.duration(limit)} ({reasons[waiting[0]]}), so "
                "the training gave up all machines; ask for less, make room, or wait longer (wait_minutes in the "
                "settings)"
            )

    def _why_waiting(self, number: int, job: Object) -> str:
        if job["spec"].get("suspend"):
            return "its queue holds it back"
        pod = self._pods.get(number)
        if pod is None:
            return self._cluster.warning_about(self._name) or "it has no pod yet"
        if unscheduled := _condition(pod, "PodScheduled", "False"):
            return unscheduled.get("message") or unscheduled.get("reason", "no node was found yet")
        waiting = _container(pod).get("waiting", {})
        if waiting.get("message"):
            return f"{waiting['reason']}: {waiting['message']}"
        return self._cluster.warning_about(pod["metadata"]["name"]) or "its node prepares it"

    def _failure(self, state: str) -> str:
        """Which machine failed first, and how; prints the end of its log.

        Raises:
            InputError: it printed that the training cannot use its parameters or data.
        """
        if state.startswith("DeadlineExceeded"):
            return f"the group's lease of {pods.LEASE} s ran out: Kubernetes did not answer, or the step did not run"
        ended = {
            number: end
            for number, pod in self._pods.items()
            # When one has failed, the Job deletes the others.
            if (end := _container(pod).get("terminated")) and end["exitCode"] != 0 and not _deleted(pod)
        }
        if not ended:
            return self._lost_pod() or f"the Job {self._name} failed: {state}"
        number = min(ended, key=lambda each: (ended[each]["finishedAt"], -ended[each]["exitCode"]))
        end, pod = ended[number], self._pods[number]
        lines = [line for line in end.get("message", "").splitlines() if line.strip()]
        if lines and lines[-1].startswith("error: "):
            raise InputError(f"machine {number}: {lines[-1].removeprefix('error: ')}")
        if number:  # the first one's log is printed anyway
            print("".join(f"machine {number}: {line}\n" for line in lines[-LAST_LINES:]), end="", flush=True)
        return f"machine {number} (pod {pod['metadata']['name']}) {_how_ended(pod, end, lines)}"

    def _lost_pod(self) -> str:
        """Which machine's pod was taken away first; empty when all pods are there."""
        for number, pod in self._pods.items():
            if reason := _disruption(pod):
                return f"machine {number} was taken away: {reason}"
        deleted = sorted((_deleted(pod), number) for number, pod in self._pods.items() if _deleted(pod))
        gone = [*sorted(self._seen - self._pods.keys()), *(number for _, number in deleted)]
        if len(gone) > 1 and (first := self._cluster.first_deleted(self._name, self._whole)):
            gone = [pods.machine(first)]
            if reason := _disruption(first):
                return f"machine {gone[0]} was taken away: {reason}"
        return f"machine {gone[0]}: its pod was deleted" if gone else ""


class _Log:
    """Prints a pod's log as it grows, in a thread of its own."""

    def __init__(self, cluster: Cluster, pod: str) -> None:
        self._cluster, self.pod = cluster, pod
        self._last_time, self._over = "", threading.Event()
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
            self._over.wait(cluster.POLL)

    def _print_new(self, follow: bool) -> None:
        """Prints the lines after the last one printed, known by the time in front of each."""
        answer = self._cluster.open_log(self.pod, follow)
        try:
            for line in iter_resp_lines(answer):
                moment, _, text = line.partition(" ")
                if moment > self._last_time:
                    print(text, flush=True)
                    self._last_time = moment
        finally:
            answer.close()


def _condition(job_or_pod: Object, kind: str, status: str = "True") -> Object:
    """The condition of a Job or pod that has this status; empty without one."""
    conditions = job_or_pod["status"].get("conditions", [])
    return next((each for each in conditions if (each["type"], each["status"]) == (kind, status)), {})


def _state(job: Object) -> str:
    """Complete, or how a Job failed; empty while it runs."""
    if _condition(job, "Complete"):
        return "Complete"
    failed = _condition(job, "FailureTarget") or _condition(job, "Failed")
    return f"{failed.get('reason', '')}: {failed.get('message', '')}" if failed else ""


def _container(pod: Object) -> Object:
    """The state of a pod's container."""
    statuses = pod.get("status", {}).get("containerStatuses")
    return statuses[0]["state"] if statuses else {}


def _has_started(pod: Object) -> bool:
    return "running" in _container(pod) or "terminated" in _container(pod)


def _deleted(pod: Object) -> str:
    """The time by which a deleted pod must end; empty for a pod that is not deleted."""
    return pod["metadata"].get("deletionTimestamp", "")


def _disruption(pod: Object) -> str:
    """Why Kubernetes took a pod away (preempted, node drained or lost); empty when it did not."""
    disruption = _condition(pod, "DisruptionTarget")
    return disruption.get("message") or disruption.get("reason", "")


def _how_ended(pod: Object, end: Object, lines: list[str]) -> str:
    if reason := _disruption(pod):
        return f"was taken away: {reason}"
    if end.get("reason") == "OOMKilled":
        return "was killed because it ran out of memory (OOMKilled); give it more memory in the settings"
    if pod["status"].get("message"):
        return f"ended: {pod['status']['message']}"
    if end["exitCode"] == STOPPED:
        return "was stopped (SIGTERM), as when its node is drained"
    last = f": {lines[-1]}" if lines else ""
    return f"ended with exit code {end['exitCode']}{last}"
