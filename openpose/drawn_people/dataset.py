"""The sample data set: pictures and annotations in the archives of the official COCO layout.

train2017.zip  val2017.zip          train2017/000000000001.jpg …, stored, not deflated
annotations_trainval2017.zip        annotations/person_keypoints_{train,val}2017.json
sample.json                         the parameters and the archives' sizes; written last
"""

import json
import multiprocessing
import os
import signal
import threading
import zipfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from openpose import progress, storage
from openpose.drawn_people.annotation import SKELETON, annotate
from openpose.drawn_people.colours import Array
from openpose.drawn_people.scene import Sample, paint_scene
from openpose.errors import InputError

# Raise it when the same parameters draw other pictures, so that older finished folders are redrawn.
DRAWING = 1
FIRST_ID = {"train2017": 1, "val2017": 500_001}  # of the pictures; unique over both splits, as in COCO
PICTURES_PER_PROCESS = 100  # at least, because a process takes as long to start as to draw twenty
_ARCHIVES = ("train2017.zip", "val2017.zip", "annotations_trainval2017.zip")


def draw(sample: Sample, split: str, index: int) -> tuple[Array, list[dict[str, Any]]]:
    """Draws one picture. It depends only on the arguments, so pictures can be drawn in any order.

    Args:
        sample: the data set's parameters.
        split: "train2017" or "val2017".
        index: the picture's index in its split.

    Returns:
        The picture, RGB uint8 [size, size, 3], and its COCO annotations without `id` and `image_id`.
    """
    scene = paint_scene(np.random.default_rng([sample.seed, FIRST_ID[split], index]), sample)
    return scene.image, annotate(scene)


def make(out: str | Path, sample: Sample = Sample()) -> bool:
    """Draws a sample data set into the folder `out`, unless it is already there.

    Args:
        out: folder for the three archives and `sample.json`; it is made when missing.
        sample: what to draw.

    Returns:
        True if it was drawn, False if it was already there with these parameters.

    Raises:
        InputError: the folder cannot be written.
    """
    out = Path(out)
    stamp = {"drawing": DRAWING, **asdict(sample)}
    if _finished(out, stamp):
        return False
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name in ("sample.json", *_ARCHIVES):  # an interrupted redrawing must not leave a mixture
            (out / name).unlink(missing_ok=True)
        documents = {}
        for split, count in (("train2017", sample.train), ("val2017", sample.val)):
            with _archive(out / f"{split}.zip") as archive:
                documents[split] = _draw_split(sample, split, count, archive)
        with _archive(out / "annotations_trainval2017.zip") as archive:
            for split, document in documents.items():
                name, text = f"person_keypoints_{split}.json", json.dumps(document, separators=(",", ":"))
                _store(archive, f"annotations/{name}", text.encode(), zipfile.ZIP_DEFLATED)
        sizes = {name: (out / name).stat().st_size for name in _ARCHIVES}
        storage.write_json(out / "sample.json", {**stamp, "bytes": sizes})
    except OSError as error:
        raise InputError(f"{out}: the sample cannot be written there ({error.strerror or error})") from error
    return True


def _finished(out: Path, stamp: dict[str, Any]) -> bool:
    try:
        found = json.loads((out / "sample.json").read_text())
        sizes = {name: (out / name).stat().st_size for name in _ARCHIVES}
    except (OSError, ValueError):
        return False
    return found == {**stamp, "bytes": sizes}


def _draw_split(sample: Sample, split: str, count: int, archive: zipfile.ZipFile) -> dict[str, Any]:
    """Draws a split's pictures into the archive; returns its annotation file."""
    images, annotations = [], []
    with progress.bar(count, what=f"draw {split}", unit="picture") as bar:
        for number, (encoded, people) in enumerate(_by_all_cores(sample, split, count), FIRST_ID[split]):
            name = f"{number:012d}.jpg"
            _store(archive, f"{split}/{name}", encoded, zipfile.ZIP_STORED)
            images.append(_image(number, name, sample.size))
            annotations += [{**p, "image_id": number, "id": number * 10 + k} for k, p in enumerate(people)]
            bar.update(1)
    return {
        "info": {
            "description": f"Drawn people, {split}: a sample in the format of COCO 2017",
            "url": "",
            "version": f"{DRAWING}.0",
            "year": 2017,
            "contributor": "openpose.sample",
            "date_created": "2017/09/01",
        },
        "licenses": [{"id": 1, "name": "Apache License 2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"}],
        "images": images,
        "annotations": annotations,
        "categories": [{"supercategory": "person", **SKELETON.coco_category()}],
    }


def _by_all_cores(sample: Sample, split: str, count: int) -> Iterator[tuple[bytes, list[dict[str, Any]]]]:
    """A split's pictures in order, as JPEG with their annotations, drawn by one process per core."""
    draw_one, processes = partial(_encoded, sample, split), min(os.cpu_count() or 1, count // PICTURES_PER_PROCESS)
    if processes < 2:
        yield from map(draw_one, range(count))
        return
    # Not forked: this process may have threads, whose locks a fork would copy.
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), _end_with_parent) as pool:
        try:
            yield from pool.map(draw_one, range(count), chunksize=10)
        finally:
            pool.shutdown(cancel_futures=True)


def _end_with_parent() -> None:
    """Makes this process end when its parent was stopped or killed; on Ctrl-C, only the parent speaks."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def wait() -> None:
        if parent := multiprocessing.parent_process():
            parent.join()
            os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def _encoded(sample: Sample, split: str, index: int) -> tuple[bytes, list[dict[str, Any]]]:
    picture, people = draw(sample, split, index)
    return cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])[1].tobytes(), people


def _image(number: int, name: str, size: int) -> dict[str, Any]:
    return {
        "license": 1,
        "file_name": name,
        "coco_url": "",
        "height": size,
        "width": size,
        "date_captured": "2017-09-01 00:00:00",
        "flickr_url": "",
        "id": number,
    }


@contextmanager
def _archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """Writes a zip file atomically."""
    with storage.atomic_file(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        yield archive


def _store(archive: zipfile.ZipFile, name: str, data: bytes, compression: int) -> None:
    entry = zipfile.ZipInfo(name, (2017, 9, 1, 0, 0, 0))  # a fixed time, so that the same pictures give the same bytes
    entry.external_attr = 0o644 << 16
    archive.writestr(entry, data, compression)
