"""The first step: fetches or finds a data set, checks it, and describes it in a manifest."""

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from components import status
from components.coco_download.parameters import DataParameters
from openpose import storage
from openpose.coco import index, own_skeleton, remote_files, zip_archive
from openpose.coco import source as data_source
from openpose.coco.layout import Annotations, Files, Names
from openpose.coco.manifest import DataFile, DataInputs, DataManifest, DataSplit, MissingPictures
from openpose.coco.pictures import PictureStore
from openpose.errors import InputError
from openpose.records import image_bytes, schema
from openpose.records.picture import counted
from openpose.report.data_page import Sample, data_page
from openpose.skeleton import DEFAULT, KNOWN, Skeleton
from openpose.skeleton.draft import Draft
from openpose.skeleton.files import SUFFIXES, parse

SAMPLES = 12  # pictures in the report
SUMS = "data/.checksums.json"  # of annotation files, so that later runs need not read them again


def coco_download(
    source: str,
    root: str,
    parameters: DataParameters = DataParameters(),
) -> DataManifest:
    """Fetches or finds a data set, checks it and describes it in a manifest under the storage root.

    Args:
        source: coco2017 for COCO's own archives; a folder or zip archive in COCO's format, a DeepLabCut project, a
            SLEAP file or an Ultralytics data.yaml; or an address (http://, https://, gs://, file://) of a zip archive
            or below which the files have COCO's official names.
        root: Storage root: a folder that all steps see, or gs://bucket/prefix.
        parameters: of the data set.

    Returns:
        The manifest: for each split the paths of its index and pictures, counts, and a fingerprint.

    Raises:
        InputError: a file is missing or cannot be used; the message names the file and the field.
    """
    folder = storage.open_root(root)
    val_share, seed = parameters.val_share, parameters.data_seed
    asked, request = _asked(parameters, source)
    with status.step(folder, "coco_download") as step:
        files = data_source.bring(source, folder, _names(parameters), val_share, seed)
        val_share = 0.0 if "val" in files.annotations else val_share  # it is held out already
        shares = (
            {"train": {"train": 1 - val_share, "val": val_share}}
            if val_share
            else {split: {split: 1.0} for split in ("train", "val")}
        )
        checksums = _checksums(folder, files.annotations)
        sums = {split: checksums[str(files.annotations[split])].sha256 for split in shares}
        signatures = {split: _signature(files.pictures[split]) for split in shares}
        if parameters.unpack:
            files = _unpacked(files, folder, signatures)
        inputs = DataInputs(
            # The manifest names the pictures' paths, so they count here, but not in a split's fingerprint.
            pictures={split: str(place) for split, place in files.pictures.items()},
            content={split: [sums[split], signatures[split]] for split in shares},
            val_share=val_share,
            seed=seed,
            skeleton=request or None,
        )
        work = storage.StepOutput(folder, DataManifest, inputs, "data/")
        manifest = step.cached(work)
        if manifest is None:
            fingerprints = {}
            for file, splits in shares.items():
                content = {"annotations": sums[file], "pictures": signatures[file], "seed": seed}
                for split in splits:
                    part = {"split": split, "val_share": val_share} if val_share else {}
                    fingerprints[split] = storage.fingerprint(content | part | request)
            first = files.annotations["train"]
            categories = own_skeleton.read_categories(first.open, str(first))
            skeleton, notes = own_skeleton.find(first.open, str(first), categories, asked, parameters.category)
            described = _index(
                work, files, shares, seed, fingerprints, skeleton, notes, parameters.category, categories
            )
            manifest = work.finish(
                source=remote_files.public(source),  # without its password
                files=_described_files(files, sums, signatures),
                splits=described,
                skeleton=skeleton,
                notes=notes,
                report=str(work.folder / "report.html"),
            )
            storage.write_json(folder / SUMS, storage.to_json(checksums))
            print(f"data in {work.folder}", flush=True)
        print(_summary(manifest), flush=True)
        return manifest


def _asked(parameters: DataParameters, source: str) -> tuple[Skeleton | Draft | None, dict[str, str]]:
    """The skeleton that the parameters ask for, None for the data's own, and what identifies it for fingerprints.

    A file is looked for where its path says, and then beside the data.

    Raises:
        InputError: no skeleton or file has this name, or the file cannot be used.
    """
    name = parameters.skeleton
    request = {"category": parameters.category} if parameters.category else {}
    if name in ("auto", DEFAULT):  # whatever data fits openpose18, auto would choose it too
        return KNOWN.get(name), request
    if name in KNOWN:
        return KNOWN[name], request | {"skeleton": name}
    if not name.endswith(SUFFIXES):
        raise InputError(
            f"skeleton is {name!r}; give auto, one of {', '.join(KNOWN)}, or a file that ends in {', '.join(SUFFIXES)}"
        )
    places = [storage.path(name)]
    if not source.startswith(("http:", "https:", "file:")) and not places[0].is_absolute():
        places.append(storage.path(source) / name)
    place = next((each for each in places if storage.size(each) is not None), None)
    if place is None:
        raise InputError(f"{' nor '.join(map(str, places))}: no such skeleton file")
    try:
        text = storage.read_bytes(place).decode()
    except UnicodeDecodeError as error:
        raise InputError(f"{place}: cannot be read as a skeleton ({error})") from error
    return parse(text, str(place)), request | {"skeleton": storage.checksum(text.encode())}


def _names(parameters: DataParameters) -> Names:
    annotations, stores = {"train": parameters.train_annotations}, {"train": parameters.train_pictures}
    if not parameters.val_share:
        annotations["val"], stores["val"] = parameters.val_annotations, parameters.val_pictures
    return Names(annotations, stores)


def _unpacked(files: Files, root: storage.StoragePath, signatures: dict[str, str]) -> Files:
    """Unpacks the picture archives under the root, in folders named by their content; returns the new paths."""
    root = storage.require_local(root, "archives can be unpacked only to a folder; leave out `unpack` for a bucket")
    places: dict[str, storage.StoragePath] = {}
    for split, place in files.pictures.items():
        places[split] = place
        if place.is_file():
            places[split] = zip_archive.unpack(place, root / "archives" / signatures[split][:12] / place.stem)
    return Files(files.annotations, places, files.fetched)


@dataclass(frozen=True)
class _Checksum:
    """SHA-256 of an annotation file in a state, which tells whether the file has changed since."""

    state: list[int]
    sha256: str


def _checksums(root: storage.StoragePath, annotations: dict[str, Annotations]) -> dict[str, _Checksum]:
    """The checksum of each annotation file, by name; reads only those that have changed since the last run."""
    cached, checksums = dict[str, _Checksum](), dict[str, _Checksum]()
    with suppress(InputError):  # the first run, or a damaged file
        cached = storage.read_as(root / SUMS, dict[str, _Checksum])
    for each in annotations.values():
        name, state = str(each), storage.state(each.place)
        checksum = cached.get(name)
        if checksum is None or checksum.state != state:
            with each.open() as file:
                checksum = _Checksum(state, storage.stream_sha256(file))
        checksums[name] = checksum
    return checksums


def _signature(place: storage.StoragePath) -> str:
    with PictureStore(place) as store:
        return storage.fingerprint(store.signature())


def _described_files(files: Files, sums: dict[str, str], signatures: dict[str, str]) -> list[DataFile]:
    """The data set's files and folders, each with its size and checksum."""
    if files.fetched:
        return [
            DataFile(place=file.place, name=file.name, bytes=file.bytes, sha256=file.sha256, url=file.url)
            for file in files.fetched
        ]
    found = {}
    for split, annotations in files.annotations.items():
        name, size = annotations.entry or annotations.place.name, annotations.size()
        found[str(annotations)] = DataFile(place=str(annotations), name=name, bytes=size, sha256=sums[split])
    for split, place in files.pictures.items():
        if place.suffix == ".zip":
            with storage.open_binary(place) as file:
                sha256 = storage.stream_sha256(file)
            size = storage.size(place) or 0
        else:
            size, sha256 = sum(storage.sizes(place).values()), signatures[split]
        found[str(place)] = DataFile(place=str(place), name=place.name, bytes=size, sha256=sha256)
    return list(found.values())


def _index(
    work: storage.StepOutput[DataManifest],
    files: Files,
    shares: dict[str, dict[str, float]],
    seed: int,
    fingerprints: dict[str, str],
    skeleton: Skeleton,
    notes: list[str],
    category: str,
    categories: list[dict[str, Any]],
) -> dict[str, DataSplit]:
    """Writes the indexes of all splits and the report to the output's folder; returns the splits' descriptions."""
    described: dict[str, DataSplit] = {}
    samples: dict[str, list[Sample]] = {}
    with storage.atomic_folder(work.folder) as temporary:
        for file, splits in shares.items():
            annotations = files.annotations[file]
            with PictureStore(files.pictures[file]) as store:
                known = categories if file == "train" else None
                name = str(annotations)
                indexed = index.index(
                    annotations.open, name, temporary, skeleton, splits, store.size, seed, category, known
                )
                for split, part in indexed.items():
                    opened = index.Split(temporary / part.people, temporary / part.index)
                    bad = _missing(opened, store, str(annotations), skeleton)
                    samples[split] = _samples(opened, store, skeleton)
                    described[split] = DataSplit(
                        people=str(work.folder / part.people),
                        index=str(work.folder / part.index),
                        counts=part.counts,
                        keypoints=part.keypoints,
                        bad=bad,
                        pictures=str(files.pictures[file]),
                        fingerprint=fingerprints[split],
                        extents=part.extents,
                    )
        page = data_page("Data", described, samples, skeleton, notes)
        storage.write_text(temporary / "report.html", page)
    return described


def _missing(split: index.Split, store: PictureStore, annotations: str, skeleton: Skeleton) -> MissingPictures:
    """Counts a split's missing pictures, and names some.

    Raises:
        InputError: all of them are missing.
    """
    missing = np.flatnonzero(split.picture_bytes == 0).tolist()
    names = [schema.to_picture(split.read(n, n + 1)[0], skeleton).file_name for n in missing[:SAMPLES]]
    if len(missing) == len(split):
        raise InputError(
            f"{store.place}: all {len(split)} pictures of {annotations} are missing; "
            f"looked for {', '.join(names[:3])}; found {', '.join(store.some(3)) or 'nothing'}"
        )
    return MissingPictures(missing=len(missing), names=names)


def _samples(split: index.Split, store: PictureStore, skeleton: Skeleton) -> list[Sample]:
    """Sample pictures from the start of a split's shuffled order: readable ones, those with people first."""
    found: list[Sample] = []
    pictures = [schema.to_picture(example, skeleton) for example in split.read(0, min(len(split), 10 * SAMPLES))]
    for picture in sorted(pictures, key=lambda picture: not picture.labelled.any()):
        if len(found) == SAMPLES:
            break
        try:
            encoded = image_bytes.upright(store.read, picture.file_name, (picture.width, picture.height))
        except image_bytes.BadImage:
            continue
        found.append(Sample(picture, encoded))
    return found


def _summary(manifest: DataManifest) -> str:
    """A table of the splits' counts, and the skeleton unless it is people's."""
    splits, skeleton = manifest.splits, manifest.skeleton
    lines = []
    if not skeleton.is_known:
        size = f"{len(skeleton.source_parts)} keypoints, {skeleton.num_limbs} limbs"
        lines += [f"skeleton {skeleton.name} of {skeleton.category}: {size}", *(f"  {note}" for note in manifest.notes)]
    lines += [" " * 24 + "".join(f"{split:>12}" for split in splits)]
    counts = {split: described.counts for split, described in splits.items()}
    for name in next(iter(counts.values())):
        lines.append(
            f"  {counted(name, skeleton.category).replace('_', ' '):<22}"
            + "".join(f"{counts[split][name]:>12,}" for split in splits)
        )
    lines.append("  labelled keypoints")
    for name in next(iter(splits.values())).keypoints:
        row = "".join(f"{described.keypoints[name]:>12,}" for described in splits.values())
        lines.append(f"    {name.replace('_', ' '):<20}{row}")
    for split, described in splits.items():
        bad = described.bad
        if bad.missing:
            more = ", …" if bad.missing > 3 else ""
            lines.append(f"  {bad.missing} pictures of {split} are missing: {', '.join(bad.names[:3])}{more}")
    return "\n".join(lines)
