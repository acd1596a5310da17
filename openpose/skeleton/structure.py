"""The skeleton: parts, limbs, mirror pairs and the mapping from the data set's keypoints, as one value.

Parts and limbs are named in words; every index, channel list and permutation is derived from the names. A `Skeleton`
travels with the data and with everything made from it.
"""

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np

from openpose.errors import InputError
from openpose.skeleton import draft as drafts
from openpose.skeleton import tables
from openpose.skeleton.draft import Draft, Pairs
from openpose.skeleton.sides import mirror_pairs


@dataclass(frozen=True)
class Skeleton:
    """Parts and limbs of a network, and the keypoints of the data set that they come from.

    Attributes:
        name: the name in manifests and graphs.
        parts: names of the K parts, in the order of the heatmap's channels; the background follows.
        limb_names: pairs of part names (first, second), in the order of the vectmap's channel pairs.
        source_parts: names of the S keypoints of one person in the data set's annotations.
        source_limb_names: pairs of keypoint names, as in the annotations' `skeleton`.
        source_sigmas: per keypoint standard deviation of OKS, as in pycocotools (`kpt_oks_sigmas`).
        part_sources: for each part the names of the keypoints that it is the mean of; all must be labelled.
        source_pairs: pairs of keypoints (left, right) that change places in a mirrored picture.
        category: what the keypoints belong to, such as `person` or `mouse`.
    """

    name: str
    parts: tuple[str, ...]
    limb_names: tuple[tuple[str, str], ...]
    source_parts: tuple[str, ...]
    source_limb_names: tuple[tuple[str, str], ...]
    source_sigmas: tuple[float, ...]
    part_sources: tuple[tuple[str, ...], ...]
    source_pairs: tuple[tuple[str, str], ...] = ()
    category: str = "person"

    @property
    def num_parts(self) -> int:
        return len(self.parts)

    @property
    def num_limbs(self) -> int:
        return len(self.limb_names)

    @property
    def num_heatmaps(self) -> int:
        """Channels of the heatmap: the parts, then background."""
        return self.num_parts + 1

    @property
    def num_vectmaps(self) -> int:
        """Channels of the vectmap: x and y of each limb."""
        return 2 * self.num_limbs

    @property
    def num_maps(self) -> int:
        """Channels of a network's output: heatmap first, then vectmap."""
        return self.num_heatmaps + self.num_vectmaps

    @property
    def background(self) -> int:
        """Index of the background channel in the heatmap."""
        return self.num_parts

    @cached_property
    def limbs(self) -> tuple[tuple[int, int], ...]:
        """Limbs as pairs of part indices."""
        return tuple((self.parts.index(a), self.parts.index(b)) for a, b in self.limb_names)

    @cached_property
    def source_limbs(self) -> tuple[tuple[int, int], ...]:
        """The annotations' `skeleton`: pairs of keypoint numbers that count from 1, as in COCO's JSON."""
        return tuple(
            (self.source_parts.index(a) + 1, self.source_parts.index(b) + 1) for a, b in self.source_limb_names
        )

    def coco_category(self) -> dict[str, Any]:
        """The entry of `categories` in a COCO keypoint file."""
        limbs = [list(limb) for limb in self.source_limbs]
        entry = {"id": 1, "name": self.category, "keypoints": list(self.source_parts), "skeleton": limbs}
        if self.is_known:
            return entry
        pairs = [list(pair) for pair in self.source_pairs]
        return entry | {"flip_pairs": pairs, "sigmas": list(self.source_sigmas)}

    @cached_property
    def from_source(self) -> tuple[tuple[int, ...], ...]:
        """For each part the indices of the keypoints that it is the mean of."""
        return tuple(tuple(self.source_parts.index(s) for s in sources) for sources in self.part_sources)

    @cached_property
    def to_source(self) -> tuple[int, ...]:
        """For each keypoint of the data set the index of its part."""
        return tuple(self.from_source.index((s,)) for s in range(len(self.source_parts)))

    @cached_property
    def source_weights(self) -> np.ndarray:
        """float32 [K, S]: part coordinates = weights @ keypoint coordinates; each row sums to 1."""
        weights = np.zeros((self.num_parts, len(self.source_parts)), np.float32)
        for part, sources in enumerate(self.from_source):
            weights[part, list(sources)] = 1 / len(sources)
        return weights

    @cached_property
    def flip_source(self) -> tuple[int, ...]:
        """Permutation of the data set's keypoints in a mirrored picture."""
        other = dict(self.source_pairs) | {right: left for left, right in self.source_pairs}
        return tuple(self.source_parts.index(other.get(name, name)) for name in self.source_parts)

    @cached_property
    def flip_parts(self) -> tuple[int, ...]:
        """Permutation of the parts in a mirrored picture: mirrored[k] = original[flip_parts[k]]."""
        sources = [sorted(part) for part in self.from_source]
        return tuple(sources.index(sorted(self.flip_source[s] for s in part)) for part in sources)

    @cached_property
    def flip_heatmap(self) -> tuple[int, ...]:
        """Permutation of the heatmap's channels in a mirrored picture."""
        return (*self.flip_parts, self.background)

    @cached_property
    def _flip_limbs(self) -> tuple[tuple[int, bool], ...]:
        """For each limb the mirrored one, and whether that goes the other way, as from hip to hip."""
        mirrored = [(self.flip_parts[a], self.flip_parts[b]) for a, b in self.limbs]
        return tuple(
            (self.limbs.index(limb), False) if limb in self.limbs else (self.limbs.index(limb[::-1]), True)
            for limb in mirrored
        )

    @cached_property
    def flip_vectmap(self) -> tuple[int, ...]:
        """Permutation of the vectmap's channels in a mirrored picture; `flip_signs` are their factors."""
        return tuple(2 * limb + axis for limb, _ in self._flip_limbs for axis in (0, 1))

    @cached_property
    def flip_signs(self) -> np.ndarray:
        """float32 [2 L]: factors on the mirrored vectmap's channels, after their permutation.

        x changes its sign. A limb between mirror parts is its own mirror image, seen from its other end: y does.
        """
        signs = [(1, -1) if reverse else (-1, 1) for _, reverse in self._flip_limbs]
        return np.array(signs, np.float32).reshape(-1)

    @property
    def main_keypoints(self) -> int:
        """Least number of labelled keypoints of an animal on which a training sample may be centred: 5 of 17."""
        return max(1, round(len(self.source_parts) * 5 / 17))

    @property
    def min_parts(self) -> int:
        """Least number of parts of a found animal: 3 of 18, and 2 as soon as there are two; a lone peak is noise."""
        return min(self.num_parts, max(2, round(self.num_parts * 3 / 18)))

    def to_source_keypoints(self, keypoints: np.ndarray) -> np.ndarray:
        """Converts people's parts [P, K, C] to the data set's keypoints [P, S, C]; other parts are dropped."""
        return keypoints[:, list(self.to_source)]

    def part_keypoints(self, keypoints: np.ndarray, visibility: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Converts the data set's keypoints to the skeleton's parts.

        Args:
            keypoints: float [P, S, 2], pixels.
            visibility: [P, S], COCO's v; a keypoint is labelled if it is at least 1, whatever its coordinates.

        Returns:
            float32 [P, K, 2] coordinates, and bool [P, K]: labelled. A part that is the mean of several
            keypoints is labelled only when all of them are.
        """
        labelled = np.asarray(visibility) >= 1
        parts = np.einsum("ks,psc->pkc", self.source_weights, np.where(labelled[..., None], keypoints, 0))
        return parts.astype(np.float32), (labelled[:, None, :] | (self.source_weights == 0)).all(-1)

    @property
    def of_people(self) -> bool:
        """Whether the keypoints are people's, who mostly stand upright."""
        return self.category == "person"

    def worded(self, text: str) -> str:
        """A text about a person, as it reads for what this skeleton is of."""
        return text.replace("person", self.category)

    @property
    def is_known(self) -> bool:
        """Whether it is one of ours, so that its name says everything."""
        return KNOWN.get(self.name) == self

    def to_document(self) -> str | dict[str, Any]:
        """The skeleton for a JSON document: the name of one of ours, or everything about another."""
        return self.name if self.is_known else self.described()

    def described(self) -> dict[str, Any]:
        """Everything about the skeleton; see `openpose.skeleton.draft`."""
        pairs = [list(pair) for pair in self.source_pairs]
        document: dict[str, Any] = {
            "name": self.name,
            "category": self.category,
            "keypoints": list(self.source_parts),
            "limbs": [list(limb) for limb in self.limb_names],
            "flip_pairs": pairs,
            "sigmas": list(self.source_sigmas),
        }
        if self.parts != self.source_parts:
            sources = zip(self.parts, self.part_sources, strict=True)
            means = self.parts[: len(self.source_parts)] == self.source_parts
            document["parts"] = {part: list(of) for part, of in sources if not means or len(of) > 1}
        if self.source_limb_names != self.limb_names:
            document["links"] = [list(limb) for limb in self.source_limb_names]
        return document

    @classmethod
    def from_document(cls, document: Any) -> Self:
        """Reads what `to_document` made.

        Raises:
            InputError: no skeleton of ours has this name, or the document is not a whole skeleton.
        """
        if isinstance(document, str):
            return get(document)  # type: ignore[return-value]
        found = drafts.of_document(document)
        if found.sigmas is None or found.flip_pairs is None or not found.name:
            raise InputError("a skeleton in a manifest or model file needs `name`, `sigmas` and `flip_pairs`")
        return cls.of_draft(found)

    def text(self) -> str:
        """The skeleton as a text for model files: a name, or JSON."""
        document = self.to_document()
        return document if isinstance(document, str) else json.dumps(document, ensure_ascii=False)

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Reads what `text` made.

        Raises:
            InputError: it is neither the name of a skeleton of ours nor a whole skeleton as JSON.
        """
        try:
            document = json.loads(text) if text.startswith("{") else text
        except ValueError as error:
            raise InputError(f"its skeleton is not valid JSON ({error})") from error
        return cls.from_document(document)

    @classmethod
    def of_draft(cls, draft: Draft) -> Self:
        """Makes the skeleton of a draft that leaves nothing open.

        Raises:
            InputError: its mirror pairs do not fit its parts or limbs.
        """
        made = cls(
            name=draft.name,
            parts=tuple(draft.part_sources),
            limb_names=draft.limbs,
            source_parts=draft.keypoints,
            source_limb_names=draft.links or (() if draft.parts else draft.limbs),
            source_sigmas=draft.sigmas or (),
            part_sources=tuple(draft.part_sources.values()),
            source_pairs=draft.flip_pairs or (),
            category=draft.category,
        )
        made.check_mirror()
        return made

    def check_mirror(self) -> None:
        """Raises InputError when a part or limb has no mirror image; the message names it."""
        sources = [sorted(part) for part in self.from_source]
        for name, part in zip(self.parts, sources, strict=True):
            if sorted(self.flip_source[s] for s in part) not in sources:
                raise InputError(f"`parts`: {name!r} has no mirror image; add the mean of the mirrored keypoints")
        limbs = set(self.limbs) | {limb[::-1] for limb in self.limbs}
        for (a, b), names in zip(self.limbs, self.limb_names, strict=True):
            mirrored = self.flip_parts[a], self.flip_parts[b]
            if mirrored not in limbs:
                other = [self.parts[part] for part in mirrored]
                raise InputError(f"`limbs`: {list(names)} has no mirror image; add {other}")


def _published(
    name: str,
    keypoints: dict[str, float],
    limbs: Pairs,
    parts: dict[str, tuple[str, ...]] | None = None,
    links: Pairs = (),
) -> Skeleton:
    """A skeleton of people from the tables."""
    names, sigmas = tuple(keypoints), tuple(keypoints.values())
    return Skeleton.of_draft(Draft(name, "person", names, limbs, mirror_pairs(names), sigmas, parts or {}, links))


OPENPOSE18 = _published(
    "openpose18", tables.COCO_KEYPOINTS, tables.OPENPOSE_LIMBS, tables.OPENPOSE_PARTS, tables.COCO_LIMBS
)
CROWDPOSE14 = _published("crowdpose14", tables.CROWDPOSE_KEYPOINTS, tables.CROWDPOSE_LIMBS)

KNOWN = {skeleton.name: skeleton for skeleton in (OPENPOSE18, CROWDPOSE14)}
DEFAULT = OPENPOSE18.name  # of data and model files that name no skeleton


def get(name: str) -> Skeleton:
    """Looks up a skeleton by name.

    Raises:
        InputError: the name is unknown; the message lists the known ones.
    """
    if name not in KNOWN:
        raise InputError(f"no skeleton is called {name!r}; there is: {', '.join(KNOWN)}")
    return KNOWN[name]
