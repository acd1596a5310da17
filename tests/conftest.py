"""Fixtures that several tests share."""

import functools
import gc
import logging
import os
import secrets
import signal
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from gcp_storage_emulator.server import create_server
from moto.server import ThreadedMotoServer

from openpose import skeleton, storage
from openpose.coco import index
from openpose.coco.pictures import PictureStore
from openpose.drawn_people import dataset
from openpose.drawn_people.scene import Sample
from openpose.records.manifest import RecordsManifest
from openpose.records.parameters import RecordParameters
from openpose.records.shards import merge
from tests import manifests

ROOT = Path(__file__).resolve().parent.parent
MEMORY = 3e9  # bytes that a worker needs, with the programs that its tests start
# With several workers, these files start first, so that no worker is still busy with one when the others have ended.
LONGEST = (
    "training/test_loop.py",
    "training/test_step.py",
    "storage/test_bucket.py",
    "pipeline/test_local.py",
    "components/test_export.py",
    "model_files/test_formats.py",
    "training/test_initial_weights.py",
    "components/test_components.py",
    "pipeline/test_in_place.py",
    "training/test_data_service.py",
    "components/test_tf_pose_flags.py",
    "components/test_worker.py",
    "serving/test_server.py",
    "model_files/test_model_files.py",
    "test_api.py",
)


def pytest_configure() -> None:
    """Prepares what the programs that tests start inherit, too."""
    # In the background, a process ignores Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # Without compiled files, each worker would rewrite all assertions, and each program compile all of our modules.
    sys.dont_write_bytecode = False
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Number of workers for `-n auto`, as far as the memory goes: one a core, and one more if slow tests run.

    Slow tests wait for programs, ports and retries; then the other worker has their core.
    """
    workers = len(os.sched_getaffinity(0)) + (config.option.markexpr != "not slow")
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return max(1, min(workers, int(memory / MEMORY)))


def pytest_collection_finish() -> None:
    """Exempts from garbage collection what is there before the tests: half a million objects, mostly TensorFlow's."""
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sorts the files that take longest to the front."""
    places = {ROOT / "tests" / name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path, len(LONGEST)))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data that developers and CI have beside the clone; a user's clone has none."""
    folder = Path(os.environ.get("OPENPOSE_SHARED", ROOT.parent / "shared"))
    if not (folder / "coco").is_dir():
        pytest.skip(f"needs the developers' real COCO subset in {folder}/coco")
    return folder


@pytest.fixture(scope="session")
def bucket_server() -> Iterator[str]:
    """The name of a bucket on a Google Cloud Storage emulator, which this process and its children use from now on."""
    logging.getLogger("gcp_storage_emulator").setLevel(logging.CRITICAL)
    server = create_server("localhost", 0, in_memory=True, default_bucket="openpose-test")
    with server, pytest.MonkeyPatch.context() as patch:
        # The server has no public way to ask for the free port that it was given.
        patch.setenv("STORAGE_EMULATOR_HOST", f"http://localhost:{server._api._httpd.server_port}")
        storage.forget_client()
        yield "openpose-test"
    storage.forget_client()


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """The name of a bucket on a server with S3's interface, which this process and its children use from now on."""
    server = ThreadedMotoServer("localhost", 0, verbose=False)
    server.start()
    with pytest.MonkeyPatch.context() as patch:
        host, port = server.get_host_and_port()
        patch.setenv("AWS_ENDPOINT_URL_S3", f"http://{host}:{port}")
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "test")
        storage.forget_client()
        boto3.client("s3", region_name="us-east-1").create_bucket(Bucket="openpose-test")
        yield "openpose-test"
    server.stop()
    storage.forget_client()


@pytest.fixture
def gs_bucket(bucket_server: str) -> str:
    """An empty storage root in a bucket of Google's, as text."""
    return f"gs://{bucket_server}/{secrets.token_hex(4)}"


@pytest.fixture
def s3_bucket(s3_server: str) -> str:
    """An empty storage root in a bucket of S3, as text."""
    return f"s3://{s3_server}/{secrets.token_hex(4)}"


@pytest.fixture(params=["gs", "s3"])
def bucket(request: pytest.FixtureRequest) -> str:
    """An empty storage root in a bucket of each store, as text."""
    return request.getfixturevalue(f"{request.param}_bucket")


@pytest.fixture(scope="session")
def sample_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small drawn data set in the official layout, as zip archives."""
    folder = tmp_path_factory.mktemp("sample")
    dataset.make(folder, Sample(seed=3, train=24, val=6, size=128))
    return folder


@pytest.fixture(scope="session")
def plain_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny network of two stages that has learnt nothing, as a Keras model; beside it its last stage as a graph."""
    # Here, as it takes long and many tests do without.
    import keras

    from openpose.model_files import frozen_graph
    from openpose.model_files.inference import Source

    folder = tmp_path_factory.mktemp("plain")
    image = keras.Input([None, None, 3], name="image")
    values, stages = keras.layers.AveragePooling2D(8)(image), []
    for seed, deviation in ((1, 1e-3), (2, 0.1)):
        kernel = keras.initializers.RandomNormal(stddev=deviation, seed=seed)
        values = keras.layers.Conv2D(skeleton.OPENPOSE18.num_maps, 1, kernel_initializer=kernel)(values)
        stages.append(values)
    model = keras.Model(image, stages)
    model.save(folder / "model.keras")
    frozen_graph.write(Source(model), folder / "graph.pb")
    return folder / "model.keras"


@pytest.fixture(scope="session")
def sample_records(sample_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, RecordsManifest]:
    """Records manifests of the small drawn data set: `train` and `val`."""
    from openpose.records.write import write_shards

    out = tmp_path_factory.mktemp("records")
    found = {}
    for split in ("train", "val"):
        with (
            zipfile.ZipFile(sample_folder / "annotations_trainval2017.zip") as archive,
            PictureStore(sample_folder / f"{split}2017.zip") as pictures,
        ):
            name = f"annotations/person_keypoints_{split}2017.json"
            described = index.index(
                functools.partial(archive.open, name),
                name,
                out,
                skeleton.OPENPOSE18,
                {split: 1.0},
                pictures.size,
            )[split]
            people = index.Split(out / described.people, out / described.index)
            parameters = RecordParameters(images_per_shard=10)
            shards = write_shards(people, pictures, out / split, split, parameters)
        found[split] = manifests.records(out / split, split, **merge(shards))
    return found
