"""What the train step asks of Kubernetes: the Jobs, pods, events and logs of a training on several machines."""

import json
import threading
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from typing import Any

from kubernetes import client
from kubernetes.client.exceptions import ApiException
from kubernetes.watch.watch import iter_resp_lines
from urllib3.exceptions import HTTPError
from urllib3.response import BaseHTTPResponse

from components.train import pods
from components.train.pods import Object
from openpose import retry
from openpose.errors import InputError
from openpose.training import sigterm

POLL = 2.0  # seconds between two looks at a group
AWAY = 600.0  # seconds that Kubernetes may not answer
HISTORY = 5  # seconds to wait for what happened to pods in the past
LONGEST_PAUSE = 10.0  # seconds between two attempts while it does not: short beside the lease


class NotFound(InputError):
    """Kubernetes does not have the object."""


class Cluster:
    """Kubernetes, as a step may use it; objects are dictionaries as in YAML.

    Args:
        api: the client.
        namespace: of the step.
        stop: ends every wait with `sigterm.Interrupted` when set.
    """

    def __init__(self, api: client.ApiClient, namespace: str, stop: threading.Event) -> None:
        self._api, self._namespace, self._stop = api, namespace, stop
        self._core, self._batch = client.CoreV1Api(api), client.BatchV1Api(api)

    def pod(self, name: str) -> Object:
        """A pod as it is now."""
        return self._ask(self._core.read_namespaced_pod, name=name)

    def create_job(self, body: Object) -> Object:
        """Creates a Job; returns it with what Kubernetes added, such as its uid."""
        return self._ask(self._batch.create_namespaced_job, body=body)

    def create_service(self, body: Object) -> None:
        """Creates a Service."""
        self._ask(self._core.create_namespaced_service, body=body)

    def jobs(self, labels: Mapping[str, str]) -> list[Object]:
        """All Jobs with these labels."""
        selector = ",".join(f"{key}={value}" for key, value in labels.items())
        return self._ask(self._batch.list_namespaced_job, label_selector=selector)["items"]

    def job(self, name: str) -> Object:
        """A Job as it is now.

        Raises:
            NotFound: it was deleted.
        """
        return self._ask(self._batch.read_namespaced_job, name=name)

    def renew(self, name: str, seconds: int) -> None:
        """Lets a Job run until this time after its start."""
        body = {"spec": {"activeDeadlineSeconds": seconds}}
        self._ask(self._batch.patch_namespaced_job, name=name, body=body)

    def delete_job(self, name: str) -> None:
        """Tries once to delete a Job, which its lease does too; the Job stays until its pods are gone."""
        with suppress(ApiException, HTTPError):
            self._batch.delete_namespaced_job(
                name, self._namespace, propagation_policy="Foreground", _request_timeout=10
            )

    def pods_of(self, job: str) -> tuple[dict[int, Object], str]:
        """The newest pod of each machine of a Job, by the machine's number, and the list's version."""
        answer = self._ask(self._core.list_namespaced_pod, label_selector=f"{pods.JOB}={job}")
        answer["items"].sort(key=lambda pod: pod["metadata"]["creationTimestamp"])
        return {pods.machine(pod): pod for pod in answer["items"]}, answer.get("metadata", {}).get(
            "resourceVersion", ""
        )

    def first_deleted(self, job: str, version: str) -> Object | None:
        """The pod of a Job that was deleted first since a version of their list; None if Kubernetes does not know."""
        with suppress(ApiException, HTTPError, ValueError):
            answer = self._core.list_namespaced_pod(
                self._namespace,
                label_selector=f"{pods.JOB}={job}",
                resource_version=version,
                watch=True,
                timeout_seconds=HISTORY,
                _preload_content=False,
                _request_timeout=30,
            )
            with closing(answer):
                for line in filter(None, iter_resp_lines(answer)):
                    event = json.loads(line)
                    pod, kind = event["object"], event["type"]
                    if kind == "DELETED" or (kind == "MODIFIED" and pod["metadata"].get("deletionTimestamp")):
                        return pod
        return None

    def warning_about(self, name: str) -> str:
        """Kubernetes' newest warning about an object; empty without one."""
        selector = f"involvedObject.name={name},type=Warning"
        events = self._ask(self._core.list_namespaced_event, field_selector=selector)["items"]
        events.sort(key=lambda event: event.get("lastTimestamp") or event.get("eventTime") or "")
        return events[-1].get("message", "") if events else ""

    def open_log(self, pod: str, follow: bool) -> BaseHTTPResponse:
        """A pod's log, each line with its time in front.

        Raises:
            ApiException, HTTPError: Kubernetes does not give it now.
        """
        return self._core.read_namespaced_pod_log(
            pod,
            self._namespace,
            follow=follow,
            timestamps=True,
            _preload_content=False,
            _request_timeout=(10, 300),  # seconds to connect and to read; a dead connection is opened again
        )

    def pause(self, seconds: float | None = None) -> None:
        """Waits, `POLL` seconds by default.

        Raises:
            Interrupted: SIGTERM came.
        """
        if self._stop.wait(POLL if seconds is None else seconds):
            raise sigterm.Interrupted

    def _ask(self, call: Callable[..., Any], **arguments: Any) -> Object:
        """Kubernetes' answer; retries while Kubernetes does not answer."""

        def once() -> Any:
            try:
                return call(namespace=self._namespace, _request_timeout=30, **arguments)
            except (ApiException, HTTPError) as error:
                if isinstance(error, ApiException) and 400 <= error.status < 500 and error.status != 429:
                    raise _refused(error) from error
                raise retry.TemporaryError(str(error)) from error

        attempts = retry.attempts(seconds=AWAY, pause=POLL, longest_pause=LONGEST_PAUSE, sleep=self.pause)
        try:
            return self._api.sanitize_for_serialization(attempts(once))
        except retry.TemporaryError as error:
            raise InputError(f"Kubernetes does not answer ({error}); look at the cluster") from error


def _refused(error: ApiException) -> InputError:
    try:
        reason = json.loads(error.body)["message"]
    except (TypeError, ValueError, KeyError):
        reason = error.reason
    if error.status == 404:
        return NotFound(f"Kubernetes: {reason}")
    hint = "; give the step's account the rights of manifests/base/roles.yaml (make deploy)"
    return InputError(f"Kubernetes refuses: {reason}{hint if error.status == 403 and 'cannot' in reason else ''}")
