"""What is inside of TFRecords, for people: `python -m openpose.records show` and `verify`."""

import argparse
import io
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from PIL import Image

from openpose import draw, image_file, progress, storage
from openpose import skeleton as skeletons
from openpose.errors import InputError
from openpose.evaluation.truth import true_people
from openpose.input import batches
from openpose.input.parameters import InputParameters
from openpose.records import image_bytes, schema
from openpose.records.loss_mask import mask_image
from openpose.records.picture import COUNTED
from openpose.records.shards import shard_paths
from openpose.skeleton import Skeleton

DRAWN = 12
FEATURES_SHOWN = 3  # images whose features are listed


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m openpose.records", description="Looks into TFRecords.")
    commands = parser.add_subparsers(dest="command", required=True)
    show = commands.add_parser("show", help="print what is inside")
    show.add_argument("path", help="manifest.json of records, or one shard")
    show.add_argument("--draw", type=Path, metavar="FOLDER", help="also draw images with people, mask and targets")
    show.add_argument("--count", type=int, default=DRAWN, help="how many images are drawn (default: %(default)s)")
    show.add_argument("--size", type=int, default=368, help="input size of the drawn targets (default: %(default)s)")
    verify = commands.add_parser("verify", help="check every sum, count and record; exit code 1 on damage")
    verify.add_argument("paths", nargs="+", metavar="path", help="manifest.json of records")
    values = parser.parse_args(arguments)
    try:
        if values.command == "verify":
            return max(verify_manifest(path) for path in values.paths)
        show_path(values.path)
        if values.draw:
            draw_path(values.path, values.draw, values.count, values.size)
        return 0
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def verify_manifest(path: str) -> int:
    """Checks the shards of a manifest against it and prints what is wrong; returns the exit code."""
    manifest = storage.open_manifest(path, "records")
    folder, skeleton = storage.path(manifest["folder"]), skeletons.get(manifest["skeleton"])
    damage = []
    total: Counter[str] = Counter()
    with progress.bar(len(manifest["shards"]), "verify", "shard") as bar:
        for shard in manifest["shards"]:
            try:
                total.update(_verified_counts(folder / shard["name"], shard, skeleton))
            except InputError as error:
                damage.append(str(error))
            bar.update(1)
    differing = {name: count for name, count in manifest["counts"].items() if total[name] != count}
    if differing and not damage:
        damage.append(f"{path}: its counts {differing} are not those of its shards, {dict(total)}")
    for line in damage:
        print(line)
    print(f"{path}: " + (f"{len(damage)} damaged" if damage else f"{len(manifest['shards'])} shards are whole"))
    return 1 if damage else 0


def _verified_counts(place: storage.StoragePath, shard: dict[str, Any], skeleton: Skeleton) -> Counter[str]:
    """Counts of a shard that is what the manifest says.

    Raises:
        InputError: it is not; names the shard and the record.
    """
    if storage.size(place) is None:
        raise InputError(f"{place}: it is missing")
    with storage.local_copy(place) as file:
        total: Counter[str] = Counter()
        for number, serialized in enumerate(_records(file, str(place))):
            try:
                image = tf.train.Example.FromString(serialized)
                _check(image, skeleton)
                total.update(schema.count_people(image))
            except (ValueError, IndexError, OSError) as error:  # protobuf's DecodeError is a ValueError
                raise InputError(f"{place}: record {number}: {error}") from error
        if total["images"] != shard["images"]:
            raise InputError(f"{place}: it has {total['images']} records, the manifest says {shard['images']}")
        found = file.stat().st_size, storage.sha256(file)
    if found != (shard["bytes"], shard["sha256"]):
        raise InputError(
            f"{place}: it has {found[0]} bytes and sha256 {found[1]}, "
            f"the manifest says {shard['bytes']} and {shard['sha256']}"
        )
    return total


def _records(file: Path, name: str) -> Iterator[bytes]:
    """The records of a shard; their checksums are checked while they are read."""
    number = 0
    try:
        for serialized in tf.data.TFRecordDataset(str(file)).as_numpy_iterator():
            yield serialized
            number += 1
    except tf.errors.OpError as error:
        raise InputError(f"{name}: record {number}: {str(error.message).splitlines()[0]}") from error


def _check(image: tf.train.Example, skeleton: Skeleton) -> None:
    """Raises ValueError, IndexError or OSError when an Example does not fit together."""
    picture = schema.to_picture(image.SerializeToString(), skeleton)
    encoded = image.features.feature["image/encoded"].bytes_list.value[0]
    size = image_bytes.jpeg_size(encoded)
    if size is None:
        with Image.open(io.BytesIO(encoded)) as opened:
            size = opened.size
            opened.load()
    if size != (picture.width, picture.height):
        raise ValueError(f"{picture.file_name} is {size[0]}×{size[1]}, not {picture.width}×{picture.height}")
    runs = list(image.features.feature["image/loss_mask/runs"].int64_list.value)
    if runs and sum(runs) != picture.width * picture.height:
        raise ValueError(f"{picture.file_name}: the runs of its loss mask have the sum {sum(runs)}")


def show_path(path: str) -> None:
    """Prints what a manifest or a shard holds."""
    if not path.endswith(".json"):
        _show_shard(path)
        return
    manifest = storage.open_manifest(path, "records")
    size = sum(shard["bytes"] for shard in manifest["shards"])
    print(f"{manifest['split']}: {len(manifest['shards'])} shards, {size / 1e6:.1f} MB in {manifest['folder']}")
    rows = {name.replace("_", " "): f"{count:,}" for name, count in manifest["counts"].items()}
    rows["skeleton"] = manifest["skeleton"]
    targets = manifest.get("targets")
    rows["dense targets"] = ", ".join(f"{name} {value}" for name, value in targets.items()) if targets else "none"
    rows["left out"] = str(len(manifest["bad_images"]))
    rows["fingerprint"] = manifest["fingerprint"]
    for name, value in rows.items():
        print(f"  {name:<22}{value}")
    for bad in manifest["bad_images"]:
        print(f"    {bad['file_name']}: {bad['reason']}")
    for shard in manifest["shards"]:
        print(
            f"  {shard['name']}  {shard['images']:>7,} images  {shard['bytes'] / 1e6:>8.1f} MB  {shard['sha256'][:12]}"
        )


def _show_shard(path: str) -> None:
    place = storage.path(path)
    if storage.size(place) is None:
        raise InputError(f"{path}: no such file; give a records manifest (…/manifest.json) or a shard (….tfrecord)")
    total: Counter[str] = Counter()
    with storage.local_copy(place) as file:
        print(f"{path}: {file.stat().st_size / 1e6:.1f} MB")
        for number, serialized in enumerate(_records(file, path)):
            image = tf.train.Example.FromString(serialized)
            total.update(schema.count_people(image))
            if number < FEATURES_SHOWN:
                _print_features(number, image)
    for name in COUNTED:
        print(f"  {name.replace('_', ' '):<22}{total[name]:,}")


def _print_features(number: int, image: tf.train.Example) -> None:
    print(f"  record {number}")
    for name in sorted(image.features.feature):
        feature = image.features.feature[name]
        kind = feature.WhichOneof("kind") or "int64_list"
        values = list(getattr(feature, kind).value)
        if kind == "bytes_list":
            shown = f"{len(values[0]):,} bytes" if len(values[0]) > 80 else repr(values[0].decode(errors="replace"))
        else:
            shown = f"[{len(values)}] {', '.join(f'{value:.6g}' for value in values[:6])}{' …' * (len(values) > 6)}"
        print(f"    {name:<34}{shown}")


def draw_path(path: str, folder: Path, count: int, size: int) -> None:
    """Draws images of a manifest or shard: people over the loss mask, heatmap, vectmap."""
    skeleton, shards_of_it = skeletons.OPENPOSE18, [path]
    if path.endswith(".json"):
        manifest = storage.open_manifest(path, "records")
        skeleton, shards_of_it = skeletons.get(manifest["skeleton"]), shard_paths(manifest)
        size = manifest["targets"]["size"][0] if manifest.get("targets") else size
    parameters = InputParameters(size=(size, size))
    drawn = 0
    for shard in shards_of_it:
        with storage.local_copy(storage.path(shard)) as file:
            for serialized in _records(file, shard):
                if drawn == count:
                    break
                image = _drawn(serialized, skeleton, parameters)
                name = Path(schema.to_picture(serialized, skeleton).file_name).stem
                image_file.write(folder / f"{drawn:03d}-{name}.jpg", image)
                drawn += 1
    print(f"drew {drawn} images in {folder}")


def _drawn(serialized: bytes, skeleton: Skeleton, parameters: InputParameters) -> np.ndarray:
    example = schema.parse(serialized, skeleton)
    image = tf.io.decode_jpeg(example["encoded"], channels=3).numpy()
    mask = mask_image(example["mask_runs"].numpy(), *image.shape[:2])
    masked = np.where(mask[..., None] > 0, image, image // 3).astype(np.uint8)
    people = true_people(schema.to_picture(serialized, skeleton), skeleton)
    sample = batches.whole_sample(example, skeleton, parameters, stored=len(example["target_size"]) > 0)
    heatmap, vectmap = np.split(sample["maps"].numpy(), [skeleton.num_heatmaps], -1)
    stride = parameters.targets.stride
    seen = sample["image"].numpy()
    unmasked = np.repeat(np.repeat(sample["mask"].numpy() > 0, stride, 0), stride, 1)
    seen = np.where(unmasked, seen, seen // 3).astype(np.uint8)
    return draw.side_by_side(
        draw.skeletons(masked, people, skeleton), draw.heatmap(seen, heatmap), draw.vectmap(seen, vectmap)
    )
