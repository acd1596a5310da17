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
from components.train.machine import REFUSED, STOPPED

Look = dict[int, dict[str, Any]]  # status of each machine's pod, by its number; of data workers, by DATA + theirs
DATA = 100


@dataclass
class Server:
    """The server's state, and the requests that it received.

    Attributes:
        step: the pod of the training's step.
        workflow: that owns it.
        attempts: for each attempt of the JobSet, its pods at each request; the last ones stay.
        logs: of the first machine, one per request; the last one stays.
        warnings: object's name, without the JobSet's name as prefix -> its warning events.
        refused: status with which a JobSet is refused; 0 for none.
        suspended: number of requests during which a queue holds the JobSet back.
        ending: number of attempts to create the JobSet during which an earlier one is being deleted.
        away: number of requests that get no answer.
        job_sets: the present JobSets.
        made: all JobSets that it received.
        deletions: kind of event and machine of each pod that was deleted, in this order.
    """

    step: dict[str, Any]
    workflow: dict[str, Any] = field(default_factory=lambda: {"metadata": {}, "spec": {}})
    attempts: list[list[Look]] = field(default_factory=list)
    logs: list[str] = field(default_factory=lambda: [""])
    warnings: dict[str, str] = field(default_factory=dict)
    refused: int = 0
    suspended: int = 0
    ending: int = 0
    away: int = 0
    job_sets: dict[str, dict[str, Any]] = field(default_factory=dict)
    made: list[dict[str, Any]] = field(default_factory=list)
    deletions: list[tuple[str, int]] = field(default_factory=list)
    address: str = ""
    now: Look = field(default_factory=dict)
    looks: int = 0
    history: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    restarts: int = 0
    failures: int = 0

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> tuple[int, Any]:
        """The status and the JSON (or text) of an answer."""
        kind, _, name = re.sub(r"/apis?/(\S+/)?v1(\w+)?/namespaces/here/", "", path).partition("/")
        if method == "POST":
            return self._make(body)
        if method == "DELETE":
            return 200, self.job_sets.pop(name, {})
        if kind == "workflows":
            return 200, self.workflow
        if kind == "events":
            about = query["fieldSelector"].removeprefix("involvedObject.name=").partition(",")[0]
            message = next((text for end, text in self.warnings.items() if about.endswith(end)), None)
            return 200, {"items": [{"message": message, "metadata": {}, "involvedObject": {}}] if message else []}
        if kind == "pods" and name.endswith("/log"):
            return 200, self.logs.pop(0) if len(self.logs) > 1 else self.logs[0]
        if kind == "pods" and name:
            return 200, self.step
        of = query.get("labelSelector", "").removeprefix(f"{pods.GROUP}=")
        if kind == "pods" and "watch" in query:
            return 200, "".join(f"{json.dumps(event)}\n" for event in self._events(query.get("resourceVersion", "")))
        if kind == "pods":
            self.looks += 1
            return 200, {"items": self._look(of), "metadata": {"resourceVersion": str(self.looks)}}
        if name not in self.job_sets:
            return 404, {"message": f'jobsets.jobset.x-k8s.io "{name}" not found'}
        return 200, self._job_set(name)

    def _make(self, made: dict[str, Any]) -> tuple[int, Any]:
        name = made["metadata"]["name"]
        if self.refused == 403:
            return 403, {"message": 'User "runner" cannot create resource "jobsets"'}
        if self.refused:
            return self.refused, {"message": "the server could not find the requested resource"}
        if self.ending:
            self.ending -= 1
            self.job_sets[name] = made | {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}
            return 409, {"message": "object is being deleted"}
        if "deletionTimestamp" not in self.job_sets.get(name, {"metadata": {"deletionTimestamp": ""}})["metadata"]:
            return 409, {"message": f'jobsets.jobset.x-k8s.io "{name}" already exists'}
        self.made.append(made)
        self.job_sets[name] = made
        return 201, made

    def _job_set(self, name: str) -> dict[str, Any]:
        self.suspended -= 1
        job_set, status = self.job_sets[name], self._status()
        return {**job_set, "spec": {**job_set["spec"], "suspend": self.suspended >= 0}, "status": status}

    def _status(self) -> dict[str, Any]:
        """What the pods of the last look led to, by the rules of the JobSet."""
        machines = [pod for number, pod in self.now.items() if number < DATA]
        codes = {pod.get("state", {}).get("terminated", {}).get("exitCode") for pod in machines}
        taken = any(pod.get("conditions", [{}])[0].get("type") == "DisruptionTarget" for pod in machines)
        lost = any("gone" in pod or "deleted" in pod for pod in machines)
        state, reason = None, ""
        if REFUSED in codes:
            state, reason = "Failed", "FailJobSetFailurePolicyAction"
        elif taken or lost or codes - {None, 0}:
            if not taken and STOPPED not in codes:
                self.failures += 1
            if self.failures == pods.FAILURES:
                state, reason = "Failed", "ReachedMaxRestarts"
            else:
                self.restarts, self.now = self.restarts + 1, {}
        elif codes == {0}:
            state = "Completed"
        condition = {"type": state, "status": "True", "reason": reason, "message": "limit reached"}
        counts = {"restarts": self.restarts, "restartsCountTowardsMax": self.failures}
        return {"terminalState": state, "conditions": [condition] if state else [], **counts}

    def _events(self, version: str) -> list[dict[str, Any]]:
        return [event for look, event in self.history if look > int(version or 0)]

    def _look(self, name: str) -> list[dict[str, Any]]:
        if self.suspended >= 0:
            return []
        looks, before = self.attempts[self.restarts], self.now
        self.now = looks.pop(0) if len(looks) > 1 else looks[0]
        changed = [
            ("MODIFIED", number, status)
            for number, status in self.now.items()
            if status != before.get(number) and not {"gone", "deleted"} & status.keys()
        ]
        if any({"gone", "deleted"} & status.keys() for status in self.now.values()):
            changed += [(kind, number, {"deleted": "2026-01-01T00:11:00Z"}) for kind, number in self.deletions]
        for kind, number, status in changed:
            self.history.append((self.looks, {"type": kind, "object": _pod(name, number, status, self.restarts)}))
        return [
            _pod(name, number, status, self.restarts) for number, status in self.now.items() if "gone" not in status
        ]


def _pod(name: str, number: int, status: dict[str, Any], attempt: int) -> dict[str, Any]:
    job, index = (pods.DATA, number - DATA) if number >= DATA else (pods.WORKER, number)
    return {
        "metadata": {
            "name": f"{name}-{job}-0-{index}-pod{index}",
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "annotations": {pods.INDEX: str(index)},
            "labels": {pods.ATTEMPT: str(attempt), pods.JOB: job},
        }
        | ({"deletionTimestamp": status["deleted"]} if "deleted" in status else {}),
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
