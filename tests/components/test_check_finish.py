"""Before the first step and after the last: what is refused at once, and what a run's summary says."""

import contextlib
import inspect
import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from components import status
from components.check import component
from components.check.check import check, recipe
from components.finish.finish import MARK, describe, finish
from openpose import storage
from openpose.errors import InputError
from openpose.training.parameters import TrainParameters

DEMANDS = {"min_ap": 0.0, "max_valid_loss": 0.0, "tolerance": 0.01}


def checked(root: Path, train: dict[str, Any] | None = None, **others: Any) -> None:
    values = asdict(TrainParameters()) | {"width": 0.2, "stages": 1} | (train or {})
    check(str(root), values, others.pop("demands", DEMANDS), **others)


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"train": {"model": "x"}}, "no network is called 'x'"),
        ({"train": {"size": 100}}, "both sides must be multiples of 8"),
        ({"train": {"learning_rate": "fast"}}, "learning rate 'fast'"),
        ({"train": {"width": -1.0}}, "width -1.0 makes no network"),
        ({"demands": DEMANDS | {"min_ap": -1}}, "min_ap is -1; it must be at least 0"),
        ({"workers": 0}, "workers is 0; at least 1 is needed"),
        ({"dense": "all"}, "dense is 'all'; choose one of: val, both, none"),
        ({"gpus": -1}, "gpus is -1; it must be at least 0"),
        ({"gpus": 2}, "compiled for a cluster without accelerators"),
        ({"machines": 0}, "machines is 0; it must be at least 1"),
        ({"machines": 2}, "machines is 2, but this DAG runs here and not on a cluster"),
        ({"machines": 3, "machine": {"cpu": "1"}}, "batch_size 16 does not divide among 3 replicas"),
        (
            {"machines": 2, "train": {"accumulate": 16}, "machine": {"cpu": "1"}},
            "among 2 replicas (machines × gpus) in 16",
        ),
        ({"registry": "a/b"}, "registry 'a/b'"),
        ({"pixels": "gbr"}, "pixels are 'gbr'"),
        ({"formats": "onx"}, "no format is called 'onx'"),
        ({"save_minutes": -1.0}, "save_minutes is -1.0"),
    ],
)
def test_parameters_that_cannot_work(parameters: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=re.escape(said)):
        checked(tmp_path, **parameters)
    assert status.steps(tmp_path)["check"]["state"] == "failed"
    assert said in status.steps(tmp_path)["check"]["error"]


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no network is called 'x'.*; pixels are 'gbr'"):
        checked(tmp_path, {"model": "x"}, pixels="gbr")


def test_good_parameters_pass(tmp_path: Path) -> None:
    checked(tmp_path, machines=2, gpus=4, machine={"accelerator": "nvidia.com/gpu"})
    assert status.steps(tmp_path)["check"]["state"] == "done"


def test_recipe_is_of_what_decides_the_result() -> None:
    parameters = {"root": "/data", "workers": 2, "gpus": 0, "machines": 1, "epochs": 30, "revision": "1"}
    assert recipe(parameters) == recipe(parameters | {"root": "gs://bucket", "workers": 8, "gpus": 4, "machines": 2})
    for change in ({"epochs": 31}, {"revision": "2"}):
        assert recipe(parameters) != recipe(parameters | change)


@pytest.mark.parametrize(("machines", "asked"), [(1, ("16", "64Gi", "4")), (2, ("1", "2Gi", "0"))])
def test_step_that_only_watches_other_pods_asks_for_little(
    machines: int, asked: tuple[str, ...], tmp_path: Path
) -> None:
    """What the check's outputs make the training's pod ask for."""
    declared = inspect.signature(component.check.python_func).parameters
    values = {name: getattr(TrainParameters(), name) for name in declared if hasattr(TrainParameters(), name)}
    values |= DEMANDS | {"root": str(tmp_path), "width": 0.2, "stages": 1, "batch_size": 16}
    values |= {"machine": {"cpu": "16", "memory": "64Gi", "accelerator": "nvidia.com/gpu"}}
    values |= {"machines": float(machines), "gpus": 4.0}
    values |= {"watcher": {"cpu": "1", "memory": "2Gi", "accelerator": ""}, "workers": 1, "dense": "val"}
    values |= {"save_minutes": 10.0, "ap_images": 0, "registry": "openpose", "pixels": "bgr", "formats": "all"}
    values |= {"shard_mb": 128.0, "images_per_shard": 0, "max_bad_share": 0.01, "height": 0, "revision": "1"}
    assert component.check.python_func(**values)[:3] == asked


def run_step(root: Path, name: str, error: Exception | None = None) -> None:
    with contextlib.suppress(InputError), status.step(root, name):
        if error:
            raise error


def test_failed_step_and_its_error_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(status.RUN, "run-1")
    run_step(tmp_path, "coco_download")
    run_step(tmp_path, "train", InputError("the batch\nis too large"))
    monkeypatch.setenv(status.RUN, "run-2")  # another run with the same root is none of this one's business
    run_step(tmp_path, "train")
    monkeypatch.setenv(status.RUN, "run-1")
    summary = finish(str(tmp_path), "FAILED")
    assert (summary["state"], summary["step"], summary["error"]) == ("failed", "train", "the batch is too large")
    assert {name: step["state"] for name, step in summary["steps"].items()} == {
        "coco_download": "done",
        "train": "failed",
    }
    assert storage.read_json(tmp_path / "summaries/run-1.json") == summary
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith(MARK)]
    assert json.loads(line.removeprefix(MARK)) == summary
    assert "**train**: the batch is too large" in describe(summary)


def test_killed_step_is_named(tmp_path: Path) -> None:
    with status.step(tmp_path, "train"):
        summary = finish(str(tmp_path), "FAILED")  # what a pod leaves that was killed here
    assert summary["step"] == "train"
    assert "killed because its memory was full" in summary["error"]


def made(root: Path, name: str, content: dict[str, Any]) -> None:
    """A step that is done, with its manifest."""
    storage.write_json(root / f"{name}.json", content)
    with status.step(root, name) as step:
        step.manifest_path = root / f"{name}.json"


@pytest.mark.parametrize("state", ["SUCCEEDED", "COMPLETE", "RUNNING"])
@pytest.mark.parametrize("verdict", ["accepted", "rejected"])
def test_verdict_figures_and_places(verdict: str, state: str, tmp_path: Path) -> None:
    content = {"verdict": verdict, "reason": "Because.", "figures": {"AP": 0.5, "AR": None}, "report": "r.html"}
    made(tmp_path, "evaluate", content)
    if verdict == "accepted":
        made(tmp_path, "export", {"graph": "graph.pb"})
        made(tmp_path, "register", {"entry": "00001-a.json"})
    summary = finish(str(tmp_path), state)
    assert (summary["state"], summary["reason"], summary["error"]) == (verdict, "Because.", "")
    said = describe(summary)
    assert said.startswith(f"# {verdict}\n")
    assert "| AP | 0.500 |" in said
    assert "AR" not in said, "undefined"
    assert "- report: `r.html`" in said


@pytest.mark.parametrize(("ended", "missing"), [([], "export"), (["export"], "register")])
def test_accepted_model_that_did_not_become_the_champion(ended: list[str], missing: str, tmp_path: Path) -> None:
    made(
        tmp_path, "evaluate", {"verdict": "accepted", "reason": "Because.", "figures": {"AP": 0.5}, "report": "r.html"}
    )
    for name in ended:
        made(tmp_path, name, {"graph": "graph.pb"})
    summary = finish(str(tmp_path), "COMPLETE")
    assert summary["state"] == "failed"
    assert summary["error"] == (
        f"the model was accepted, but the step {missing} did not start; its driver's log says why"
    )


def test_nothing_new_is_said_with_the_champion(tmp_path: Path) -> None:
    champion = {"entry": "00001-a.json", "figures": {"AP": 0.5}, "export": {"graph": "/models/1/graph.pb"}}
    storage.write_json(tmp_path / "registry.json", champion)
    with status.step(tmp_path, "champion") as step:
        step.manifest_path, step.found = tmp_path / "registry.json", True
    summary = finish(str(tmp_path), "SUCCEEDED")
    assert summary["state"] == "nothing new"
    assert "00001-a.json was made by this code" in summary["reason"]
    assert (summary["champion"], summary["graph"]) == ("00001-a.json", "/models/1/graph.pb")
    assert "| AP | 0.500 |" in describe(summary)


def test_root_that_cannot_be_used_is_said_and_no_second_failure(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    summary = finish(str(tmp_path / "file"), "FAILED")
    assert summary["state"] == "failed"
    assert "cannot be made" in summary["error"]
