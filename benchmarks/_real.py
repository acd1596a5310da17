"""Shared by the two benchmarks on real pictures: records, trainings and their AP."""

import argparse
from pathlib import Path
from typing import Any

import tensorflow as tf

from components.coco_download.coco_download import coco_download
from components.coco_download.parameters import DataParameters
from components.tfrecord_targets.parameters import SplitParameters
from components.tfrecord_targets.tfrecord_targets import tfrecord_targets
from components.train.train import train
from openpose import model_files, skeleton, storage
from openpose.evaluation.valid_score import ValidScore
from openpose.predict.predictor import Predictor
from openpose.records.manifest import RecordsManifest
from openpose.training.parameters import TrainParameters

OPENPOSE = skeleton.get("openpose18")
WHY_GPU = "skipped: without a GPU it takes half an hour; --cpu runs it anyway"


def parser(program: str, description: str | None, out: str) -> argparse.ArgumentParser:
    """The flags that both have."""
    made = argparse.ArgumentParser(
        prog=program, description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    made.add_argument("--data", type=Path, default=Path("../shared/coco"), help="folder with COCO's layout")
    made.add_argument("--out", type=Path, default=Path(out), help="folder for records and the training")
    made.add_argument("--cpu", action="store_true", help="also without a GPU")
    return made


def reason_to_skip(options: argparse.Namespace) -> str:
    """Why the benchmark cannot run here; empty if it can."""
    if not (options.data / "annotations").is_dir():
        return f"skipped: {options.data} has no COCO data; give its folder with --data"
    return "" if options.cpu or tf.config.list_physical_devices("GPU") else WHY_GPU


def records(
    source: Path, root: Path, val_share: float = 0.0, dense: str = "none", size: int = 368
) -> dict[str, RecordsManifest]:
    """Makes the records of both splits; returns their manifests."""
    coco_download(str(source.absolute()), str(root), DataParameters(val_share=val_share))
    splits = ("train", "val")
    parameters = SplitParameters.select({"dense": dense, "size": size})
    made = {split: tfrecord_targets(str(root), split, parameters=parameters) for split in splits}
    return {split: manifest for split, manifest in made.items() if manifest is not None}


def trained(root: Path, made: dict[str, RecordsManifest], **parameters: Any) -> str:
    """Trains on the records with the train step; returns the model's path."""
    manifests = {split: str(manifest.path) for split, manifest in made.items()}
    run = train(str(root), manifests["train"], manifests["val"], TrainParameters(**parameters))
    assert run is not None
    return run.model


def ap(model: str | Path, split: RecordsManifest, height: int) -> float:
    """COCO AP of a model on all pictures of a split, resized to a height, in one pass."""
    predictor = Predictor(model_files.load(storage.path(str(model)), OPENPOSE), height)
    found = ValidScore(split, split.counts["images"], OPENPOSE).ap(predictor, lambda: False)
    assert found is not None
    return found
