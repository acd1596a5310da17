"""A small HTTP server that imitates Kubernetes' API for the pods of a training."""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from components.train import pods

Look = dict[int, dict[str, Any]]  # status of each machine's pod


@dataclass
class Server:
    """The server's state, and the requests that it received.

    Attributes:
        step: the pod of the training's step.
        tries: for each Job, its pods at each request; the last ones stay.
        logs: of the first machine, one per request; the last one stays.
        warnings: object's name, without the Job's name as prefix -> its warning events.
        refused: the kind of object that may not be created.
        suspended: number of requests during which a queue holds the Job back.
        away: number of requests that get no answer.
        jobs: the present Jobs.
        made: all objects that it received.
        leases: the renewals of the Job's lease.
        deletions: kind of event and machine of each pod that was deleted, in this order.
    """

    step: dict[str, Any]
    tries: list[list[Look]] = field(default_factory=list)
    logs: list[str] = field(default_factory=lambda: [""])
    warnings: dict[str, str] = field(default_factory=dict)
    refused: str = ""
    suspended: int = 0
    away: int = 0
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    made: list[dict[str, Any]] = field(default_factory=list)
    leases: list[int] = field(default_factory=list)
    deletions: list[tuple[str, int]] = field(default_factory=list)
    address: str = ""
    now: Look = field(default_factory=dict)
    looks: int = 0

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> tuple[int, Any]:
        """The status and the JSON (or text) of an answer."""
        kind, _, name = re.sub(r"/api(s/batch)?/v1/namespaces/here/", "", path).partition("/")
        if method == "POST":
            return self._make(kind, body)
        if method == "DELETE":
            return 200, self.jobs.pop(name, {})
        if kind == "events":
            about = query["fieldSelector"].removeprefix("involvedObject.name=").partition(",")[0]
            message = self.warnings.get(about.rpartition("-pod")[1] + about.rpartition("-pod")[2])
            return 200, {"items": [{"message": message, "metadata": {}, "involvedObject": {}}] if message else []}
        if kind == "pods" and name.endswith("/log"):
            return 200, self.logs.pop(0) if len(self.logs) > 1 else self.logs[0]
        if kind == "pods" and name:
            return 200, self.step
        job = query.get("labelSelector", "").removeprefix(f"{pods.JOB}=")
        if kind == "pods" and "watch" in query:
            return 200, "".join(f"{json.dumps(event)}\n" for event in self._events(job, query["resourceVersion"]))
        if kind == "pods":
            self.looks += 1
            return 200, {"items": self._look(job), "metadata": {"resourceVersion": str(self.looks)}}
        if not name:
            return 200, {"items": list(self.jobs.values())}
        if name not in self.jobs:
            return 404, {"message": f'jobs.batch "{name}" not found'}
        if method == "PATCH":
            self.leases.append(body["spec"]["activeDeadlineSeconds"])
        return 200, self._job(name)

    def _make(self, kind: str, made: dict[str, Any]) -> tuple[int, Any]:
        if kind == self.refused:
            return 403, {"message": f'User "runner" cannot create resource "{kind}"'}
        self.made.append(made)
        made["metadata"] |= {"uid": f"uid-{len(self.made)}"}
        if kind == "jobs":
            self.jobs[made["metadata"]["name"]] = made
            self.now = {}
        return 201, made

    def _job(self, name: str) -> dict[str, Any]:
        self.suspended -= 1
        ends = [pod.get("state", {}).get("terminated", {}).get("exitCode") for pod in self.now.values()]
        condition = None
        if any(ends) or any("gone" in pod or "deleted" in pod for pod in self.now.values()):
            condition = {"type": "Failed", "reason": "BackoffLimitExceeded", "message": "limit reached"}
        elif ends and all(end == 0 for end in ends):
            condition = {"type": "Complete"}
        conditions = [{"status": "True", **condition}] if condition else []
        held = self.suspended >= 0
        start = {} if held else {"startTime": "2026-01-01T00:00:00Z"}
        job = self.jobs[name]
        return {**job, "spec": {**job["spec"], "suspend": held}, "status": {"conditions": conditions, **start}}

    def _events(self, job: str, version: str) -> list[dict[str, Any]]:
        if version == str(self.looks):  # of the list from which they are missing already
            return []
        events = [
            {"type": kind, "object": _pod(job, number, {"deleted": "2026-01-01T00:11:00Z"})}
            for kind, number in self.deletions
        ]
        return [{"type": "MODIFIED", "object": _pod(job, 0, RUNNING)}, *events]

    def _look(self, job: str) -> list[dict[str, Any]]:
        if self.suspended >= 0:
            return []
        looks = self.tries[int(job.rpartition("-")[2]) - 1]
        self.now = looks.pop(0) if len(looks) > 1 else looks[0]
        return [_pod(job, number, status) for number, status in self.now.items() if "gone" not in status]


RUNNING: dict[str, Any] = {"state": {"running": {}}}


def _pod(job: str, number: int, status: dict[str, Any]) -> dict[str, Any]:
    return {
        "metadata": {
            "name": f"{job}-{number}-pod{number}",
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "annotations": {pods.INDEX: str(number)},
            "deletionTimestamp": status.get("deleted"),
        },
        "status": {"conditions": status.get("conditions", []), "message": status.get("message")}
        | ({"containerStatuses": [_container(status["state"])]} if "state" in status else {}),
    }


def _container(state: dict[str, Any]) -> dict[str, Any]:
    return {"name": "train", "image": "x", "imageID": "", "ready": True, "restartCount": 0, "state": state}


@contextmanager
def serving(server: Server) -> Iterator[Server]:
    """Serves at `server.address` while the block runs."""

    class Handler(BaseHTTPRequestHandler):
        def handle_one(self) -> None:
            if server.away > 0:
                server.away -= 1
                self.close_connection = True
                return
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            length = int(self.headers.get("Content-Length") or 0)
            status, answer = server.answer(
                self.command, parts.path, query, json.loads(self.rfile.read(length) or "null")
            )
            content = (answer if isinstance(answer, str) else json.dumps(answer)).encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/plain" if isinstance(answer, str) else "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PATCH = do_DELETE = handle_one

        def log_message(self, format: str, *args: Any) -> None:
            pass

    http = ThreadingHTTPServer(("localhost", 0), Handler)
    server.address = f"http://localhost:{http.server_port}"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        thread.join()
        http.server_close()
