"""A champion is a version of Kubeflow's Model Registry too, and a page tells where it comes from."""

import dataclasses
from pathlib import Path

import pytest

from components import status
from components.register import hub
from components.register.register import register
from openpose import storage
from openpose.evaluation.registry import Champion
from openpose.model_files.manifest import ModelManifest
from tests import manifests
from tests.components.hub_server import serving


@pytest.fixture
def exported(tmp_path: Path) -> ModelManifest:
    """An accepted model in two formats: a file and a folder."""
    wanted = {"data": "coco", "model": "a" * 64, "run": "training", "registry": "people"}
    judged = manifests.evaluation(tmp_path, 0.5, **wanted)
    made = manifests.model(tmp_path, judged.fingerprint)
    sums = {"graph.pb": "1" * 64, "saved_model/saved_model.pb": "2" * 64}
    files = {"graph": made.graph, "saved_model": f"{made.folder}/saved_model"}
    made = dataclasses.replace(made, files=files, sha256=sums)
    storage.write_json(Path(made.path), made.as_document())
    return made


def registered(exported: ModelManifest, root: Path) -> Champion:
    (judged,) = root.glob("evaluations/*/manifest.json")
    return register(str(root), str(judged), str(exported.path), run_name="mice again")


@pytest.mark.parametrize("version", ["v1", "v1alpha3"])
def test_champion_is_a_version_with_an_artifact_for_each_format(
    version: str, exported: ModelManifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(status.RUN, "run-7")
    monkeypatch.setenv(hub.VOLUME, f"claim:{tmp_path}")
    with serving(version) as there:
        monkeypatch.setenv(hub.ADDRESS, there.address.removeprefix("http://"))
        champion = registered(exported, tmp_path)
        assert champion.origin.hub == there.address
        (model,) = there.named("registered_model").values()
        (made,) = there.named("model_version").values()
        assert (model["name"], made["name"], made["of"]) == ("people", "00001-aaaaaaaaaaaa", model["id"])
        assert made["customProperties"]["AP"] == {"metadataType": "MetadataDoubleValue", "double_value": 0.5}
        assert made["customProperties"]["data"] == {"metadataType": "MetadataStringValue", "string_value": "coco"}
        artifacts = there.named("model_artifact")
        folder = Path(exported.folder).relative_to(tmp_path)
        assert {name: each["uri"] for name, each in artifacts.items()} == {
            "graph": f"pvc://claim/{folder}/graph.pb",
            "saved_model": f"pvc://claim/{folder}/saved_model",
        }
        for each in artifacts.values():
            assert each["of"] == made["id"]
            assert (each["modelSourceKind"], each["modelSourceClass"]) == ("kfp", "pipelinerun")
            assert (each["modelSourceId"], each["modelSourceName"]) == ("run-7", "mice again")
        assert artifacts["graph"]["customProperties"]["sha256"]["string_value"] == exported.sha256["graph.pb"]


def test_what_an_earlier_attempt_left_out_is_added(
    exported: ModelManifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving("v1") as there:
        monkeypatch.setenv(hub.ADDRESS, there.address)
        registered(exported, tmp_path)
        whole = list(there.things)
        registered(exported, tmp_path)
        assert there.things == whole, "nothing twice"
        there.things = whole[:3]  # the step was lost before the last artifact
        registered(exported, tmp_path)
        assert [thing["name"] for thing in there.things] == [thing["name"] for thing in whole]


def test_what_another_run_makes_at_the_same_moment_is_used(
    exported: ModelManifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving("v1") as there:
        there.raced = True
        monkeypatch.setenv(hub.ADDRESS, there.address)
        registered(exported, tmp_path)
        assert [thing["name"] for thing in there.things] == ["people", "00001-aaaaaaaaaaaa", "graph", "saved_model"]
    assert capsys.readouterr().err == ""


def test_model_registry_that_cannot_be_used_is_a_warning(
    exported: ModelManifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving("v2") as there:
        monkeypatch.setenv(hub.ADDRESS, there.address)
        champion = registered(exported, tmp_path)
    assert champion.entry == "00001-aaaaaaaaaaaa.json"
    assert capsys.readouterr().err == (
        f"warning: the Model Registry at {there.address} does not have 00001-aaaaaaaaaaaa: "
        '404 Not Found: "404 page not found"\n'
    )
    monkeypatch.setattr(hub, "_RETRIES", 0)
    registered(exported, tmp_path)
    assert capsys.readouterr().err.endswith("does not have 00001-aaaaaaaaaaaa: connection refused\n")


def test_nothing_is_sent_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(hub.ADDRESS, raising=False)
    assert hub.address() == ""
    monkeypatch.setattr(hub, "_SERVICE", "localhost")
    assert hub.address() == "", "not in a run of Kubeflow Pipelines"
    monkeypatch.setenv(status.RUN, "run-7")
    monkeypatch.setattr(hub, "_SERVICE", "nowhere.invalid")
    assert hub.address() == ""
    monkeypatch.setattr(hub, "_SERVICE", "localhost")
    assert hub.address() == "http://localhost:8080"
    monkeypatch.setenv(hub.ADDRESS, "")
    assert hub.address() == ""


def test_password_of_the_address_is_kept_nowhere(
    exported: ModelManifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving("v1") as there:
        monkeypatch.setenv(hub.ADDRESS, there.address.replace("//", "//me:s3cr3t@"))
        assert registered(exported, tmp_path).origin.hub == there.address
        assert there.named("model_version")
    monkeypatch.setattr(hub, "_RETRIES", 0)
    registered(exported, tmp_path)
    assert "s3cr3t" not in "".join(capsys.readouterr())
    assert not any("s3cr3t" in file.read_text() for file in (tmp_path / "registry/people").glob("0*"))


def test_address_of_a_file_is_one_that_kserve_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    assert hub.uri("s3://pose/models/1/graph.pb") == "s3://pose/models/1/graph.pb"
    assert hub.uri("/data/pose/graph.pb") == "file:///data/pose/graph.pb"
    monkeypatch.setenv(hub.VOLUME, "claim:/data")
    assert hub.uri("/data/pose/graph.pb") == "pvc://claim/pose/graph.pb"
    assert hub.uri("/database/graph.pb") == "file:///database/graph.pb"


def test_page_tells_the_line_from_the_files_to_the_data(
    exported: ModelManifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(status.RUN, "run-7")
    monkeypatch.setenv(hub.ADDRESS, "")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:word@mlflow")
    monkeypatch.setenv("MLFLOW_RUN_ID", "tracked-3")
    monkeypatch.setattr("openpose.tracking._send", lambda *_, **__: None)
    registered(exported, tmp_path)
    page = (tmp_path / "registry/people/00001-aaaaaaaaaaaa.html").read_text()
    line = [
        "<th>graph.pb<",
        "<th>saved_model/saved_model.pb<",
        "entry 00001-aaaaaaaaaaaa.json",
        "run tracked-3 (of the step register) at http://mlflow<",
        "mice again (run-7)",
        "<td>training<",
        "<td>coco<",
    ]
    places = [page.index(text) for text in line]
    assert places == sorted(places)
    assert "word@" not in page
