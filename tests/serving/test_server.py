"""A real server answers KServe's protocols, says what it cannot use, and ends cleanly."""

import base64
import io
import json
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
from PIL import Image

from openpose import storage
from openpose.evaluation.registry import ChampionExport, Registry
from tests import manifests
from tests.one_person import jpeg_bytes, photo, write_graph
from tests.serving.conftest import picture, running

pytestmark = pytest.mark.slow

PREDICT = "v1/models/openpose:predict"
INFER = "v2/models/openpose/infer"


def instances(*files: bytes) -> dict[str, Any]:
    return {"instances": [{"image": {"b64": base64.b64encode(file).decode()}} for file in files]}


def post(address: str, path: str, document: Any) -> requests.Response:
    return requests.post(address + path, json=document, timeout=60)


def test_people_have_names_and_pixels(server: str) -> None:
    answer = post(server, PREDICT, instances(picture()))
    assert answer.status_code == 200
    (found,) = answer.json()["predictions"]
    assert (found["width"], found["height"]) == (200, 184)
    (person,) = found["people"]
    assert len(person["keypoints"]) == 18
    assert set(person) == {"score", "box", "keypoints"}
    x, y, width, height = person["box"]
    for across, down, score in person["keypoints"].values():
        assert x <= across <= x + width + 0.01
        assert y <= down <= y + height + 0.01
        assert 0 < score <= 1.2


def test_pictures_of_a_request_keep_their_order(server: str) -> None:
    sizes = [(184, 200), (100, 90), (184, 200), (150, 300)] * 5
    answer = post(server, PREDICT, instances(*(picture(*size) for size in sizes))).json()["predictions"]
    assert [(one["height"], one["width"]) for one in answer] == sizes
    assert [len(one["people"]) for one in answer[::4]] == [1] * 5


@pytest.mark.parametrize("kind", ["BYTES", "UINT8"])
def test_second_protocol(kind: str, server: str) -> None:
    values = [base64.b64encode(picture()).decode()] * 2 if kind == "BYTES" else photo().ravel().tolist()
    shape = [2] if kind == "BYTES" else [184, 200, 3]
    answer = post(server, INFER, {"inputs": [{"name": "image", "shape": shape, "datatype": kind, "data": values}]})
    assert answer.status_code == 200, answer.text
    (output,) = answer.json()["outputs"]
    assert (output["name"], output["datatype"]) == ("people", "BYTES")
    expected = post(server, PREDICT, instances(picture())).json()["predictions"]
    assert [json.loads(one) for one in output["data"]] == expected * (2 if kind == "BYTES" else 1)


LARGE = Image.new("1", (9000, 8000))


def large() -> bytes:
    buffer = io.BytesIO()
    LARGE.save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (instances(b"I am a text file"), "picture 0: not a picture that can be read (cannot identify image file)"),
        (instances(picture(), jpeg_bytes()[:-200]), "picture 1: not a picture that can be read (image file is trun"),
        (instances(large()), "picture 0: it has 9000×8000 pixels, more than 64,000,000; make it smaller"),
        (instances(*[b""] * 65), "65 pictures in a request; at most 64 are allowed"),
        ({}, 'the request must be JSON like {"instances": [{"image": {"b64": "…"}}]}'),
        ({"instances": [{"image": "x"}]}, "instance 0 has no image.b64"),
        ({"instances": [{"image": {"b64": "!"}}]}, "instance 0: not Base64"),
    ],
    ids=["text", "half", "large", "many", "nothing", "no file", "no Base64"],
)
def test_what_is_no_picture_is_said(document: Any, said: str, server: str) -> None:
    answer = post(server, PREDICT, document)
    assert answer.status_code == 400
    assert said in answer.json()["error"]


def test_too_large_request_is_refused_before_it_is_read(server: str) -> None:
    headers = {"Content-Length": str(1 << 30)}
    request = requests.Request("POST", server + PREDICT, data=b"x").prepare()
    request.headers.update(headers)
    answer = requests.Session().send(request, timeout=20)
    assert answer.status_code == 413
    assert "a request has at most" in answer.json()["error"]


def test_metadata_health_metrics_and_page(server: str) -> None:
    assert requests.get(server + "v1/models/openpose").json() == {"name": "openpose", "ready": True}
    assert requests.get(server + "v2/models/openpose").json()["inputs"][0]["name"] == "image"
    post(server, PREDICT, instances(picture()))
    metrics = requests.get(server + "metrics").text
    assert "openpose_pictures_total " in metrics
    assert "openpose_batch_bucket" in metrics
    page = requests.get(server)
    assert page.headers["content-type"].startswith("text/html")
    assert "http://" not in page.text, "no outside scripts"
    assert "https://" not in page.text
    assert requests.get(server + "skeleton.json").json()["category"] == "person"


def test_requests_that_have_begun_are_answered_after_sigterm(tmp_path: Path) -> None:
    document = instances(*[picture(368, 400)] * 16)
    flags = f"--model={write_graph(tmp_path / 'graph.pb')}"
    with running(flags) as (process, address), ThreadPoolExecutor(4) as clients:
        answers = [clients.submit(post, address, PREDICT, document) for _ in range(4)]
        while "openpose_pictures_total 0.0" in requests.get(address + "metrics").text:
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        assert [answer.result().status_code for answer in answers] == [200] * 4
        assert process.wait(timeout=60) == 0


def test_newest_accepted_model_is_served(tmp_path: Path) -> None:
    folders = [tmp_path / "models" / name for name in ("first", "second")]
    for folder, value in zip(folders, (1.0, 0.5), strict=True):
        folder.mkdir(parents=True)
        write_graph(folder / "graph.pb", value=value)
    latest = storage.path(str(tmp_path / "registry/openpose/latest.json"))
    storage.write_json(latest, {"folder": str(folders[0])})
    with running(f"--root={tmp_path}", "--follow-seconds=0.2") as (_, address):

        def score() -> float:
            return post(address, PREDICT, instances(picture())).json()["predictions"][0]["people"][0]["score"]

        first = score()
        storage.write_json(latest, {"folder": str(folders[1])})
        deadline = time.monotonic() + 60
        while score() > 0.8 * first and time.monotonic() < deadline:
            time.sleep(0.2)
        assert score() < 0.8 * first
        assert requests.get(address + "skeleton.json").json()["lineage"] is True
        answer = requests.get(address + "lineage")
        graph = f"{folders[1]}/graph.pb"
        said = f"{tmp_path}/registry/openpose: no entry says where {graph} comes from"
        assert (answer.status_code, answer.json()) == (404, {"error": said})
        files = ChampionExport(folder=str(folders[1]), fingerprint="", graph="graph.pb", sha256={})
        Registry(tmp_path, "openpose").add(manifests.champion("a" * 64, export=files))
        page = requests.get(address + "lineage").text
        assert "openpose 00001-aaaaaaaaaaaa: from the server to the data" in page
        assert graph in page


def test_newest_model_in_a_bucket_is_served(bucket: str, tmp_path: Path) -> None:
    folder = storage.path(f"{bucket}/models/first")
    storage.write_bytes(folder / "graph.pb", write_graph(tmp_path / "graph.pb").read_bytes())
    files = ChampionExport(folder=str(folder), fingerprint="", graph="graph.pb", sha256={})
    Registry(storage.path(bucket), "openpose").add(manifests.champion("a" * 64, export=files))
    with running(f"--root={bucket}") as (_, address):
        (found,) = post(address, PREDICT, instances(picture())).json()["predictions"]
        assert len(found["people"]) == 1
        assert f"{folder}/graph.pb" in requests.get(address + "lineage").text


def test_needs_a_model_or_a_root(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-m", "openpose.serving"], capture_output=True, text=True)
    assert done.returncode == 1
    assert (
        done.stderr == "error: give --model, a file, or --root, a storage root whose newest accepted model is served\n"
    )
    flags = [f"--root={tmp_path}"]
    done = subprocess.run([sys.executable, "-m", "openpose.serving", *flags], capture_output=True, text=True)
    assert "no model was accepted there" in done.stderr
