"""The skeleton of a data set: one of ours, a file's, or made of an entry of its `categories`."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np

from openpose import progress
from openpose.coco.categories import Labels, category_with_keypoints, keypoint_order, labels_of
from openpose.coco.json_stream import OpenFile, items
from openpose.coco.person import keypoint_triples
from openpose.errors import InputError
from openpose.skeleton import OPENPOSE18, Skeleton, draft
from openpose.skeleton.derive import complete
from openpose.skeleton.draft import Draft
from openpose.skeleton.limbs import Distances

_MEASURED = 20_000  # animals that limbs are chosen from
_TOGETHER = 256


def find(
    open_source: OpenFile,
    name: str,
    categories: list[dict[str, Any]],
    asked: Skeleton | Draft | None = None,
    category: str = "",
) -> tuple[Skeleton, list[str]]:
    """Finds the skeleton of an annotation file; its keypoints are those of a category, by name and in any order.

    Args:
        open_source: opens the JSON's bytes, for the annotations that limbs are chosen from.
        name: what messages call the file.
        categories: of the file.
        asked: one of ours, or a file's; None takes COCO's 17 keypoints as `openpose18`, and any others as they are.
        category: name of the category; empty for the only one that has keypoints.

    Returns:
        The skeleton, and a note on each thing that was derived.

    Raises:
        InputError: the category is missing, has other keypoints than `asked`, or a field of it cannot be used.
    """
    chosen = category_with_keypoints(categories, name, category)
    try:
        own = draft.of_category(chosen)
    except InputError as error:
        raise InputError(f"{name}: `categories`: {error}") from error
    if asked is None and sorted(own.keypoints) == sorted(OPENPOSE18.source_parts):
        asked = OPENPOSE18
    if isinstance(asked, Skeleton):
        keypoint_order(chosen, name, asked.source_parts, f"the skeleton {asked.name}")
        return asked, []
    if asked is not None:
        keypoint_order(chosen, name, asked.keypoints, "the skeleton file")
        own = _filled(asked, own)

    def measure(bare: Skeleton) -> Distances:
        return _measured(open_source, name, labels_of(categories, name, bare, category), bare)

    try:
        return complete(own, measure)
    except InputError as error:
        raise InputError(f"{name}: {error}") from error


def _filled(asked: Draft, own: Draft) -> Draft:
    """A file's draft, in which the category answers what the file leaves open."""
    return replace(
        asked,
        category=asked.category or own.category,
        limbs=asked.limbs or own.limbs,
        flip_pairs=own.flip_pairs if asked.flip_pairs is None else asked.flip_pairs,
        sigmas=_in_order(asked, own) if asked.sigmas is None else asked.sigmas,
    )


def _in_order(asked: Draft, own: Draft) -> tuple[float, ...] | None:
    """The category's sigmas in the order of the file's keypoints."""
    return own.sigmas and tuple(own.sigmas[own.keypoints.index(name)] for name in asked.keypoints)


def _measured(open_source: OpenFile, name: str, labels: Labels, bare: Skeleton) -> Distances:
    distances = Distances(bare.num_parts)
    animals = islice(_triples(open_source, name, labels), _MEASURED)
    with progress.bar(None, "choose limbs", "animal") as bar:
        while some := list(islice(animals, _TOGETHER)):
            triples = np.stack(some)
            distances.add(*bare.part_keypoints(triples[..., :2], triples[..., 2]))
            bar.update(len(some))
    return distances


def _triples(open_source: OpenFile, name: str, labels: Labels) -> Iterator[np.ndarray]:
    for entry in items(open_source, "annotations", name):
        if entry.get("keypoints") and labels.fate(entry, name) is None:
            yield keypoint_triples(entry, labels.order, name)
