"""Fixtures that several tests share."""

import functools
import logging
import os
import secrets
import zipfile
from collections.abc import Iterator
from pathlib import Path

import keras
import pytest
from gcp_storage_emulator.server import create_server

from openpose import skeleton, storage
from openpose.coco import index
from openpose.coco.pictures import PictureStore
from openpose.drawn_people import dataset
from openpose.drawn_people.scene import Sample
from openpose.model_files import frozen_graph
from openpose.model_files.inference import Source
from openpose.records.manifest import RecordsManifest
from openpose.records.parameters import RecordParameters
from openpose.records.shards import merge
from openpose.records.write import write_shards
from tests import manifests

ROOT = Path(__file__).resolve().parent.parent


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


@pytest.fixture
def bucket(bucket_server: str) -> str:
    """An empty storage root in a bucket, as text."""
    return f"gs://{bucket_server}/{secrets.token_hex(4)}"


@pytest.fixture(scope="session")
def sample_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small drawn data set in the official layout, as zip archives."""
    folder = tmp_path_factory.mktemp("sample")
    dataset.make(folder, Sample(seed=3, train=24, val=6, size=128))
    return folder


@pytest.fixture(scope="session")
def plain_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny network of two stages that has learnt nothing, as a Keras model; beside it its last stage as a graph."""
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
