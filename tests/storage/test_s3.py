"""S3 as a storage root: what its server refuses, faults of the network, an upload that is killed."""

import itertools
import os
import re
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import BaseWSGIServer, make_server

from openpose import storage
from openpose.errors import InputError
from tests.process import Program
from tests.storage.faults import work_goes_on

LARGE = bytes(range(256)) * 66_000  # more than goes up in one request


def serve(app: Any, patch: pytest.MonkeyPatch) -> Iterator[BaseWSGIServer]:
    """Serves an application instead of the usual server."""
    server = make_server("localhost", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    patch.setenv("AWS_ENDPOINT_URL_S3", f"http://localhost:{server.server_port}")
    storage.forget_client()
    yield server
    server.shutdown()
    thread.join()
    storage.forget_client()


class Faulty:
    """S3's interface; every second request goes wrong."""

    def __init__(self) -> None:
        self.app = DomainDispatcherApplication(create_backend_app)
        self.faults = itertools.cycle(["error", None, "cut", None, "half", None])

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        fault = next(self.faults)
        connection: socket.socket = environ["werkzeug.socket"]
        if fault == "error":
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            start_response("503 Slow Down", [("Content-Length", "0")])
            yield b""
        elif fault == "cut":
            connection.shutdown(socket.SHUT_RDWR)
            start_response("500 Lost", [])
            yield b""
        else:
            body = b"".join(self.app(environ, start_response))
            if fault == "half" and environ["REQUEST_METHOD"] == "GET":
                yield body[: len(body) // 2]
                connection.shutdown(socket.SHUT_RDWR)
            yield body


@pytest.fixture
def faulty_bucket(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A storage root behind a network with faults."""
    for _ in serve(Faulty(), monkeypatch):
        yield f"s3://{s3_server}/faulty"


@pytest.mark.slow
def test_faults_of_the_network_are_not_noticed(faulty_bucket: str) -> None:
    work_goes_on(storage.open_root(faulty_bucket), LARGE)


def test_object_that_changes_while_it_is_read(s3_bucket: str) -> None:
    root = storage.open_root(s3_bucket)
    storage.write_bytes(root / "a", b"x" * 100)
    with storage.open_binary(root / "a") as file:
        assert file.read(10) == b"x" * 10
        storage.write_bytes(root / "a", b"y" * (4 << 20))
    with storage.bucket_object(root / "a").open() as file:
        assert file.read(10) == b"y" * 10
        storage.write_bytes(root / "a", b"z" * (4 << 20))
        file.seek(3 << 20)
        message = r"/a: it changed while it was read; run again"
        with pytest.raises(InputError, match=message), storage.bucket_errors(root / "a"):
            file.read(10)


@pytest.mark.slow
def test_killed_upload_leaves_the_old_object(s3_bucket: str, tmp_path: Path) -> None:
    root = storage.open_root(s3_bucket)
    storage.write_bytes(root / "model", b"old")
    file = tmp_path / "file"
    file.write_bytes(LARGE * 2)
    upload = Program("tests.storage.upload", str(file), str(root / "model"))
    client, name = boto3.client("s3", region_name="us-east-1"), s3_bucket.split("/")[2]
    while not client.list_multipart_uploads(Bucket=name).get("Uploads") and upload.poll() is None:
        time.sleep(0.02)
    upload.kill()
    assert upload.wait() != 0
    assert storage.read_bytes(root / "model") == b"old"
    assert list(storage.sizes(root)) == ["model"]
    assert Program("tests.storage.upload", str(file), str(root / "model")).wait() == 0
    assert storage.size(root / "model") == file.stat().st_size


def test_every_request_is_sent_to_the_servers_own_name(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server other than Amazon's has no host name for each bucket."""
    app, hosts = DomainDispatcherApplication(create_backend_app), set()

    def listening(environ: dict[str, Any], start_response: Any) -> Any:
        hosts.add(environ["HTTP_HOST"])
        return app(environ, start_response)

    for server in serve(listening, monkeypatch):
        place = storage.open_root(f"s3://{s3_server}/names") / "a"
        storage.write_bytes(place, b"content")
        before = storage.state(place)
        assert place.exists()
        storage.write_bytes(place, b"another")
        assert storage.state(place) != before
        assert hosts == {f"localhost:{server.server_port}"}


# Buckets that cannot be used


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        ("403 Forbidden", "AccessDenied", r"the bucket refuses it \(It says\); set AWS_PROFILE, or .* s3:ListBucket"),
        ("404 Not Found", "NoSuchBucket", r"there is no bucket 'bucket'; make it with `aws s3 mb s3://bucket`, or"),
        ("400 Bad Request", "InvalidRequest", r"the bucket refuses it \(It says\); give another storage root"),
        pytest.param(
            *(
                "503 Slow Down",
                "SlowDown",
                r"the bucket cannot be reached \(It says\); check the network and run again",
            ),
            marks=pytest.mark.slow,  # it waits before it tries again
        ),
    ],
)
def test_bucket_that_refuses(
    s3_server: str, status: str, code: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refusing(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response(status, [("Content-Type", "application/xml")])
        return [f"<Error><Code>{code}</Code><Message>It says.</Message></Error>".encode()]

    for _ in serve(refusing, monkeypatch):
        assert re.match(rf"s3://bucket/x: {message}", said("s3://bucket/x"))


@pytest.mark.slow
def test_bucket_that_cannot_be_reached(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://localhost:1")
    storage.forget_client()
    assert said("s3://bucket/x").startswith(
        's3://bucket/x: the bucket cannot be reached (Could not connect to the endpoint URL: "http://localhost:1/bucket")'
    )
    storage.forget_client()


def test_settings_that_cannot_be_used(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    storage.forget_client()
    message = (
        "the settings for S3 cannot be used (The config profile (nobody) could not be found); check AWS_… and ~/.aws"
    )
    assert said("s3://bucket/x") == message
    storage.forget_client()


def test_public_bucket_needs_no_credentials(s3_bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket, folder = s3_bucket.split("/")[2:]
    client = boto3.client("s3", region_name="us-east-1")
    client.put_object(Bucket=bucket, Key=f"{folder}/a", Body=b"public", ACL="public-read")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    storage.forget_client()
    assert storage.read_bytes(storage.path(s3_bucket) / "a") == b"public"
    storage.forget_client()


def said(root: str) -> str:
    """What is said about a storage root that cannot be opened."""
    start = time.monotonic()
    with pytest.raises(InputError) as caught:
        storage.open_root(root)
    assert time.monotonic() - start < 20
    return str(caught.value)
