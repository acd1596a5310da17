"""A small HTTP server that imitates Kubeflow Pipelines' API, and misbehaves on request."""

import base64
import gzip
import json
import re
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml

from components.finish.summary import MARK, StepSummary, Summary
from openpose.evaluation.pixel_errors import FIGURES

PART = "wf-1.root.exit-handler-1"


def node(name: str, phase: str, kind: str = "Pod", message: str = "", start: int = 0) -> dict[str, Any]:
    """A node of a run's workflow."""
    return {
        "id": f"wf-1-{abs(hash(name)) % 10**9}",
        "name": name,
        "displayName": name.rpartition(".")[2],
        "type": kind,
        "phase": phase,
        "templateName": "impl",
        "message": message,
        "startedAt": f"2026-01-01T00:00:{start:02}Z" if phase != "Pending" else None,
        "finishedAt": f"2026-01-01T00:01:{start:02}Z" if phase in ("Succeeded", "Failed") else None,
    }


def pod(entry: dict[str, Any]) -> str:
    """The name of a node's pod."""
    return f"wf-1-impl-{entry['id'].rpartition('-')[2]}"


SUMMARY = Summary(
    verdict="accepted",
    reason="COCO AP is 0.676, the first on this data set.",
    step=None,
    error="",
    ap=0.676,
    valid_loss=66.1,
    **dict.fromkeys(FIGURES),
    keypoints=None,
    figures={"AP": 0.676, "AR": None},
    losses={"loss": 55.6, "valid_loss": 66.1},
    steps={"train": StepSummary("done", 60.0, "")},
    graph="/data/openpose/models/1/graph.pb",
    champion=None,
    registry=None,
    report=None,
    evaluation=None,
    records=None,
    run=None,
    logs=None,
    root="/data/openpose",
    disk_use=None,
)


def ended(summary: Summary) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Nodes and logs of a run whose steps all ended."""
    last = node("wf-1.finish.executor", "Succeeded", start=9)
    said = f"# {summary.verdict}\n{MARK}{json.dumps(summary.document())}\n"
    log = f"I1126 05:00:00.1 launcher.go:1] hello\n{said}"
    return [node("wf-1", "Succeeded", "DAG"), node(f"{PART}.train.executor", "Succeeded"), last], {pod(last): log}


@dataclass
class Server:
    """The server's state, and the requests that it received.

    Attributes:
        states: the run's states, one per request; the last one stays.
        nodes: of the run's workflow.
        compressed: whether to send the nodes compressed, as Argo does with large workflows.
        logs: by pod.
        archived: whether the archive has the logs; else only the pods have them.
        page: whether this is the server of Kubeflow's pages, which passes on the API but not its own logs.
        tasks: the tasks that ended well, as the API lists them.
        token: the required token; empty for none.
        multi_user: whether each user has a namespace.
        away: number of requests that get no answer, from now on or after a run's start (`away_once_started`).
        raced: whether somebody else makes each pipeline, version and experiment just before it is made here.
        versions: name -> compiled pipeline.
        experiments: the names of those that were made.
        started: the runs that it received.
        schedules: identifier -> the recurring run that it received.
        scheduled: identifier of a schedule -> the newest run that it started.
        listed: the runs of the list of all runs.
        terminated: whether a run was stopped.
        tokens: the tokens that it received.
    """

    states: list[str] = field(default_factory=lambda: ["SUCCEEDED"])
    nodes: list[dict[str, Any]] = field(default_factory=list)
    compressed: bool = False
    logs: dict[str, str] = field(default_factory=dict)
    archived: bool = True
    page: bool = False
    tasks: list[str] = field(default_factory=list)
    token: str = ""
    multi_user: bool = False
    away: int = 0
    away_once_started: bool = False
    raced: bool = False
    versions: dict[str, bytes] = field(default_factory=dict)
    experiments: list[str] = field(default_factory=list)
    pipelines: dict[str, str] = field(default_factory=dict)
    started: list[dict[str, Any]] = field(default_factory=list)
    schedules: dict[str, dict[str, Any]] = field(default_factory=dict)
    scheduled: dict[str, dict[str, Any]] = field(default_factory=dict)
    listed: list[dict[str, Any]] = field(default_factory=list)
    terminated: bool = False
    tokens: list[str] = field(default_factory=list)
    address: str = ""

    def answer(self, method: str, path: str, query: dict[str, str], body: bytes) -> tuple[int, Any]:
        """The status and the JSON (or text) of an answer."""
        if self.page and path == "/":
            return 200, "<html>Kubeflow</html>"
        rest = path.removeprefix("/apis/v2beta1/")
        if rest == "healthz":
            return 200, {"multi_user": self.multi_user}
        if method == "POST" and rest == "runs":
            self.started.append(json.loads(body))
            return 200, {"run_id": "run-1"}
        if method == "GET" and rest == "runs":
            if not _wanted(query):
                return 200, {"runs": self.listed}
            return 200, {"runs": [run for name, run in self.scheduled.items() if name == _wanted(query)]}
        if rest == "runs/run-1":
            state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
            return 200, {"run_id": "run-1", "state": state, "run_details": self._details()}
        if rest == "runs/run-1:terminate":
            self.terminated = True
            return 200, {}
        if path == "/apis/v1beta1/runs/run-1":
            spec = {"activeDeadlineSeconds": 0} if self.terminated else {}
            nodes = {node["id"]: node for node in self.nodes}
            packed = base64.b64encode(gzip.compress(json.dumps(nodes).encode())).decode()
            workflow = {"spec": spec, "status": {"compressedNodes": packed} if self.compressed else {"nodes": nodes}}
            return 200, {"pipeline_runtime": {"workflow_manifest": json.dumps(workflow)}}
        if log := self._log(path, query):
            return log
        if rest == "experiments":
            return self._experiments(method, body)
        if rest.startswith("recurringruns"):
            return self._schedules(method, rest, query, body)
        return self._pipelines(method, rest, query, body)

    def _details(self) -> dict[str, Any]:
        return {"task_details": [{"display_name": task, "state": "SUCCEEDED"} for task in self.tasks]}

    def _log(self, path: str, query: dict[str, str]) -> tuple[int, Any] | None:
        """The answer to a request for a log, as the real servers give it; None to others."""
        if found := re.fullmatch(r"/apis/v2beta1/runs/run-1/nodes/(.+)/artifacts/main-logs:read", path):
            if not self.archived or found[1] not in self.logs:
                return 404, {"error_message": "artifact not found"}
            return 200, {"data": base64.b64encode(self.logs[found[1]].encode()).decode()}
        if found := re.fullmatch(r"/apis/v1alpha1/runs/run-1/nodes/(.+)/log", path):
            if self.page:
                return 404, "<html>Cannot GET</html>"
            return 200, self.logs.get(found[1]) or {"error_message": "Failed to read logs from archive"}
        if self.page and path == "/k8s/pod/logs":
            pod = query["podname"]
            return (200, self.logs[pod]) if pod in self.logs else (500, "Could not get main container logs")
        return None

    def _made(self, what: dict[str, Any]) -> tuple[int, Any]:
        return (409, {"message": "The name already exists"}) if self.raced else (200, what)

    def _experiments(self, method: str, body: bytes) -> tuple[int, Any]:
        if method == "POST":
            self.experiments.append(json.loads(body)["display_name"])
            return self._made({"experiment_id": "experiment-1"})
        return 200, {"experiments": [{"experiment_id": "experiment-1"}]} if self.experiments else {}

    def _schedules(self, method: str, rest: str, query: dict[str, str], body: bytes) -> tuple[int, Any]:
        if method == "POST":
            name = f"schedule-{len(self.schedules) + 1}"
            self.schedules[name] = json.loads(body)
            return 200, {"recurring_run_id": name}
        if method == "DELETE":
            if query.get("propagation_policy") != "ORPHAN":
                self.terminated = True  # which also removes the schedule's runs
            self.schedules.pop(rest.removeprefix("recurringruns/"))
            return 200, {}
        wanted = _wanted(query)
        found = [
            {"recurring_run_id": name, "display_name": sent["display_name"]}
            for name, sent in self.schedules.items()
            if wanted in ("", sent["display_name"])
        ]
        return 200, {"recurringRuns": found} if found else {}

    def _pipelines(self, method: str, rest: str, query: dict[str, str], body: bytes) -> tuple[int, Any]:
        if found := re.fullmatch(r"pipelines/names/(.+)", rest):
            known = self.pipelines.get(found[1])
            return (200, {"pipeline_id": known}) if known else (404, {"message": "not found"})
        if method == "POST" and rest == "pipelines":
            self.pipelines[json.loads(body)["name"]] = "pipeline-1"
            return self._made({"pipeline_id": "pipeline-1"})
        if rest == "pipelines/upload_version":
            content = body.split(b"\r\n\r\n", 1)[1].rsplit(b"\r\n--", 1)[0]
            self.versions[query["name"]] = content
            return self._made({"pipeline_version_id": query["name"]})
        if rest == "pipelines/pipeline-1/versions":
            name = _wanted(query)
            return 200, {"pipeline_versions": [{"pipeline_version_id": name}] if name in self.versions else []}
        if found := re.fullmatch(r"pipelines/pipeline-1/versions/(.+)", rest):
            documents = list(yaml.load_all(self.versions[found[1]], yaml.CSafeLoader))
            spec = {"pipeline_spec": documents[0], "platform_spec": documents[1]}
            return 200, {"pipeline_version_id": found[1], "pipeline_spec": spec}
        return 404, {"message": f"no {rest}"}


def _wanted(query: dict[str, str]) -> str:
    """The value of a list's filter; empty without a filter."""
    return json.loads(query["filter"])["predicates"][0]["string_value"] if "filter" in query else ""


@contextmanager
def serving(server: Server, tls: ssl.SSLContext | None = None) -> Iterator[Server]:
    """Runs the server while the block does."""

    class Handler(BaseHTTPRequestHandler):
        def _handle(self) -> None:
            split = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
            server.tokens.append(token)
            if server.away > 0 and (server.started or not server.away_once_started):
                server.away -= 1
                self.connection.close()
                return
            code: int = 401
            answer: Any = {"message": "Unauthenticated"}
            if token == server.token or not server.token:
                query = {name: values[0] for name, values in parse_qs(split.query).items()}
                code, answer = server.answer(self.command, split.path, query, body)
            content = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
            self.send_response(code)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Content-Type", "text/html" if server.page and split.path == "/" else "application/json")
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_DELETE = _handle

        def log_message(self, format: str, *arguments: Any) -> None:
            """Keeps the log out of the test's output."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if tls:
        http.socket = tls.wrap_socket(http.socket, server_side=True)
    thread = threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    server.address = f"http://127.0.0.1:{http.server_port}"
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()


@contextmanager
def served_by_tls(server: Server, certificate: Path, key: Path) -> Iterator[str]:
    """Offers a server by TLS too, under the address that it yields, while the block runs."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with serving(server, context):
        yield server.address.replace("http://127.0.0.1", "https://localhost")
