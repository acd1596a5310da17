"""Batches from other processes are those that the training would make itself."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from openpose import data_service as command
from openpose import skeleton
from openpose.errors import InputError
from openpose.records.manifest import RecordsManifest
from openpose.training import data_service
from openpose.training.loop import TrainResult, train
from openpose.training.parameters import RunParameters, TrainParameters
from tests.process import Program, free_port

pytestmark = pytest.mark.usefixtures("tiny")

PARAMETERS = TrainParameters(
    model="mobilenet_thin", width=0.2, stages=1, size=64, batch_size=4, epochs=2, learning_rate="0.003"
)
Manifests = dict[str, RecordsManifest]


@pytest.fixture
def service() -> Iterator[tuple[str, list[Program]]]:
    address = f"localhost:{free_port()}"
    dispatcher = Program("openpose.data_service", "dispatcher", "--port", address.partition(":")[2])
    assert dispatcher.first_line() == f"dispatcher at grpc://{address}"
    flags = ("--dispatcher", address, "--port", "0", "--address", "localhost:%port%")
    worker = Program("openpose.data_service", "worker", *flags)
    assert worker.first_line()
    yield f"grpc://{address}", [dispatcher, worker]
    for process in (worker, dispatcher):
        process.kill()
        process.wait()


def run(manifests: Manifests, folder: Path, remote: str = "", parameters: TrainParameters = PARAMETERS) -> TrainResult:
    settings = RunParameters(remote_data=remote)
    return train(manifests["train"], manifests["val"], folder, parameters, skeleton.get("openpose18"), run=settings)


@pytest.mark.slow
def test_remote_data_trains_the_same_and_its_loss_is_reported(
    service: tuple[str, list[Program]],
    sample_records: Manifests,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    address, processes = service
    here, remote = run(sample_records, tmp_path / "here"), run(sample_records, tmp_path / "remote", address)
    assert remote.history == here.history
    for one, other in zip(here.model.get_weights(), remote.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)

    monkeypatch.setattr(data_service, "PATIENCE", 2.0)
    endless = TrainParameters(**(PARAMETERS.as_dict() | {"epochs": 10_000}))

    def saved() -> None:
        for process in processes:
            process.kill()

    with pytest.raises(InputError, match=f"remote data {address}: .*; start the data service again"):
        train(
            sample_records["train"],
            sample_records["val"],
            tmp_path / "endless",
            endless,
            skeleton.get("openpose18"),
            run=RunParameters(remote_data=address),
            saved=saved,
        )


def test_wrong_commands_end_with_their_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["worker", "--dispatcher", "localhost:1"]) == 1
    assert "dispatcher localhost:1: no dispatcher answers there; start it first" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        command.main(["worker"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("localhost:5050", "must be like grpc://host:5050"),
        ("grpc://localhost:1", "no service answers there; start python -m openpose.data_service dispatcher"),
    ],
)
def test_unusable_address(sample_records: Manifests, tmp_path: Path, address: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        run(sample_records, tmp_path, address)
