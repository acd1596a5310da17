"""The part of Kubeflow's Model Registry that is used: models, versions and artifacts, by name and by their parent."""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

WAYS = {
    "registered_models": "registered_model",
    r"registered_models/(\d+)/versions": "model_version",
    r"model_versions/(\d+)/artifacts": "model_artifact",
}


class Hub:
    """A Model Registry's content, and the address of its server.

    Attributes:
        address: of the server.
        things: each model, version and artifact, with `kind` and `of`, what it belongs to.
        raced: whether somebody else makes each thing just before it is asked for.
    """

    def __init__(self, version: str) -> None:
        self.version = version
        self.address = ""
        self.things: list[dict[str, Any]] = []
        self.raced = False

    def named(self, kind: str) -> dict[str, dict[str, Any]]:
        """Things of a kind by name."""
        return {thing["name"]: thing for thing in self.things if thing["kind"] == kind}

    def answer(self, method: str, path: str, query: dict[str, str], content: Any) -> tuple[int, Any]:
        """Answers a request: status and document."""
        before, _, rest = path.partition(f"/api/model_registry/{self.version}/")
        if before or not rest:
            return 404, "404 page not found"
        if method == "GET" and rest in WAYS:
            return 200, {"items": []}
        if method == "GET":
            found = [
                thing
                for thing in self.things
                if (thing["kind"], thing["name"], thing["of"])
                == (rest, query["name"], query.get("parentResourceId", ""))
            ]
            return (200, found[0]) if found else (404, {"code": "Not Found", "message": "no such thing"})
        for way, kind in WAYS.items():
            if match := re.fullmatch(way, rest):
                thing = {**content, "id": str(len(self.things) + 1), "kind": kind, "of": "".join(match.groups())}
                self.things.append(thing)
                return (409, {"code": "Conflict", "message": "already exists"}) if self.raced else (201, thing)
        return 404, {"code": "Not Found", "message": rest}


@contextmanager
def serving(version: str) -> Iterator[Hub]:
    """Runs a server that speaks one version of the API while the block does."""
    hub = Hub(version)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            address = urlsplit(self.path)
            length = int(self.headers.get("Content-Length", 0))
            content = json.loads(self.rfile.read(length)) if length else None
            status, document = hub.answer(self.command, address.path, dict(parse_qsl(address.query)), content)
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("localhost", 0), Handler) as server:
        hub.address = f"http://localhost:{server.server_port}"
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield hub
        server.shutdown()
