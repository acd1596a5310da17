"""Turns a data set of another tool into COCO's form: a JSON file for each split, beside or with its pictures."""

import hashlib
import json
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openpose import storage
from openpose.datasets import deeplabcut, labelme, sleap, ultralytics
from openpose.datasets.labels import Animal, Category, Frame, Labels, Project, some
from openpose.records.picture import box_around

_VERSION = 1  # of what is written; another one makes all data sets again
_ABOUT, _PICTURES = "about.json", "pictures"
_WHOLE, _END = 1 << 26, 1 << 20  # bytes: files up to the first are hashed whole, of larger ones both ends


@dataclass(frozen=True)
class Converted:
    """A data set in COCO's form.

    Attributes:
        folder: of this content of the data set, under the storage root.
        annotations: JSON file of each split.
        pictures: folder of each split's pictures.
        said: lines that say what was read and what was left out.
    """

    folder: Path
    annotations: dict[str, Path]
    pictures: dict[str, Path]
    said: list[str]


@dataclass(frozen=True)
class _About:
    """What `about.json` says.

    Attributes:
        pictures: folder of each split's pictures, relative to the project; empty for the pictures beside the file.
        said: see `Converted`.
    """

    pictures: dict[str, str]
    said: list[str]


def recognise(place: Path) -> Project | None:
    """The data set of a folder or file, if one of the other tools wrote it.

    Raises:
        InputError: it is damaged, or there are several.
    """
    tools = (deeplabcut, sleap, ultralytics, labelme)
    return next((project for tool in tools if (project := tool.recognise(place)) is not None), None)


def convert(project: Project, root: Path) -> Converted:
    """Writes a data set in COCO's form to `<root>/converted/…`, unless it is there.

    Raises:
        InputError: it cannot be used; the message names the file, the entry and the cure.
    """
    home = project.place.parent
    folder = root / "converted" / _key(project, home)
    if not (folder / _ABOUT).is_file():
        with storage.atomic_folder(folder) as temporary:
            labels = project.read(temporary / _PICTURES)
            annotations, counts = _documents(labels)
            for split, document in annotations.items():
                storage.write_text(temporary / f"{split}.json", json.dumps(document, ensure_ascii=False))
            inside = {split: place.is_relative_to(temporary) for split, place in labels.pictures.items()}
            places = {
                split: "" if inside[split] else os.path.relpath(place, home) for split, place in labels.pictures.items()
            }
            about = _About(places, _said(labels, counts))
            storage.write_json(temporary / _ABOUT, storage.to_json(about))
    about = storage.read_as(folder / _ABOUT, _About)
    return Converted(
        folder,
        {split: folder / f"{split}.json" for split in about.pictures},
        {split: (home / place).resolve() if place else folder / _PICTURES for split, place in about.pictures.items()},
        [f"{project.tool} {project.place}:", *about.said],
    )


def _key(project: Project, home: Path) -> str:
    """A hash of the data set's content: of labels and films their bytes, of pictures their names and sizes."""
    content = [[os.path.relpath(file, home), _sum(file)] for file in project.files]
    images = [[os.path.relpath(file, home), file.stat().st_size] for file in project.pictures]
    return storage.fingerprint([_VERSION, project.tool, content, images])[:16]


def _sum(place: Path) -> str:
    size = place.stat().st_size
    with place.open("rb") as file:
        if size <= _WHOLE:
            return storage.stream_sha256(file)
        ends = hashlib.sha256(file.read(_END))
        file.seek(-_END, os.SEEK_END)
        ends.update(file.read())
        return f"{size}:{ends.hexdigest()}"


def _documents(labels: Labels) -> tuple[dict[str, dict[str, Any]], Counter[str]]:
    """COCO's document of each split, and how often each keypoint is labelled."""
    categories = [_category(number, category) for number, category in enumerate(labels.categories, 1)]
    documents, image_id, animal_id, counts = dict[str, dict[str, Any]](), 0, 0, Counter[str]()
    for split, frames in labels.frames.items():
        images, annotations = [], []
        for frame in frames:
            image_id += 1
            film = {} if frame.film is None else {"film": frame.film}
            size = {"width": frame.width, "height": frame.height}
            images.append({"id": image_id, "file_name": frame.file_name, **size, **film})
            for animal in frame.animals:
                animal_id += 1
                entry = _annotation(animal, frame, labels)
                annotations.append({"id": animal_id, "image_id": image_id, **entry})
                counts["animals"] += 1
                counts["keypoints"] += entry["num_keypoints"]
        documents[split] = {"images": images, "annotations": annotations, "categories": categories}
    return documents, counts


def _category(number: int, category: Category) -> dict[str, Any]:
    pairs = {} if category.flip_pairs is None else {"flip_pairs": [list(pair) for pair in category.flip_pairs]}
    limbs = [[a + 1, b + 1] for a, b in category.skeleton]
    return {"id": number, "name": category.name, "keypoints": category.keypoints, "skeleton": limbs, **pairs}


def _annotation(animal: Animal, frame: Frame, labels: Labels) -> dict[str, Any]:
    """An animal's entry. A keypoint outside its picture counts as not labelled."""
    points = animal.points.copy()
    outside = (points[:, :2] < -0.5).any(1) | (points[:, :2] > (frame.width, frame.height)).any(1)
    outside &= points[:, 2] > 0
    if outside.any():
        labels.left_out["keypoints outside their picture"] += int(outside.sum())
        points[outside] = 0
    box = animal.box or box_around(points[points[:, 2] > 0, :2], frame.width, frame.height).tolist()
    track = {} if animal.track is None else {"track_id": animal.track}
    return {
        "category_id": animal.category + 1,
        "iscrowd": 0,
        "num_keypoints": int((points[:, 2] > 0).sum()),
        "keypoints": [value for x, y, v in points.tolist() for value in (round(x, 2), round(y, 2), int(v))],
        "bbox": [round(value, 2) for value in box],
        "area": round(box[2] * box[3], 2),
        **track,
    }


def _said(labels: Labels, counts: Counter[str]) -> list[str]:
    sizes = ", ".join(f"{len(frames):,} pictures of {split}" for split, frames in labels.frames.items())
    lines = [f"{sizes}, {counts['animals']:,} animals, {counts['keypoints']:,} labelled keypoints"]
    for category in labels.categories:
        pairs = "" if category.flip_pairs is None else f", {len(category.flip_pairs)} pairs of left and right"
        lines.append(
            f"{category.name}: {len(category.keypoints)} keypoints ({some(category.keypoints, 30)}), "
            f"{len(category.skeleton)} links{pairs}"
        )
    lines += labels.notes
    lines += [f"left out: {count:,} {what}" for what, count in labels.left_out.items()]
    return lines
