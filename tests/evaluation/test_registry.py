"""The registry of champions: who stands in it, and that nothing in it gets lost."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from openpose import storage
from openpose.errors import InputError
from openpose.evaluation.registry import Champion, ChampionExport, Registry
from tests import manifests


def entry(root: storage.StoragePath, model: str, data: str = "coco", beaten: str | None = None) -> Champion:
    export = ChampionExport(folder=str(root / "models" / model), fingerprint="", graph="", sha256={})
    return manifests.champion(model * 64, data, beaten, export=export)


def fill(root: storage.StoragePath) -> tuple[Registry, list[Champion]]:
    """Three models of one data set, and between them one of another."""
    registry = Registry(root, "people")
    added: list[Champion] = []
    for model, data, beaten in (("a", "coco", None), ("b", "mine", None), ("c", "coco", 0), ("d", "coco", 2)):
        before = None if beaten is None else added[beaten].entry
        added.append(registry.add(entry(root, model, data, before)))
    return registry, added


def check(root: storage.StoragePath) -> None:
    assert Registry(root, "people").champion("coco") is None
    registry, (a, b, c, d) = fill(root)
    assert registry.champion("coco") == d
    assert registry.champion("mine") == b
    assert registry.champion("other") is None
    assert Registry(root, "animals").champion("coco") is None
    assert registry.to_beat("coco", "x") == d
    assert registry.to_beat("coco", d.model) == c, "the champion itself is judged as it was"
    assert registry.to_beat("mine", b.model) is None
    assert registry.to_beat("coco", a.model) == d, "a former champion is a challenger"
    names = sorted(name for name in storage.sizes(registry.folder) if name != "latest.json")
    assert names == [one.entry for one in (a, b, c, d)] == [f"0000{n}-{m * 12}.json" for n, m in enumerate("abcd", 1)]
    assert storage.read_json(registry.folder / "latest.json") == {"folder": str(root / "models/d")}


def test_champions_of_data_sets(tmp_path: Path) -> None:
    check(tmp_path)


def test_champions_in_a_bucket(bucket: str) -> None:
    check(storage.path(bucket))


def test_latest_is_a_link_that_moves_with_the_root(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "models/d").mkdir(parents=True)
    (root / "models/d/graph.pb").write_text("the graph")
    fill(root)
    shutil.move(root, tmp_path / "moved")
    assert (tmp_path / "moved/registry/people/latest/graph.pb").read_text() == "the graph"


def test_newest_is_below_the_root_wherever_that_is_mounted(tmp_path: Path, bucket: str) -> None:
    fill(tmp_path / "root")
    (tmp_path / "root").rename(tmp_path / "mounted")
    mounted = tmp_path / "mounted"
    assert Registry(mounted, "people").newest() == str(mounted / "models/d")
    fill(storage.path(bucket))
    assert Registry(storage.path(bucket), "people").newest() == f"{bucket}/models/d"
    with pytest.raises(InputError, match="no model was accepted there"):
        Registry(mounted, "mice").newest()


def test_folder_without_links_has_the_file_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError("no links here")

    monkeypatch.setattr(os, "symlink", refuse)
    registry, _ = fill(tmp_path)
    assert sorted(os.listdir(registry.folder))[-1] == "latest.json"


def test_history_is_never_written_again(tmp_path: Path) -> None:
    registry, _ = fill(tmp_path)
    before = {file.name: file.stat().st_mtime_ns for file in registry.folder.glob("0*.json")}
    registry.add(entry(tmp_path, "e"))
    after = {file.name: file.stat().st_mtime_ns for file in registry.folder.glob("0*.json")}
    assert before.items() <= after.items()
    assert len(after) == len(before) + 1


@pytest.mark.parametrize("name", ["", "a/b", "..", "ä", ".hidden", "a b"])
def test_names_that_are_none(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"registry '.*': give a name of letters"):
        Registry(tmp_path, name)


@pytest.mark.parametrize("content", ["{", "[]", json.dumps({"schema": 0}), json.dumps({"schema": 1, "entry": 3})])
def test_entry_that_cannot_be_read_is_named(tmp_path: Path, content: str) -> None:
    registry, added = fill(tmp_path)
    (registry.folder / added[-1].entry).write_text(content)
    with pytest.raises(InputError, match=added[-1].entry):
        registry.champion("coco")
