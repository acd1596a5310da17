"""The whole DAG on this machine, through KFP's local runner, from a drawn sample to a graph that loads."""

import html.parser
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from components import revision
from components.finish.finish import finish
from components.finish.summary import REJECTED
from components.steps import STEPS
from openpose import model_files, skeleton
from pipelines import in_place, local
from pipelines.training import training

ROOT = Path(__file__).resolve().parent.parent.parent
TINY = [
    "--size",
    "64",
    "--width",
    "0.2",
    "--stages",
    "1",
    "--epochs",
    "1",
    "--batch-size",
    "4",
    "--images-per-shard",
    "8",
    "--min-ap=-1",
]


def run(*arguments: str | Path, expect: int = 0) -> str:
    """Runs the pipeline as a user does; returns its output."""
    command = [sys.executable, "-m", "pipelines.local", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == expect, done.stdout
    return done.stdout


def test_only_the_sample_has_the_samples_registry() -> None:
    for words, registry in (([], "sample"), (["--registry", "trial"], "trial"), (["--data", "coco2017"], "openpose")):
        assert local.parse(words)[1]["registry"] == registry


@pytest.mark.slow
def test_whole_dag_and_again(sample_folder: Path, tmp_path: Path) -> None:
    printed = run("--data", sample_folder, "--out", tmp_path / "out dir", *TINY)
    summary = json.loads((tmp_path / "out dir/summary.json").read_text())
    assert summary["verdict"] == "accepted"
    assert {name: step["state"] for name, step in summary["steps"].items()} == dict.fromkeys(STEPS, "done")
    assert summary["valid_loss"] > 0
    assert 0 <= summary["ap"] <= 1
    assert "KFP Executor" not in printed
    assert "Traceback" not in printed
    report = (tmp_path / "out dir/report.html").read_text()
    html.parser.HTMLParser().feed(report)
    assert "data:image" in report
    judged = json.loads((Path(summary["evaluation"]) / "manifest.json").read_text())
    trained = json.loads((Path(summary["run"]) / "manifest.json").read_text())
    for name, value in trained["losses"].items():
        assert name == name.removeprefix("valid_") or judged["figures"][name] == pytest.approx(value, rel=1e-4), name
    (champion,) = (tmp_path / "out dir/registry/openpose").glob("0*.json")
    assert summary["champion"] == champion.name
    assert (tmp_path / "out dir/registry/openpose/latest/graph.pb").samefile(summary["graph"])
    graph = model_files.load(summary["graph"], skeleton.get("openpose18"))
    assert graph.maps(np.zeros((1, 64, 64, 3)))[0].shape == (1, 8, 8, 19)

    printed = run("--data", sample_folder, "--out", tmp_path / "out dir", *TINY)
    again = json.loads((tmp_path / "out dir/summary.json").read_text())
    assert again["steps"].pop("check")["state"] == "done"
    assert {step["state"] for step in again["steps"].values()} == {"found"}
    assert again["graph"] == summary["graph"]
    assert printed.count("nothing to do") == 8  # three of them for the records' shares

    # With `only_new`, the DAG ends after the data step if the champion has the same code, data and parameters.
    shutil.rmtree(tmp_path / "out dir/status")
    asked = {
        "source": str(sample_folder),
        "root": str(tmp_path / "out dir"),
        "revision": revision.fingerprint(),
        "only_new": True,
    }
    tiny = {"size": 64, "width": 0.2, "stages": 1, "epochs": 1, "batch_size": 4, "images_per_shard": 8, "min_ap": -1.0}
    with in_place.alone(tmp_path / "out dir") as lock:
        outcome = in_place.run(training, asked | tiny, tmp_path / "out dir/kfp", lock)
    assert set(outcome.seconds) == {"check", "coco_download", "finish"}
    ended = finish(str(tmp_path / "out dir"), "SUCCEEDED")
    assert (ended.verdict, ended.champion) == ("nothing new", champion.name)

    printed = run(
        "--data",
        sample_folder,
        "--out",
        tmp_path / "out dir",
        *TINY,
        "--min-ap",
        "0.99",
        expect=REJECTED,
    )
    rejected = json.loads((tmp_path / "out dir/summary.json").read_text())
    assert rejected["verdict"] == "rejected"
    assert "below the required 0.990" in rejected["reason"]
    assert rejected["graph"] is None
    assert rejected["steps"]["train"]["state"] == "found"
    assert rejected["steps"]["export"]["state"] == rejected["steps"]["register"]["state"] == "skipped"
    assert rejected["champion"] is None
    assert "The model is not exported" in printed


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
