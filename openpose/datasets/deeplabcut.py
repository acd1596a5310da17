"""Reads a DeepLabCut project: `config.yaml`, and in each folder of `labeled-data` the pictures and their labels.

The labels are `CollectedData_<scorer>.csv` or, where that is missing, the `.h5` of the same name; DeepLabCut writes
both. Columns are (scorer, bodypart, x or y), in a project for several animals (scorer, individual, bodypart, x or y).
"""

import csv
import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from openpose.datasets import pandas_file, pictures
from openpose.datasets.labels import Animal, Category, Frame, Labels, Project, natural, read_yaml, some
from openpose.errors import InputError

CONFIG, LABELLED = "config.yaml", "labeled-data"


def recognise(place: Path) -> Project | None:
    """The project of a folder or of its `config.yaml`; None if it has none."""
    folder = place.parent if place.name == CONFIG else place
    config = folder / CONFIG
    if not config.is_file() or not (folder / LABELLED).is_dir():
        return None
    tables = [place for kind in ("csv", "h5") for place in sorted(folder.glob(f"{LABELLED}/*/CollectedData_*.{kind}"))]
    images = [place for place in sorted(folder.glob(f"{LABELLED}/*/*")) if pictures.is_picture(place)]
    return Project("DeepLabCut project", config, [config, *tables], images, lambda _: read(config))


def read(config: Path) -> Labels:
    """Reads a project.

    Raises:
        InputError: a file cannot be used; the message names the file, the entry and the cure.
    """
    settings = read_yaml(config)
    several = bool(settings.get("multianimalproject"))
    field = "multianimalbodyparts" if several else "bodyparts"
    names = settings.get(field)
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise InputError(f"{config}: `{field}` must list the names of the body parts; it is {names!r}")
    labels = Labels([_category(settings, names, config, field)], {"train": []}, {"train": config.parent / LABELLED})
    if labels.categories[0].skeleton == [] and settings.get("skeleton"):
        labels.notes.append(f"`skeleton` of {CONFIG} names no two of the body parts, so it is not used")
    unique = settings.get("uniquebodyparts") or []
    if not isinstance(unique, list):
        raise InputError(f"{config}: `uniquebodyparts` must list names of body parts; it is {unique!r}")
    if unique:
        labels.notes.append(f"`uniquebodyparts` ({some(unique)}) are not used, because they belong to no animal")
    for folder in sorted((place for place in labels.pictures["train"].iterdir() if place.is_dir()), key=_key):
        table = _table_of(folder, settings.get("scorer"))
        present = {place.name for place in folder.iterdir() if pictures.is_picture(place)}
        if table is None:
            labels.left_out[f"pictures of folders without CollectedData, such as {folder.name}"] += len(present)
            continue
        _read_folder(folder, table, present, settings, labels)
    if not labels.frames["train"]:
        raise InputError(
            f"{config}: none of its pictures has a label ({_said(labels.left_out)}); "
            f"{LABELLED}/<film>/ needs CollectedData_<scorer>.csv or .h5, and the pictures that it names"
        )
    return labels


def _key(place: Path) -> list[tuple[int, str]]:
    return natural(place.name)


def _said(left_out: Counter[str]) -> str:
    return "; ".join(f"{count} {what}" for what, count in left_out.items()) or f"{LABELLED} is empty"


def _category(settings: dict[str, Any], names: list[str], config: Path, field: str) -> Category:
    given = settings.get("skeleton")
    pairs = [pair for pair in (given if isinstance(given, list) else []) if isinstance(pair, list) and len(pair) == 2]
    known = [(names.index(a), names.index(b)) for a, b in pairs if a in names and b in names]
    category = Category("animal", names, known)
    category.check(config, field)
    return category


def _table_of(folder: Path, scorer: object) -> Path | None:
    """The file of a folder's labels, None if there is none; raises InputError if it is not clear which."""
    for kind in ("csv", "h5"):
        found = sorted(folder.glob(f"CollectedData_*.{kind}"))
        own = [place for place in found if place.stem == f"CollectedData_{scorer}"]
        if len(found) == 1 or own:
            return (own or found)[0]
        if found:
            raise InputError(
                f"{folder}: has labels of several scorers ({some(place.name for place in found)}), none of them the "
                f"`scorer` of {CONFIG}, {scorer}; keep one, or name its scorer there"
            )
    return None


def _read_folder(folder: Path, place: Path, present: set[str], settings: dict[str, Any], labels: Labels) -> None:
    """Adds the frames of a folder."""
    table = pandas_file.read(place) if place.suffix == ".h5" else _read_csv(place)
    names, individuals = labels.categories[0].keypoints, _columns(table.columns, place, settings, labels)
    seen, missing = set[str](), list[str]()
    for index, row in zip(table.index, table.values, strict=True):
        name = index.replace("\\", "/").rpartition("/")[2]
        if name in seen:
            raise InputError(f"{place}: has two rows of {name}; keep one")
        seen.add(name)
        animals = []
        for track, columns in enumerate(individuals.values()):
            points = np.zeros((len(names), 3))
            for part, (x, y) in columns.items():
                if np.isfinite(row[[x, y]]).all():
                    points[part] = row[x], row[y], 2
            if points[:, 2].any():
                animals.append(Animal(points, track=track if len(individuals) > 1 else None))
        if name not in present:
            missing.append(name)
        elif not animals:
            labels.left_out["pictures with a row without labels"] += 1
        else:
            width, height = pictures.size(folder / name)
            labels.frames["train"].append(Frame(f"{folder.name}/{name}", width, height, animals, folder.name))
    if missing:
        labels.left_out[f"labelled pictures that are not in {folder.name}, such as {missing[0]}"] += len(missing)
    if unlabelled := present - seen:
        labels.left_out["pictures without a row"] += len(unlabelled)


def _columns(
    columns: list[tuple[str, ...]], place: Path, settings: dict[str, Any], labels: Labels
) -> dict[str, dict[int, tuple[int, int]]]:
    """For each individual the columns of x and y of each body part, by the number of the part."""
    names, unique = labels.categories[0].keypoints, settings.get("uniquebodyparts") or []
    found: dict[str, dict[str, dict[str, int]]] = {}
    for number, column in enumerate(columns):
        *_, part, axis = column
        individual = column[1] if len(column) == 4 else ""
        if axis in ("x", "y"):
            found.setdefault(individual, {}).setdefault(part, {})[axis] = number
    other = {part for parts in found.values() for part in parts} - {*names, *unique}
    if other or not found:
        raise InputError(
            f"{place}: has labels of {some(sorted(other)) or 'no body part'}, but the body parts in {CONFIG} are "
            f"{', '.join(names)}; give them the same names"
        )
    half = [part for parts in found.values() for part, axes in parts.items() if len(axes) < 2]
    if half:
        raise InputError(f"{place}: {half[0]} has only one of the columns x and y; export the labels again")
    return {
        individual: {names.index(part): (axes["x"], axes["y"]) for part, axes in parts.items() if part in names}
        for individual, parts in found.items()
    }


def _read_csv(place: Path) -> pandas_file.Table:
    """Reads a CSV file as pandas writes it: some rows of column names, then a row for each picture."""
    try:
        with place.open(newline="") as file:
            rows = [row for row in csv.reader(file) if any(row)]
    except (UnicodeError, csv.Error) as error:
        raise InputError(f"{place}: not CSV that can be read ({error}); export the labels again") from error
    head = next((number for number, row in enumerate(rows[:5]) if row[0] == "coords"), None)
    if head is None:
        raise InputError(
            f"{place}: has no row `coords,…,x,y` among the first ones; it is not a file of DeepLabCut's labels"
        )
    first = next((at for at, cell in enumerate(rows[head]) if cell in ("x", "y")), len(rows[head]))
    width = len(rows[head])
    values, index = np.full((len(rows) - head - 1, width - first), np.nan), []
    for number, row in enumerate(rows[head + 1 :]):
        if len(row) != width:
            raise InputError(
                f"{place}: the row {'/'.join(row[:first])} has {len(row)} cells, the first rows have {width}; "
                "is the file cut off? Export the labels again"
            )
        index.append("/".join(row[:first]))
        for at, cell in enumerate(row[first:]):
            values[number, at] = _number(cell, place, index[-1], rows[: head + 1], first + at)
    columns = [tuple(row[at] for row in rows[: head + 1]) for at in range(first, width)]
    return pandas_file.Table(columns, index, values)


def _number(cell: str, place: Path, row: str, head: list[list[str]], column: int) -> float:
    try:
        return float(cell) if cell.strip() else math.nan
    except ValueError:
        name = " ".join(line[column] for line in head[1:])
        raise InputError(
            f"{place}: row {row}, column {name}: {cell!r} is not a number; correct it or leave it empty"
        ) from None
