"""The skeleton: parts, limbs, mirror pairs and the mapping from the data set's keypoints, as one value.

The tables below name parts and limbs in words; every index, channel list and permutation is derived from them. A
`Skeleton` travels with the data, so that another one can be trained with the same code.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from openpose.errors import InputError


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
    """

    name: str
    parts: tuple[str, ...]
    limb_names: tuple[tuple[str, str], ...]
    source_parts: tuple[str, ...]
    source_limb_names: tuple[tuple[str, str], ...]
    source_sigmas: tuple[float, ...]
    part_sources: tuple[tuple[str, ...], ...]

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
        return {"id": 1, "name": "person", "keypoints": list(self.source_parts), "skeleton": limbs}

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
    def flip_parts(self) -> tuple[int, ...]:
        """Permutation of the parts in a mirrored picture: mirrored[k] = original[flip_parts[k]]."""
        return _mirror(self.parts)

    @cached_property
    def flip_heatmap(self) -> tuple[int, ...]:
        """Permutation of the heatmap's channels in a mirrored picture."""
        return (*self.flip_parts, self.background)

    @cached_property
    def flip_vectmap(self) -> tuple[int, ...]:
        """Permutation of the vectmap's channels in a mirrored picture; x components also change sign."""
        mirrored = [self.limbs.index((self.flip_parts[a], self.flip_parts[b])) for a, b in self.limbs]
        return tuple(2 * limb + axis for limb in mirrored for axis in (0, 1))

    @cached_property
    def flip_source(self) -> tuple[int, ...]:
        """Permutation of the data set's keypoints in a mirrored picture."""
        return _mirror(self.source_parts)

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


def _mirror(names: tuple[str, ...]) -> tuple[int, ...]:
    def other(name: str) -> str:
        for side, opposite in (("right_", "left_"), ("left_", "right_")):
            if name.startswith(side):
                return opposite + name.removeprefix(side)
        return name

    return tuple(names.index(other(name)) for name in names)


# The 17 keypoints of COCO, with the standard deviations of its Object Keypoint Similarity.
_COCO_KEYPOINTS = {
    "nose": 0.026,
    "left_eye": 0.025,
    "right_eye": 0.025,
    "left_ear": 0.035,
    "right_ear": 0.035,
    "left_shoulder": 0.079,
    "right_shoulder": 0.079,
    "left_elbow": 0.072,
    "right_elbow": 0.072,
    "left_wrist": 0.062,
    "right_wrist": 0.062,
    "left_hip": 0.107,
    "right_hip": 0.107,
    "left_knee": 0.087,
    "right_knee": 0.087,
    "left_ankle": 0.089,
    "right_ankle": 0.089,
}

_COCO_LIMBS = (
    ("left_ankle", "left_knee"),
    ("left_knee", "left_hip"),
    ("right_ankle", "right_knee"),
    ("right_knee", "right_hip"),
    ("left_hip", "right_hip"),
    ("left_shoulder", "left_hip"),
    ("right_shoulder", "right_hip"),
    ("left_shoulder", "right_shoulder"),
    ("left_shoulder", "left_elbow"),
    ("right_shoulder", "right_elbow"),
    ("left_elbow", "left_wrist"),
    ("right_elbow", "right_wrist"),
    ("left_eye", "right_eye"),
    ("nose", "left_eye"),
    ("nose", "right_eye"),
    ("left_eye", "left_ear"),
    ("right_eye", "right_ear"),
    ("left_ear", "left_shoulder"),
    ("right_ear", "right_shoulder"),
)

# OpenPose's 18 parts (Cao et al., arXiv:1611.08050), each with its COCO keypoints.
_OPENPOSE_PARTS = {
    "nose": ("nose",),
    "neck": ("left_shoulder", "right_shoulder"),
    "right_shoulder": ("right_shoulder",),
    "right_elbow": ("right_elbow",),
    "right_wrist": ("right_wrist",),
    "left_shoulder": ("left_shoulder",),
    "left_elbow": ("left_elbow",),
    "left_wrist": ("left_wrist",),
    "right_hip": ("right_hip",),
    "right_knee": ("right_knee",),
    "right_ankle": ("right_ankle",),
    "left_hip": ("left_hip",),
    "left_knee": ("left_knee",),
    "left_ankle": ("left_ankle",),
    "right_eye": ("right_eye",),
    "left_eye": ("left_eye",),
    "right_ear": ("right_ear",),
    "left_ear": ("left_ear",),
}

_OPENPOSE_LIMBS = (
    ("neck", "right_hip"),
    ("right_hip", "right_knee"),
    ("right_knee", "right_ankle"),
    ("neck", "left_hip"),
    ("left_hip", "left_knee"),
    ("left_knee", "left_ankle"),
    ("neck", "right_shoulder"),
    ("right_shoulder", "right_elbow"),
    ("right_elbow", "right_wrist"),
    ("right_shoulder", "right_ear"),
    ("neck", "left_shoulder"),
    ("left_shoulder", "left_elbow"),
    ("left_elbow", "left_wrist"),
    ("left_shoulder", "left_ear"),
    ("neck", "nose"),
    ("nose", "right_eye"),
    ("nose", "left_eye"),
    ("right_eye", "right_ear"),
    ("left_eye", "left_ear"),
)

OPENPOSE18 = Skeleton(
    name="openpose18",
    parts=tuple(_OPENPOSE_PARTS),
    limb_names=_OPENPOSE_LIMBS,
    source_parts=tuple(_COCO_KEYPOINTS),
    source_limb_names=_COCO_LIMBS,
    source_sigmas=tuple(_COCO_KEYPOINTS.values()),
    part_sources=tuple(_OPENPOSE_PARTS.values()),
)

KNOWN = {skeleton.name: skeleton for skeleton in (OPENPOSE18,)}
DEFAULT = OPENPOSE18.name  # of data and model files that name no skeleton


def get(name: str) -> Skeleton:
    """Looks up a skeleton by name.

    Raises:
        InputError: the name is unknown; the message lists the known ones.
    """
    if name not in KNOWN:
        raise InputError(f"no skeleton is called {name!r}; there is: {', '.join(KNOWN)}")
    return KNOWN[name]


def of_categories(categories: Iterable[Mapping[str, Any]]) -> Skeleton:
    """The skeleton whose keypoints an entry of COCO's `categories` lists; the default one if no entry lists any's."""
    by_keypoints = {skeleton.source_parts: skeleton for skeleton in KNOWN.values()}
    listed = (tuple(category.get("keypoints") or ()) for category in categories)
    return next((by_keypoints[keypoints] for keypoints in listed if keypoints in by_keypoints), KNOWN[DEFAULT])
