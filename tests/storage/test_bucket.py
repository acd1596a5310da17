"""Steps on a storage root in a bucket give what they give in a folder, whatever interrupts them."""

import contextlib
import functools
import itertools
import os
import random
import socket
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer
from typing import TypeAlias, TypeVar
from urllib.parse import urlsplit

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from components.tfrecord_targets.parameters import SplitParameters
from components.tfrecord_targets.tfrecord_targets import tfrecord_targets
from openpose import skeleton, storage
from openpose.coco import index
from openpose.coco.manifest import DataInputs, DataManifest, DataSplit, MissingPictures
from openpose.coco.pictures import PictureStore
from openpose.errors import InputError
from openpose.evaluation.manifest import EvaluationManifest
from openpose.input import batches
from openpose.input.parameters import InputParameters
from openpose.model_files.manifest import ModelManifest
from openpose.records import cache as shards
from openpose.records import read
from openpose.records.manifest import RecordsManifest
from openpose.training.manifest import RunManifest
from tests import process
from tests.process import Program
from tests.storage.faults import work_goes_on

AnyManifest = TypeVar("AnyManifest", bound=storage.Manifest)
Roots: TypeAlias = tuple[Path, storage.StoragePath, storage.StoragePath]
OPENPOSE = skeleton.OPENPOSE18
NETWORK = {"model": "mobilenet_thin", "size": 64, "batch_size": 4, "width": 0.2, "stages": 2, "learning_rate": "0.003"}


@pytest.fixture
def data(sample_folder: Path, tmp_path: Path, gs_bucket: str, s3_bucket: str) -> Roots:
    """Storage roots with the same drawn data set: in a folder, in a bucket of Google's and in one of S3."""
    roots = (tmp_path / "root", storage.open_root(gs_bucket), storage.open_root(s3_bucket))
    for root in roots:
        splits = {split: describe(sample_folder, split, root / "data/drawn") for split in ("train", "val")}
        inputs = DataInputs(pictures={}, content={}, val_share=0, seed=0)
        work = storage.StepOutput(root, DataManifest, inputs, "data/")
        work.finish(source="", files=[], splits=splits, report="")
    return roots


def describe(sample: Path, split: str, folder: storage.StoragePath) -> DataSplit:
    """A split's part of a data manifest; its index goes to the folder."""
    name, pictures = f"annotations/person_keypoints_{split}2017.json", sample / f"{split}2017.zip"
    with (
        zipfile.ZipFile(sample / "annotations_trainval2017.zip") as archive,
        PictureStore(pictures) as store,
        storage.atomic_folder(folder / split) as temporary,
    ):
        source = functools.partial(archive.open, name)
        described = index.index(source, name, temporary, OPENPOSE, {split: 1.0}, store.size)[split]
    return DataSplit(
        people=str(folder / split / described.people),
        index=str(folder / split / described.index),
        counts=described.counts,
        keypoints=described.keypoints,
        bad=MissingPictures(missing=0, names=[]),
        pictures=str(pictures),
        fingerprint=split,
    )


def make_records(root: storage.StoragePath, images_per_shard: int = 10) -> dict[str, str]:
    """Records of both splits: the arguments that every training needs."""
    places = {}
    parameters = SplitParameters(images_per_shard=images_per_shard, size=64)
    for split, name in (("train", "train_records"), ("val", "valid_records")):
        manifest = tfrecord_targets(str(root), split, parameters=parameters)
        assert manifest is not None
        places[name] = f"{manifest.folder}/manifest.json"
    return {"root": str(root), **places}


def start_training(arguments: dict[str, str], epochs: int) -> Program:
    values = arguments | NETWORK | {"epochs": epochs}
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in values.items()]
    return Program("tests.tiny", "components.train", *flags)


def newest(root: storage.StoragePath, kind: type[AnyManifest], folder: str) -> AnyManifest:
    return storage.open_manifest(storage.newest_manifest(root / folder), kind)


@pytest.mark.slow
def test_all_steps_give_the_same_as_in_a_folder(data: Roots, tmp_path: Path) -> None:
    found = []
    for root in data:
        arguments = make_records(root)
        done = process.run("tests.storage.all_steps", *arguments.values(), environment={"TMPDIR": str(tmp_path)})
        assert done.returncode == 0, done.stderr
        assert "found model in" in done.stdout
        run, model = newest(root, RunManifest, "runs"), newest(root, ModelManifest, "models")
        split = storage.open_manifest(arguments["train_records"], RecordsManifest)
        graph = storage.checksum(storage.read_bytes(storage.path(model.graph)))
        assert graph == model.sha256["graph.pb"]
        assert storage.read_json(root / "status/export.json")["state"] == "found"
        figures = newest(root, EvaluationManifest, "evaluations").figures
        assert storage.read_json(root / "registry/openpose/latest.json") == {"folder": model.folder}
        found.append((split.shards, split.fingerprint, run.history, run.losses, figures, graph))
    for local, *remotes in zip(*found, strict=True):
        assert remotes == [local, local]
    left = {path.name for path in tmp_path.iterdir()} - {"__pycache__"}  # of TensorFlow's AutoGraph
    assert left == {"root"}, "no copies may be left behind"


@pytest.mark.slow
def test_killed_training_goes_on_from_the_bucket(data: Roots) -> None:
    seed = random.randrange(1000)
    print(f"seed {seed}")
    moments, epochs = random.Random(seed), 8
    folder, *roots = data
    root = roots[seed % 2]
    assert start_training(make_records(folder), epochs).wait() == 0
    arguments = make_records(root)
    killed, started = 0, 0
    for _ in range(2):
        training = start_training(arguments, epochs)
        wait_for_checkpoint_after(root / "runs", started, training)
        time.sleep(moments.uniform(0, 0.5))
        training.kill()
        killed += training.wait() != 0
        started = newest_checkpoint(root / "runs")
    run = next(iter(storage.sizes(root / "runs"))).split("/")[0]
    cut_off = root / f"runs/{run}/checkpoints/step-99999999/state.data-00000-of-00001"
    storage.write_bytes(cut_off, b"what a kill leaves while the first of a checkpoint's files goes up")
    assert start_training(arguments, epochs).wait() == 0
    assert killed > 0
    assert storage.size(cut_off) is None
    expected, trained = newest(folder, RunManifest, "runs"), newest(root, RunManifest, "runs")
    assert trained.history == expected.history
    logs = storage.path(trained.logs)
    with storage.local_copy(logs / max(name for name in storage.sizes(logs) if name.startswith("events"))) as events:
        steps = [event.step for event in EventAccumulator(str(events)).Reload().Tensors("loss")]
    assert not steps or min(steps) > started, "it began anew"


def newest_checkpoint(runs: storage.StoragePath) -> int:
    """Steps of the newest whole checkpoint in the bucket; 0 when there is none."""
    whole = [name for name in storage.sizes(runs) if name.endswith("state.index")]
    return max((int(name.split("/")[-2].removeprefix("step-")) for name in whole), default=0)


def wait_for_checkpoint_after(runs: storage.StoragePath, step: int, training: Program) -> None:
    while newest_checkpoint(runs) <= step and training.poll() is None:
        time.sleep(0.05)


# Reading shards


def take(manifest: RecordsManifest, count: int) -> list[dict[str, np.ndarray]]:
    parameters = InputParameters(size=(64, 64), seed=5)
    dataset = batches.training(manifest, OPENPOSE, parameters, batch_size=4)
    return list(itertools.islice(dataset.as_numpy_iterator(), count))


@pytest.mark.slow
def test_batches_are_the_same_while_shards_come_and_go(
    data: Roots, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    local, remote = (
        storage.open_manifest(make_records(root, images_per_shard=1)["train_records"], RecordsManifest)
        for root in data[:2]
    )
    cache = shards.Cache(tmp_path)
    cache.limit = 0
    monkeypatch.setattr(shards, "_cache", lambda: cache)
    for one, other in zip(take(local, 18), take(remote, 18), strict=True):
        for name in one:
            np.testing.assert_array_equal(one[name], other[name])
    assert len(list(tmp_path.glob("*.tfrecord"))) < len(remote.shards), "none was removed"


def test_cache_removes_what_was_asked_for_longest_ago_of_a_split(bucket: str, tmp_path: Path) -> None:
    root = storage.open_root(bucket)
    for number in range(shards.KEEP + 5):
        storage.write_bytes(root / f"train/{number}", b"0123456789")
    storage.write_bytes(root / "val/0", b"0123456789")
    cache = shards.Cache(tmp_path)
    cache.limit = 100
    checksum = storage.checksum(b"0123456789")
    validation = cache.file(str(root / "val/0"), 10, checksum)
    files = [cache.file(str(root / f"train/{number}"), 10, checksum) for number in range(shards.KEEP + 5)]
    assert [file.exists() for file in files] == [False] * 5 + [True] * shards.KEEP
    assert validation.exists(), "another split's shards are not removed to make room"
    assert cache.file(str(root / "train/0"), 10, checksum).read_bytes() == b"0123456789"
    with pytest.raises(InputError, match=r"MB are needed for shards from the bucket, .* make room, set TMPDIR to"):
        cache.reserve(str(root / "val"), 1 << 60)


@pytest.mark.slow
def test_shard_that_is_not_what_the_manifest_says_is_named(data: Roots) -> None:
    manifest = storage.open_manifest(make_records(data[1])["train_records"], RecordsManifest)
    shard = storage.path(manifest.folder) / manifest.shards[1].name
    content = storage.read_bytes(shard)
    storage.write_bytes(shard, content[:-1] + b"x")
    with pytest.raises(InputError) as caught, storage.user_errors(data[1]):
        list(read.examples(manifest, OPENPOSE).as_numpy_iterator())
    assert str(caught.value).startswith(f"{shard}: it has {len(content)} bytes and sha256 ")
    assert str(caught.value).endswith(f"; remove {shard.parent} and make the records again")
    storage.remove(shard)
    with pytest.raises(InputError, match=f"{shard.name}: it is missing"):
        read.examples(manifest, OPENPOSE)


# A network with faults


class Faulty(BaseRequestHandler):
    """Hands connections, each with one request, on to the emulator; every second one goes wrong."""

    emulator = ("", 0)
    faults = itertools.cycle(["error", None, "cut", None, "half", None])

    def handle(self) -> None:
        fault = next(self.faults)
        if fault == "cut":
            return
        if fault == "error":
            self.request.recv(1 << 16)
            self.request.sendall(b"HTTP/1.0 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
            return
        # Only what is read: the emulator, unlike Google, does not know a finished upload again.
        half = fault == "half" and self.request.recv(3, socket.MSG_PEEK) == b"GET"
        with socket.create_connection(self.emulator) as emulator:
            upwards = threading.Thread(target=self._upwards, args=(emulator,))
            upwards.start()
            answer = b"".join(iter(lambda: emulator.recv(1 << 16), b""))
            self.request.sendall(_half(answer) if half else answer)
            self.request.shutdown(socket.SHUT_RDWR)
            upwards.join()

    def _upwards(self, emulator: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while content := self.request.recv(1 << 16):
                emulator.sendall(content)


def _half(answer: bytes) -> bytes:
    """All headers and half of the body: TLS hands over whole records, so that Google's headers are never cut."""
    headers, separator, body = answer.partition(b"\r\n\r\n")
    return headers + separator + body[: len(body) // 2]


@pytest.fixture
def faulty_network(bucket_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    host = urlsplit(os.environ["STORAGE_EMULATOR_HOST"])
    assert host.hostname
    assert host.port
    Faulty.emulator = (host.hostname, host.port)
    with ThreadingTCPServer(("localhost", 0), Faulty) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://localhost:{server.server_address[1]}")
        storage.forget_client()
        yield
        server.shutdown()
        thread.join()
    storage.forget_client()


@pytest.mark.slow
def test_faults_of_the_network_are_not_noticed(faulty_network: None, gs_bucket: str, tmp_path: Path) -> None:
    work_goes_on(storage.open_root(gs_bucket), np.random.default_rng(0).bytes(9_000_000))


def test_newest_manifest_below_any_name(bucket: str) -> None:
    names = ("team[a]", "a*b", "{a,b}", "a\\b", "what?")
    for number in (1, 2):
        for name in names:
            storage.write_json(storage.path(f"{bucket}/{name}/runs/{number}/manifest.json"), number)
        if number == 1:
            time.sleep(1.0 if bucket.startswith("s3") else 0.01)  # S3 keeps whole seconds
    for name in names:
        root = storage.path(f"{bucket}/{name}")
        found = storage.newest_manifest(root / "runs")
        assert str(found) == f"{bucket}/{name}/runs/2/manifest.json"
        assert storage.read_json(found) == 2
        assert storage.sizes(root).keys() == {"runs/1/manifest.json", "runs/2/manifest.json"}
