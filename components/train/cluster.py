"""What the train step asks of Kubernetes: the JobSet, pods, events and logs of a training in pods of its own."""

import json
import threading
from collections.abc import Callable
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
LOOK = 20.0  # seconds between two looks at a run
ENDED = ("Succeeded", "Failed", "Error")  # phases of a workflow
AWAY = 600.0  # seconds that Kubernetes may not answer
HISTORY = 5  # seconds to wait for what happened to pods in the past
LONGEST_PAUSE = 10.0  # seconds between two attempts while it does not
INSTALL = (
    "kubectl apply --server-side -f https://github.com/kubernetes-sigs/jobset/releases/download/v0.11.1/manifests.yaml"
)
_WORKFLOWS = {"group": "argoproj.io", "version": "v1alpha1", "plural": "workflows"}
_JOBSETS = {"group": "jobset.x-k8s.io", "version": "v1alpha2", "plural": "jobsets"}


class NotFound(InputError):
    """Kubernetes does not have the object."""


class AlreadyThere(InputError):
    """Kubernetes has an object of this name."""


class Cluster:
    """Kubernetes, as a step may use it; objects are dictionaries as in YAML.

    Args:
        api: the client.
        namespace: of the step.
        stop: ends every wait with `sigterm.Interrupted` when set.
    """

    def __init__(self, api: client.ApiClient, namespace: str, stop: threading.Event) -> None:
        self._api, self._namespace, self._stop = api, namespace, stop
        self._core, self._custom = client.CoreV1Api(api), client.CustomObjectsApi(api)

    def pod(self, name: str) -> Object:
        """A pod as it is now."""
        return self._ask(self._core.read_namespaced_pod, name=name)

    def create(self, job_set: Object) -> bool:
        """Creates a JobSet; False if there is one of its name.

        Raises:
            InputError: the cluster has no JobSet, or the step may not create one.
        """
        try:
            self._ask(self._custom.create_namespaced_custom_object, body=job_set, **_JOBSETS)
        except AlreadyThere:
            return False
        except NotFound as error:
            raise InputError(
                f"a training in pods of its own needs JobSet, which this cluster does not have ({error}); an "
                f"administrator installs it once: {INSTALL}"
            ) from error
        return True

    def job_set(self, name: str) -> Object:
        """A JobSet as it is now.

        Raises:
            NotFound: it was deleted.
        """
        return self._ask(self._custom.get_namespaced_custom_object, name=name, **_JOBSETS)

    def delete(self, name: str) -> bool:
        """Tries once to delete a JobSet, which stays until its pods are gone; returns whether Kubernetes accepted."""
        with suppress(ApiException, HTTPError):
            self._custom.delete_namespaced_custom_object(
                namespace=self._namespace, name=name, propagation_policy="Foreground", _request_timeout=10, **_JOBSETS
            )
            return True
        return False

    def delete_after(self, name: str, workflow: str) -> None:
        """Deletes a JobSet as soon as a workflow has ended; waits until then.

        Raises:
            InputError: Kubernetes refuses, or does not answer for long.
            Interrupted: SIGTERM came.
        """
        while not self._has_ended(workflow):
            self.pause(LOOK)
        print(f"machines: the run has ended, so the JobSet {name} is deleted", flush=True)
        while not self.delete(name):
            self.pause(LOOK)

    def _has_ended(self, workflow: str) -> bool:
        """Whether a workflow has ended, was told to or was deleted; a terminated run of Kubeflow has no time left."""
        try:
            found = self._ask(self._custom.get_namespaced_custom_object, name=workflow, **_WORKFLOWS)
        except NotFound:
            return True
        spec, phase = found["spec"], found.get("status", {}).get("phase")
        told = spec.get("activeDeadlineSeconds") == 0 or "shutdown" in spec
        return told or phase in ENDED or "deletionTimestamp" in found["metadata"]

    def pods_of(self, name: str) -> tuple[dict[str, Object], str]:
        """The newest pods of a JobSet, by their names in messages, and the list's version."""
        answer = self._ask(self._core.list_namespaced_pod, label_selector=f"{pods.GROUP}={name}")
        found = sorted(answer["items"], key=lambda pod: (pods.attempt(pod), pod["metadata"]["creationTimestamp"]))
        newest = [pod for pod in found if pods.attempt(pod) == pods.attempt(found[-1])]
        return {pods.name(pod): pod for pod in newest}, answer.get("metadata", {}).get("resourceVersion", "")

    def changes(self, name: str, version: str) -> list[tuple[str, Object]]:
        """What happened to a JobSet's pods since a version of their list: the kind of each event, and the pod then.

        Empty if Kubernetes does not know any more.
        """
        found = []
        with suppress(ApiException, HTTPError, ValueError):
            answer = self._core.list_namespaced_pod(
                self._namespace,
                label_selector=f"{pods.GROUP}={name}",
                resource_version=version,
                watch=True,
                timeout_seconds=HISTORY,
                _preload_content=False,
                _request_timeout=30,
            )
            with closing(answer):
                for line in filter(None, iter_resp_lines(answer)):
                    event = json.loads(line)
                    if event["type"] != "ERROR":
                        found.append((event["type"], event["object"]))
        return found

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
    if error.status in (404, 409):
        return (NotFound if error.status == 404 else AlreadyThere)(f"Kubernetes: {reason}")
    hint = "; give the step's account the rights of manifests/base/roles.yaml (make deploy)"
    return InputError(f"Kubernetes refuses: {reason}{hint if error.status == 403 and 'cannot' in reason else ''}")
