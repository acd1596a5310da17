"""The flags of tf-pose-estimation's train.py, with their meaning: `python -m components.train.tf_pose --help`.

`python -m components.train` takes them too. From raw COCO (`--datapath`, `--imgpath`) it makes the records first, then
it trains. All of it goes below `<modelpath>/<tag>`; the same command again goes on from there.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

from components.coco_download.coco_download import coco_download
from components.tfrecord_targets.tfrecord_targets import tfrecord_targets
from components.train.train import train
from openpose.errors import InputError
from openpose.training.manifest import RunManifest

PROGRAM = "python -m components.train.tf_pose"

#: tf-pose's names of networks that have another name here.
NAMES = {"mobilenet_v2_1.4": "mobilenet_v2_large", "mobilenet_v2_0.5": "mobilenet_v2_small"}


def are_meant(arguments: Sequence[str]) -> bool:
    """Whether a command line has the flags that each of tf-pose's needs."""
    return any(argument.partition("=")[0] in ("--datapath", "--imgpath") for argument in arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    options = parser().parse_args(arguments)
    try:
        run(options)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def parser() -> argparse.ArgumentParser:
    """The flags, with tf-pose's defaults where they do not depend on its authors' machines."""
    made = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Trains with the flags of tf-pose-estimation's train.py.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        allow_abbrev=False,
    )
    made.add_argument("--model", default="mobilenet_v2_1.4", help="network, by tf-pose's name or ours")
    made.add_argument("--datapath", required=True, help="folder of person_keypoints_train2017.json and …_val2017.json")
    made.add_argument("--imgpath", required=True, help="folder of train2017 and val2017")
    made.add_argument("--batchsize", type=int, default=64, help="samples in a step, over all GPUs")
    made.add_argument("--gpus", type=int, default=-1, help="how many share the work; 0 for one device, -1 for all GPUs")
    made.add_argument("--max-epoch", type=int, default=600, help="how often each sample is seen")
    made.add_argument("--lr", default="0.001", help="one rate, which decays exponentially; or one for each 5 epochs")
    made.add_argument("--modelpath", default="models/train", help="folder for all trainings")
    made.add_argument("--logpath", default="models/train", help="folder for TensorBoard's files of all trainings")
    made.add_argument("--checkpoint", default="", help="a training's folder to go on from, or a file of weights")
    made.add_argument("--tag", default="test", help="the training's name, its folder's in modelpath and logpath")
    made.add_argument("--remote-data", default="", help="grpc://host:port of a data service that makes the batches")
    made.add_argument("--input-width", type=int, default=432, help="of the network's input, in pixels")
    made.add_argument("--input-height", type=int, default=368, help="of the network's input, in pixels")
    return made


def run(options: argparse.Namespace) -> RunManifest | None:
    """Makes the records, if they are not there yet, and trains; returns the run's manifest."""
    root = str(Path(options.modelpath, options.tag))
    folder_given = bool(options.checkpoint) and Path(options.checkpoint).is_dir()
    return train(
        root=root,
        **make_records(root, options.datapath, options.imgpath),
        model=NAMES.get(options.model, options.model),
        init="" if folder_given else options.checkpoint,
        init_partial=True,  # as tf-pose did when a file had only the backbone
        size=options.input_height,
        input_width=options.input_width,
        batch_size=options.batchsize,
        epochs=options.max_epoch,
        learning_rate=options.lr,
        decay="exponential",
        warmup=0,
        gpus=len(tf.config.list_physical_devices("GPU")) if options.gpus == -1 else options.gpus,
        checkpoint=options.checkpoint if folder_given else "",
        logs=str(Path(options.logpath, options.tag)),
        remote_data=options.remote_data,
    )


def make_records(root: str, datapath: str, imgpath: str) -> dict[str, Any]:
    """Records of raw COCO below the root: `train_records` and `valid_records`, manifests."""
    annotations: dict[str, Any] = {
        f"{split}_annotations": str(Path(datapath, f"person_keypoints_{split}2017.json").absolute())
        for split in ("train", "val")
    }
    coco_download(source=str(Path(imgpath).absolute()), root=root, **annotations)
    places = {}
    for split, name in (("train", "train_records"), ("val", "valid_records")):
        manifest = tfrecord_targets(root=root, split=split, dense="none")
        assert manifest is not None  # one worker makes all of it
        places[name] = f"{manifest['folder']}/manifest.json"
    return places


if __name__ == "__main__":
    sys.exit(main())
