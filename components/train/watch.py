"""Follows a training in pods of its own: prints its log, and says what keeps it waiting, why it restarts or failed."""

import sys
import threading
import time
from collections import defaultdict
from contextlib import suppress

from kubernetes.client.exceptions import ApiException
from kubernetes.watch.watch import iter_resp_lines
from urllib3.exceptions import HTTPError

from components.train import cluster, machine, pods
from components.train.cluster import Cluster, NotFound
from components.train.pods import Object, Training
from openpose import progress
from openpose.errors import InputError

LAST_LINES = 5  # of a failed machine's log
FIRST = pods.name_in(pods.WORKER, 0)


class Watch:
    """Follows a group's JobSet until it ends.

    Args:
        cluster: where it runs.
        name: of the JobSet.
        training: what it runs.
    """

    def __init__(self, cluster: Cluster, name: str, training: Training) -> None:
        self._cluster, self._name, self._training = cluster, name, training
        self._pods: dict[str, Object] = {}  # by their names in messages
        # Of each attempt: those that have had a pod, and the version of the last list in which all were well.
        self._seen: defaultdict[int, set[str]] = defaultdict(set)
        self._well: dict[int, str] = {}
        self._log: _Log | None = None
        self._reasons: dict[str, str] = {}  # printed last for each pod that waits
        self._waiting_since: float | None = None

    def until_end(self) -> None:
        """Returns when the training is done.

        Raises:
            InputError: the training cannot use its parameters or data, pods find no room, or machines failed too often.
        """
        restarts = failures = -1  # those that an earlier pod of the step has told of
        try:
            while True:
                status = self._look()
                self._follow_log()
                state, before = status.get("terminalState"), (restarts, failures)
                restarts, failures = status.get("restarts", 0), status.get("restartsCountTowardsMax", 0)
                if state == "Completed":
                    return
                if state == "Failed":
                    raise self._end(status)
                if before[0] not in (-1, restarts):
                    self._say_restart(restarts, failures if failures != before[1] else None)
                self._cluster.pause()
        finally:
            if self._log:
                self._log.finish()

    def _look(self) -> Object:
        """Looks at the JobSet and its pods; returns its status."""
        try:
            found = self._cluster.job_set(self._name)
        except NotFound as error:
            raise InputError(f"somebody deleted the JobSet {self._name} of the training") from error
        self._pods, version = self._cluster.pods_of(self._name)
        for attempt in {pods.attempt(pod) for pod in self._pods.values()}:  # one, or none
            self._seen[attempt] |= self._pods.keys()
            if self._seen[attempt] == self._pods.keys() and not any(map(_is_lost, self._pods.values())):
                self._well[attempt] = version
        status = found.get("status", {})
        if not status.get("terminalState"):
            self._check_waiting(bool(found["spec"].get("suspend")))
        return status

    def _say_restart(self, restarts: int, failures: int | None) -> None:
        """Prints why all machines start again."""
        number = f"failure {failures} of at most {pods.FAILURES}" if failures else f"restart {restarts}, not a failure"
        why = self._first_lost(restarts - 1) or f"the JobSet {self._name} lost a machine"
        print(f"warning: {why}; all machines start again from the last checkpoint ({number})", file=sys.stderr)

    def _end(self, status: Object) -> InputError:
        """The error of a training that has failed."""
        why = self._first_lost(status.get("restarts", 0))
        failed = _condition({"status": status}, "Failed")
        if failed.get("reason") == "FailJobSetFailurePolicyAction":
            return InputError(why or f"the training cannot use its parameters or data: {failed.get('message')}")
        return InputError(
            f"a machine failed {pods.FAILURES} times, the last time: {why or failed.get('message')}; its log is above, "
            "the checkpoints are kept, and a run with the same parameters continues from there"
        )

    def _follow_log(self) -> None:
        """Prints the first machine's log as soon as it runs."""
        first = self._pods.get(FIRST)
        if first and _has_started(first) and (self._log is None or self._log.pod != first["metadata"]["name"]):
            if self._log:
                self._log.finish()
            self._log = _Log(self._cluster, first["metadata"]["name"])

    def _check_waiting(self, suspended: bool) -> None:
        """Prints which pods have not started, and why; raises InputError when that takes too long."""
        waiting = [name for name in self._training.names if not _has_started(self._pods.get(name, {}))]
        reasons = {name: "its queue holds it back" if suspended else self._why_waiting(name) for name in waiting}
        for name, reason in reasons.items():
            if self._reasons.get(name) != reason:
                print(f"{name} waits: {reason}", flush=True)
        if self._reasons and not reasons:
            print(f"all pods have started: {self._training}", flush=True)
        self._reasons = reasons
        if suspended or not self._holds_up(waiting):  # what its queue holds back occupies no machine
            self._waiting_since = None
            return
        self._waiting_since = self._waiting_since or time.monotonic()
        limit = self._training.machine.wait_minutes * 60
        if time.monotonic() - self._waiting_since > limit:
            raise InputError(
                f"{waiting[0]} has not started within {progress.duration(limit)} ({reasons[waiting[0]]}), so "
                "the training gave up all machines; ask for less, make room, or wait longer (wait_minutes in the "
                "settings)"
            )

    def _holds_up(self, waiting: list[str]) -> bool:
        """Whether the training cannot begin or go on without these: with some of its data workers it does."""
        machines, workers = (self._training.names_in(job) for job in (pods.WORKER, pods.DATA))
        return any(name in waiting for name in machines) or (bool(workers) and set(workers) <= set(waiting))

    def _why_waiting(self, name: str) -> str:
        pod = self._pods.get(name)
        if pod is None:
            job = pods.WORKER if name in self._training.names_in(pods.WORKER) else pods.DATA
            objects = (f"{self._name}-{job}-0", self._name)  # the Job, and the JobSet that makes it
            return next(filter(None, map(self._cluster.warning_about, objects)), "it has no pod yet")
        if unscheduled := _condition(pod, "PodScheduled", "False"):
            return unscheduled.get("message") or unscheduled.get("reason", "no node was found yet")
        waiting = _container(pod).get("waiting", {})
        if waiting.get("message"):
            return f"{waiting['reason']}: {waiting['message']}"
        return self._cluster.warning_about(pod["metadata"]["name"]) or "its node prepares it"

    def _first_lost(self, attempt: int) -> str:
        """Which pod was lost first, and how; prints the end of its log. Empty if Kubernetes does not know any more.

        When one is lost, Kubernetes ends the others.
        """
        since = self._well.get(attempt) or self._well.get(attempt - 1, "")
        changes = [*self._cluster.changes(self._name, since), *(("NOW", pod) for pod in self._pods.values())]
        lost = [pod for kind, pod in changes if pods.attempt(pod) == attempt and (kind == "DELETED" or _is_lost(pod))]
        if not lost:
            return ""
        # The training goes on without a data worker, so that one is the reason only where no machine was lost.
        lost = [pod for pod in lost if pods.job_of(pod) == pods.WORKER] or lost
        # The first event of a pod may only say that it is to be deleted; a later one says how it ended.
        first = [pod for pod in lost if pod["metadata"]["name"] == lost[0]["metadata"]["name"]][-1]
        name, end = pods.name(first), _container(first).get("terminated", {})
        lines = [line for line in end.get("message", "").splitlines() if line.strip()]
        if lines and lines[-1].startswith("error: "):
            return f"{name}: {lines[-1].removeprefix('error: ')}"
        if name != FIRST:  # whose log is printed anyway
            print("".join(f"{name}: {line}\n" for line in lines[-LAST_LINES:]), end="", flush=True)
        return f"{name} (pod {first['metadata']['name']}) {_how_ended(first, end, lines)}"


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


def _condition(of: Object, kind: str, status: str = "True") -> Object:
    """The condition of a JobSet or pod that has this status; empty without one."""
    conditions = of["status"].get("conditions", [])
    return next((each for each in conditions if (each["type"], each["status"]) == (kind, status)), {})


def _container(pod: Object) -> Object:
    """The state of a pod's container."""
    statuses = pod.get("status", {}).get("containerStatuses")
    return statuses[0]["state"] if statuses else {}


def _has_started(pod: Object) -> bool:
    return "running" in _container(pod) or "terminated" in _container(pod)


def _is_lost(pod: Object) -> bool:
    """Whether a pod has failed, or is being taken away or deleted."""
    failed = _container(pod).get("terminated", {}).get("exitCode", 0) != 0
    return failed or bool(_disruption(pod)) or "deletionTimestamp" in pod["metadata"]


def _disruption(pod: Object) -> str:
    """Why Kubernetes took a pod away (preempted, node drained or lost); empty when it did not."""
    disruption = _condition(pod, "DisruptionTarget")
    return disruption.get("message") or disruption.get("reason", "")


def _how_ended(pod: Object, end: Object, lines: list[str]) -> str:
    if reason := _disruption(pod):
        return f"was taken away: {reason}"
    if not end.get("exitCode"):
        return "was deleted"
    if end.get("reason") == "OOMKilled":
        return "was killed because it ran out of memory (OOMKilled); give it more memory in the settings"
    if pod["status"].get("message"):
        return f"ended: {pod['status']['message']}"
    if end["exitCode"] == machine.STOPPED:
        return "was stopped (SIGTERM), as when its node is drained"
    last = f": {lines[-1]}" if lines else ""
    return f"ended with exit code {end['exitCode']}{last}"
