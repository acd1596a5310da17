"""Fixtures that several tests share."""

import os
import zipfile
from pathlib import Path
from typing import Any

import pytest

from openpose import coco, records, sample, skeleton
from openpose.pictures import PictureStore

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data that developers and CI have beside the clone; a user's clone has none."""
    folder = Path(os.environ.get("OPENPOSE_SHARED", ROOT.parent / "shared"))
    if not (folder / "coco").is_dir():
        pytest.skip(f"needs the developers' real COCO subset in {folder}/coco")
    return folder


@pytest.fixture(scope="session")
def sample_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small drawn data set in the official layout, as zip archives."""
    folder = tmp_path_factory.mktemp("sample")
    sample.make(folder, seed=3, train=24, val=6, size=128)
    return folder


@pytest.fixture(scope="session")
def sample_records(sample_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Records manifests of the small drawn data set: `train` and `val`."""
    out = tmp_path_factory.mktemp("records")
    with zipfile.ZipFile(sample_folder / "annotations_trainval2017.zip") as archive:
        archive.extractall(out)
    manifests = {}
    for split in ("train", "val"):
        annotations = coco.load(out / f"annotations/person_keypoints_{split}2017.json", skeleton.OPENPOSE18)
        with PictureStore(sample_folder / f"{split}2017.zip") as pictures:
            parameters = records.RecordParameters(images_per_shard=10)
            shards = records.write_shards(annotations, pictures.read, out / split, split, parameters)
        manifests[split] = {"folder": str(out / split), **records.merge(shards)}
    return manifests
