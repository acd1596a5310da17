"""A skeleton as a file or a data set describes it: the keypoints' names, and what else it says.

The same document is the format of our files (`docs/keypoints.md`) and of the manifests and model files:

    name: mouse4
    category: mouse
    keypoints: [snout, leftear, rightear, tailbase]
    limbs: [[snout, leftear], [snout, rightear], [leftear, tailbase], [rightear, tailbase]]
    flip_pairs: [[leftear, rightear]]
    sigmas: [0.05, 0.05, 0.05, 0.05]

A file needs only `keypoints`. `parts: {neck: [left_shoulder, right_shoulder]}` adds parts that are the mean of
keypoints, or lists all parts in the order of the network's channels (`nose: [nose]`). `links` are the pairs of COCO's
`skeleton`, if they are others than the limbs.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from openpose.errors import InputError

MAX_KEYPOINTS = 256
FIELDS = ("name", "category", "keypoints", "limbs", "flip_pairs", "sigmas", "parts", "links")
Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Draft:
    """What is known of a skeleton.

    Attributes:
        name: of the skeleton; empty if it has none yet.
        category: what the keypoints belong to, such as `mouse`; empty if that is not known.
        keypoints: names of the S keypoints, in the order of the data.
        limbs: pairs of names of keypoints or parts; empty if it does not say.
        flip_pairs: pairs of keypoints (left, right) that change places in a mirrored picture; None if it does not say.
        sigmas: per keypoint standard deviation of OKS; None if it does not say.
        parts: further parts of the network, or all parts in their order: name -> the keypoints that it is the mean of.
        links: pairs of keypoints for COCO's `skeleton`; empty for the limbs.

    Raises:
        InputError: the entries contradict each other.
    """

    name: str
    category: str
    keypoints: tuple[str, ...]
    limbs: Pairs = ()
    flip_pairs: Pairs | None = None
    sigmas: tuple[float, ...] | None = None
    parts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    links: Pairs = ()

    def __post_init__(self) -> None:
        _check_keypoints(self.keypoints)
        _check_parts(self.parts, self.keypoints)
        for name, pairs, allowed in (
            ("limbs", self.limbs, tuple(self.part_sources)),
            ("links", self.links, self.keypoints),
            ("flip_pairs", self.flip_pairs or (), self.keypoints),
        ):
            _check_pairs(name, pairs, allowed)
        swapped = [name for pair in self.flip_pairs or () for name in pair]
        if twice := sorted({name for name in swapped if swapped.count(name) > 1}):
            raise InputError(f"`flip_pairs`: {', '.join(twice)} is in two pairs; each keypoint has one mirror image")
        if self.sigmas is not None and len(self.sigmas) != len(self.keypoints):
            raise InputError(f"`sigmas` has {len(self.sigmas)} numbers for {len(self.keypoints)} keypoints")
        if wrong := [sigma for sigma in self.sigmas or () if not 0 < sigma < math.inf]:
            raise InputError(f"`sigmas` has {wrong[0]}; each one must be above 0")

    @property
    def part_sources(self) -> dict[str, tuple[str, ...]]:
        """All parts of the network in their order, each with the keypoints that it is the mean of."""
        if any(len(sources) == 1 for sources in self.parts.values()):
            return dict(self.parts)
        return {name: (name,) for name in self.keypoints} | dict(self.parts)


def _check_keypoints(keypoints: Sequence[str]) -> None:
    if not keypoints:
        raise InputError("`keypoints` is empty; a skeleton has at least one")
    if len(keypoints) > MAX_KEYPOINTS:
        raise InputError(f"`keypoints` has {len(keypoints)} names; at most {MAX_KEYPOINTS} are possible")
    if twice := sorted({name for name in keypoints if keypoints.count(name) > 1}):
        raise InputError(f"`keypoints` has {', '.join(map(repr, twice))} twice; each name must be there once")


def _check_parts(parts: Mapping[str, tuple[str, ...]], keypoints: Sequence[str]) -> None:
    for part, sources in parts.items():
        _check_names("parts", sources, keypoints)
        if len(sources) != 1 and (len(sources) == 0 or part in keypoints):
            raise InputError(f"`parts`: {part!r} must be a new name for the mean of two or more keypoints")
    single = sorted(sources[0] for sources in parts.values() if len(sources) == 1)
    if single and single != sorted(keypoints):
        raise InputError("`parts` must have only means of several keypoints, or each keypoint once and such means")


def _check_names(name: str, names: Iterable[str], known: Sequence[str]) -> None:
    if unknown := [each for each in names if each not in known]:
        raise InputError(f"`{name}`: {', '.join(map(repr, unknown))} is no keypoint; there are: {', '.join(known)}")


def _check_pairs(name: str, pairs: Pairs, known: Sequence[str]) -> None:
    seen = set[frozenset[str]]()
    for pair in pairs:
        _check_names(name, pair, known)
        if pair[0] == pair[1] or frozenset(pair) in seen:
            raise InputError(f"`{name}`: {list(pair)} must join two different keypoints, and be there once")
        seen.add(frozenset(pair))


def of_document(document: Any) -> Draft:
    """Reads a document of the format above.

    Raises:
        InputError: a field is missing, unknown or of another type; the message names it.
    """
    if not isinstance(document, Mapping):
        raise InputError(f"a skeleton is an object with `keypoints`, not {document!r}")
    if unknown := sorted(str(key) for key in document if key not in FIELDS):
        raise InputError(f"`{unknown[0]}` is no field of a skeleton; there are: {', '.join(FIELDS)}")
    keypoints, flip_pairs = document.get("keypoints"), document.get("flip_pairs")
    parts = document.get("parts") or {}
    if not isinstance(parts, Mapping):
        raise InputError("`parts` must be an object: the name of each part, and the keypoints that it is the mean of")
    return Draft(
        name=_text("name", document.get("name")),
        category=_text("category", document.get("category")),
        keypoints=_names("keypoints", keypoints),
        limbs=pairs_of("limbs", document.get("limbs") or []),
        flip_pairs=None if flip_pairs is None else pairs_of("flip_pairs", flip_pairs),
        sigmas=_sigmas(document.get("sigmas"), keypoints),
        parts={_text("parts", part): _names("parts", sources) for part, sources in parts.items()},
        links=pairs_of("links", document.get("links") or []),
    )


def of_category(category: Mapping[str, Any]) -> Draft:
    """Reads an entry of COCO's `categories`: `name`, `keypoints`, `skeleton`, and our `flip_pairs` and `sigmas`.

    Raises:
        InputError: a field cannot be used; the message names it.
    """
    keypoints, flip_pairs = _names("keypoints", category.get("keypoints")), category.get("flip_pairs")
    name = category.get("name")
    return Draft(
        name="",
        category=name if isinstance(name, str) else "",
        keypoints=keypoints,
        limbs=_once(_links(category.get("skeleton") or [], keypoints)),
        flip_pairs=None if flip_pairs is None else pairs_of("flip_pairs", flip_pairs),
        sigmas=_sigmas(category.get("sigmas"), keypoints),
    )


def _links(skeleton: Any, keypoints: Sequence[str]) -> Pairs:
    """COCO's `skeleton`: pairs of numbers that count from 1, or from 0 where a file has a 0."""
    if not isinstance(skeleton, list) or not all(isinstance(link, list) and len(link) == 2 for link in skeleton):
        raise InputError("`skeleton` must be a list of pairs of keypoint numbers, which count from 1")
    numbers = [number for link in skeleton for number in link]
    first = 0 if 0 in numbers else 1
    for number in numbers:
        if not isinstance(number, int) or not first <= number < len(keypoints) + first:
            raise InputError(
                f"`skeleton` has {number!r}; its numbers count the {len(keypoints)} keypoints from {first}"
            )
    return tuple((keypoints[a - first], keypoints[b - first]) for a, b in skeleton)


def _once(pairs: Pairs) -> Pairs:
    """The pairs without repetitions and without pairs of a keypoint with itself, which some tools write."""
    return tuple({frozenset(pair): pair for pair in reversed(pairs) if pair[0] != pair[1]}.values())[::-1]


def pairs_of(name: str, value: Any) -> Pairs:
    """Reads pairs of names.

    Raises:
        InputError: the value is something else.
    """
    if not isinstance(value, list | tuple) or not all(
        isinstance(pair, list | tuple) and len(pair) == 2 for pair in value
    ):
        raise InputError(f"`{name}` must be a list of pairs of names, such as [[left_ear, right_ear]]")
    return tuple((_text(name, a), _text(name, b)) for a, b in value)


def _names(name: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        raise InputError(f"`{name}` must be a list of names, not {value!r}")
    return tuple(_text(name, each) for each in value)


def _text(name: str, value: Any) -> str:
    """A name: text, or a whole number, which YAML makes of names such as 1."""
    if value is None and name in ("name", "category"):
        return ""
    if not isinstance(value, str | int) or isinstance(value, bool) or value == "":
        raise InputError(f"`{name}` has {value!r}; a name must be a text (write it in quotes)")
    return str(value)


def _sigmas(value: Any, keypoints: Any) -> tuple[float, ...] | None:
    """One number for each keypoint; one number alone counts for all."""
    if value is None or value == []:
        return None
    if isinstance(value, int | float) and not isinstance(value, bool):
        return (float(value),) * len(keypoints)
    if not isinstance(value, list | tuple) or not all(type(sigma) in (int, float) for sigma in value):
        raise InputError(f"`sigmas` must be one number for all keypoints or a list of one for each, not {value!r}")
    return tuple(map(float, value))
