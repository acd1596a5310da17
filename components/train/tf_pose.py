"""Trains with the flags of tf-pose-estimation's train.py: `python -m components.train.tf_pose --help`.

`python -m components.train` accepts them too. The command makes records from raw COCO (`--datapath`, `--imgpath`), then
trains. It writes everything below `<modelpath>/<tag>`; the same command resumes from there.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro

from components.coco_download.coco_download import coco_download
from components.coco_download.parameters import DataParameters
from components.tfrecord_targets.parameters import SplitParameters
from components.tfrecord_targets.tfrecord_targets import tfrecord_targets
from components.train.train import train
from openpose.errors import reports_errors
from openpose.training.manifest import RunManifest
from openpose.training.parameters import DeviceParameters, RunParameters, TrainParameters

PROGRAM = "python -m components.train.tf_pose"

#: tf-pose's names of networks -> their names here.
NAMES = {"mobilenet_v2_1.4": "mobilenet_v2_large", "mobilenet_v2_0.5": "mobilenet_v2_small"}
#: Flags that only tf-pose has, and flags that only a training on existing records has.
OWN_FLAGS = {
    *("--datapath", "--imgpath", "--batchsize", "--max-epoch", "--lr"),
    *("--modelpath", "--logpath", "--tag", "--input-height"),
}
REQUIRED_HERE = {"--root", "--train-records", "--valid-records"}


@dataclass(frozen=True)
class Flags:
    """Trains with the flags of tf-pose-estimation's train.py.

    The defaults are those of its first release, except folders on its authors' machines.
    """

    datapath: str
    """Folder with person_keypoints_train2017.json and person_keypoints_val2017.json."""
    imgpath: str
    """Folder with train2017 and val2017."""
    model: str = "mobilenet"
    """Name of the network, in tf-pose or in this project."""
    batchsize: int = 96
    """Samples per step, in total over all GPUs."""
    gpus: int = 1
    """Number of GPUs to use; 1 uses one device, a GPU if there is one; -1 uses all GPUs."""
    max_epoch: int = 30
    """Number of passes over the training data."""
    lr: str = "0.01"
    """One learning rate, which decays exponentially; or several separated by commas, each for 5 epochs."""
    modelpath: str = "models/train"
    """Folder for all trainings."""
    logpath: str = "models/train"
    """Folder for TensorBoard's files of all trainings."""
    checkpoint: str = ""
    """Folder of a training to resume from, or a file with initial weights."""
    tag: str = "test"
    """Name of the training, and of its folder in modelpath and logpath."""
    remote_data: str = ""
    """Address (grpc://host:port) of a data service that makes the batches."""
    input_width: int = 368
    """Width of the network's input in pixels."""
    input_height: int = 368
    """Height of the network's input in pixels."""


def are_meant(arguments: Sequence[str]) -> bool:
    """Whether a command line is for tf-pose's train.py: it has a flag of its own, and none that we require."""
    flags = {argument.partition("=")[0].replace("_", "-") for argument in arguments}
    return bool(flags & OWN_FLAGS) and not flags & REQUIRED_HERE


@reports_errors
def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    run(tyro.cli(Flags, prog=PROGRAM, args=arguments))
    return 0


def run(flags: Flags) -> RunManifest | None:
    """Makes the records unless they exist, and trains; returns the run's manifest."""
    root = str(Path(flags.modelpath, flags.tag))
    folder_given = bool(flags.checkpoint) and Path(flags.checkpoint).is_dir()
    parameters = TrainParameters(
        model=NAMES.get(flags.model, flags.model),
        init="" if folder_given else flags.checkpoint,
        init_partial=True,  # as tf-pose did for a file with only the backbone
        size=flags.input_height,
        input_width=flags.input_width,
        batch_size=flags.batchsize,
        epochs=flags.max_epoch,
        learning_rate=flags.lr,
        decay="exponential",
        warmup=0,
    )
    settings = RunParameters(
        checkpoint=flags.checkpoint if folder_given else "",
        logs=str(Path(flags.logpath, flags.tag)),
        remote_data=flags.remote_data,
    )
    devices = DeviceParameters(gpus=_gpus(flags.gpus))
    records = make_records(root, flags.datapath, flags.imgpath)
    return train(root, **records, parameters=parameters, run=settings, devices=devices)


def _gpus(wanted: int) -> int:
    """tf-pose's number of GPUs as `DeviceParameters.gpus`, where 0 is one device."""
    if wanted != -1:
        return 0 if wanted == 1 else wanted
    import tensorflow as tf  # here because --help does not need it

    return len(tf.config.list_physical_devices("GPU"))


def make_records(root: str, datapath: str, imgpath: str) -> dict[str, str]:
    """Makes records from raw COCO below the root; returns the paths of `train_records` and `valid_records`."""
    names = {split: str(Path(datapath, f"person_keypoints_{split}2017.json").absolute()) for split in ("train", "val")}
    data = DataParameters(train_annotations=names["train"], val_annotations=names["val"])
    coco_download(str(Path(imgpath).absolute()), root, data)
    places = {}
    for split, name in (("train", "train_records"), ("val", "valid_records")):
        manifest = tfrecord_targets(root, split, parameters=SplitParameters(dense="none"))
        assert manifest is not None  # because one worker makes all shards
        places[name] = f"{manifest.folder}/manifest.json"
    return places


if __name__ == "__main__":
    sys.exit(main())
