"""What a draft leaves open is derived: mirror pairs from names, limbs from data, one sigma for all. Each is noted."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from openpose.skeleton.draft import Draft, of_category
from openpose.skeleton.limbs import Distances, is_connected, joined, mirrored_too
from openpose.skeleton.sides import mirror_pairs
from openpose.skeleton.structure import DEFAULT, KNOWN, Skeleton

#: OKS sigma of keypoints that nobody gave one for. COCO's reach from 0.025 (eyes) to 0.107 (hips), its wrists have
#: 0.062; https://cocodataset.org/#keypoints-eval says how they were measured.
SIGMA = 0.05


def complete(draft: Draft, measure: Callable[[Skeleton], Distances]) -> tuple[Skeleton, list[str]]:
    """Makes a draft a whole skeleton.

    Args:
        draft: what is known.
        measure: measures the distances between the parts of a skeleton without limbs, in the training annotations;
            called only when limbs are missing.

    Returns:
        The skeleton, and a note on each thing that was derived.

    Raises:
        InputError: a keypoint's mirror image is missing, or mirror pairs, parts and limbs contradict each other.
    """
    notes = list[str]()
    if not draft.category:
        draft = replace(draft, category=draft.name or "object")
    if not draft.name:
        draft = replace(draft, name=f"{_plain(draft.category)}{len(draft.keypoints)}")
    if draft.flip_pairs is None:
        draft = replace(draft, flip_pairs=mirror_pairs(draft.keypoints))
        pairs = _listed(draft.flip_pairs or ())
        notes.append(
            f"mirror pairs, from the names: {pairs}" if pairs else "no mirror pairs: no keypoint's name has a side"
        )
    if draft.sigmas is None:
        draft = replace(draft, sigmas=(SIGMA,) * len(draft.keypoints))
        notes.append(f"OKS sigmas: {SIGMA} for each keypoint, because nothing says them")
    draft, note = _with_limbs(draft, measure)
    return Skeleton.of_draft(draft), [*notes, *note]


def of_categories(categories: Iterable[Mapping[str, Any]]) -> Skeleton:
    """The skeleton of the first entry of COCO's `categories` that lists keypoints, for scoring; by default people's.

    Raises:
        InputError: a field of the entry cannot be used.
    """
    known = {skeleton.source_parts: skeleton for skeleton in KNOWN.values()}
    listed = [category for category in categories if category.get("keypoints")]
    for category in listed:
        if (keypoints := tuple(category["keypoints"])) in known:
            return known[keypoints]
    if not listed:
        return KNOWN[DEFAULT]
    draft = of_category(listed[0])
    for skeleton in known.values():
        if draft.sigmas is None and sorted(skeleton.source_parts) == sorted(draft.keypoints):
            of_name = dict(zip(skeleton.source_parts, skeleton.source_sigmas, strict=True))
            draft = replace(draft, sigmas=tuple(of_name[name] for name in draft.keypoints))
    # A score needs neither mirror pairs nor limbs that were chosen well.
    return complete(replace(draft, flip_pairs=draft.flip_pairs or ()), lambda bare: Distances(bare.num_parts))[0]


def _with_limbs(draft: Draft, measure: Callable[[Skeleton], Distances]) -> tuple[Draft, list[str]]:
    """The draft with limbs that join all parts and have their mirror images, and a note on the added ones."""
    bare = Skeleton.of_draft(replace(draft, limbs=()))
    flip, parts = bare.flip_parts, bare.num_parts
    given = [(bare.parts.index(a), bare.parts.index(b)) for a, b in draft.limbs]
    limbs, source = mirrored_too(given, flip), "as mirror images of others"
    if not is_connected(limbs, parts):
        distances = measure(bare)
        limbs, source = joined(given, flip, distances.costs()), f"chosen from {distances.animals:,} labelled ones"
    if len(limbs) == len(given):
        return draft, [] if given else ["no limbs: a skeleton of one keypoint has none"]
    names = tuple((bare.parts[a], bare.parts[b]) for a, b in limbs)
    links = draft.links or tuple(pair for pair in draft.limbs if {*pair} <= {*draft.keypoints})
    added = f"limbs{' added' if given else ''}, {source}: {_listed(names[len(given) :])}"
    return replace(draft, limbs=names, links=links if given and not draft.parts else draft.links), [added]


def _listed(pairs: tuple[tuple[str, str], ...]) -> str:
    return ", ".join(f"{a}–{b}" for a, b in pairs)


def _plain(name: str) -> str:
    """A name without spaces and other signs, for the names of files and checkpoints."""
    return "".join(character for character in name.casefold() if character.isalnum()) or "keypoints"
