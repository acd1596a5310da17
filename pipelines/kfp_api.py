"""Kubeflow Pipelines' HTTP API, as far as submitting, following and scheduling runs needs it.

kfp's own client ends a wait of hours at the first lost connection, reads a token once, and names neither the server nor
what to do in its errors; so these few requests are ours.
"""

import base64
import contextlib
import gzip
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import requests

from openpose.errors import InputError

ENDPOINT, UI, TOKEN, TOKEN_FILE, NAMESPACE = (
    "KF_PIPELINES_ENDPOINT",
    "KF_PIPELINES_UI_ENDPOINT",
    "KF_PIPELINES_TOKEN",
    "KF_PIPELINES_TOKEN_FILE",
    "KF_PIPELINES_NAMESPACE",
)
IN_CLUSTER_TOKEN = Path("/var/run/secrets/kubeflow/pipelines/token")
IN_CLUSTER_ENDPOINT = "http://ml-pipeline.kubeflow.svc:8888"
TIMEOUT = 30.0  # seconds for one answer
RETRIED = (429, 502, 503, 504)

Token = Callable[[], str]


class ApiError(InputError):
    """The server refused a request; `code` is HTTP's."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class Api:
    """A server.

    Args:
        endpoint: its address, such as http://localhost:8888 or https://kubeflow.example.com/pipeline.
        token: reads the bearer token, anew for each request, because those of Kubernetes live an hour; "" for none.
        namespace: of the user in a Kubeflow with several; "" where there is one.
        patience: seconds for which a server that does not answer is asked again.

    Attributes:
        patience: may be changed, for a wait of hours.
    """

    def __init__(self, endpoint: str, token: Token = lambda: "", namespace: str = "", patience: float = 20.0) -> None:
        if not endpoint.startswith(("http://", "https://")):
            raise InputError(f"{ENDPOINT} is {endpoint!r}; give an address that begins with http:// or https://")
        self.endpoint, self.namespace, self.patience = endpoint.rstrip("/"), namespace, patience
        self._token = token
        self.session = requests.Session()

    def get(self, path: str, **query: Any) -> Any:
        """An answer's JSON. Asked again while the server does not answer.

        Raises:
            ApiError: the server refuses it.
            InputError: there is no server for longer than `patience`.
        """
        return self._patient("GET", path, params=query).json()

    def text(self, path: str) -> str:
        """An answer's text."""
        return self._patient("GET", path).content.decode(errors="replace")

    def post(self, path: str, body: Any = None, file: tuple[str, bytes] | None = None, **query: Any) -> Any:
        """Sends JSON or a file. Not sent twice, except when the server cannot have had it."""
        content: dict[str, Any] = {"files": {"uploadfile": file}} if file else {"json": body}
        answer = self._patient("POST", path, params=query, **content)
        return answer.json() if answer.content else {}

    def check(self) -> None:
        """Asks whether the server is there and takes the token.

        Raises:
            InputError: it is not or does not; or it has several namespaces and none is given.
        """
        try:
            health = self.get("/apis/v2beta1/healthz")
        except ValueError as error:
            raise InputError(
                f"{self.endpoint}: answers, but is no API of Kubeflow Pipelines; look at {ENDPOINT}"
            ) from error
        if health.get("multi_user") and not self.namespace:
            raise InputError(
                f"{self.endpoint}: this Kubeflow has a namespace for each user; give yours with --namespace "
                f"or in {NAMESPACE}"
            )

    def _patient(self, method: str, path: str, **content: Any) -> requests.Response:
        deadline, pause, told = time.monotonic() + self.patience, 0.5, False
        while True:
            trouble, may_repeat = "", method != "POST"
            try:
                answer = self._once(method, path, **content)
                if answer.status_code not in RETRIED:
                    return self._checked(answer, path)
                trouble = f"HTTP {answer.status_code}"
                may_repeat = True  # a proxy's answer when no server was there to take it
            except requests.exceptions.SSLError as error:
                raise InputError(
                    f"{self.endpoint}: its certificate is not trusted ({_inner(error)}); "
                    "give the authority's file in REQUESTS_CA_BUNDLE"
                ) from error
            except requests.exceptions.ConnectionError as error:
                trouble = _inner(error)
                may_repeat = may_repeat or "refused" in trouble or "resol" in trouble
            except requests.exceptions.Timeout:
                trouble = f"no answer in {TIMEOUT:.0f} s"
            if not may_repeat:
                raise InputError(
                    f"{self.endpoint}: the connection was lost ({trouble}) while {path} was sent, which may have "
                    "arrived; see `make runs` before you send it again"
                )
            if time.monotonic() > deadline:
                raise InputError(
                    f"{self.endpoint}: Kubeflow Pipelines does not answer ({trouble}); is {ENDPOINT} right and the "
                    "server up, is `kubectl port-forward` still running?"
                )
            if not told and pause > 2:
                told = True
                print(f"{self.endpoint} does not answer ({trouble}); trying on", file=sys.stderr, flush=True)
            time.sleep(pause)
            pause = min(pause * 2, 15.0)

    def _once(self, method: str, path: str, **content: Any) -> requests.Response:
        token = self._token()
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return self.session.request(
            method, self.endpoint + path, headers=headers, timeout=TIMEOUT, allow_redirects=False, **content
        )

    def _checked(self, answer: requests.Response, path: str) -> requests.Response:
        code = answer.status_code
        if code < 300:
            return answer
        said = _said(answer)
        if code in (301, 302, 303, 307, 308, 401):
            raise ApiError(
                code,
                f"{self.endpoint}: it wants a login (HTTP {code}{said}); give a token that it takes in {TOKEN}, or the "
                f"name of a file with one in {TOKEN_FILE}",
            )
        if code == 403:
            raise ApiError(
                code,
                f"{self.endpoint}: not allowed{said}; is the namespace {self.namespace or '(none given)'} yours, and "
                "may the token's account use it?",
            )
        raise ApiError(code, f"{self.endpoint}: {path.partition('?')[0]}: HTTP {code}{said}")

    # Pipelines and runs

    def pipeline(self, name: str) -> str | None:
        """A pipeline's identifier, None when there is none of that name."""
        try:
            query = {"namespace": self.namespace} if self.namespace else {}
            return self.get(f"/apis/v2beta1/pipelines/names/{quote(name, safe='')}", **query)["pipeline_id"]
        except ApiError as error:
            if error.code == 404:
                return None
            raise

    def create_pipeline(self, name: str, description: str) -> str:
        """Makes a pipeline without a version; returns its identifier."""
        body = {"display_name": name, "name": name, "description": description}
        if self.namespace:
            body["namespace"] = self.namespace
        return self.post("/apis/v2beta1/pipelines", body)["pipeline_id"]

    def version(self, pipeline: str, name: str) -> dict[str, Any] | None:
        """A version of that name, with its `pipeline_spec`."""
        wanted = _equal("display_name", name)
        found = self.get(f"/apis/v2beta1/pipelines/{pipeline}/versions", filter=wanted, page_size=10)
        versions = found.get("pipeline_versions", [])
        if not versions:
            return None
        return self.get(f"/apis/v2beta1/pipelines/{pipeline}/versions/{versions[0]['pipeline_version_id']}")

    def upload_version(self, pipeline: str, name: str, content: bytes) -> str:
        """Uploads a compiled pipeline; returns the version's identifier."""
        answer = self.post(
            "/apis/v2beta1/pipelines/upload_version", file=("pipeline.yaml", content), name=name, pipelineid=pipeline
        )
        return answer["pipeline_version_id"]

    def experiment(self, name: str) -> str:
        """An experiment's identifier; it is made when there is none."""
        query = {"namespace": self.namespace} if self.namespace else {}
        found = self.get("/apis/v2beta1/experiments", filter=_equal("display_name", name), **query)
        for experiment in found.get("experiments", []):
            return experiment["experiment_id"]
        return self.post("/apis/v2beta1/experiments", {"display_name": name, **query})["experiment_id"]

    def start(self, run: dict[str, Any]) -> str:
        """Starts a run; returns its identifier."""
        return self.post("/apis/v2beta1/runs", run)["run_id"]

    def run(self, identifier: str) -> dict[str, Any]:
        """A run with its tasks."""
        return self.get(f"/apis/v2beta1/runs/{quote(identifier, safe='')}")

    def runs(self, count: int, schedule: str = "") -> list[dict[str, Any]]:
        """The newest runs, the newest first; only those of a schedule when it is given."""
        query = {"namespace": self.namespace} if self.namespace else {}
        if schedule:
            query["filter"] = _equal("recurring_run_id", schedule)
        return self.get("/apis/v2beta1/runs", page_size=count, sort_by="created_at desc", **query).get("runs", [])

    def terminate(self, identifier: str) -> None:
        """Stops a run."""
        self.post(f"/apis/v2beta1/runs/{quote(identifier, safe='')}:terminate")

    def schedules(self, name: str = "") -> list[dict[str, Any]]:
        """The recurring runs, or those of a name, which Kubeflow does not keep unique."""
        query: dict[str, Any] = {"namespace": self.namespace} if self.namespace else {}
        if name:
            query["filter"] = _equal("display_name", name)
        return self.get("/apis/v2beta1/recurringruns", page_size=100, **query).get("recurringRuns", [])

    def schedule(self, recurring: dict[str, Any]) -> str:
        """Makes a recurring run; returns its identifier."""
        return self.post("/apis/v2beta1/recurringruns", recurring)["recurring_run_id"]

    def unschedule(self, identifier: str) -> None:
        """Removes a recurring run, if it is there. A run that it has started goes on; by default it would go too."""
        path = f"/apis/v2beta1/recurringruns/{quote(identifier, safe='')}"
        try:
            self._patient("DELETE", path, params={"propagation_policy": "ORPHAN"})
        except ApiError as error:
            if error.code != 404:  # an answer that was lost
                raise

    def workflow(self, identifier: str) -> dict[str, Any]:
        """The run's workflow, which knows what the run does not: its pods, why one waits, and whether it was stopped.

        Empty when it is unknown.
        """
        with contextlib.suppress(InputError, KeyError, ValueError):
            runtime = self.get(f"/apis/v1beta1/runs/{quote(identifier, safe='')}")["pipeline_runtime"]
            return json.loads(runtime["workflow_manifest"])
        return {}

    def nodes(self, identifier: str) -> list[dict[str, Any]]:
        """The nodes of the run's workflow; [] when they are unknown."""
        status = self.workflow(identifier).get("status", {})
        if packed := status.get("compressedNodes"):  # Argo's way to keep a workflow of many steps below 1 MB
            return list(json.loads(gzip.decompress(base64.b64decode(packed))).values())
        return list((status.get("nodes") or {}).values())

    def log(self, identifier: str, pod: str) -> str:
        """What a pod has printed; "" when neither the pod nor an archive of its log is left."""
        with contextlib.suppress(InputError):
            return self.text(f"/apis/v1alpha1/runs/{quote(identifier, safe='')}/nodes/{quote(pod, safe='')}/log")
        return ""


def _equal(key: str, value: str) -> str:
    return json.dumps({"predicates": [{"key": key, "operation": "EQUALS", "string_value": value}]})


def _inner(error: BaseException) -> str:
    """Of requests' nested errors the innermost's words."""
    while error.args and isinstance(error.args[0], BaseException):
        error = error.args[0]
    reason = getattr(error, "reason", None)
    return str(reason or error).rsplit(": ", 1)[-1].strip(" ')")


def _said(answer: requests.Response) -> str:
    """What the server says about an error, in one short line."""
    try:
        document = answer.json()
        text = document.get("message") or document.get("error_message") or document.get("error") or ""
    except (ValueError, AttributeError):
        return ""
    return f": {' '.join(str(text).split())[:300]}" if text else ""


def connect(namespace: str = "") -> Api:
    """The server that the environment names.

    KF_PIPELINES_ENDPOINT with KF_PIPELINES_TOKEN or KF_PIPELINES_TOKEN_FILE; without it, inside a cluster, the service
    and the pod's own token; else the current context of kubectl, through Kubernetes' API server.

    Raises:
        InputError: none is named, or it does not answer.
    """
    namespace = namespace or os.environ.get(NAMESPACE, "")
    endpoint = os.environ.get(ENDPOINT, "")
    if not endpoint and "KUBERNETES_SERVICE_HOST" in os.environ:
        endpoint = IN_CLUSTER_ENDPOINT
    api = Api(endpoint, _read_token, namespace) if endpoint else _through_kubernetes(namespace)
    api.check()
    return api


def _read_token() -> str:
    if token := os.environ.get(TOKEN, ""):
        return token
    named = os.environ.get(TOKEN_FILE, "")
    file = Path(named) if named else IN_CLUSTER_TOKEN
    try:
        return file.read_text().strip()
    except OSError as error:
        if named:
            raise InputError(f"{TOKEN_FILE} names {named}, which cannot be read ({error.strerror})") from error
        return ""


def _through_kubernetes(namespace: str) -> Api:
    from kubernetes import client, config

    found = client.Configuration()
    try:
        config.load_kube_config(client_configuration=found)
    except config.ConfigException as error:
        raise InputError(
            f"no Kubeflow Pipelines is named: set {ENDPOINT}, such as http://localhost:8888 after "
            "`kubectl -n kubeflow port-forward svc/ml-pipeline 8888`, or have a kubeconfig"
        ) from error
    service = "/api/v1/namespaces/kubeflow/services/ml-pipeline:http/proxy"

    def token() -> str:
        return (found.get_api_key_with_prefix("authorization") or "").removeprefix("Bearer ")

    api = Api(found.host + service, token, namespace)
    api.session.verify = found.ssl_ca_cert or found.verify_ssl
    if found.cert_file:
        api.session.cert = (found.cert_file, found.key_file)
    return api


def address(api: Api, run: str) -> str:
    """Where a person sees a run."""
    pages = os.environ.get(UI, "").rstrip("/") or api.endpoint
    namespace = f"?ns={api.namespace}" if api.namespace else ""
    return f"{pages}/{namespace}#/runs/details/{run}"
