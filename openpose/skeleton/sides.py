"""Mirror pairs from names: `leftear` and `rightear`, `ear_l` and `ear_r`, `wingL` and `wingR`, `LHip` and `RHip`.

A name has a side in one of three ways. Words (`left`) and lone letters (`ear_l`, `LHip`, `forelegR2`) are sure signs,
so that a left without its right is an error. Letters at the edge of a word (`lhip`, `FL_paw`, `earl`) count only when
the mirrored name is there too: `tail`, `nose`, `rear` and `elbow` have no side.
"""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from openpose.errors import InputError

_OPPOSITE = {"left": "right", "right": "left", "l": "r", "r": "l", "左": "右", "右": "左"}
_WORDS = re.compile("left|right|左|右", re.IGNORECASE)
_NO_SIDES = ("upright", "bright", "cleft", "outright", "wright")  # words with a side's word inside
# The words that a name consists of: LHip is L and Hip, forelegR2 is foreleg, R and 2.
_TOKENS = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+|[^\W\d_]+")


class _Mark(NamedTuple):
    """Where a name says a side: the characters from `start` to `end`."""

    start: int
    end: int


def mirror_pairs(keypoints: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """The pairs (left, right) of keypoints that change places in a mirrored picture, in the order of the keypoints.

    Raises:
        InputError: a keypoint names a side, but its counterpart is missing.
    """
    by_name = {name.casefold(): name for name in keypoints}
    found: dict[str, tuple[str, str]] = {}
    for name in keypoints:
        pair = _pair(name, by_name)
        if pair is not None:
            found[name] = pair
    for name, pair in found.items():
        other = pair[1] if pair[0] == name else pair[0]
        if found.get(other) != pair:
            raise InputError(
                f"the mirror image of keypoint {name!r} seems to be {other!r}, but that one's is another; "
                "say the pairs in a skeleton file (flip_pairs)"
            )
    return tuple(dict.fromkeys(found.values()))


def _pair(name: str, by_name: dict[str, str]) -> tuple[str, str] | None:
    """The pair that a name belongs to; None if it has no side."""
    sure = ""
    for marks, is_sure in ((_words(name), True), (_letters(name), True), (_edges(name), False)):
        for chosen in (marks, *([mark] for mark in marks)):
            mirrored = _swapped(name, chosen)
            other = by_name.get(mirrored.casefold())
            if other is not None and other != name:
                is_left = name[chosen[0].start].lower() in "l左"
                return (name, other) if is_left else (other, name)
        if marks and is_sure:
            sure = sure or _swapped(name, marks)
    if sure:
        raise InputError(
            f"keypoint {name!r} has a side, but no keypoint is called {sure!r}; correct the names, or say in a "
            "skeleton file which keypoints change places in a mirrored picture (flip_pairs; [] for none)"
        )
    return None


def _words(name: str) -> list[_Mark]:
    inside = [match.span() for word in _NO_SIDES for match in re.finditer(word, name, re.IGNORECASE)]
    marks = [_Mark(*match.span()) for match in _WORDS.finditer(name)]
    return [mark for mark in marks if not any(start <= mark.start < end for start, end in inside)]


def _letters(name: str) -> list[_Mark]:
    """Words of one letter beside longer ones; L1 alone may be a vertebra."""
    tokens = list(_TOKENS.finditer(name))
    if not any(token[0].isalpha() and len(token[0]) > 1 for token in tokens):
        return []
    return [_Mark(*token.span()) for token in tokens if token[0].lower() in ("l", "r")]


def _edges(name: str) -> list[_Mark]:
    """The first and the last letter of each word, if they are l or r."""

    def marks() -> Iterator[_Mark]:
        for token in _TOKENS.finditer(name):
            if len(token[0]) == 1 == len(name):
                continue  # a name of one letter: r may stand beside q and s
            for at in {token.start(), token.end() - 1}:
                if name[at].lower() in ("l", "r"):
                    yield _Mark(at, at + 1)

    return sorted(marks())


def _swapped(name: str, marks: Sequence[_Mark]) -> str:
    """The name with each of the marked sides replaced by the other, in the same case."""
    for mark in reversed(marks):
        old = name[mark.start : mark.end]
        new = _OPPOSITE[old.lower()]
        new = new.upper() if old.isupper() else new.capitalize() if old[0].isupper() else new
        name = name[: mark.start] + new + name[mark.end :]
    return name
