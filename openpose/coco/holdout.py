"""Holds out a part of a COCO file for validation, where a data set has no validation split: whole films if it can.

Neighbouring frames of a film look nearly alike: with one of them on each side, validation would measure memory.
"""

import json
import re
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path, PurePosixPath
from typing import Any

from openpose import storage
from openpose.coco.categories import category_key
from openpose.coco.json_stream import items
from openpose.coco.layout import Annotations, Files
from openpose.datasets.labels import natural, some
from openpose.errors import InputError

SHARE = 0.2  # of the images, unless another one is given; a smaller part of a few hundred images measures too little
_VERSION = 1  # of what is written
_FIELDS = ("id", "file_name", "film", "video_id")  # of an image, that decide its split
_ROBOFLOW = re.compile(
    r"(_(jpg|jpeg|png))?\.rf\.\w+$"
)  # what Roboflow adds to a picture's name, for each version of it


def hold_out(files: Files, root: Path, share: float, seed: int) -> Files:
    """Splits the training file into two below `<root>/converted`, and says how.

    Args:
        files: a data set without a validation split.
        root: of the storage, a local folder.
        share: of the images; 0 for `SHARE`.
        seed: of the choice of films.

    Raises:
        InputError: the file cannot be read, or has one image only.
    """
    source, share = files.annotations["train"], share or SHARE
    with source.open() as file:
        key = storage.fingerprint([_VERSION, storage.stream_sha256(file), share, seed])[:16]
    folder = root / "converted" / key
    # A few fields of each, because a file may have a million images.
    images = [{field: image.get(field) for field in _FIELDS} for image in items(source.open, "images", str(source))]
    held, said = choose(images, share, seed, str(source))
    if not folder.is_dir():
        with storage.atomic_folder(folder) as temporary:
            _write(source, temporary, held)
    print(
        f"no validation split in {source}: {said}; `val_share` sets another share than {share:g}, "
        "and `data_seed` another choice of films",
        flush=True,
    )
    annotations = {split: Annotations(folder / f"{split}.json", copy_of=str(source)) for split in ("train", "val")}
    return replace(files, annotations=annotations, pictures=dict.fromkeys(annotations, files.pictures["train"]))


def choose(images: list[dict[str, Any]], share: float, seed: int, name: str) -> tuple[set[Any], str]:
    """The ids of the images to hold out, and a sentence that says how they were chosen.

    Args:
        images: COCO's entries.
        share: of them.
        seed: of the choice of films.
        name: what messages call the file.

    Raises:
        InputError: there are fewer than two images.
    """
    if len(images) < 2:
        raise InputError(f"{name}: has {len(images)} images, too few to hold out a part for validation; add some")
    films = _films(images)
    target = share * len(images)
    if len(films) == 1:
        frames = sorted(images, key=lambda image: natural(str(image.get("file_name"))))
        count = min(max(1, round(target)), len(images) - 1)
        said = f"the last {count} of its {len(images)} images are held out, because all seem to be of one film"
        return {_id(image.get("id")) for image in frames[-count:]}, said
    order = sorted(films, key=lambda film: blake2b(f"{seed}:{film}".encode()).digest())
    held, taken = [], 0
    for film in order:
        if taken + len(films[film]) <= target:
            held.append(film)
            taken += len(films[film])
    if not held:
        held = [min(order, key=lambda film: len(films[film]))]
    ids = {_id(image.get("id")) for film in held for image in films[film]}
    whole = f"{len(ids)} of its {len(images)} images are held out"
    if len(films) == len(images):
        return ids, f"{whole}, chosen at random"
    return ids, f"{whole}, all of {len(held)} of its {len(films)} films or folders ({some(sorted(held))})"


def _films(images: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """The images of each film: by their field `film` or `video_id`, else by folder and name without the number.

    If that makes about as many films as images, the names are not those of frames, and each picture stands for itself.
    """

    def grouped(film: Callable[[dict[str, Any]], str]) -> dict[str, list[dict[str, Any]]]:
        films: dict[str, list[dict[str, Any]]] = {}
        for image in images:
            films.setdefault(film(image), []).append(image)
        return films

    known = next(
        (field for field in ("film", "video_id") if all(image.get(field) is not None for image in images)), None
    )
    if known is not None:
        return grouped(lambda image: str(image[known]))
    names = grouped(lambda image: _name(image).rstrip("0123456789"))
    return names if len(names) <= len(images) / 2 else grouped(_name)


def _name(image: dict[str, Any]) -> str:
    path = PurePosixPath(str(image.get("file_name")))
    stem = _ROBOFLOW.sub("", path.stem)
    return str(path.with_name(stem)) if path.name and stem else str(path)


def _id(value: Any) -> Any:
    """An id to compare by, also of a kind that `index` will refuse."""
    return repr(value) if isinstance(value, dict | list) else category_key(value)


def _write(source: Annotations, folder: Path, held: set[Any]) -> None:
    """Writes the file's two parts, one entry at a time."""
    name = str(source)
    categories = list(items(source.open, "categories", name))
    with ExitStack() as stack:
        files = [
            stack.enter_context((folder / f"{split}.json").open("w", encoding="utf-8", errors="backslashreplace"))
            for split in ("train", "val")
        ]
        for file in files:
            file.write('{"categories": ' + json.dumps(categories, ensure_ascii=False))
        for field, key in (("images", "id"), ("annotations", "image_id")):
            between = [f', "{field}": [\n'] * len(files)
            for entry in items(source.open, field, name):
                side = int(_id(entry.get(key)) in held)
                files[side].write(between[side] + json.dumps(entry, ensure_ascii=False))
                between[side] = ",\n"
            for side, file in enumerate(files):
                file.write(("" if between[side] == ",\n" else between[side]) + "]")
        for file in files:
            file.write("}\n")
