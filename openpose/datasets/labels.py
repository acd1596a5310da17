"""What a reader of another tool's data set returns: categories, pictures and their animals."""

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from openpose.errors import InputError

#: Words for a split in names.
SPLITS = {"train": ("train", "training"), "val": ("val", "valid", "validation")}
_OTHERS = {"test", "testing"}  # words for what is not read


@dataclass(frozen=True)
class Category:
    """A kind of animal or thing with keypoints.

    Attributes:
        name: of one of them.
        keypoints: the names of its K keypoints.
        skeleton: pairs of indices into `keypoints`.
        flip_pairs: pairs of names, left and right; None if the tool does not say.
    """

    name: str
    keypoints: list[str]
    skeleton: list[tuple[int, int]] = field(default_factory=list)
    flip_pairs: list[tuple[str, str]] | None = None

    def check(self, place: object, what: str) -> None:
        """Checks the names.

        Args:
            place: the file, for messages.
            what: the field of the names.

        Raises:
            InputError: there are none, or two are equal.
        """
        if not self.keypoints:
            raise InputError(f"{place}: `{what}` names no keypoint; list them there")
        twice = [name for name, count in Counter(self.keypoints).items() if count > 1]
        if twice:
            raise InputError(
                f"{place}: `{what}` names {', '.join(twice)} more than once; give each keypoint its own name"
            )


@dataclass(frozen=True)
class Animal:
    """One labelled animal.

    Attributes:
        points: float64 [K, 3]: x, y in pixels, COCO's v (0: not labelled, 1: hidden, 2: visible).
        category: index of its category.
        track: number that is the same in all frames of a film; None if nobody says who is who.
        box: x, y, width, height in pixels; None if the tool has none.
    """

    points: np.ndarray
    category: int = 0
    track: int | None = None
    box: tuple[float, float, float, float] | None = None


@dataclass(frozen=True)
class Frame:
    """A picture with its animals.

    Attributes:
        file_name: below the split's folder of pictures.
        width: pixels.
        height: pixels.
        animals: may be empty.
        film: the name of the film that the picture is a frame of; None if unknown.
    """

    file_name: str
    width: int
    height: int
    animals: list[Animal]
    film: str | None = None


@dataclass(frozen=True)
class Labels:
    """A data set, read.

    Attributes:
        categories: of the animals.
        frames: of each split; `train` alone if the tool keeps no validation split.
        pictures: folder of each split's pictures.
        left_out: how often something was not used, by its name.
        notes: sentences for the log.
    """

    categories: list[Category]
    frames: dict[str, list[Frame]]
    pictures: dict[str, Path]
    left_out: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Project:
    """A data set that was recognised, not read yet.

    Attributes:
        tool: the program that wrote it.
        place: the file that it was recognised by.
        files: labels and films, whose content decides what is read.
        pictures: files that stay where they are.
        read: reads it; writes pictures that are not files yet below the given folder.
    """

    tool: str
    place: Path
    files: list[Path]
    pictures: list[Path]
    read: Callable[[Path], Labels]


def split_of(names: Iterable[str]) -> str | None:
    """The split that a file belongs to by the words of its name and its folders'.

    Args:
        names: the first that has a word for a split decides.

    Returns:
        `train` or `val`; "" without such a word; None for a split that is not read.
    """
    for name in names:
        words = words_of(name)
        if words & _OTHERS:
            return None
        for split, aliases in SPLITS.items():
            if words & set(aliases):
                return split
    return ""


def words_of(name: str) -> set[str]:
    """The words in a name, in small letters."""
    return set(re.findall("[a-z]+", name.lower()))


def read_yaml(place: Path) -> dict[str, Any]:
    """Reads a YAML file with fields.

    Raises:
        InputError: it is not YAML, or has no fields.
    """
    try:
        content = yaml.safe_load(place.read_text())
    except (OSError, UnicodeError, yaml.YAMLError) as error:
        raise InputError(f"{place}: not YAML that can be read ({' '.join(str(error).split())}); correct it") from error
    if not isinstance(content, dict):
        raise InputError(f"{place}: has no fields; it must be lines such as `name: value`")
    return content


def lines_of(place: Path) -> list[str]:
    """The lines of a text file.

    Raises:
        InputError: it is not a text in UTF-8.
    """
    try:
        return place.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(f"{place}: not a text in UTF-8 ({error}); save it as one, or export it again") from error


def natural(name: str) -> list[tuple[int, str]]:
    """A key to sort names with numbers in them: `img2` before `img10`."""
    return [(int(number or -1), text) for number, text in re.findall(r"(\d+)|(\D+)", name)]


def some(names: Iterable[object], count: int = 5) -> str:
    """The first names for a message."""
    listed = list(names)
    return ", ".join(map(str, listed[:count])) + (", …" if len(listed) > count else "")
