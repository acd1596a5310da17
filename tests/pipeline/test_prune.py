"""Old results are pruned here, or by a pod that sees the volume."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines import prune, settings

KUBECTL = """#!/bin/sh
printf '%s\\n' "$@" >> "$0.asked"
case "$3" in
  get)
    echo >> "$0.looks"
    case $(wc -l < "$0.looks") in
      1) echo '{"status": {"phase": "Pending"}}' ;;
      2) echo '{"status": {"phase": "Running"}}' ;;
      *) cat "$0.end" ;;
    esac ;;
  logs)
    echo 'removes runs/0123456789ab'
    test "$4" = --follow || echo 'all' ;;
esac
"""


@pytest.fixture
def kubectl(kubectl_of: Callable[[str], Path]) -> Path:
    """A kubectl that notes what it was asked; its pod waits, runs, and then has the state in the file `.end`."""
    return kubectl_of(KUBECTL)


@pytest.fixture
def built(tmp_path: Path) -> Path:
    image = {"image": "registry.example.com/openpose:1", "digest": "sha256:0", "code": "c0de"}
    file = tmp_path / "images.json"
    file.write_text(json.dumps({"cpu": image, "gpu": image}))
    return file


def test_a_volume_is_pruned_by_a_pod(
    kubectl: Path, built: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KF_PIPELINES_NAMESPACE", "mine")
    ended = {"phase": "Failed", "containerStatuses": [{"state": {"terminated": {"exitCode": 4}}}]}
    Path(f"{kubectl}.end").write_text(json.dumps({"status": ended}))
    assert prune.main(["--images", str(built), "--days", "7", "--delete"]) == 4
    assert capfd.readouterr().out == "removes runs/0123456789ab\nall\n", "also what was missed while it ran"
    asked = Path(f"{kubectl}.asked").read_text().splitlines()
    assert asked[:4] == ["--namespace", "mine", "run", "openpose-prune"]
    assert "--restart=Never" in asked
    assert asked[-5:-1] == ["mine", "delete", "pod", "openpose-prune"], "the pod is removed at the end"
    (spec,) = (json.loads(word.partition("=")[2])["spec"] for word in asked if word.startswith("--overrides="))
    (container,) = spec["containers"]
    command = ["python", "-m", "components.prune", "--root=/data/openpose", "--days=7.0", "--delete"]
    assert (container["command"], container["image"]) == (command, "registry.example.com/openpose:1")
    assert spec["volumes"][0]["persistentVolumeClaim"]["claimName"] == settings.read("pvc").claim
    assert spec["securityContext"]["runAsNonRoot"] is True


def test_why_the_pod_was_lost_is_said(kubectl: Path, built: Path, capfd: pytest.CaptureFixture[str]) -> None:
    evicted = {"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."}
    Path(f"{kubectl}.end").write_text(json.dumps({"status": evicted}))
    assert prune.main(["--images", str(built)]) == 1
    said = capfd.readouterr().err
    assert "error: the pod openpose-prune was lost: The node was low on resource: memory; run the command again" in said
    assert "delete" in Path(f"{kubectl}.asked").read_text().splitlines()


def test_why_the_pod_does_not_start_is_said(
    kubectl: Path, built: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    waiting = {
        "phase": "Pending",
        "conditions": [{"type": "PodReadyToStartContainers"}],
        "containerStatuses": [{"state": {"waiting": {"reason": "ErrImagePull", "message": "no such image"}}}],
    }
    Path(f"{kubectl}.end").write_text(json.dumps({"status": waiting}))
    Path(f"{kubectl}.looks").write_text("\n\n")
    monkeypatch.setattr(prune, "START", 0.0)
    assert prune.main(["--images", str(built)]) == 1
    assert "has not started within 0 minutes: no such image" in capfd.readouterr().err
    assert "delete" in Path(f"{kubectl}.asked").read_text().splitlines()


def test_a_pod_needs_an_image(kubectl: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert prune.main(["--images", str(tmp_path / "images.json")]) == 1
    assert "a pod of that image" in capsys.readouterr().err
    assert not Path(f"{kubectl}.asked").exists()


def test_a_folder_is_pruned_here(kubectl: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "root/archives").mkdir(parents=True)
    (tmp_path / "root/archives/a.zip").write_bytes(bytes(5000))
    assert prune.main(["--root", str(tmp_path / "root")]) == 0
    assert "archives" in capsys.readouterr().out
    assert not Path(f"{kubectl}.asked").exists()
