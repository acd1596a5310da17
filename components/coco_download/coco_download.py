"""The first step: finds a data set in COCO's layout, checks it, and describes it in a manifest."""

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components import status
from openpose import coco, skeleton, storage
from openpose.errors import InputError
from openpose.pictures import PictureStore

SPLITS = ("train", "val")
ANNOTATIONS = "person_keypoints_{split}2017.json"


def coco_download(source: str, root: str) -> dict[str, Any]:
    """Checks a data set in COCO's official layout and describes it in a manifest under the storage root.

    Args:
        source: Folder with annotations/person_keypoints_{train,val}2017.json (or annotations_trainval2017.zip),
            and train2017/ and val2017/ (or train2017.zip and val2017.zip).
        root: Storage root: a folder that all steps see.

    Returns:
        The manifest: for each split where its annotations and pictures are, counts, and a fingerprint.

    Raises:
        InputError: something is missing or cannot be used; the message names the file and the field.
    """
    folder = storage.root_folder(root)
    with status.step(folder, "coco_download") as step:
        place = _source_folder(source)
        pictures = {split: _pictures(place, split) for split in SPLITS}
        annotations = {split: _annotations(place, split) for split in SPLITS}
        # The place counts, because the pictures stay there. The records' fingerprint has only the split's.
        inputs: dict[str, Any] = {"source": str(place)}
        inputs |= {split: _fingerprint(annotations[split].content, pictures[split]) for split in SPLITS}
        work = storage.Work(folder, "data", inputs, "data/")
        manifest = step.finished(work)
        if manifest is None:
            with storage.atomic_folder(work.folder) as temporary:
                described = {split: _describe(temporary, split, annotations[split]) for split in SPLITS}
            splits = {
                split: {
                    "annotations": str(work.folder / ANNOTATIONS.format(split=split)),
                    "pictures": str(pictures[split]),
                    "fingerprint": inputs[split],
                    **described[split],
                }
                for split in SPLITS
            }
            manifest = work.finish(source=str(place), splits=splits)
            print(f"data in {work.folder}", flush=True)
        return manifest


def _source_folder(source: str) -> Path:
    place = Path(source).absolute()
    if not place.is_dir():
        raise InputError(
            f"{source}: no such folder; `source` is a folder with COCO's layout (annotations/, train2017/, …)"
        )
    return place


def _pictures(place: Path, split: str) -> Path:
    for candidate in (place / f"{split}2017", place / f"{split}2017.zip"):
        if candidate.exists():
            return candidate
    raise InputError(
        f"{place}: neither {split}2017/ nor {split}2017.zip is there; put the {split} pictures in one of them"
    )


@dataclass(frozen=True)
class _Annotations:
    """A split's annotation file: what the user calls it, and its content."""

    name: str
    content: bytes


def _annotations(place: Path, split: str) -> _Annotations:
    file, archive = place / "annotations" / ANNOTATIONS.format(split=split), place / "annotations_trainval2017.zip"
    name = file.relative_to(place).as_posix()
    if file.is_file():
        return _Annotations(str(file), file.read_bytes())
    if not archive.is_file():
        raise InputError(f"{place}: neither {name} nor {archive.name} is there; put the annotations in one of them")
    try:
        with zipfile.ZipFile(archive) as opened:
            return _Annotations(f"{archive}/{name}", opened.read(name))
    except KeyError as error:
        raise InputError(f"{archive}: has no {name}") from error
    except (zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{archive}: not a whole zip archive ({error}); fetch it again") from error


def _fingerprint(annotations: bytes, pictures: Path) -> str:
    with PictureStore(pictures) as store:
        return storage.fingerprint({"annotations": storage.checksum(annotations), "pictures": store.signature()})


def _describe(folder: Path, split: str, annotations: _Annotations) -> dict[str, Any]:
    """Checks a split's annotations, keeps them in the folder, and says what is in them."""
    path = folder / ANNOTATIONS.format(split=split)
    path.write_bytes(annotations.content)
    person = skeleton.OPENPOSE18
    try:
        loaded = coco.load(path, person)
    except InputError as error:
        raise InputError(str(error).replace(str(path), annotations.name)) from error
    counts = loaded.counts()
    print(f"{split}: " + ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in counts.items()), flush=True)
    per_keypoint = dict(zip(person.source_parts, loaded.keypoint_counts().tolist(), strict=True))
    return {"counts": counts, "keypoints": per_keypoint}
