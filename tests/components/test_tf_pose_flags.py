"""The flags of tf-pose-estimation's train.py work here."""

import dataclasses
import json
import shlex
import subprocess
import sys
import zipfile
from pathlib import Path

import keras
import pytest

from components.train import tf_pose

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.mark.slow
def test_old_command_trains_from_raw_coco(sample_folder: Path, tmp_path: Path) -> None:
    for archive in sample_folder.glob("*.zip"):
        with zipfile.ZipFile(archive) as opened:
            opened.extractall(tmp_path / "coco")
    command = [sys.executable, "-m", "components.train", "--model=mobilenet_v2_0.5", "--batchsize=8"]
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


def test_old_flags_are_all_there() -> None:
    assert {field.name for field in dataclasses.fields(tf_pose.Flags)} == {
        "model", "datapath", "imgpath", "batchsize", "gpus", "max_epoch", "lr", "modelpath", "logpath", "checkpoint",
        "tag", "remote_data", "input_width", "input_height",
    }  # fmt: skip
