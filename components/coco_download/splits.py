"""The splits of a data set: indexes and describes them, and refuses those without labelled people."""

from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from openpose import progress, storage
from openpose.coco import fates
from openpose.coco import index as coco_index
from openpose.coco.categories import note_on_choice
from openpose.coco.fates import Correction, Fate, as_counts
from openpose.coco.layout import Files
from openpose.coco.manifest import DataSplit, MissingPictures
from openpose.coco.pictures import PictureStore
from openpose.errors import InputError
from openpose.records import exif, image_bytes, schema
from openpose.records.exif import Follows
from openpose.report.data_page import Sample, data_page
from openpose.skeleton import Skeleton

SAMPLES = 12  # pictures in the report
_TOGETHER = 256  # pictures that are read from an index at a time
LOOKED, LOOKED_IN_BUCKET = 20_000, 2_000  # pictures of a split that are opened to see whether EXIF turns them


@dataclass(frozen=True)
class Asked:
    """How a data set is read.

    Attributes:
        skeleton: of the keypoints.
        category: name of the trained category; empty for the only one with keypoints.
        seed: of the images' order.
        categories: of the training file.
        exif: what annotations follow, or `auto`.
    """

    skeleton: Skeleton
    category: str
    seed: int
    categories: list[dict[str, Any]]
    exif: str


def index(
    temporary: Path,
    folder: storage.StoragePath,
    files: Files,
    shares: Mapping[str, Mapping[str, float]],
    content: Mapping[str, dict[str, Any]],
    asked: Asked,
    notes: list[str],
) -> tuple[dict[str, DataSplit], list[str]]:
    """Writes the indexes of all splits and the report to a folder.

    Args:
        temporary: the folder.
        folder: of the output, which it will become.
        files: of the data set.
        shares: for each annotation file, each split's share of its images.
        content: for each split what decides its fingerprint.
        asked: how the files are read.
        notes: what of the skeleton was derived, for the report.

    Returns:
        The description of each split, and warnings.

    Raises:
        InputError: a file cannot be used, or a split has nobody that could be trained or measured.
    """
    described, indexed = dict[str, DataSplit](), dict[str, coco_index.IndexedSplit]()
    samples = dict[str, list[Sample]]()
    file_of = {split: file for file, parts in shares.items() for split in parts}
    with ExitStack() as stack:
        stores = {file: stack.enter_context(PictureStore(files.pictures[file])) for file in shares}
        for file, of_file in shares.items():
            indexed |= _indexed(files, file, of_file, temporary, stores[file], asked)
        opened = {
            split: coco_index.Split(temporary / part.people, temporary / part.index) for split, part in indexed.items()
        }
        told = {split: _told(each, stores[file_of[split]], asked.skeleton) for split, each in opened.items()}
        looked = {split: _looked(each, stores[file_of[split]]) for split, each in opened.items()}
        partly = {split: count for split, count in looked.items() if count < len(opened[split])}
        decided, said = exif.decide(told, asked.exif, partly)
        for split, part in indexed.items():
            store, follows = stores[file_of[split]], decided[split]
            bad = _missing(opened[split], store, files.annotations[file_of[split]].name, asked.skeleton)
            turned = told[split][None] and follows is Follows.TURNED
            own = content[split] | ({"exif": follows.value} if turned else {})
            described[split] = _described(part, folder, bad, store.place, own, follows)
            samples[split] = _samples(opened[split], store, asked.skeleton, follows)
        refuse_empty(described, file_of, files)
        warnings = [*said.values(), *_repeated(indexed, opened, asked.skeleton), *_warnings(indexed, files, asked)]
        page = data_page("Data", described, samples, asked.skeleton, notes, warnings)
        storage.write_text(temporary / "report.html", page)
    return described, warnings


def _indexed(
    files: Files, file: str, shares: Mapping[str, float], folder: Path, store: PictureStore, asked: Asked
) -> dict[str, coco_index.IndexedSplit]:
    annotations = files.annotations[file]
    known = asked.categories if file == "train" else None

    def measure(name: str) -> tuple[int, int]:
        try:
            stored = asked.exif == Follows.STORED
            return image_bytes.upright_size(store.read, name, Follows.STORED if stored else Follows.TURNED)
        except image_bytes.BadImage as error:
            raise InputError(str(error)) from error

    return coco_index.index(
        annotations.open,
        annotations.name,
        folder,
        asked.skeleton,
        shares,
        store.size,
        asked.seed,
        asked.category,
        known,
        measure,
    )


def _described(
    part: coco_index.IndexedSplit,
    folder: storage.StoragePath,
    bad: MissingPictures,
    pictures: storage.StoragePath,
    content: dict[str, Any],
    follows: Follows,
) -> DataSplit:
    corrections = as_counts(part.tally.corrections)
    # What an older version read differently has another fingerprint, so that it is not trained on again.
    as_ever = (Correction.OUTSIDE.value, Correction.NO_AREA.value)
    changed = {words: count for words, count in corrections.items() if words not in as_ever}
    changed |= as_counts(Counter({fate: part.tally.fates[fate] for fate in (Fate.SAME_KIND, Fate.REPEATED)}))
    return DataSplit(
        people=str(folder / part.people),
        index=str(folder / part.index),
        counts=part.counts,
        keypoints=part.keypoints,
        bad=bad,
        pictures=str(pictures),
        fingerprint=storage.fingerprint(content | ({"read": changed} if changed else {})),
        extents=part.extents,
        annotations=as_counts(part.tally.fates),
        corrections=corrections or None,
        exif=follows.value,
        not_main=as_counts(part.tally.not_main) or None,
    )


def _repeated(
    indexed: Mapping[str, coco_index.IndexedSplit], opened: Mapping[str, coco_index.Split], skeleton: Skeleton
) -> list[str]:
    """Sentences on pictures that are listed under several ids."""
    warnings = []
    for split, part in indexed.items():
        if part.repeated_at is not None:
            (example,) = opened[split].read(part.repeated_at, part.repeated_at + 1)
            warnings.append(
                f"{part.repeated:,} images of {split} have the `file_name` of another one, such as "
                f"{schema.to_picture(example, skeleton).file_name}: people labelled under one id are background under "
                "the other; give each picture one entry in `images`"
            )
    return warnings


def _warnings(indexed: Mapping[str, coco_index.IndexedSplit], files: Files, asked: Asked) -> list[str]:
    first = files.annotations["train"]
    warnings = note_on_choice(asked.categories, first.name, asked.category)
    both = coco_index.in_both(indexed["train"], indexed["val"])
    if both:
        warnings.append(
            f"{both:,} pictures are in both splits (same name and size), so that validation measures what was trained "
            "on; take them out of one split, or hold out a share with val_share"
        )
    return warnings


def refuse_empty(described: Mapping[str, DataSplit], files_of: Mapping[str, str], files: Files) -> None:
    """Refuses a validation split without a labelled person and a training split without a sample.

    Args:
        described: the splits.
        files_of: for each split the name of its annotation file in `files`.
        files: of the data set.

    Raises:
        InputError: a split is refused; the message says why it has nobody, and the cure.
    """
    for split, part in described.items():
        name = files.annotations[files_of[split]].name
        nobody = part.counts["people_with_keypoints"] == 0
        if nobody:
            use = "no network can be trained" if split == "train" else "COCO AP would be undefined for every network"
            raise InputError(
                f"{name}: nobody in the {split} split has a labelled keypoint that counts, so that {use}; "
                f"{fates.why_unlabelled(part.annotations or {})}"
            )
        if split == "train" and part.counts["samples"] == 0:
            raise InputError(
                f"{name}: the {split} split has no sample: no picture has a person whom a sample can be centred on; "
                f"{fates.why_no_sample(part.not_main or {}, part.corrections or {})}"
            )


def _missing(split: coco_index.Split, store: PictureStore, annotations: str, skeleton: Skeleton) -> MissingPictures:
    """Counts a split's missing pictures, and names some.

    Raises:
        InputError: all of them are missing.
    """
    missing = np.flatnonzero(split.picture_bytes == 0).tolist()
    names = [schema.to_picture(split.read(n, n + 1)[0], skeleton).file_name for n in missing[:SAMPLES]]
    if len(missing) == len(split) and store.has(names[0]):
        raise InputError(
            f"{store.place}: all {len(split)} pictures of {annotations} are missing or empty (0 bytes), such as "
            f"{names[0]}; fetch or copy them again"
        )
    if len(missing) == len(split):
        raise InputError(
            f"{store.place}: all {len(split)} pictures of {annotations} are missing; "
            f"looked for {', '.join(names[:3])}; found {', '.join(store.some(3)) or 'nothing'}; "
            f"{_cure(names[0], store)}"
        )
    return MissingPictures(missing=len(missing), names=names)


def _cure(name: str, store: PictureStore) -> str:
    alike = store.alike(name)
    wants = f"`file_name` must be a path below {store.place}, with slashes"
    if alike:
        return f"{name} is probably {alike}: {wants}"
    backslashes = " (backslashes separate folders on Windows only)" if "\\" in name else ""
    return f"{wants}{backslashes}; correct it, or give the folder or archive that holds the pictures"


def _looked(split: coco_index.Split, store: PictureStore) -> int:
    """How many pictures of a split are opened to see whether EXIF turns them."""
    return min(len(split), LOOKED if storage.is_local(store.place) else LOOKED_IN_BUCKET)


def _told(split: coco_index.Split, store: PictureStore, skeleton: Skeleton) -> Counter[Follows | None]:
    """What the pictures of a split tell about EXIF: all of them, or those at the start of a large one's order."""
    count = _looked(split, store)
    counted = Counter[Follows | None]()
    with progress.bar(count, "look for EXIF", "image") as bar:
        for start in range(0, count, _TOGETHER):
            for example in split.read(start, min(start + _TOGETHER, count)):
                picture = schema.to_picture(example, skeleton)
                with suppress(OSError, ValueError):  # it is missing or damaged, as the records step will say
                    content = store.head(picture.file_name, exif.HEAD)
                    if exif.is_plain(content):
                        continue
                    found = exif.of_file(content) or exif.of_file(store.read(picture.file_name))
                    counted.update(exif.told(found, (picture.width, picture.height)))
            bar.update(min(_TOGETHER, count - start))
    return counted


def _samples(split: coco_index.Split, store: PictureStore, skeleton: Skeleton, follows: Follows) -> list[Sample]:
    """Sample pictures from the start of a split's shuffled order: readable ones, those with people first."""
    found: list[Sample] = []
    pictures = [schema.to_picture(example, skeleton) for example in split.read(0, min(len(split), 10 * SAMPLES))]
    for picture in sorted(pictures, key=lambda picture: not picture.labelled.any()):
        if len(found) == SAMPLES:
            break
        try:
            encoded = image_bytes.upright(store.read, picture.file_name, (picture.width, picture.height), follows)
        except image_bytes.BadImage:
            continue
        found.append(Sample(picture, encoded))
    return found
