"""Reads a SLEAP file (`.slp`, or `.pkg.slp` with its pictures inside), and takes the labelled frames out of its films.

It is HDF5: `metadata` has the skeletons as JSON, `videos_json` the films; `frames`, `instances`, `points` (a person's)
and `pred_points` (a network's) are tables, each of which names rows of the next.
"""

import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import Any

import h5py
import numpy as np
from PIL import Image

from openpose import image_file, storage
from openpose.datasets import pictures
from openpose.datasets.labels import Animal, Category, Frame, Labels, Project, some
from openpose.errors import InputError

_SYMMETRY = 2  # the type of a link between left and right; 1 is a limb
_PREDICTED = 1  # the type of an instance that a network found; 0 is a person's
_EMBEDDED = ("hdf5", "png", "jpg", "jpeg")  # formats of pictures in the file; hdf5 is an array of pixels
_CENTRED = 1.1  # format from which on an integer is the centre of a pixel; before, it was a pixel's corner


def recognise(place: Path) -> Project | None:
    """The SLEAP file itself, or the only one of a folder; None if there is none.

    Raises:
        InputError: the folder has several, or the file is damaged.
    """
    if place.is_dir():
        found = sorted(each for each in place.glob("*.slp") if not storage.is_shadow(each.name))
        if len(found) > 1:
            names = some(each.name for each in found)
            raise InputError(f"{place}: has several SLEAP files ({names}); give one of them as the source")
        if not found:
            return None
        place = found[0]
    if place.suffix != ".slp":
        return None
    with _opened(place) as file:
        films = [film.path for film in _films(file, place) if film.path is not None]
    return Project("SLEAP file", place, [place, *films], [], lambda folder: read(place, folder))


def read(place: Path, folder: Path) -> Labels:
    """Reads a SLEAP file, and writes its labelled frames as pictures to a folder.

    If a person labelled any instance, only people's instances are used, as in SLEAP's own training.

    Raises:
        InputError: the file or a film cannot be used; the message names the file, the entry and the cure.
    """
    with _opened(place) as file:
        labels = Labels(
            _categories(json.loads(file["metadata"].attrs["json"]), place), {"train": []}, {"train": folder}
        )
        animals, films = _animals(file, labels), {film.number: film for film in _films(file, place)}
        wanted: dict[int, dict[int, list[Animal]]] = {}
        count = len(file["instances"])
        for row in file["frames"][()]:
            if _span(row, "instance_id")[1] > count:
                raise ValueError(f"frame {row['frame_id']} names more instances than the {count} in it")
            found = [animals[number] for number in range(*_span(row, "instance_id")) if number in animals]
            if found:
                wanted.setdefault(int(row["video"]), {}).setdefault(int(row["frame_idx"]), []).extend(found)
            else:
                labels.left_out["frames without an instance that is used"] += 1
    for number, frames in sorted(wanted.items()):
        if number not in films:
            raise InputError(f"{place}: its frames name the film {number}, but `videos_json` has only {some(films)}")
        film, written = films[number], len(labels.frames["train"])
        for at, name, (width, height) in film.write(sorted(frames), folder):
            labels.frames["train"].append(Frame(name, width, height, frames[at], film.name))
        if missing := written + len(frames) - len(labels.frames["train"]):
            labels.left_out[f"frames that the film {film.name} does not have"] += missing
    if not labels.frames["train"]:
        raise InputError(f"{place}: no frame has an instance with a keypoint; label some in SLEAP")
    return labels


@contextmanager
def _opened(place: Path) -> Iterator[h5py.File]:
    try:
        with h5py.File(place) as file:
            yield file
    except (OSError, KeyError, ValueError, TypeError, IndexError, AttributeError, RuntimeError) as error:
        text = " ".join(str(error).split())
        raise InputError(f"{place}: not a SLEAP file that can be read ({text}); save it again in SLEAP") from error


def _span(row: Any, field: str) -> tuple[int, int]:
    return int(row[f"{field}_start"]), int(row[f"{field}_end"])


def _categories(metadata: dict[str, Any], place: Path) -> list[Category]:
    """The skeletons. Their links are in networkx's form, and the type of a link in jsonpickle's."""
    names = [node["name"] for node in metadata["nodes"]]
    types: dict[int, int] = {}  # jsonpickle writes each type once, and refers to it by the order of writing after that
    categories = list[Category]()
    for number, skeleton in enumerate(metadata["skeletons"]):
        graph = skeleton.get("nx_graph", skeleton)
        nodes = [node["id"] for node in graph["nodes"]]
        limbs, pairs = [], dict[frozenset[str], tuple[str, str]]()
        for link in graph["links"]:
            if "py/reduce" in link["type"]:
                kind = types[len(types) + 1] = link["type"]["py/reduce"][1]["py/tuple"][0]
            else:
                kind = types.get(link["type"]["py/id"], link["type"]["py/id"])
            if kind == _SYMMETRY:  # written once in each direction
                pair = names[link["source"]], names[link["target"]]
                pairs.setdefault(frozenset(pair), pair)
            else:
                limbs.append((nodes.index(link["source"]), nodes.index(link["target"])))
        name = str(graph.get("graph", {}).get("name") or "")
        name = "animal" if not name or name.lower().startswith("skeleton") else name
        if name in (category.name for category in categories):
            name = f"{name} {number + 1}"
        categories.append(Category(name, [names[node] for node in nodes], limbs, list(pairs.values()) or None))
        categories[-1].check(place, "nodes")
    return categories


def _animals(file: h5py.File, labels: Labels) -> dict[int, Animal]:
    """The animals of the instances that are used, by their rows in `instances`."""
    instances, version = file["instances"][()], float(file["metadata"].attrs.get("format_id", 1.0))
    predicted = instances["instance_type"] == _PREDICTED
    people = not predicted.all()
    if people:
        labels.notes.append(f"{int((~predicted).sum()):,} instances are a person's and are used")
        if predicted.any():
            labels.left_out["instances that a network predicted"] += int(predicted.sum())
    else:
        labels.notes.append(f"all {len(instances):,} instances are a network's predictions, no person's; they are used")
    tables = {True: file["pred_points"][()], False: file["points"][()]}
    found = dict[int, Animal]()
    for at, row in enumerate(instances):
        is_predicted = bool(predicted[at])
        if is_predicted and people:
            continue
        start, end = _span(row, "point_id")
        rows = tables[is_predicted][start:end]
        category = int(row["skeleton"])
        labelled = np.isfinite(rows["x"]) & np.isfinite(rows["y"]) & rows["visible"].astype(bool)
        points = np.zeros((len(labels.categories[category].keypoints), 3))
        if len(rows) != len(points):
            raise ValueError(f"instance {row['instance_id']} has {len(rows)} points, its skeleton {len(points)}")
        shift = 0.5 if version < _CENTRED else 0.0
        points[labelled] = np.stack([rows["x"] - shift, rows["y"] - shift, np.full(len(rows), 2)], 1)[labelled]
        if not labelled.any():
            labels.left_out["instances without any keypoint"] += 1
            continue
        track = int(row["track"])
        found[at] = Animal(points, category, track if track >= 0 else None)
    return found


#: Writes the frames of the given numbers below a folder; yields number, file name, (width, height).
_Write = Callable[[list[int], Path], Iterator[tuple[int, str, tuple[int, int]]]]


@dataclass(frozen=True)
class _Film:
    """Where a film's frames are.

    Attributes:
        number: what frames call the film.
        name: for folders and messages.
        path: of the film's file, if it is one.
        write: writes frames of it.
    """

    number: int
    name: str
    path: Path | None
    write: _Write


def _films(file: h5py.File, place: Path) -> list[_Film]:
    films, names = list[_Film](), set[str]()
    for at, text in enumerate(file["videos_json"][()]):
        video = json.loads(text)
        backend = video.get("backend", {})
        dataset = str(backend.get("dataset") or "")
        given = str(backend.get("filename") or video.get("filename") or "")
        listed = backend.get("filenames") or backend.get("image_filenames")
        name = Path(PureWindowsPath(given).name).stem if given != "." else dataset.partition("/")[0]
        name = name if name and name not in names else f"{name}-{at}"
        names.add(name)
        if given == "." or (dataset and dataset in file):
            number = dataset.partition("/")[0].removeprefix("video")
            embedded = _embedded(place, dataset, name)
            films.append(_Film(int(number) if number.isdecimal() else at, name, None, embedded))
        elif listed:
            films.append(_Film(at, name, None, _listed(place, [str(each) for each in listed], name)))
        else:
            path = _beside(place, given)
            films.append(_Film(at, name, path, _decoded(place, path, given, name, bool(backend.get("grayscale")))))
    return films


def _beside(place: Path, given: str) -> Path | None:
    """Where a film or picture is: as the file says, or by the end of its name beside the SLEAP file."""
    parts = PureWindowsPath(given).parts  # knows both kinds of slashes
    candidates = [Path(given), place.parent / given]
    candidates += [place.parent.joinpath(*parts[-count:]) for count in (3, 2, 1) if len(parts) >= count]
    candidates += [place.parent / folder / parts[-1] for folder in ("videos", "..") if parts]
    return next((each for each in candidates if each.is_file()), None)


def _decoded(place: Path, film: Path | None, given: str, name: str, grey: bool) -> _Write:
    def write(wanted: list[int], folder: Path) -> Iterator[tuple[int, str, tuple[int, int]]]:
        if film is None:
            raise InputError(
                f"{place}: its film {given} is neither there nor beside the file; copy it to {place.parent}, or export "
                "the labels with their pictures (in SLEAP: File, Export Labels Package)"
            )
        for number, picture in pictures.frames(film, wanted):
            file_name = f"{name}/{number:06}.jpg"
            pictures.write_jpeg(folder / file_name, picture, grey)
            yield number, file_name, (picture.shape[1], picture.shape[0])

    return write


def _listed(place: Path, listed: list[str], name: str) -> _Write:
    """Frames that are picture files; they are copied, so that all pictures are in one folder."""

    def write(wanted: list[int], folder: Path) -> Iterator[tuple[int, str, tuple[int, int]]]:
        for number in wanted:
            if number >= len(listed):
                continue
            found = _beside(place, listed[number])
            if found is None:
                raise InputError(f"{place}: its picture {listed[number]} is neither there nor beside the file; copy it")
            file_name = f"{name}/{number:06}{found.suffix.lower()}"
            (folder / name).mkdir(parents=True, exist_ok=True)
            (folder / file_name).write_bytes(found.read_bytes())
            yield number, file_name, pictures.size(found)

    return write


def _embedded(place: Path, dataset: str, name: str) -> _Write:
    """Frames in the file itself: encoded as PNG or JPEG, or as arrays of pixels."""

    def write(wanted: list[int], folder: Path) -> Iterator[tuple[int, str, tuple[int, int]]]:
        with _opened(place) as file:
            content = file[dataset]
            numbers = content.parent["frame_numbers"][()] if "frame_numbers" in content.parent else range(len(content))
            places = {int(number): at for at, number in enumerate(numbers)}
            kind = content.attrs.get("format", b"hdf5")
            kind = kind.decode() if isinstance(kind, bytes) else str(kind)
            if kind not in _EMBEDDED:
                raise InputError(f"{place}: the pictures of {dataset} are of the format {kind!r}, not {_EMBEDDED}")
            (folder / name).mkdir(parents=True, exist_ok=True)
            for number in wanted:
                if number not in places:
                    continue
                pixels = np.asarray(content[places[number]])
                file_name = f"{name}/{number:06}.{'png' if kind == 'hdf5' else kind}"
                target = folder / file_name
                if kind == "hdf5":
                    image_file.write(target, pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
                    yield number, file_name, (pixels.shape[1], pixels.shape[0])
                else:
                    target.write_bytes(pixels.tobytes().rstrip(b"\0"))  # some versions fill all up to the longest
                    with Image.open(io.BytesIO(target.read_bytes())) as picture:
                        yield number, file_name, picture.size

    return write
