"""A client of Kubeflow Pipelines' HTTP API that submits, follows and schedules runs.

`kfp.Client` reads neither logs nor the workflow's nodes, gives up a wait of hours at the first lost connection, follows
a redirect to a login page and takes that for an empty run, and ignores REQUESTS_CA_BUNDLE and HTTPS_PROXY.
"""

import base64
import contextlib
import gzip
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import requests
from requests import exceptions

from openpose import retry
from openpose.errors import InputError
from openpose.retry import TemporaryError

ENDPOINT, UI, TOKEN, TOKEN_FILE, NAMESPACE = (
    "KF_PIPELINES_ENDPOINT",
    "KF_PIPELINES_UI_ENDPOINT",
    "KF_PIPELINES_TOKEN",
    "KF_PIPELINES_TOKEN_FILE",
    "KF_PIPELINES_NAMESPACE",
)
IN_CLUSTER_TOKEN = Path("/var/run/secrets/kubeflow/pipelines/token")
IN_CLUSTER_ENDPOINT = "http://ml-pipeline.kubeflow.svc:8888"
PAGES = "http://localhost:8080"  # of Kubeflow's pages, as docs/operations.md forwards them
TIMEOUT = 30.0  # seconds for one answer
RETRIED = (429, 502, 503, 504)
LOGIN = (301, 302, 303, 307, 308, 401)


class ApiError(InputError):
    """The server refused a request with the HTTP status `code`."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class Api:
    """A Kubeflow Pipelines server. Methods raise ApiError, or InputError if the server does not answer in time.

    Args:
        endpoint: its address, such as http://localhost:8888 or https://kubeflow.example.com/pipeline.
        token: returns the bearer token, or "" without one; called for each request, as Kubernetes' tokens live an hour.
        namespace: of the user, in a Kubeflow with several users; else "".
        patience: seconds for which to retry requests while the server does not answer.

    Attributes:
        patience: may be raised to wait for hours.
        authority: file with the certificate of the server's authority, or False to trust any; by default requests'
            own choice, and REQUESTS_CA_BUNDLE's.
    """

    def __init__(
        self, endpoint: str, token: Callable[[], str] = lambda: "", namespace: str = "", patience: float = 20.0
    ) -> None:
        if not endpoint.startswith(("http://", "https://")):
            raise InputError(f"{ENDPOINT} is {endpoint!r}; give an address that begins with http:// or https://")
        self.endpoint, self.namespace, self.patience = endpoint.rstrip("/"), namespace, patience
        self.authority: str | bool | None = None
        self._token = token
        self._of_user = {"namespace": namespace} if namespace else {}
        self.session = requests.Session()
        self.session.auth = self._authorized

    def _authorized(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if token := self._token():
            request.headers["Authorization"] = f"Bearer {token}"
        return request

    # Requests. Paths are relative to /apis/v2beta1/ unless they begin with a slash.

    def get(self, path: str, **query: Any) -> Any:
        """Sends a GET request; returns the answer's JSON."""
        return self._send("GET", path, params=query).json()

    def post(self, path: str, body: Any = None, file: tuple[str, bytes] | None = None, **query: Any) -> Any:
        """Sends a POST request with JSON or a file; returns the answer's JSON."""
        content: dict[str, Any] = {"files": {"uploadfile": file}} if file else {"json": body}
        answer = self._send("POST", path, params=query, **content)
        return answer.json() if answer.content else {}

    def ask(self, path: str, **query: Any) -> requests.Response:
        """Sends a GET request once; returns the answer.

        Raises:
            InputError: the server refuses it.
            TemporaryError: the server does not answer now.
        """
        return self._send_once("GET", path, params=query)

    def _send(self, method: str, path: str, **content: Any) -> requests.Response:
        """Sends a request, with retries while the server does not answer."""
        told = False

        def say(error: BaseException, wait: float) -> None:
            nonlocal told
            if wait > 1 and not told:
                told = True
                print(f"{self.endpoint} does not answer ({error}); retrying", file=sys.stderr, flush=True)

        try:
            attempts = retry.attempts(seconds=self.patience, longest_pause=15.0, say=say)
            return attempts(self._send_once, method, path, **content)
        except TemporaryError as error:
            raise InputError(
                f"{self.endpoint}: Kubeflow Pipelines does not answer ({error}); is {ENDPOINT} right, the server up, "
                "and `kubectl port-forward` still running?"
            ) from error

    def _send_once(self, method: str, path: str, **content: Any) -> requests.Response:
        """Sends a request once; raises TemporaryError if a retry is safe, so not after a POST that may have arrived."""
        url = self.endpoint + (path if path.startswith("/") else f"/apis/v2beta1/{path}")
        try:
            # `verify` in the request goes before REQUESTS_CA_BUNDLE, which goes before the session's.
            answer = self.session.request(
                method, url, timeout=TIMEOUT, allow_redirects=False, verify=self.authority, **content
            )
        except exceptions.SSLError as error:
            raise InputError(
                f"{self.endpoint}: its certificate is not trusted ({_innermost(error)}); "
                "set REQUESTS_CA_BUNDLE to the authority's file"
            ) from error
        except (exceptions.ConnectionError, exceptions.Timeout) as error:
            late = isinstance(error, exceptions.ReadTimeout)
            trouble = f"no answer in {TIMEOUT:.0f} s" if late else _innermost(error)
            if method == "POST" and "refused" not in trouble and "resol" not in trouble:
                raise InputError(
                    f"{self.endpoint}: the connection was lost ({trouble}) while sending {path}, which may have "
                    "arrived; see `make runs` before you send it again"
                ) from error
            raise TemporaryError(trouble) from error
        if answer.status_code in RETRIED:  # from a proxy that did not reach the server, so a retry is safe
            raise TemporaryError(f"HTTP {answer.status_code}")
        if answer.status_code >= 300:
            raise self._refusal(answer, path)
        return answer

    def _refusal(self, answer: requests.Response, path: str) -> ApiError:
        code, said = answer.status_code, _message(answer)
        text = f"{path}: HTTP {code}{said}"
        if code in LOGIN:
            text = (
                f"it requires a login (HTTP {code}{said}); set {TOKEN} to a valid token, or {TOKEN_FILE} to the path "
                "of a file with one"
            )
        elif code == 403:
            text = (
                f"not allowed{said}; is the namespace {self.namespace or '(none given)'} yours, and may the token's "
                "account use it?"
            )
        return ApiError(code, f"{self.endpoint}: {text}")

    def check(self) -> None:
        """Checks that the server answers and accepts the token.

        Raises:
            InputError: it does not, or it requires a user's namespace.
        """
        try:
            health = self.get("healthz")
        except ValueError as error:
            raise InputError(
                f"{self.endpoint}: answers, but is not Kubeflow Pipelines' API; check {ENDPOINT}"
            ) from error
        if health.get("multi_user") and not self.namespace:
            raise InputError(
                f"{self.endpoint}: this Kubeflow has a namespace for each user; give yours with --namespace "
                f"or in {NAMESPACE}"
            )

    def has_pages(self) -> bool:
        """Whether Kubeflow's pages are at this address, as at that of a whole Kubeflow, and not the API alone."""
        with contextlib.suppress(InputError, TemporaryError):
            return "text/html" in self.ask("/").headers.get("Content-Type", "")
        return False

    # Pipelines and their versions

    def pipeline(self, name: str, description: str) -> str:
        """Finds a pipeline by name, or creates it without a version; returns its identifier."""

        def find() -> str | None:
            try:
                return self.get(f"pipelines/names/{_quoted(name)}", **self._of_user)["pipeline_id"]
            except ApiError as error:
                if error.code != 404:
                    raise
                return None

        body = {"display_name": name, "name": name, "description": description, **self._of_user}
        return found_or_made(find, lambda: self.post("pipelines", body)["pipeline_id"])

    def version(self, pipeline: str, name: str) -> dict[str, Any] | None:
        """Finds a version by name, with its `pipeline_spec`; None if it does not exist."""
        found = self.get(f"pipelines/{pipeline}/versions", page_size=10, filter=_equal("display_name", name))
        versions = found.get("pipeline_versions", [])
        return self.get(f"pipelines/{pipeline}/versions/{versions[0]['pipeline_version_id']}") if versions else None

    def upload_version(self, pipeline: str, name: str, content: bytes) -> str:
        """Uploads a compiled pipeline; returns the version's identifier."""
        answer = self.post("pipelines/upload_version", file=("pipeline.yaml", content), name=name, pipelineid=pipeline)
        return answer["pipeline_version_id"]

    # Experiments and runs

    def experiment(self, name: str) -> str:
        """Finds or creates an experiment by name; returns its identifier."""

        def find() -> str | None:
            found = self.get("experiments", filter=_equal("display_name", name), **self._of_user).get("experiments")
            return found[0]["experiment_id"] if found else None

        body = {"display_name": name, **self._of_user}
        return found_or_made(find, lambda: self.post("experiments", body)["experiment_id"])

    def start(self, run: dict[str, Any]) -> str:
        """Starts a run; returns its identifier."""
        return self.post("runs", run)["run_id"]

    def run(self, identifier: str) -> dict[str, Any]:
        """A run with its tasks."""
        return self.get(f"runs/{_quoted(identifier)}")

    def runs(self, count: int, schedule: str = "") -> list[dict[str, Any]]:
        """The newest runs, newest first, of all or of one schedule."""
        wanted = _equal("recurring_run_id", schedule)
        found = self.get("runs", page_size=count, sort_by="created_at desc", filter=wanted, **self._of_user)
        return found.get("runs", [])

    def terminate(self, identifier: str) -> None:
        """Stops a run."""
        self.post(f"runs/{_quoted(identifier)}:terminate")

    def workflow(self, identifier: str) -> dict[str, Any]:
        """The run's Argo workflow, empty if unknown: the only source of pods, of reasons to wait and of a stop."""
        with contextlib.suppress(InputError, KeyError, ValueError):
            runtime = self.get(f"/apis/v1beta1/runs/{_quoted(identifier)}")["pipeline_runtime"]
            return json.loads(runtime["workflow_manifest"])
        return {}

    def nodes(self, identifier: str) -> list[dict[str, Any]]:
        """The nodes of the run's workflow; [] if unknown."""
        status = self.workflow(identifier).get("status", {})
        if packed := status.get("compressedNodes"):  # Argo compresses the nodes of a workflow above 1 MB
            return list(json.loads(gzip.decompress(base64.b64decode(packed))).values())
        return list((status.get("nodes") or {}).values())

    # Schedules (Kubeflow's recurring runs)

    def schedules(self, name: str = "") -> list[dict[str, Any]]:
        """All recurring runs, or those with one name, which need not be unique."""
        found = self.get("recurringruns", page_size=100, filter=_equal("display_name", name), **self._of_user)
        return found.get("recurringRuns", [])

    def schedule(self, recurring: dict[str, Any]) -> str:
        """Creates a recurring run; returns its identifier."""
        return self.post("recurringruns", recurring)["recurring_run_id"]

    def unschedule(self, identifier: str) -> None:
        """Removes a recurring run if it exists, but keeps its runs, which Kubeflow would remove by default."""
        try:
            self._send("DELETE", f"recurringruns/{_quoted(identifier)}", params={"propagation_policy": "ORPHAN"})
        except ApiError as error:
            if error.code != 404:  # 404: an earlier attempt removed it, but its answer was lost
                raise


def found_or_made(find: Callable[[], str | None], make: Callable[[], str]) -> str:
    """What is found, else what is made, or what somebody else made at the same moment."""
    if found := find():
        return found
    try:
        return make()
    except ApiError as error:
        if error.code == 409 and (found := find()):
            return found
        raise


def _quoted(part: str) -> str:
    return quote(part, safe="")


def _equal(key: str, value: str) -> str | None:
    """A filter for a list; None, which requests leaves out, for an empty value."""
    if not value:
        return None
    return json.dumps({"predicates": [{"key": key, "operation": "EQUALS", "string_value": value}]})


def _innermost(error: BaseException) -> str:
    """The message of the innermost error among requests' nested errors."""
    while error.args and isinstance(error.args[0], BaseException):
        error = error.args[0]
    reason = getattr(error, "reason", None)
    return str(reason or error).rsplit(": ", 1)[-1].strip(" ')")


def _message(answer: requests.Response) -> str:
    """The server's error message as one short line that begins with a colon; "" without a message."""
    try:
        document = answer.json()
        text = document.get("message") or document.get("error_message") or document.get("error") or ""
    except (ValueError, AttributeError):
        return ""
    return f": {' '.join(str(text).split())[:1000]}" if text else ""


def connect(namespace: str = "") -> Api:
    """Connects to the server that the environment names.

    This is KF_PIPELINES_ENDPOINT with KF_PIPELINES_TOKEN or KF_PIPELINES_TOKEN_FILE; else, in a cluster, its service
    with the pod's token; else the cluster of kubectl's current context, through Kubernetes' API server.

    Raises:
        InputError: the environment names no server, or the server does not answer.
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
            f"no address of Kubeflow Pipelines: set {ENDPOINT}, such as http://localhost:8080 after "
            "`kubectl -n kubeflow port-forward svc/ml-pipeline-ui 8080:80`, or provide a kubeconfig"
        ) from error
    service = "/api/v1/namespaces/kubeflow/services/ml-pipeline:http/proxy"

    def token() -> str:
        return (found.get_api_key_with_prefix("authorization") or "").removeprefix("Bearer ")

    api = Api(found.host + service, token, namespace)
    api.authority = (found.ssl_ca_cert or None) if found.verify_ssl else False
    if found.cert_file:
        api.session.cert = (found.cert_file, found.key_file)
    return api


def run_page(api: Api, run: str) -> tuple[str, str]:
    """The address of a run's page, and how to reach it where the address is a guess; else an empty text.

    It is at KF_PIPELINES_UI_ENDPOINT, or at the API's address, or at `PAGES` once somebody forwards it.
    """
    pages, how = os.environ.get(UI, "").rstrip("/"), ""
    if not pages and api.has_pages():
        pages = api.endpoint
    elif not pages:
        pages = PAGES
        how = f"after `kubectl -n kubeflow port-forward svc/ml-pipeline-ui 8080:80`; {UI} names another address"
    namespace = f"?ns={api.namespace}" if api.namespace else ""
    return f"{pages}/{namespace}#/runs/details/{run}", how
