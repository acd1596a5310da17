"""Prints and draws the content of records, to look at them: `python -m openpose.records show`."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import tensorflow as tf

from openpose import draw, image_file, storage
from openpose.evaluation.truth import true_people
from openpose.input import dense
from openpose.input.parameters import InputParameters
from openpose.records import schema
from openpose.records.loss_mask import mask_image
from openpose.records.manifest import RecordsManifest
from openpose.records.parse import parse
from openpose.records.picture import COUNTED, counted
from openpose.records.shards import shard_paths
from openpose.records.verify import read_records
from openpose.skeleton import OPENPOSE18, Skeleton

FEATURES_SHOWN = 3  # images whose features are listed


def show_path(path: str) -> None:
    """Prints the content of a manifest or a shard."""
    if not path.endswith(".json"):
        _show_shard(path)
        return
    manifest = storage.open_manifest(path, RecordsManifest)
    size = sum(shard.bytes for shard in manifest.shards)
    print(f"{manifest.split}: {len(manifest.shards)} shards, {size / 1e6:.1f} MB in {manifest.folder}")
    category = manifest.skeleton.category
    rows = {counted(name, category).replace("_", " "): f"{count:,}" for name, count in manifest.counts.items()}
    rows["skeleton"] = manifest.skeleton.name
    rows["dense targets"] = str(manifest.targets or "none")
    rows["left out"] = str(len(manifest.bad_images))
    rows["fingerprint"] = manifest.fingerprint
    for name, value in rows.items():
        print(f"  {name:<22}{value}")
    for bad in manifest.bad_images:
        print(f"    {bad.file_name}: {bad.reason}")
    for shard in manifest.shards:
        print(f"  {shard.name}  {shard.images:>7,} images  {shard.bytes / 1e6:>8.1f} MB  {shard.sha256[:12]}")


def _show_shard(path: str) -> None:
    total: Counter[str] = Counter()
    with storage.local_copy(storage.path(path)) as file:
        print(f"{path}: {file.stat().st_size / 1e6:.1f} MB")
        for number, serialized in enumerate(read_records(file, path)):
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
    """Draws images of a manifest or shard: people over the loss mask, heatmap and vectmap.

    Args:
        path: manifest or shard.
        folder: for the drawn images.
        count: number of images.
        size: height and width of the network's input for the maps, unless the records hold dense targets.
    """
    if path.endswith(".json"):
        manifest = storage.open_manifest(path, RecordsManifest)
        skeleton, shards = manifest.skeleton, shard_paths(manifest)
        size = manifest.targets.size[0] if manifest.targets else size
    else:
        skeleton, shards = _skeleton_beside(path), [path]
    parameters = InputParameters(size=(size, size))
    drawn = 0
    for drawn, serialized in enumerate(islice(_all_records(shards), count), 1):
        name = Path(schema.to_picture(serialized, skeleton).file_name).stem
        image_file.write(folder / f"{drawn - 1:03d}-{name}.jpg", _drawn(serialized, skeleton, parameters))
    print(f"drew {drawn} images in {folder}")


def _skeleton_beside(shard: str) -> Skeleton:
    """The skeleton in the manifest beside a shard; people's if the shard lies alone."""
    place = storage.path(shard).parent / "manifest.json"
    return OPENPOSE18 if storage.size(place) is None else storage.open_manifest(place, RecordsManifest).skeleton


def _all_records(shards: Sequence[str]) -> Iterator[bytes]:
    for shard in shards:
        with storage.local_copy(storage.path(shard)) as file:
            yield from read_records(file, shard)


def _drawn(serialized: bytes, skeleton: Skeleton, parameters: InputParameters) -> np.ndarray:
    """People over the picture, heatmap and vectmap over the network's input; masked areas are darker."""
    example = parse(serialized, skeleton)
    image = tf.io.decode_jpeg(example["encoded"], channels=3).numpy()
    mask = mask_image(example["mask_runs"].numpy(), *image.shape[:2])
    masked = np.where(mask[..., None] > 0, image, image // 3).astype(np.uint8)
    people = true_people(schema.to_picture(serialized, skeleton), skeleton)
    sample = dense.whole_sample(example, skeleton, parameters, stored=len(example["target_size"]) > 0)
    heatmap, vectmap = np.split(sample["maps"].numpy(), [skeleton.num_heatmaps], -1)
    stride = parameters.targets.stride
    network_input = sample["image"].numpy()
    unmasked = np.repeat(np.repeat(sample["mask"].numpy() > 0, stride, 0), stride, 1)
    network_input = np.where(unmasked, network_input, network_input // 3).astype(np.uint8)
    return draw.side_by_side(
        draw.skeletons(masked, people, skeleton),
        draw.heatmap(network_input, heatmap),
        draw.vectmap(network_input, vectmap),
    )
