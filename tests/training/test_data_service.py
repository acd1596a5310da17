"""Batches from other processes are those that the training would make itself."""

import dataclasses
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from openpose import data_service as command
from openpose import skeleton, storage
from openpose.errors import InputError, ServiceLost
from openpose.records import cache
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
def start() -> Iterator[Callable[..., tuple[str, list[Program]]]]:
    """Starts a dispatcher and a worker; returns their address and processes. The worker comes first, and waits."""
    started: list[Program] = []

    def both(*flags: str) -> tuple[str, list[Program]]:
        address = f"localhost:{free_port()}"
        own = ("--dispatcher", address, "--port", "0", "--address", "localhost:%port%", "--wait", "60")
        started.append(worker := Program("openpose.data_service", "worker", *own, *flags))
        started.append(dispatcher := Program("openpose.data_service", "dispatcher", "--port", address.split(":")[1]))
        assert dispatcher.first_line() == f"dispatcher at grpc://{address}"
        assert "worker at localhost:" in worker.first_line()
        return f"grpc://{address}", [dispatcher, worker]

    yield both
    for process in started:
        process.kill()
        process.wait()


def run(manifests: Manifests, folder: Path, remote: str = "", parameters: TrainParameters = PARAMETERS) -> TrainResult:
    settings = RunParameters(remote_data=remote)
    return train(manifests["train"], manifests["val"], folder, parameters, skeleton.get("openpose18"), run=settings)


@pytest.fixture(scope="module")
def trained_here(sample_records: Manifests, tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    return run(sample_records, tmp_path_factory.mktemp("here"))


@pytest.mark.slow
def test_remote_data_trains_the_same_and_its_loss_is_reported(
    start: Callable[..., tuple[str, list[Program]]],
    sample_records: Manifests,
    trained_here: TrainResult,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    address, processes = start()
    remote = run(sample_records, tmp_path / "remote", address)
    assert remote.history == trained_here.history
    for one, other in zip(trained_here.model.get_weights(), remote.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)

    monkeypatch.setattr(data_service, "PATIENCE", 2.0)
    endless = TrainParameters(**(PARAMETERS.as_dict() | {"epochs": 10_000}))

    def saved() -> None:
        for process in processes:
            process.kill()

    with pytest.raises(ServiceLost, match=f"remote data {address}: .*; start the data service again"):
        train(
            sample_records["train"],
            sample_records["val"],
            tmp_path / "endless",
            endless,
            skeleton.get("openpose18"),
            run=RunParameters(remote_data=address),
            saved=saved,
        )


@pytest.mark.slow
def test_records_in_a_bucket_are_copied_by_the_worker(
    start: Callable[..., tuple[str, list[Program]]],
    sample_records: Manifests,
    trained_here: TrainResult,
    gs_bucket: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    moved = {}
    for split, manifest in sample_records.items():
        moved[split] = dataclasses.replace(manifest, folder=f"{gs_bucket}/{split}")
        for shard in manifest.shards:
            content = (Path(manifest.folder) / shard.name).read_bytes()
            storage.write_bytes(storage.path(moved[split].folder) / shard.name, content)
        storage.write_json(moved[split].path, moved[split].as_document())
    address, _ = start("--records", str(moved["train"].path))
    (copy,) = tmp_path.glob("openpose-records-*")
    assert {file.name for file in copy.iterdir()} == {shard.name for shard in moved["train"].shards}
    assert run(moved, tmp_path / "remote", address).history == trained_here.history


def test_damaged_shard_in_a_bucket_is_not_copied(
    sample_records: Manifests, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    manifest = dataclasses.replace(sample_records["val"], folder=f"{bucket}/val")
    place = storage.path(manifest.folder) / manifest.shards[0].name
    storage.write_bytes(place, b"cut off")
    with pytest.raises(InputError, match=rf"{place.name}: it has 7 bytes .*make the records again"):
        cache.copy(manifest)
    assert not [file for folder in tmp_path.iterdir() for file in folder.iterdir()]


def test_wrong_commands_end_with_their_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["worker", "--dispatcher", "localhost:1", "--wait", "0"]) == 1
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
