"""Old results are pruned here, or by a pod that sees the volume."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines import prune, settings

KUBECTL = """#!/bin/sh
printf '%s\\n' "$@" > "$0.asked"
exit 4
"""


@pytest.fixture
def kubectl(kubectl_of: Callable[[str], Path]) -> Path:
    """A kubectl that notes what it was asked, and ends with 4."""
    return kubectl_of(KUBECTL)


def test_a_volume_is_pruned_by_a_pod(kubectl: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KF_PIPELINES_NAMESPACE", "mine")
    built = {"image": "registry.example.com/openpose:1", "digest": "sha256:0", "code": "c0de"}
    (tmp_path / "images.json").write_text(json.dumps({"cpu": built, "gpu": built}))
    assert prune.main(["--images", str(tmp_path / "images.json"), "--days", "7", "--delete"]) == 4
    asked = Path(f"{kubectl}.asked").read_text().splitlines()
    assert asked[:4] == ["--namespace", "mine", "run", "openpose-prune"]
    assert {"--rm", "--attach", "--restart=Never"} <= set(asked)
    (spec,) = (json.loads(word.partition("=")[2])["spec"] for word in asked if word.startswith("--overrides="))
    (container,) = spec["containers"]
    command = ["python", "-m", "components.prune", "--root=/data/openpose", "--days=7.0", "--delete"]
    assert (container["command"], container["image"]) == (command, built["image"])
    assert spec["volumes"][0]["persistentVolumeClaim"]["claimName"] == settings.read("pvc").claim
    assert spec["securityContext"]["runAsNonRoot"] is True


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
