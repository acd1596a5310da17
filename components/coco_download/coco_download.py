"""The first step: fetches or finds a data set, checks it, and describes it in a manifest."""

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from components import status
from components.coco_download import splits
from components.coco_download.parameters import DataParameters
from openpose import storage
from openpose.coco import own_skeleton, remote_files, zip_archive
from openpose.coco import source as data_source
from openpose.coco.json_stream import items
from openpose.coco.layout import Annotations, Files, Names
from openpose.coco.manifest import DataFile, DataInputs, DataManifest, DataSplit
from openpose.coco.pictures import PictureStore
from openpose.errors import InputError
from openpose.records.picture import counted
from openpose.skeleton import DEFAULT, KNOWN, Skeleton
from openpose.skeleton.draft import Draft
from openpose.skeleton.files import SUFFIXES, parse

SUMS = "data/.checksums.json"  # of annotation files, so that later runs need not read them again


def coco_download(
    source: str,
    root: str,
    parameters: DataParameters = DataParameters(),
) -> DataManifest:
    """Fetches or finds a data set, checks it and describes it in a manifest under the storage root.

    Args:
        source: coco2017 for COCO's own archives; a folder or zip archive in COCO's format, a DeepLabCut project, a
            SLEAP file, an Ultralytics data.yaml or a folder of LabelMe; or an address (http://, https://, gs://, s3://,
            file://) of a zip archive or below which the files have COCO's official names.
        root: Storage root: a folder that all steps see, gs://bucket/prefix or s3://bucket/prefix.
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
            exif=None if parameters.exif == "auto" else parameters.exif,
        )
        work = storage.StepOutput(folder, DataManifest, inputs, "data/")
        manifest = _usable(step.cached(work))
        if manifest is None:
            step.found = False
            content = dict[str, dict[str, Any]]()
            for file, parts in shares.items():
                for split in parts:
                    part = {"split": split, "val_share": val_share} if val_share else {}
                    of_file = {"annotations": sums[file], "pictures": signatures[file], "seed": seed}
                    content[split] = of_file | part | request
            first = files.annotations["train"]
            categories = list(items(first.open, "categories", first.name))
            skeleton, notes = own_skeleton.find(first.open, first.name, categories, asked, parameters.category)
            asked_for = splits.Asked(skeleton, parameters.category, seed, categories, parameters.exif)
            with storage.atomic_folder(work.folder) as temporary:
                described, warnings = splits.index(temporary, work.folder, files, shares, content, asked_for, notes)
                manifest = work.finish(
                    temporary,
                    source=remote_files.public(source),  # without its password
                    files=_described_files(files, sums, signatures),
                    splits=described,
                    skeleton=skeleton,
                    notes=notes,
                    warnings=warnings or None,
                    report=str(work.folder / "report.html"),
                )
            storage.write_json(folder / SUMS, storage.to_json(checksums))
            print(f"data in {work.folder}", flush=True)
        print(_summary(manifest), flush=True)
        splits.refuse_empty(manifest.splits, {split: file for file, parts in shares.items() for split in parts}, files)
        return manifest


def _usable(manifest: DataManifest | None) -> DataManifest | None:
    """The manifest, unless a version without counts of what became of the annotations wrote it."""
    if manifest is not None and any(split.annotations is None for split in manifest.splits.values()):
        print("it was made by an older version, which left out annotations without a word: it is made again")
        return None
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

    state: list[str]
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
        if place.suffix.lower() == ".zip":
            with storage.open_binary(place) as file:
                sha256 = storage.stream_sha256(file)
            size = storage.size(place) or 0
        else:
            size, sha256 = sum(storage.sizes(place).values()), signatures[split]
        found[str(place)] = DataFile(place=str(place), name=place.name, bytes=size, sha256=sha256)
    return list(found.values())


def _summary(manifest: DataManifest) -> str:
    """A table of the splits' counts, and the skeleton unless it is people's."""
    described, skeleton = manifest.splits, manifest.skeleton
    lines = []
    if not skeleton.is_known:
        size = f"{len(skeleton.source_parts)} keypoints, {skeleton.num_limbs} limbs"
        lines += [f"skeleton {skeleton.name} of {skeleton.category}: {size}", *(f"  {note}" for note in manifest.notes)]
    lines += [" " * 24 + "".join(f"{split:>12}" for split in described)]
    counts = {split: each.counts for split, each in described.items()}
    for name in next(iter(counts.values())):
        lines.append(
            f"  {counted(name, skeleton.category).replace('_', ' '):<22}"
            + "".join(f"{counts[split][name]:>12,}" for split in described)
        )
    lines.append("  labelled keypoints")
    for name in next(iter(described.values())).keypoints:
        row = "".join(f"{each.keypoints[name]:>12,}" for each in described.values())
        lines.append(f"    {name.replace('_', ' '):<20}{row}")
    for split, each in described.items():
        lines += _became(split, each)
        if each.bad.missing:
            more = ", …" if each.bad.missing > 3 else ""
            names = ", ".join(each.bad.names[:3])
            lines.append(f"  {each.bad.missing} pictures of {split} are missing or empty: {names}{more}")
    lines += [f"warning: {warning}" for warning in manifest.warnings or ()]
    return "\n".join(lines)


def _became(split: str, described: DataSplit) -> list[str]:
    """Lines on what became of a split's annotations."""
    total = sum((described.annotations or {}).values())
    counted = {
        f"{total:,} annotations of {split}": described.annotations,
        f"used in {split}, but no sample is centred on them": described.not_main,
        f"read differently in {split} than they are written": described.corrections,
    }
    lines = []
    for title, counts in counted.items():
        if counts or counts is described.annotations:
            lines += [f"  {title}", *(f"    {count:,} {words}" for words, count in (counts or {}).items())]
    return lines
