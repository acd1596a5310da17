"""Reads the logs of a run's pods, in whichever way the server offers."""

import base64
import contextlib
import json
from collections.abc import Callable
from functools import cached_property
from urllib.parse import quote

from openpose.errors import InputError
from openpose.retry import TemporaryError
from pipelines.kfp_api import Api

NOWHERE = (
    "its log cannot be read: neither the server's archive nor its API, its page or kubectl's context has it; try "
    "`kubectl logs`, or the run's page"
)


class PodLogs:
    """The logs of one run's pods.

    No single way always works: the archive has only finished steps, and may be switched off; Kubeflow's page passes
    on the archive and the logs of pods, but not the API's own logs; the API's own logs answer 200 with a JSON error
    where they cannot be read.
    """

    def __init__(self, api: Api, run: str) -> None:
        self._api, self._run = api, run

    def read(self, pod: str) -> str:
        """The log of a pod; "" if no way leads to it."""
        ways: tuple[Callable[[str], str], ...] = (self._archived, self._by_api, self._by_page, self._by_kubernetes)
        for way in ways:
            with contextlib.suppress(InputError, TemporaryError, ValueError, KeyError):
                if text := way(pod):
                    return text
        return ""

    def _archived(self, pod: str) -> str:
        """The log that Argo archived when the step ended."""
        answer = self._api.ask(f"runs/{quote(self._run)}/nodes/{quote(pod)}/artifacts/main-logs:read")
        return base64.b64decode(answer.json()["data"]).decode(errors="replace")

    def _by_api(self, pod: str) -> str:
        """The log as the server of the API reads it, from the pod or from its own archive."""
        answer = self._api.ask(f"/apis/v1alpha1/runs/{quote(self._run)}/nodes/{quote(pod)}/log")
        return "" if _is_error(answer.text) else answer.content.decode(errors="replace")

    def _by_page(self, pod: str) -> str:
        """The log of a running pod as Kubeflow's page reads it."""
        query = {"podname": pod, "runid": self._run, "podnamespace": self._namespace}
        return self._api.ask("/k8s/pod/logs", **query).content.decode(errors="replace")

    def _by_kubernetes(self, pod: str) -> str:
        """The log of a pod on the cluster of kubectl's context, which need not be that of the API."""
        from kubernetes import client, config
        from urllib3.exceptions import HTTPError

        try:
            core = client.CoreV1Api(config.new_client_from_config())
            return core.read_namespaced_pod_log(pod, self._namespace, container="main", _request_timeout=10)
        except (config.ConfigException, client.ApiException, HTTPError):
            return ""

    @cached_property
    def _namespace(self) -> str:
        metadata = self._api.workflow(self._run).get("metadata", {})
        return metadata.get("namespace") or self._api.namespace or "kubeflow"


def _is_error(text: str) -> bool:
    """Whether the text is the JSON with which the API answers instead of a log."""
    with contextlib.suppress(ValueError, AttributeError):
        return "error_message" in json.loads(text)
    return False
