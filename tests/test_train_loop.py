"""Training learns, logs what users look for, and goes on as if it had never stopped."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from openpose import loss, skeleton
from openpose.errors import InputError
from openpose.train_loop import TrainParameters, TrainResult, train

OPENPOSE = skeleton.get("openpose18")
PARAMETERS = TrainParameters(
    model="mobilenet_thin", width=0.2, stages=2, size=64, batch=4, epochs=3, learning_rate="0.003"
)
Manifests = dict[str, dict[str, Any]]


def run(manifests: Manifests, folder: Path, parameters: TrainParameters = PARAMETERS) -> TrainResult:
    return train(manifests["train"], manifests["val"], folder, parameters, OPENPOSE)


@pytest.fixture(scope="module")
def trained(sample_records: Manifests, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TrainResult]:
    folder = tmp_path_factory.mktemp("run")
    return folder, run(sample_records, folder)


@pytest.mark.slow
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
        "learning_rate",
        "images_per_second",
    }


def weights(result: TrainResult) -> list[np.ndarray]:
    return [np.asarray(variable) for variable in result.model.variables]


@pytest.mark.slow
def test_going_on_from_a_checkpoint_is_bit_identical(
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


@pytest.mark.slow
def test_damaged_newest_checkpoint_is_passed_over(
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
        ({"model": "mobilnet"}, "choose one of: lightweight, mobilenet_thin"),
        ({"epochs": 0}, "epochs is 0"),
        ({"batch": 0}, "batch is 0"),
        ({"size": 60}, "multiples of 8"),
        ({"learning_rate": "fast"}, "'fast': give one positive number"),
        ({"batch": 1000}, "less than one batch of 1000"),
    ],
)
def test_what_cannot_be_trained_is_said(
    sample_records: Manifests, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        run(sample_records, tmp_path, TrainParameters(**(PARAMETERS.as_dict() | changes)))


@pytest.mark.slow
def test_loss_that_is_no_number_stops_the_training(sample_records: Manifests, tmp_path: Path) -> None:
    wild = TrainParameters(**(PARAMETERS.as_dict() | {"learning_rate": "1e30", "decay": "exponential"}))
    with pytest.raises(
        InputError, match=r"the loss is (nan|inf) at step \d+; train again with a smaller learning rate"
    ):
        run(sample_records, tmp_path, wild)
