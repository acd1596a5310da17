"""Reads a data set of LabelMe, or of X-AnyLabeling, which writes the same form: a JSON file beside each picture.

A point is a keypoint, whose label is its name. A rectangle, polygon, mask or rotated box is an animal's box, whose
label is its kind. Shapes with the same group id are one animal. Those without one belong to the box that they are in,
or to the picture's only animal.
"""

import json
import os
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from openpose import storage
from openpose.datasets import pictures
from openpose.datasets.labels import Animal, Category, Frame, Labels, Project, lines_of, natural, some, split_of
from openpose.errors import InputError

_BOXES = ("rectangle", "polygon", "mask", "oriented_rectangle", "rotation")  # the last is X-AnyLabeling's
_HIDDEN = ("hidden", "occluded")  # flags of a point
_HEAD = 4096  # bytes in which a file's form shows
_COCO = re.compile(rb'\s*\{\s*"(info|licenses|images|annotations|categories)"')  # how a file in COCO's form begins
_COCO_DEPTH = 2  # names from the data set's folder to such a file
_NAMES = "labels.txt"  # LabelMe's own list of labels
_UNNAMED = "animal"  # the kind of animals where no box says it


@dataclass
class _Group:
    """The shapes of one animal.

    Attributes:
        points: x, y and COCO's v of each keypoint.
        box: its kind, and x, y, width and height.
    """

    points: dict[str, tuple[float, float, int]] = field(default_factory=dict)
    box: tuple[str, tuple[float, float, float, float]] | None = None


@dataclass(frozen=True)
class _Sheet:
    """What a JSON file says of its picture."""

    place: Path
    image: Path
    size: tuple[int, int]
    groups: list[_Group]


def recognise(place: Path) -> Project | None:
    """The data set of a folder with LabelMe's JSON files in it or in its folders; None if it has none, or COCO's too.

    Whoever converted them to COCO's form means that one.

    Raises:
        InputError: a file is damaged.
    """
    if not place.is_dir():
        return None
    names = sorted((name for name in storage.sizes(place) if name.lower().endswith(".json")), key=natural)
    heads = {place / name: _head(place / name) for name in names if not storage.is_shadow(Path(name).name)}
    found = [file for file, head in heads.items() if b'"shapes"' in head]
    # Deeper, there may be what an earlier run made of this data set.
    near = (head for file, head in heads.items() if len(file.relative_to(place).parts) <= _COCO_DEPTH)
    if not found or any(map(_COCO.match, near)):
        return None
    images = [image for file in found if (image := _image(file, _document(file), place)) is not None]
    listed = [place / _NAMES] if (place / _NAMES).is_file() else []
    return Project("LabelMe data set", place / found[0], [*found, *listed], images, lambda _: read(place, found))


def read(folder: Path, files: list[Path]) -> Labels:
    """Reads a data set.

    Args:
        folder: of the data set; may have LabelMe's `labels.txt`, which gives the keypoints their order.
        files: its JSON files. Those in a folder such as `val` are the validation split.

    Raises:
        InputError: a file cannot be used; the message names the file, the shape, and the cure.
    """
    left_out = Counter[str]()
    sheets = [_sheet(file, folder, left_out) for file in files]
    categories = _categories(sheets, folder / _NAMES)
    frames: dict[str, list[Frame]] = {}
    taken: dict[Path, Path] = {}
    for sheet in sheets:
        if (other := taken.setdefault(sheet.image, sheet.place)) is not sheet.place:
            raise InputError(f"{sheet.place}: is about {sheet.image}, as is {other}; remove one of the files")
        split = split_of(reversed(sheet.place.parent.relative_to(folder).parts))
        if split is None:
            left_out["pictures of a test split"] += 1
            continue
        animals = [each for each in (_animal(group, categories, left_out) for group in sheet.groups) if each]
        frame = Frame(sheet.image.relative_to(folder).as_posix(), *sheet.size, animals)
        frames.setdefault(split or "train", []).append(frame)
    if "train" not in frames:
        raise InputError(f"{folder}: all of its JSON files are in folders of other splits; name one of them train")
    beside = (place for home in {image.parent for image in taken} for place in home.iterdir())
    others = sum(pictures.is_picture(place) and place not in taken for place in beside)
    notes = [f"{others:,} pictures have no JSON file and are not used"] if others else []
    return Labels(list(categories.values()), frames, dict.fromkeys(frames, folder), left_out, notes)


def _head(file: Path) -> bytes:
    with file.open("rb") as opened:
        return opened.read(_HEAD)


def _document(file: Path) -> dict[str, Any]:
    try:
        document = json.loads(file.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise InputError(f"{file}: not JSON that can be read ({error}); save it in LabelMe again") from error
    if not isinstance(document, dict) or not isinstance(document.get("shapes"), list):
        raise InputError(f"{file}: has no list `shapes`, as LabelMe's files have; save it in LabelMe again")
    return document


def _image(file: Path, document: dict[str, Any], folder: Path) -> Path | None:
    """The picture that a file names, or the one with the file's own name; None if neither is in the folder."""
    named = str(document.get("imagePath") or "").replace("\\", "/")
    likely = [file.parent / named, file.parent / Path(named).name, *map(file.with_suffix, pictures.SUFFIXES)]
    places = (Path(os.path.normpath(each)) for each in likely)
    return next((place for place in places if place.is_relative_to(folder) and place.is_file()), None)


def _sheet(file: Path, folder: Path, left_out: Counter[str]) -> _Sheet:
    document = _document(file)
    image = _image(file, document, folder)
    if image is None:
        raise InputError(
            f"{file}: its picture {document.get('imagePath')!r} is not in {folder}; put it beside the file, or remove "
            "the file"
        )
    size, said = pictures.size(image), (document.get("imageWidth"), document.get("imageHeight"))
    match said:  # of a picture that is turned, the way in which LabelMe showed it
        case (int(width), int(height)) if min(said) > 0:
            size = width, height
    return _Sheet(file, image, size, _groups(file, document, left_out))


def _groups(file: Path, document: dict[str, Any], left_out: Counter[str]) -> list[_Group]:
    """The animals in a file, in the order of their first shapes."""
    groups, loose = dict[Any, _Group](), list[tuple[str, str, np.ndarray, dict[str, Any]]]()
    for number, shape in enumerate(document["shapes"]):
        where = f"{file}: shapes[{number}]"
        kind, name, corners = _shape(shape, where)
        if kind not in ("point", *_BOXES):
            left_out[f"shapes of the type {kind}"] += 1
            continue
        key = shape.get("group_id")
        if kind == "point" and key is None:
            loose.append((where, name, corners, shape))
            continue
        group = groups.setdefault(("alone", number) if key is None else ("group", str(key)), _Group())
        if kind == "point":
            _add_point(group, name, corners, shape, where)
        elif group.box is not None:
            raise InputError(f"{where}: group {key} has a second box, {name!r}; give each animal a group id of its own")
        else:
            (left, top), (right, bottom) = corners.min(0).tolist(), corners.max(0).tolist()
            group.box = name, (left, top, right - left, bottom - top)
    for where, name, corners, shape in loose:
        _add_point(_owner(groups, corners[0], where), name, corners, shape, where)
    return list(groups.values())


def _shape(shape: Any, where: str) -> tuple[str, str, np.ndarray]:
    """Type, label and points [n, 2] of a shape."""
    if not isinstance(shape, dict) or not isinstance(shape.get("label"), str) or not shape["label"].strip():
        raise InputError(f"{where}: has no `label`; name it in LabelMe")
    try:
        corners = np.array(shape.get("points"), np.float64)
    except (TypeError, ValueError):
        corners = np.zeros(0)
    if corners.ndim != 2 or corners.shape[1] != 2 or not len(corners) or not np.isfinite(corners).all():
        given = str(shape.get("points"))[:60]
        raise InputError(f"{where}: `points` must be pairs of numbers, but it is {given}; draw the shape again")
    return str(shape.get("shape_type") or "polygon"), shape["label"].strip(), corners


def _add_point(group: _Group, name: str, corners: np.ndarray, shape: dict[str, Any], where: str) -> None:
    if name in group.points:
        raise InputError(
            f"{where}: is the second {name!r} of one animal; give the shapes of each animal a group id of their own"
        )
    flags = shape.get("flags")
    set_flags = {flag for flag, is_set in flags.items() if is_set is True} if isinstance(flags, dict) else set()
    hidden = shape.get("difficult") is True or not set_flags.isdisjoint(_HIDDEN)
    x, y = corners[0].tolist()
    group.points[name] = x, y, 1 if hidden else 2


def _owner(groups: dict[Any, _Group], point: np.ndarray, where: str) -> _Group:
    """The group of a point without a group id."""
    if not groups:
        groups["alone"] = _Group()
    holding = list(groups.values()) if len(groups) == 1 else [each for each in groups.values() if _holds(each, point)]
    if len(holding) != 1:
        raise InputError(
            f"{where}: has no group id, and lies in {len(holding) or 'none'} of the animals' boxes; give the shapes of "
            "each animal a group id of their own"
        )
    return holding[0]


def _holds(group: _Group, point: np.ndarray) -> bool:
    if group.box is None:
        return False
    x, y, width, height = group.box[1]
    return bool(x <= point[0] <= x + width and y <= point[1] <= y + height)


def _categories(sheets: list[_Sheet], listed: Path) -> dict[str, Category]:
    """The kinds of animals by name, each with the keypoints that its animals have somewhere."""
    order = {line.strip(): place for place, line in enumerate(lines_of(listed))} if listed.is_file() else {}
    kinds: dict[str, dict[str, None]] = {}
    unnamed: list[tuple[Path, _Group]] = []
    for sheet in sheets:
        for group in (group for group in sheet.groups if group.points):
            if group.box is None:
                unnamed.append((sheet.place, group))
            else:
                kinds.setdefault(group.box[0], {}).update(dict.fromkeys(group.points))
    if unnamed and len(kinds) > 1:
        raise InputError(
            f"{unnamed[0][0]}: has points without a box, and there are several kinds of animals ({some(kinds)}); draw "
            "a box with the kind as its label and the points' group id"
        )
    for _, group in unnamed:
        kinds.setdefault(next(iter(kinds), _UNNAMED), {}).update(dict.fromkeys(group.points))
    if not kinds:
        raise InputError(f"{sheets[0].place.parent}: none of its JSON files has a point; label keypoints as points")
    return {
        kind: Category(kind, sorted(names, key=lambda name: order.get(name, len(order))))
        for kind, names in kinds.items()
    }


def _animal(group: _Group, categories: dict[str, Category], left_out: Counter[str]) -> Animal | None:
    """A group as an animal; None for a box of a kind that has no points anywhere."""
    kind, box = (next(iter(categories)), None) if group.box is None else group.box
    if kind not in categories:
        left_out[f"boxes {kind!r}, a kind without points"] += 1
        return None
    points = [group.points.get(name, (0, 0, 0)) for name in categories[kind].keypoints]
    return Animal(np.array(points, np.float64), list(categories).index(kind), box=box)
