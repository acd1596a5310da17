"""Small records of pictures that a test makes."""

import io
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from openpose.coco import index
from openpose.records.manifest import RecordsManifest
from openpose.records.parameters import RecordParameters
from openpose.records.shards import merge
from openpose.records.write import write_shards
from openpose.skeleton import OPENPOSE18 as OPENPOSE
from tests import labelled, manifests


def encoded(kind: str = "RGB", size: tuple[int, int] = (80, 60), form: str = "JPEG", orientation: int = 1) -> bytes:
    """A picture with a gradient, so that a turned one differs."""
    gradient = np.add.outer(np.arange(size[1]), np.arange(size[0]) * 2).astype(np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    Image.fromarray(gradient).convert(kind).save(buffer, form, exif=exif)
    return buffer.getvalue()


def split_of(tmp_path: Path, images: Mapping[str, bytes], **changes: object) -> index.Split:
    """The index of a split with these pictures, one person in each that differs so from `labelled.person`."""
    people = [labelled.person(id=100 + number, image_id=number, **changes) for number in range(1, len(images) + 1)]
    document = labelled.document(people, list(images))
    content = json.dumps(document).encode()
    size = Memory(images).size
    index.index(lambda: io.BytesIO(content), labelled.NAME, tmp_path, OPENPOSE, {"train": 1.0}, size)
    return index.Split(tmp_path / "train.examples", tmp_path / "train.npy")


class Memory:
    """Pictures that lie in memory in the order of their names."""

    def __init__(self, images: Mapping[str, bytes]) -> None:
        self._images = images

    def read(self, file_name: str) -> bytes:
        if file_name not in self._images:
            raise FileNotFoundError(file_name)
        return self._images[file_name]

    def size(self, file_name: str) -> int:
        return len(self._images.get(file_name, b""))

    def position(self, file_name: str) -> int:
        return sorted(self._images).index(file_name) if file_name in self._images else 0


def write(tmp_path: Path, images: dict[str, bytes], **changes: object) -> RecordsManifest:
    """Writes records of such a split to `records`, two pictures in each shard."""
    parameters = RecordParameters(images_per_shard=2, max_bad_share=0.5)
    people = split_of(tmp_path, images, **changes)
    shards = write_shards(people, Memory(images), tmp_path / "records", "train", parameters)
    return manifests.records(tmp_path / "records", "train", **merge(shards))
