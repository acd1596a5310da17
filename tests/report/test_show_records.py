"""Looking into records: what is printed, drawn, and said of damage."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from openpose import storage
from openpose.records.manifest import RecordsManifest
from openpose.report.__main__ import main

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def manifest(sample_records: dict[str, RecordsManifest], tmp_path: Path) -> Path:
    """A copy of the validation split's records with their manifest."""
    folder = shutil.copytree(sample_records["val"].folder, tmp_path / "records")
    storage.write_json(folder / "manifest.json", replace(sample_records["val"], folder=str(folder)).as_document())
    return folder / "manifest.json"


def shard(manifest: Path) -> Path:
    return next(manifest.parent.glob("*.tfrecord"))


def test_show_prints_counts_and_draws(manifest: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = manifest.parent / "drawn"
    assert main(["show", str(manifest), "--draw", str(out), "--count", "3", "--size", "128"]) == 0
    printed = capsys.readouterr().out
    assert "val: 1 shards" in printed
    assert "images                6" in printed
    assert len(list(out.glob("*.jpg"))) == 3


def test_show_of_a_shard_lists_its_features(manifest: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", str(shard(manifest))]) == 0
    printed = capsys.readouterr().out
    assert "image/object/keypoint/visibility" in printed
    assert "images                6" in printed


def test_show_draws_a_shard_with_the_skeleton_of_the_manifest_beside_it(manifest: Path) -> None:
    out = manifest.parent / "drawn"
    arguments = ["show", str(shard(manifest)), "--draw", str(out), "--count", "1", "--size", "128"]
    assert main(arguments) == 0
    storage.write_json(manifest, storage.read_json(manifest) | {"skeleton": "unknown"})
    assert main(arguments) == 1
    manifest.unlink()
    assert main(arguments) == 0, "a shard that lies alone has the default skeleton"


def test_whole_records_are_verified(manifest: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(manifest)]) == 0
    assert "1 shards are whole" in capsys.readouterr().out


@pytest.mark.parametrize("where", [0.02, 0.5, 0.999])
def test_damage_names_shard_and_record(manifest: Path, capsys: pytest.CaptureFixture[str], where: float) -> None:
    path = shard(manifest)
    content = bytearray(path.read_bytes())
    content[int(where * len(content))] ^= 0xFF
    path.write_bytes(content)
    assert main(["verify", str(manifest)]) == 1
    printed = capsys.readouterr().out
    assert f"{path}: record " in printed
    assert "1 damaged" in printed


def test_missing_and_cut_off_shards_are_damage(manifest: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = shard(manifest)
    path.write_bytes(path.read_bytes()[:-100])
    assert main(["verify", str(manifest)]) == 1
    assert f"{path}: record 5: " in capsys.readouterr().out
    path.unlink()
    assert main(["verify", str(manifest)]) == 1
    assert f"{path}: it is missing" in capsys.readouterr().out


def test_wrong_counts_are_damage(manifest: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = json.loads(manifest.read_text())
    document["counts"]["people"] += 1
    manifest.write_text(json.dumps(document))
    assert main(["verify", str(manifest)]) == 1
    assert "its counts" in capsys.readouterr().out


def test_command() -> None:
    command = [sys.executable, "-m", "openpose.records", "show", "nowhere.tfrecord"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: nowhere.tfrecord: no such file; give a records manifest")
