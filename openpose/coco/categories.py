"""The categories of a COCO file: which one is trained, and which annotations belong to it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from openpose.coco.fates import Fate
from openpose.coco.values import shown
from openpose.errors import InputError
from openpose.skeleton import OPENPOSE18, Skeleton

#: Names of categories that show people: as background they would teach the opposite of what the others teach.
_PEOPLE = frozenset(
    ("person", "people", "persons", "human", "humans", "pedestrian", "pedestrians", "man", "men", "woman", "women")
    + ("child", "children", "boy", "boys", "girl", "girls", "adult", "adults", "body", "face", "rider", "crowd")
    + ("player", "players", "athlete", "athletes", "worker", "workers")
)
_NO_NAME = frozenset({"", "none", "null", "object", "objects", "default"})


@dataclass(frozen=True)
class Labels:
    """Which annotations of a file count, and the order of their keypoints.

    Attributes:
        category: id of their category, as `category_key` makes it.
        order: for each keypoint of the skeleton its number in the file.
        name: of the category.
        fates: of the annotations of the other categories, by id.
        known: the ids of all categories, as messages show them.
        alone: no other category has keypoints.
    """

    category: Any
    order: tuple[int, ...]
    name: str = ""
    fates: dict[Any, Fate] = field(default_factory=dict)
    known: str = ""
    alone: bool = True

    def fate(self, annotation: dict[str, Any], path: str) -> Fate | None:
        """What becomes of an annotation because of its category; None if the category is trained.

        Raises:
            InputError: `category_id` is none of the file's categories.
        """
        value = annotation.get("category_id")
        if value == self.category and type(value) is int:
            return None
        if value is None and (not self.fates or (self.alone and annotation.get("keypoints"))):  # no other is possible
            return None
        key = category_key(value)
        if key == self.category and key is not None:
            return None
        if key not in self.fates:
            raise InputError(
                f"{path}: `category_id` of annotation {shown(annotation.get('id'))} is {shown(value)}, which is none "
                f"of `categories` ({self.known}); correct it, or add the category"
            )
        return self.fates[key]


def category_key(value: Any) -> Any:
    """A category's id to compare by: 1, 1.0 and "1" are the same; None for what cannot be an id."""
    if isinstance(value, str):
        text = value.strip()
        return int(text) if text.isdecimal() and len(text) < 19 else text or None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if value == value // 1 else value


def category_with_keypoints(categories: list[dict[str, Any]], path: str, name: str = "") -> dict[str, Any]:
    """The entry of `categories` that is used: the one with this name, or else the only one that has keypoints.

    Raises:
        InputError: there is none, or there are several; the message lists their names.
    """
    listed = with_keypoints(categories, path)
    if not listed:
        raise InputError(
            f"{path}: no entry of `categories` has `keypoints`; use COCO's person_keypoints file "
            "(not instances or captions), or list the names of the keypoints there"
        )
    names = _names(listed)
    if name:
        for category in listed:
            if category.get("name") == name:
                return category
        raise InputError(f"{path}: no category with keypoints is called {name!r}; there are: {names}")
    people = [each for each in listed if _is_coco_person(each)]
    if len(listed) > 1 and len(people) != 1:
        raise InputError(f"{path}: several categories have keypoints: {names}; choose one with `category`")
    return (people or listed)[0]


def note_on_choice(categories: list[dict[str, Any]], path: str, name: str = "") -> list[str]:
    """A sentence on the category that is trained, if others have keypoints too."""
    listed = with_keypoints(categories, path)
    if len(listed) < 2:
        return []
    chosen = category_with_keypoints(categories, path, name)
    why = "as `category` says" if name else "because its keypoints are COCO's; `category` chooses another"
    return [f"several categories have keypoints: {_names(listed)}; {chosen.get('name')} is trained, {why}"]


def with_keypoints(categories: list[dict[str, Any]], path: str) -> list[dict[str, Any]]:
    """The entries of `categories` that list keypoints; one that is there twice counts once.

    Raises:
        InputError: one lists something else than names.
    """
    for category in categories:
        keypoints = category.get("keypoints")
        if keypoints and not (isinstance(keypoints, list) and all(type(each) in (str, int) for each in keypoints)):
            raise InputError(
                f"{path}: `keypoints` of the category {shown(category.get('name'))} must be a list of names, it is "
                f"{shown(keypoints)}"
            )
    listed = list[dict[str, Any]]()
    for category in categories:
        if category.get("keypoints") and category not in listed:
            listed.append(category)
    return listed


def _names(categories: list[dict[str, Any]]) -> str:
    return ", ".join(str(category.get("name")) for category in categories)


def _is_coco_person(category: dict[str, Any]) -> bool:
    return tuple(category["keypoints"]) == OPENPOSE18.source_parts


def labels_of(categories: list[dict[str, Any]], path: str, skeleton: Skeleton, category: str = "") -> Labels:
    """The annotations of a file that hold the skeleton's keypoints; these are found by name.

    Args:
        categories: of the file.
        path: what messages call the file.
        skeleton: of the keypoints.
        category: name of the category; empty for the only one that has keypoints.

    Raises:
        InputError: the category is missing, has other keypoints, or two categories have the same id.
    """
    chosen = category_with_keypoints(categories, path, category)
    order = keypoint_order(chosen, path, skeleton.source_parts, f"the skeleton {skeleton.name}")
    fates: dict[Any, Fate] = {}
    own = category_key(chosen.get("id"))
    names = {own: chosen.get("name")}
    for other in categories:
        if other is chosen:
            continue
        key = category_key(other.get("id"))
        if key in names and names[key] == other.get("name"):
            continue  # the same one again
        if key is None or key in names:
            raise InputError(
                f"{path}: `id` of the category {shown(other.get('name'))} is {shown(other.get('id'))}; give each "
                "category a number of its own"
            )
        names[key] = other.get("name")
        fates[key] = Fate.SAME_KIND if _same_kind(chosen, other) else Fate.OTHER
    if own is None and fates:
        raise InputError(f"{path}: the category {shown(chosen.get('name'))} has no `id`; give it a number of its own")
    known = ", ".join(f"{shown(each.get('id'))}: {each.get('name')}" for each in categories[:20])
    alone = not any(other.get("keypoints") for other in categories if other is not chosen)
    return Labels(own, order, str(chosen.get("name")), fates, known, alone)


def _same_kind(chosen: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether both categories show the same kind of thing, as `person` and `people` do."""
    one, two = _words(chosen), _words(other)
    own = str(chosen.get("name") or "").strip().lower(), str(other.get("name") or "").strip().lower()
    return bool((own[0] in two and own[0] not in _NO_NAME) or (own[1] in one and own[1] not in _NO_NAME)) or (
        bool(one & _PEOPLE) and bool(set(own[1].replace("_", " ").replace("-", " ").split()) & _PEOPLE)
    )


def _words(category: dict[str, Any]) -> set[str]:
    """The names of a category and of what it belongs to."""
    return {str(category.get(field) or "").strip().lower() for field in ("name", "supercategory")}


def keypoint_order(category: dict[str, Any], path: str, wanted: Sequence[str], whose: str) -> tuple[int, ...]:
    """For each wanted keypoint its number in the category.

    Raises:
        InputError: the category has other keypoints; the message lists both.
    """
    found = list(map(str, category["keypoints"]))
    if sorted(found) == sorted(wanted):
        return tuple(found.index(name) for name in wanted)
    missing = [name for name in wanted if name not in found]
    unknown = [name for name in found if name not in wanted]
    differ = [
        f"{what} {', '.join(map(str, names))}"
        for what, names in (("missing:", missing), ("unknown:", unknown))
        if names
    ]
    raise InputError(
        f"{path}: `categories[].keypoints` are {found}, but {whose} needs {list(wanted)}, in any order"
        f" ({'; '.join(differ) or 'a name is there twice'})"
    )
