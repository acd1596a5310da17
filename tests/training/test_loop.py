"""Training learns, logs what users look for, and goes on as if it had never stopped."""

import json
import os
import random
import re
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from openpose import skeleton
from openpose.errors import InputError
from openpose.networks import loss
from openpose.records.manifest import RecordsManifest
from openpose.training.loop import TrainResult, train
from openpose.training.parameters import RunParameters, TrainParameters
from tests.process import Program
from tests.training import train_process

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("tiny")]

OPENPOSE = skeleton.get("openpose18")
PARAMETERS = TrainParameters(
    model="mobilenet_thin", width=0.2, stages=2, size=64, batch_size=4, epochs=3, learning_rate="0.003"
)
Manifests = dict[str, RecordsManifest]
SETTINGS = RunParameters(ap_images=4)


def run(
    manifests: Manifests, folder: Path, parameters: TrainParameters = PARAMETERS, settings: RunParameters = SETTINGS
) -> TrainResult:
    return train(manifests["train"], manifests["val"], folder, parameters, OPENPOSE, run=settings)


def changed(**values: Any) -> TrainParameters:
    return TrainParameters(**(PARAMETERS.as_dict() | values))


@pytest.fixture(scope="module")
def trained(sample_records: Manifests, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TrainResult]:
    folder = tmp_path_factory.mktemp("run")
    return folder, run(sample_records, folder)


def test_losses_fall_and_are_logged(trained: tuple[Path, TrainResult]) -> None:
    folder, result = trained
    assert result.history[-1]["loss"] < result.history[0]["loss"]
    lines = (folder / "history.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == result.history
    events = EventAccumulator(str(folder / "logs")).Reload()
    names = set(events.Tags()["tensors"])
    assert names >= {
        *loss.NAMES,
        *(f"valid_{name}" for name in loss.NAMES),
        "valid_ap",
        "learning_rate",
        "images_per_second",
        "input_wait_share",
        "gradient_norm",
        "parameters",
        "training samples",
        "validation samples",
    }
    # tf-pose-estimation's names
    assert names >= {"queue_size", "loss_valid", "loss_valid_lastlayer", "training sample", "validation sample"}
    for ours, theirs in (("valid_loss", "loss_valid"), ("validation samples", "validation sample")):
        same, other = (events.Tensors(tag)[-1].tensor_proto.SerializeToString() for tag in (ours, theirs))
        assert same == other
    assert all(0 <= line["queue_size"] <= 2 for line in logged(folder))
    assert all(0 <= epoch["valid_ap"] <= 1 for epoch in result.history)
    assert [line["step"] for line in logged(folder)] == [5, 10, 15]
    width, height, *pictures = events.Tensors("validation samples")[0].tensor_proto.string_val
    assert (width, height, len(pictures)) == (b"960", b"640", 6)


def logged(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "logs/steps.jsonl").read_text().splitlines()]


def logged_losses(folder: Path) -> list[list[float]]:
    return [[line[name] for name in ("step", *loss.NAMES, "learning_rate")] for line in logged(folder)]


def weights(result: TrainResult) -> list[np.ndarray]:
    return [np.asarray(variable) for variable in result.model.variables]


def test_resuming_from_a_checkpoint_is_bit_identical(
    trained: tuple[Path, TrainResult], sample_records: Manifests, tmp_path: Path
) -> None:
    folder, result = trained
    resumed = tmp_path / "run"
    shutil.copytree(folder, resumed)
    newest = sorted((resumed / "checkpoints").iterdir())[-1]
    shutil.rmtree(newest)
    again = run(sample_records, resumed)
    assert again.history == result.history
    for one, other in zip(weights(result), weights(again), strict=True):
        np.testing.assert_array_equal(one, other)


def test_damaged_newest_checkpoint_is_skipped(
    trained: tuple[Path, TrainResult],
    sample_records: Manifests,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder, result = trained
    damaged = tmp_path / "run"
    shutil.copytree(folder, damaged)
    newest = sorted((damaged / "checkpoints").iterdir())[-1]
    data = next(newest.glob("state.data*"))
    data.write_bytes(data.read_bytes()[:100])
    again = run(sample_records, damaged)
    assert f"warning: {newest} cannot be used" in capsys.readouterr().err
    for one, other in zip(weights(result), weights(again), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "mobilnet"}, "model is .mobilnet.; choose one of: auto, cmu, vgg, mobilenet, "),
        ({"epochs": 0}, "epochs is 0"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"size": 60}, "multiples of 8"),
        ({"learning_rate": "fast"}, "'fast': give one positive number"),
        ({"batch_size": 1000}, "less than one batch of 1000"),
        ({"accumulate": 3}, "batch_size 4 does not divide into 3 parts"),
        ({"optimizer": "lion"}, "optimizer is 'lion'; choose one of: adam, adamw, sgd"),
        ({"ema": 1.0}, "ema is 1.0; it must be at least 0 and below 1"),
    ],
)
def test_unusable_parameters_are_named(
    sample_records: Manifests, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        run(sample_records, tmp_path, TrainParameters(**(PARAMETERS.as_dict() | changes)))


def test_nan_loss_stops_the_training(sample_records: Manifests, tmp_path: Path) -> None:
    said = (
        r"the (loss|gradient norm) is (nan|inf) at step (\d+) \(learning rate \S+, samples \d+, \d+, \d+, \d+\); train"
    )
    with pytest.raises(InputError, match=said):
        run(sample_records, tmp_path, changed(learning_rate="1e30"), RunParameters(save_steps=1))
    for path in (tmp_path / "checkpoints").glob("step-*/notes.json"):
        assert all(np.isfinite(value) for value in json.loads(path.read_text())["notes"]["sums"].values())


def test_rolls_back_until_the_rate_is_small_enough(
    sample_records: Manifests, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parameters = changed(optimizer="sgd", learning_rate="0.02", warmup=0, stages=1)
    settings = RunParameters(log_steps=1, rollbacks=60)
    result = run(sample_records, tmp_path, parameters, settings)
    warnings = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning")]
    assert re.fullmatch(r"warning: the .+ is (nan|inf) at step \d+ \(.+\); roll-back 1 of 60", warnings[0])
    factor = 0.5 ** len(warnings)
    assert [line["step"] for line in logged(tmp_path)] == list(range(1, 16)), "each step once, as it was good"
    assert logged(tmp_path)[-1]["learning_rate"] == pytest.approx(0.02 * factor)
    assert all(np.isfinite(epoch["loss"]) for epoch in result.history)
    assert "roll-backs" in EventAccumulator(str(tmp_path / "logs")).Reload().Tags()["tensors"]
    shutil.rmtree(sorted((tmp_path / "checkpoints").iterdir())[-1])
    again = run(sample_records, tmp_path, parameters, settings)
    assert again.history == result.history, "a resumed training keeps the factor"


def test_rollbacks_are_limited(sample_records: Manifests, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match=r"learning rate 5e\+29"):
        run(sample_records, tmp_path, changed(learning_rate="1e30", warmup=0), RunParameters(rollbacks=1))
    assert capsys.readouterr().err.count("warning: the ") == 1


# Interruptions

LONG = changed(stages=1, epochs=20).as_dict()


def start(manifests: Manifests, folder: Path, **settings: int) -> Program:
    return train_process.start(manifests, folder, parameters=LONG, run={"log_steps": 1, **settings})


def wait_for(happened: Callable[[], bool], process: Program) -> None:
    while not happened() and process.poll() is None:
        time.sleep(0.01)


def newest(folder: Path) -> int:
    return max((int(path.parent.name[5:]) for path in folder.glob("checkpoints/step-*/state.index")), default=0)


@pytest.fixture(scope="module")
def undisturbed(sample_records: Manifests, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    process = start(sample_records, folder)
    assert process.wait() == 0
    return folder


def assert_same_training(folder: Path, other: Path) -> None:
    assert (folder / "history.jsonl").read_text() == (other / "history.jsonl").read_text()
    assert logged_losses(folder) == logged_losses(other)
    with np.load(folder / "weights.npz") as weights, np.load(other / "weights.npz") as others:
        for name in weights.files:
            np.testing.assert_array_equal(weights[name], others[name])


def test_training_killed_ten_times_ends_with_the_same_weights(
    undisturbed: Path, sample_records: Manifests, tmp_path: Path
) -> None:
    seed = random.randrange(1000)
    print(f"seed {seed}")
    moments = random.Random(seed)
    for _ in range(10):
        before = newest(tmp_path)
        process = start(sample_records, tmp_path, save_steps=2)
        wait_for(lambda before=before: newest(tmp_path) > before, process)  # type: ignore[misc]
        time.sleep(moments.uniform(0, 0.4))
        process.kill()
        errors = process.communicate()[1]
        assert process.returncode == -signal.SIGKILL, errors
    assert start(sample_records, tmp_path, save_steps=2).wait() == 0
    assert_same_training(tmp_path, undisturbed)
    assert [path.name for path in (tmp_path / "checkpoints").iterdir() if path.name.startswith(".")] == []


def in_mid_epoch(folder: Path) -> bool:
    return logged(folder)[-1]["step"] % 5 in (2, 3)


def test_sigterm_saves_and_has_its_own_exit_code(undisturbed: Path, sample_records: Manifests, tmp_path: Path) -> None:
    process = start(sample_records, tmp_path)
    wait_for(lambda: newest(tmp_path) > 0, process)
    while process.poll() is None:
        wait_for(lambda: in_mid_epoch(tmp_path), process)
        os.kill(process.pid, signal.SIGSTOP)  # now the epoch cannot end before the signal comes
        if in_mid_epoch(tmp_path):
            break
        os.kill(process.pid, signal.SIGCONT)
    process.terminate()
    os.kill(process.pid, signal.SIGCONT)
    assert process.wait() == 143
    assert newest(tmp_path) % 5 != 0, "saved in the middle of an epoch"
    assert start(sample_records, tmp_path).wait() == 0
    assert_same_training(tmp_path, undisturbed)


def test_checkpoint_of_another_run(
    trained: tuple[Path, TrainResult], sample_records: Manifests, tmp_path: Path
) -> None:
    folder, result = trained
    more = run(sample_records, tmp_path / "more", changed(epochs=4), RunParameters(checkpoint=str(folder)))
    assert more.history[:3] == result.history
    assert [epoch["step"] for epoch in more.history] == [5, 10, 15, 20]
    other = changed(width=0.25, optimizer="sgd")
    with pytest.raises(InputError) as caught:
        run(sample_records, tmp_path / "other", other, RunParameters(checkpoint=str(folder / "checkpoints")))
    assert str(caught.value).endswith(
        "step-00000015 is a checkpoint of another training: network is mobilenet_thin (width 0.2, stages 2) there and "
        "mobilenet_thin (width 0.25, stages 2) here; optimizer is adam there and sgd here"
    )
    with pytest.raises(InputError, match="no checkpoint found"):
        run(sample_records, tmp_path / "other", other, RunParameters(checkpoint=str(tmp_path)))


@pytest.mark.slow
def test_newest_and_best_checkpoints_are_kept(trained: tuple[Path, TrainResult]) -> None:
    folder, result = trained
    best = min(result.history, key=lambda epoch: epoch["valid_loss"])["step"]
    kept = {int(path.name[5:]) for path in (folder / "checkpoints").iterdir()}
    assert kept == {10, 15, best}


def test_early_stop_takes_the_best_epochs_weights(sample_records: Manifests, tmp_path: Path) -> None:
    # At such a rate it soon gets worse.
    result = run(sample_records, tmp_path, changed(epochs=9, learning_rate="0.1", decay="exponential", early_stop=1))
    assert len(result.history) < 9
    *before, last = [epoch["valid_loss"] for epoch in result.history]
    assert last > min(before)
