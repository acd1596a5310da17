"""What no champion and no run in progress needs is removed once it is old, and nothing else."""

import hashlib
import os
import time
from pathlib import Path
from typing import Any

import pytest

from components.prune.prune import prune
from openpose import storage
from openpose.errors import InputError

OLD = time.time() - 40 * 24 * 3600


def fp(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def place(kind: str, name: str) -> str:
    return f"{kind}/{fp(name)[:12]}" if kind != "records" else f"records/train-{fp(name)[:12]}"


def result(root: Path, kind: str, name: str, inputs: dict[str, Any], **more: Any) -> None:
    """A result of 1 kB; a run also has a checkpoint of 2 kB."""
    folder = root / place(kind, name)
    folder.mkdir(parents=True)
    storage.write_json(folder / "manifest.json", {"fingerprint": fp(name), "inputs": inputs, **more})
    (folder / "content").write_bytes(bytes(1000))
    if kind == "runs":
        (folder / "checkpoints/step-1").mkdir(parents=True)
        (folder / "checkpoints/step-1/state").write_bytes(bytes(2000))


def whole_run(root: Path, name: str, compared: str = "") -> None:
    """All that a run leaves, from the data to the model."""
    result(root, "data", f"{name} data", {"source": "x"}, splits={"train": {"fingerprint": fp(f"{name} train")}})
    result(root, "records", f"{name} records", {"data": fp(f"{name} train")})
    result(root, "runs", f"{name} run", {"records": [fp(f"{name} records")]})
    champion = {"champion": {"fingerprint": fp(f"{compared} evaluation")}} if compared else {}
    result(root, "evaluations", f"{name} evaluation", {"run": fp(f"{name} run"), **champion})
    result(root, "models", f"{name} model", {"run": fp(f"{name} run"), "evaluation": fp(f"{name} evaluation")})


def champion(root: Path, number: int, name: str, data: str, registry: str = "openpose") -> None:
    entry = {
        "data": data,
        "run": fp(f"{name} run"),
        "evaluation": {"fingerprint": fp(f"{name} evaluation")},
        "export": {"fingerprint": fp(f"{name} model")},
    }
    (root / "registry" / registry).mkdir(parents=True, exist_ok=True)
    storage.write_json(root / "registry" / registry / f"{number:05d}-{fp(name)[:12]}.json", entry)


def age(folder: Path) -> None:
    for file in folder.rglob("*"):
        os.utime(file, (OLD, OLD))


def left(root: Path) -> set[str]:
    return {
        f"{each.parent.name}/{each.name}" for each in root.glob("*/*") if each.parent.name not in ("registry", "status")
    }


KINDS = {"data": "data", "records": "records", "runs": "run", "evaluations": "evaluation", "models": "model"}


def places(name: str, *kinds: str) -> set[str]:
    return {place(kind, f"{name} {what}") for kind, what in KINDS.items() if kind in (kinds or KINDS)}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, compared in (("first", ""), ("second", "first"), ("other", ""), ("rejected", "")):
        whole_run(tmp_path, name, compared)
    champion(tmp_path, 1, "first", data="coco")
    champion(tmp_path, 2, "second", data="coco")
    champion(tmp_path, 1, "other", data="mine", registry="people")
    age(tmp_path)
    whole_run(tmp_path, "young")
    return tmp_path


def test_nothing_is_removed_at_first(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = left(root)
    prune(str(root))
    assert left(root) == before
    said = capsys.readouterr().out
    assert f"would remove {place('runs', 'rejected run')}: 3 kB" in said
    assert "nothing was removed; --delete removes it" in said
    lines = [line.split() for line in said.splitlines()]
    sizes = {line[0]: (line[1:3], line[3:5]) for line in lines if len(line) == 5 and line[0] in (*KINDS, "checkpoints")}
    assert sizes["checkpoints"] == (["10", "kB"], ["8", "kB"])


def test_champions_and_what_they_were_made_of_stay(root: Path) -> None:
    prune(str(root), delete=True)
    assert left(root) == (
        places("second") | places("other") | places("young") | places("first", "evaluations", "models")
    )
    checkpoints = {each.parent.relative_to(root).as_posix() for each in root.glob("runs/*/checkpoints")}
    assert checkpoints == places("young", "runs"), "finished runs do not need them"
    prune(str(root), delete=True)
    assert len(list(root.glob("registry/*/*.json"))) == 3


def test_what_a_run_in_progress_uses_stays(root: Path) -> None:
    """It found old records, and its training waits for a GPU, or has made only checkpoints so far."""
    note = {"step": "collect_records", "manifest": str(root / place("records", "rejected records") / "manifest.json")}
    (root / "status/run-1").mkdir(parents=True)
    storage.write_json(root / "status/run-1/collect_records.json", note)
    unfinished = root / place("runs", "unfinished")
    (unfinished / "checkpoints/step-9").mkdir(parents=True)
    (unfinished / "checkpoints/step-9/state").write_bytes(bytes(10))
    whole_run(root, "used")
    storage.write_json(unfinished / "run.json", {"records": {"train": fp("used records"), "valid": "x"}})
    for kind in KINDS:
        age(root / place(kind, f"used {KINDS[kind]}"))
    prune(str(root), delete=True)
    assert places("rejected", "data", "records") <= left(root)
    assert not places("rejected", "runs", "models") & left(root)
    assert places("used", "data", "records") | {place("runs", "unfinished")} <= left(root)
    assert (unfinished / "checkpoints/step-9/state").exists()
    (root / "summaries").mkdir()
    storage.write_json(root / "summaries/run-1.json", {})
    prune(str(root), delete=True)
    assert not places("rejected") & left(root), "the run has ended"


def test_days_and_the_root_are_checked(root: Path, tmp_path: Path) -> None:
    prune(str(root), days=50, delete=True)
    assert places("rejected") <= left(root)
    with pytest.raises(InputError, match="must be at least 1"):
        prune(str(root), days=0.5)
    with pytest.raises(InputError, match="nothing is there"):
        prune(str(tmp_path / "gone"))


def test_a_bucket_is_pruned_too(bucket: str, capsys: pytest.CaptureFixture[str]) -> None:
    storage.write_bytes(storage.path(bucket) / "runs" / fp("a")[:12] / "model.keras", bytes(1000))
    prune(bucket, delete=True)
    assert "runs                  1 kB        0 kB" in capsys.readouterr().out
