"""The flags of tf-pose-estimation's train.py work here."""

import dataclasses
import json
import shlex
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import keras
import pytest

from components.train import tf_pose
from components.train.__main__ import main

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.mark.slow
def test_old_command_trains_from_raw_coco(sample_folder: Path, tmp_path: Path) -> None:
    for archive in sample_folder.glob("*.zip"):
        with zipfile.ZipFile(archive) as opened:
            opened.extractall(tmp_path / "coco")
    command = [sys.executable, "-m", "components.train", "--model=mobilenet_v2_0.5", "--batchsize=8", "--gpus=1"]
    command += [f"--datapath={tmp_path}/coco/annotations/", f"--imgpath={tmp_path}/coco/", "--max-epoch=1"]
    command += [f"--modelpath={tmp_path}/models", f"--logpath={tmp_path}/logs", "--tag=first", "--lr=0.001,0.0001"]
    command += ["--input-width=96", "--input-height=64"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (model,) = (tmp_path / "models/first/runs").glob("*/model.keras")
    assert keras.models.load_model(model, compile=False).name == "mobilenet_v2_small"
    about = json.loads((model.parent / "run.json").read_text())
    parameters = about["parameters"]
    assert (parameters["size"], parameters["input_width"], parameters["warmup"]) == (64, 96, 0)
    assert list((tmp_path / "logs/first").glob("events.*"))
    ours = shlex.split(about["command"])
    again = subprocess.run([sys.executable, *ours[1:]], cwd=about["started_in"], capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert f"found run in {model.parent}: nothing to do" in again.stdout, "the command in run.json is the same training"


def test_defaults_are_those_of_the_first_release() -> None:
    flags = tf_pose.Flags(datapath="a", imgpath="b")
    assert (flags.model, flags.batchsize, flags.gpus, flags.max_epoch, flags.lr) == ("mobilenet", 96, 1, 30, "0.01")
    assert (flags.input_width, flags.input_height) == (368, 368)


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (["--batchsize=8"], True),
        (["--max_epoch", "3"], True),
        *(([f"--{name}", "x"], True) for name in ("datapath", "imgpath", "max-epoch", "lr", "modelpath", "logpath")),
        (["--tag", "first"], True),
        (["--input-height", "368"], True),
        (["--model", "cmu", "--gpus", "1", "--input-width", "368"], False),
        (["--lr", "0.1", "--root", "r"], False),
        (["--lr", "0.1", "--train-records=r"], False),
        (["--valid-records", "r", "--tag=x"], False),
        ([], False),
    ],
)
def test_one_old_flag_is_enough(arguments: list[str], meant: bool) -> None:
    assert tf_pose.are_meant(arguments) is meant


def test_missing_folders_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--lr", "0.1"])
    said = capsys.readouterr()
    for flag in ("--datapath", "--imgpath"):
        assert flag in said.out + said.err


@pytest.mark.parametrize(("wanted", "devices"), [(1, 0), (0, 0), (4, 4)])
def test_one_gpu_is_one_device(wanted: int, devices: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where no GPU is: 0 stands for one device of either kind."""
    given: dict[str, Any] = {}
    monkeypatch.setattr(tf_pose, "make_records", lambda *_: {"train_records": "t", "valid_records": "v"})
    monkeypatch.setattr(tf_pose, "train", lambda *_, **arguments: given.update(arguments))
    tf_pose.run(tf_pose.Flags(datapath="a", imgpath="b", gpus=wanted))
    assert given["devices"].gpus == devices


def test_old_flags_are_all_there() -> None:
    assert {field.name for field in dataclasses.fields(tf_pose.Flags)} == {
        "model", "datapath", "imgpath", "batchsize", "gpus", "max_epoch", "lr", "modelpath", "logpath", "checkpoint",
        "tag", "remote_data", "input_width", "input_height",
    }  # fmt: skip
