"""The whole DAG on this machine, through KFP's local runner, from a drawn sample to a graph that loads."""

import html.parser
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import openpose
from components import revision
from components.finish.finish import finish
from components.finish.summary import REJECTED
from components.steps import STEPS
from openpose import model_files, skeleton
from pipelines import in_place, local
from pipelines.training import training

ROOT = Path(__file__).resolve().parent.parent.parent
PARAMETERS = {"size": 64, "width": 0.2, "stages": 1, "epochs": 1, "batch_size": 4, "images_per_shard": 8}
TINY = [f"--{name.replace('_', '-')}={value}" for name, value in PARAMETERS.items()] + ["--min-ap=-1"]


def run(*arguments: str | Path, expect: int = 0) -> str:
    """Runs the pipeline as a user does; returns its output."""
    command = [sys.executable, "-m", "pipelines.local", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == expect, done.stdout
    return done.stdout


def read_summary(out: Path, name: str = "summary.json") -> dict[str, Any]:
    return json.loads((out / name).read_text())


def champion(out: Path) -> str:
    """The name of the only accepted model in the registry."""
    (found,) = (out / "registry/openpose").glob("0*.json")
    return found.name


def test_only_the_sample_has_the_samples_registry() -> None:
    for words, registry in (([], "sample"), (["--registry", "trial"], "trial"), (["--data", "coco2017"], "openpose")):
        assert local.parse(words)[1]["registry"] == registry


@pytest.fixture(scope="module")
def first_run(sample_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of a run of the whole DAG that accepted its network, and what it printed."""
    out = tmp_path_factory.mktemp("local") / "out dir"
    printed = run("--data", sample_folder, "--out", out, *TINY)
    shutil.copyfile(out / "summary.json", out / "first.json")
    return out, printed


@pytest.mark.slow
def test_whole_dag(first_run: tuple[Path, str]) -> None:
    out, printed = first_run
    summary = read_summary(out, "first.json")
    assert summary["verdict"] == "accepted"
    assert {name: step["state"] for name, step in summary["steps"].items()} == dict.fromkeys(STEPS, "done")
    assert summary["valid_loss"] > 0
    assert 0 <= summary["ap"] <= 1
    assert "KFP Executor" not in printed
    assert "Traceback" not in printed
    report = (out / "report.html").read_text()
    html.parser.HTMLParser().feed(report)
    assert "data:image" in report
    judged = json.loads((Path(summary["evaluation"]) / "manifest.json").read_text())
    trained = json.loads((Path(summary["run"]) / "manifest.json").read_text())
    for name, value in trained["losses"].items():
        assert name == name.removeprefix("valid_") or judged["figures"][name] == pytest.approx(value, rel=1e-4), name
    assert summary["champion"] == champion(out)
    assert (out / "registry/openpose/latest/graph.pb").samefile(summary["graph"])
    graph = model_files.load(summary["graph"], skeleton.get("openpose18"))
    assert graph.maps(np.zeros((1, 64, 64, 3)))[0].shape == (1, 8, 8, 19)


@pytest.mark.slow
def test_same_run_again_finds_everything(first_run: tuple[Path, str], sample_folder: Path) -> None:
    out, _ = first_run
    printed = run("--data", sample_folder, "--out", out, *TINY)
    again = read_summary(out)
    assert again["steps"].pop("check")["state"] == "done"
    assert {step["state"] for step in again["steps"].values()} == {"found"}
    assert again["graph"] == read_summary(out, "first.json")["graph"]
    assert printed.count("nothing to do") == 9  # three of them for the records' shares


@pytest.mark.slow
def test_only_new_ends_after_the_data_step_if_the_champion_is_of_the_same(
    first_run: tuple[Path, str], sample_folder: Path
) -> None:
    """Of the same code, data and parameters."""
    out, _ = first_run
    shutil.rmtree(out / "status")
    asked = {"source": str(sample_folder), "root": str(out), "revision": revision.fingerprint(), "only_new": True}
    with in_place.alone(out) as lock, in_place.processes(lock) as steps:
        outcome = in_place.run(training, asked | PARAMETERS | {"min_ap": -1.0}, out / "kfp", steps)
    assert set(outcome.seconds) == {"check", "coco_download", "finish"}
    ended = finish(str(out), "SUCCEEDED")
    assert (ended.verdict, ended.champion) == ("nothing new", champion(out))


@pytest.mark.slow
def test_network_below_the_required_ap_is_rejected(first_run: tuple[Path, str], sample_folder: Path) -> None:
    out, _ = first_run
    printed = run("--data", sample_folder, "--out", out, *TINY, "--min-ap", "0.99", expect=REJECTED)
    rejected = read_summary(out)
    assert rejected["verdict"] == "rejected"
    assert "below the required 0.990" in rejected["reason"]
    assert rejected["graph"] is None
    assert rejected["steps"]["train"]["state"] == "found"
    assert rejected["steps"]["export"]["state"] == rejected["steps"]["register"]["state"] == "skipped"
    assert rejected["champion"] is None
    assert "The model is not exported" in printed


@pytest.mark.slow
def test_api_trains_as_the_command_does(
    first_run: tuple[Path, str], sample_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """So it finds what the command trained with the same parameters; models load whether accepted or rejected."""
    out, _ = first_run
    rejected = openpose.train(sample_folder, out=out, **PARAMETERS, min_ap=0.99)
    assert "== train" in capsys.readouterr().out
    assert rejected.verdict == "rejected"
    assert "below the required 0.990" in rejected.reason
    accepted = openpose.train(str(sample_folder), out=str(out), **PARAMETERS, min_ap=-1)
    assert "nothing to do" in capsys.readouterr().out
    assert accepted.verdict == "accepted"
    assert accepted.report.is_file()
    for trained, pixels in ((rejected, "rgb"), (accepted, "bgr")):
        assert trained.model.is_relative_to(out)
        model = openpose.load(trained.model)
        assert (model.pixels, model.height) == (pixels, 64)
    assert read_summary(out)["steps"]["train"]["state"] == "found"
    assert accepted.model == Path(read_summary(out, "first.json")["graph"])


@pytest.mark.slow
def test_failing_step_says_why_in_one_line(sample_folder: Path, tmp_path: Path) -> None:
    printed = run("--data", sample_folder, "--out", tmp_path, *TINY, "--model", "mobilnet", expect=1)
    assert "error: model is 'mobilnet'; choose one of: auto, cmu, vgg, mobilenet, " in printed
    assert "Traceback" not in printed
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["steps"]["check"]["state"] == "failed"
    assert summary["steps"]["coco_download"]["state"] == "skipped"
    assert summary["verdict"] == "failed"


def test_missing_data_is_said_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        local.main(["--data", "x", "--sise", "3"])


def test_help_has_every_parameter_of_the_dag(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        local.main(["--help"])
    printed = capsys.readouterr().out
    for flag in (
        "--data",
        "--out",
        "--model",
        "--epochs",
        "--batch-size",
        "--learning-rate",
        "--min-ap",
        "--pixels",
    ):
        assert flag in printed
