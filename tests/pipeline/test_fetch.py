"""A model's files come here whole, from a bucket or through a pod that sees a volume."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from openpose import storage
from pipelines.fetch import main

# What kubectl does for `exec POD -- python -c …`, in a cluster that has one file system with this machine.
KUBECTL = """#!/bin/sh
test "$1 $2 $3 $4 $5" = "--namespace mine exec deployment/openpose-tensorboard --" || { echo "no pod" >&2; exit 1; }
shift 5
exec python3 -c "$3" "$VOLUME$4"
"""


@pytest.fixture
def volume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kubectl_of: Callable[[str], Path]) -> Path:
    """The folder that pods see as /, and a kubectl that reaches it."""
    kubectl_of(KUBECTL)
    monkeypatch.setenv("VOLUME", str(tmp_path / "volume"))
    monkeypatch.setenv("KF_PIPELINES_NAMESPACE", "mine")
    return tmp_path / "volume"


def fill(root: storage.StoragePath, seen_as: str) -> None:
    """A champion, and a run that made it, below a root that has another name where it is read."""
    files = {"graph.pb": b"graph" * 100, "saved_model/variables/a": b"\x00\x01"}
    storage.make_folder(root / "models/abc")
    for name, content in files.items():
        storage.make_folder((root / "models/abc" / name).parent)
        storage.write_bytes(root / "models/abc" / name, content)
    sums = {name: storage.checksum(content) for name, content in files.items()}
    storage.write_json(root / "models/abc/manifest.json", {"sha256": sums})
    for name in ("registry/openpose", "summaries"):
        storage.make_folder(root / name)
    storage.write_json(root / "registry/openpose/latest.json", {"folder": f"{seen_as}/models/abc"})
    storage.write_json(
        root / "summaries/run-1.json", {"graph": f"{seen_as}/models/abc/graph.pb", "verdict": "accepted"}
    )
    storage.write_json(root / "summaries/run-2.json", {"graph": None, "verdict": "rejected"})


@pytest.mark.parametrize("which", [[], ["--run", "run-1"]])
@pytest.mark.parametrize("kind", ["volume", "bucket", "copy of a volume"])
def test_all_files_come_here(
    which: list[str], kind: str, volume: Path, bucket: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    in_bucket = kind == "bucket"
    root = bucket if in_bucket else "/data/openpose"
    seen_as = "/mnt/other/place" if kind.startswith("copy") else root  # when it was written
    fill(storage.path(root if in_bucket else f"{volume}{root}"), seen_as)
    out = tmp_path / "here"
    assert main(["--out", str(out), *which, *(["--root", root] if in_bucket else [])]) == 0
    assert sorted(storage.sizes(out)) == [
        "models/abc/graph.pb",
        "models/abc/manifest.json",
        "models/abc/saved_model/variables/a",
    ]
    assert (out / "models/abc/graph.pb").read_bytes() == b"graph" * 100
    assert f"model in {out}/models/abc: graph.pb, manifest.json" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--run", "run-2"], "this run exported no model; its verdict: rejected"),
        (["--run", "run-3"], "summaries/run-3.json: this run left no summary"),
        (["--run", "../x"], "give an identifier"),
        (["--registry", "people"], "registry/people/latest.json: no model was accepted there"),
        (["--settings", "gcs"], "give one with --root gs://bucket/prefix"),
        (["--namespace", "yours"], "kubectl --namespace yours exec deployment/openpose-tensorboard failed: no pod"),
    ],
)
def test_what_is_not_there_is_named(
    arguments: list[str], said: str, volume: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(volume / "data/openpose", "/data/openpose")
    assert main(["--out", str(tmp_path / "here"), *arguments]) == 1
    assert said in capsys.readouterr().err
    assert not (tmp_path / "here/models").exists() or not list((tmp_path / "here/models").iterdir())


def test_a_file_that_is_not_whole_is_named(volume: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = volume / "data/openpose"
    fill(root, "/data/openpose")
    (root / "models/abc/graph.pb").write_bytes(json.dumps("half").encode())
    assert main(["--out", str(tmp_path)]) == 1
    assert "/data/openpose/models/abc/graph.pb: it is not the file" in capsys.readouterr().err
