"""Reads a data set of Ultralytics' pose models (YOLO): `data.yaml`, pictures, and a text file of labels for each.

A line of labels is the class, the box (centre x, centre y, width, height) and x, y or x, y, v of each keypoint, in
shares of the picture's width and height.
"""

import os
from pathlib import Path
from typing import Any

import numpy as np

from openpose import storage
from openpose.datasets import pictures
from openpose.datasets.labels import Animal, Category, Frame, Labels, Project, lines_of, natural, read_yaml, some
from openpose.errors import InputError

_BOX = 5  # numbers before the keypoints: class, box
_SLACK = 1.01  # shares are at most 1, but for rounding


def recognise(place: Path) -> Project | None:
    """The data set of a YAML file with `kpt_shape`, or of the only such file in a folder; None if there is none.

    Raises:
        InputError: the folder has several.
    """
    if place.suffix in (".yaml", ".yml"):
        found = [place] if "kpt_shape" in read_yaml(place) else []
    elif place.is_dir():
        files = sorted(
            each
            for each in place.iterdir()
            if each.suffix in (".yaml", ".yml") and each.is_file() and not storage.is_shadow(each.name)
        )
        found = [each for each in files if b"kpt_shape" in each.read_bytes()]
        named = [each for each in found if each.stem in ("data", "dataset")]
        found = named if len(named) == 1 else found
    else:
        found = []
    if len(found) > 1:
        names = some(each.name for each in found)
        raise InputError(f"{place}: has several files with `kpt_shape` ({names}); give one of them as the source")
    if not found:
        return None
    settings = read_yaml(found[0])
    images = [image for split in ("train", "val") for image in _pictures(settings, split, found[0])]
    files = [found[0], *(label for label in map(_label_of, images) if label.is_file())]
    return Project("Ultralytics data set", found[0], files, images, lambda _: read(found[0]))


def read(place: Path) -> Labels:
    """Reads a data set.

    Raises:
        InputError: a file cannot be used; the message names the file, the line or field, and the cure.
    """
    settings = read_yaml(place)
    count, size = _shape(settings, place)
    labels = Labels(_categories(settings, count, place), {}, {})
    for split in ("train", "val"):
        images = _pictures(settings, split, place)
        if not images:
            continue
        store = Path(os.path.commonpath([image.parent for image in images]))
        labels.pictures[split], labels.frames[split] = store, []
        for image in images:
            width, height = pictures.size(image)
            label = _label_of(image)
            animals = _read(label, count, size, (width, height), labels, place) if label.is_file() else []
            labels.frames[split].append(Frame(image.relative_to(store).as_posix(), width, height, animals))
        empty = sum(not _label_of(image).is_file() for image in images)
        if empty == len(images):
            raise InputError(
                f"{place}: none of the {len(images)} pictures of `{split}` has labels; "
                f"those of {images[0]} must be in {_label_of(images[0])}"
            )
        if empty:
            labels.notes.append(
                f"{empty:,} pictures of {split} have no file of labels and count as empty, as in Ultralytics"
            )
    if "train" not in labels.frames:
        raise InputError(f"{place}: `train` is missing; it must be a folder of pictures, or a file that lists them")
    return labels


def _shape(settings: dict[str, Any], place: Path) -> tuple[int, int]:
    shape = settings.get("kpt_shape")
    if (
        not isinstance(shape, list)
        or len(shape) != 2
        or not all(type(each) is int for each in shape)
        or shape[0] < 1
        or shape[1] not in (2, 3)
    ):
        raise InputError(f"{place}: `kpt_shape` must be [number of keypoints, 2 or 3]; it is {shape!r}")
    return shape[0], shape[1]


def _categories(settings: dict[str, Any], count: int, place: Path) -> list[Category]:
    """A category for each class; all have the same number of keypoints."""
    classes = settings.get("names")
    classes = dict(enumerate(classes)) if isinstance(classes, list) else classes
    if not isinstance(classes, dict) or set(classes) != set(range(len(classes))) or not classes:
        raise InputError(f"{place}: `names` must list the classes, such as `0: mouse`; it is {classes!r}")
    named = settings.get("kpt_names") or {}
    named = dict.fromkeys(classes, named) if isinstance(named, list) else named
    if not isinstance(named, dict):
        raise InputError(f"{place}: `kpt_names` must list the keypoints of each class; it is {named!r}")
    flips = settings.get("flip_idx")
    if flips is not None and (
        not isinstance(flips, list)
        or not all(type(each) is int for each in flips)
        or sorted(flips) != list(range(count))
        or any(flips[flips[each]] != each for each in range(count))
    ):
        raise InputError(
            f"{place}: `flip_idx` must give for each of the {count} keypoints the number of its mirror image; "
            f"it is {flips!r}"
        )
    categories = []
    for number in range(len(classes)):
        given = (named.get(key) for key in (number, str(number), classes[number]))
        names = next(filter(None, given), None) or [f"keypoint_{each}" for each in range(count)]
        if not isinstance(names, list):
            raise InputError(f"{place}: `kpt_names` of class {number} must list names; it is {names!r}")
        if len(names) != count:
            raise InputError(f"{place}: `kpt_names` of class {number} has {len(names)} names, `kpt_shape` says {count}")
        names = [str(each) for each in names]
        pairs = None if flips is None else [(names[a], names[b]) for a, b in enumerate(flips) if a < b]
        categories.append(Category(str(classes[number]), names, flip_pairs=pairs))
        categories[-1].check(place, "kpt_names")
    return categories


def _pictures(settings: dict[str, Any], split: str, place: Path) -> list[Path]:
    """The pictures of a split: of folders, or of text files that list them; empty if the file names no such split."""
    given = settings.get(split)
    found: set[Path] = set()
    for name in given if isinstance(given, list) else [given] if given else []:
        source = _find(str(name), settings, place, split)
        if source.is_dir():
            found |= {source / name for name in storage.sizes(source) if pictures.is_picture(source / name)}
        else:
            for line in lines_of(source):
                if line.strip():
                    each = source.parent / line.strip()
                    if not each.is_file():
                        raise InputError(f"{source}: lists {line.strip()}, which is not there; correct the path")
                    found.add(_absolute(each))
    if given and not found:
        raise InputError(f"{place}: `{split}` is {given}, where there are no pictures ({', '.join(pictures.SUFFIXES)})")
    return sorted(found, key=lambda each: natural(str(each)))


def _find(name: str, settings: dict[str, Any], place: Path, split: str) -> Path:
    """The folder or file of a split. Some exporters write `../train/images` for what lies beside the YAML file."""
    base = Path(str(settings.get("path") or ""))
    bases = [place.parent / base, base, place.parent]
    names = [name, name.removeprefix("../")]
    tried = list(dict.fromkeys((each / relative) for relative in names for each in bases))
    for each in tried:
        if each.exists() and each.resolve() != place.parent.resolve():
            return _absolute(each)
    raise InputError(f"{place}: `{split}` is {name}, but none of {some(tried)} is there; correct `path` or `{split}`")


def _absolute(place: Path) -> Path:
    """The path without `..`, but with its links, because labels are beside the folder as it is named."""
    return Path(os.path.abspath(place))


def _label_of(image: Path) -> Path:
    """The file of a picture's labels: `labels` in place of the last `images` in its path."""
    parts = list(image.with_suffix(".txt").parts)
    if "images" in parts:
        parts[len(parts) - 1 - parts[::-1].index("images")] = "labels"
    return Path(*parts)


def _read(label: Path, count: int, size: int, picture: tuple[int, int], labels: Labels, place: Path) -> list[Animal]:
    """The animals in a file of labels; `size` numbers for each keypoint."""
    animals = []
    for number, line in enumerate(lines_of(label), 1):
        if not line.strip():
            continue
        where = f"{label}: line {number}"
        try:
            values = np.array([float(each) for each in line.split()])
        except ValueError:
            raise InputError(f"{where}: has something other than numbers: {line[:60]!r}") from None
        if len(values) != _BOX + count * size:
            raise InputError(
                f"{where}: has {len(values)} numbers, but `kpt_shape` [{count}, {size}] of {place} needs "
                f"{_BOX + count * size}: class, box (4) and {size} for each of {count} keypoints; "
                "correct `kpt_shape`, or label keypoints, not only boxes"
            )
        category = int(values[0])
        if category != values[0] or not 0 <= category < len(labels.categories):
            raise InputError(
                f"{where}: its class is {values[0]:g}, but `names` of {place} has {len(labels.categories)} classes"
            )
        points = np.full((count, 3), 2.0)
        points[:, :size] = values[_BOX:].reshape(count, size)
        shares = np.concatenate([values[1:_BOX], points[:, :2].ravel()])
        if not np.isfinite(shares).all() or shares.max() > _SLACK:
            raise InputError(
                f"{where}: {shares.max():g} is not a share of the picture's width or height; divide pixels by them"
            )
        if (values[3:_BOX] < 0).any():
            raise InputError(f"{where}: its box has a negative width or height; correct it, or export it again")
        if not set(points[:, 2].tolist()) <= {0, 1, 2}:
            wrong = next(v for v in points[:, 2].tolist() if v not in (0, 1, 2))
            raise InputError(
                f"{where}: the third number of a keypoint must be 0, 1 or 2 (hidden, seen), but one is {wrong:g}; "
                "correct it (a score is not one)"
            )
        unlabelled = (points[:, 2] == 0) | (points[:, :2] < 0).any(1) | (points[:, :2] == 0).all(1)
        points[:, :2] *= picture
        points[unlabelled] = 0
        (x, y), (width, height) = values[1:3] * picture, values[3:5] * picture
        animals.append(Animal(points, category, box=(x - width / 2, y - height / 2, width, height)))
    return animals
