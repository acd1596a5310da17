"""Maps to people: the inverse of `encode.py` (Cao et al., arXiv:1611.08050, section 2).

Peaks of the heatmap are candidates for parts; the mean of the vectmap (PAF) along the line between two peaks
scores them as a limb; limbs are chosen best first and joined into people; near pieces of a person that no limb
joins are then put together.

Letters of the shapes: h × w cells, K parts, L limbs, N peaks, M pairs of peaks, P people. Coordinates are
x, y in cells of the maps; an integer is a cell's centre.
"""

from dataclasses import dataclass, replace
from functools import partial

import cv2
import numpy as np

from openpose.codec import channels
from openpose.errors import InputError
from openpose.skeleton import Skeleton


@dataclass(frozen=True)
class DecodeParameters:
    """Thresholds of the decoder for peaks, limbs and people.

    The defaults were chosen on pictures of COCO's training folder with a published `mobilenet_thin` graph. AP
    changes by at most 0.01 when any one of the thresholds is halved or raised by half. Confident
    networks allow higher ones; target maps have 1 at a part and along a limb.
    """

    upsampling: int = 2  #: factor of the cubic upsampling of the heatmap in which peaks are found
    peak_threshold: float = 0.03  #: least heatmap value of a peak
    peak_share: float | None = None  #: of its part's highest peak, that a peak has at least; None takes `peak_share`
    max_peaks: int | None = None  #: peaks kept per part, the highest ones; None takes `max_peaks` of the skeleton
    samples: int = 10  #: points along a limb at which the vectmap is read
    sample_threshold: float = 0.03  #: least component along the limb of a sample that agrees
    min_agreement: float = 0.7  #: least share of samples that agree
    max_length_ratio: float | None = None  #: of a limb to the shortest ones of its two peaks; None takes `length_ratio`
    lone_threshold: float = 0.1  #: least heatmap value of a peak without any limb that may join a person
    max_gap: float = 1.5  #: between pieces of a person that no limb joins, in diagonals of the larger's box
    max_limb_gap: float = 0.25  #: the same for pieces that a limb should join, as its absence counts against it
    min_parts: int | None = None  #: parts of a person; None takes `Skeleton.min_parts`, which is 3 for openpose18
    min_score: float = 0.15  #: mean of a person's heatmap values and limb scores
    doubtful_size: float = 8.0  #: cells; people as large as this (longer side of their box) rank at half their score

    def filled(self, skeleton: Skeleton) -> "FilledParameters":
        """The same with numbers in place of None, as they are for this skeleton."""
        given = {name: value for name, value in vars(self).items() if value is not None}
        defaults = {
            "peak_share": peak_share(skeleton),
            "max_peaks": max_peaks(skeleton),
            "max_length_ratio": length_ratio(skeleton),
            "min_parts": skeleton.min_parts,
        }
        return FilledParameters(**(defaults | given))


@dataclass(frozen=True, kw_only=True)
class FilledParameters(DecodeParameters):
    """`DecodeParameters` in which nothing is None."""

    peak_share: float
    max_peaks: int
    max_length_ratio: float
    min_parts: int


@dataclass(frozen=True)
class People:
    """P people found in one picture, best first.

    Attributes:
        keypoints: float32 [P, K, 3]: x, y and score of each part; score 0 where it was not found.
            `decode` gives coordinates in cells of its maps.
        scores: float32 [P], for ranking; not a probability.
        ids: int64 [P], the same for a person in all frames of a film; None where nobody is followed.
    """

    keypoints: np.ndarray
    scores: np.ndarray
    ids: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.scores)

    def in_pixels(self, stride: float, scale: float | tuple[float, float] = 1.0) -> "People":
        """Converts to pixels of the source picture, where an integer is a pixel's centre.

        Args:
            stride: pixels of the network's input per cell.
            scale: network's input without padding / source picture, one number or (x, y).
        """
        factor = stride / np.broadcast_to(np.asarray(scale, np.float32), 2)
        found = self.keypoints[..., 2:] > 0
        xy = np.where(found, (self.keypoints[..., :2] + 0.5) * factor - 0.5, 0)
        return replace(self, keypoints=np.concatenate([xy, self.keypoints[..., 2:]], -1).astype(np.float32))


@dataclass(frozen=True)
class Peaks:
    """Candidates for parts.

    Attributes:
        xy: float32 [N, 2], cells.
        score: float32 [N], the heatmap's value.
        part: int [N], in rising order.
    """

    xy: np.ndarray
    score: np.ndarray
    part: np.ndarray


@dataclass(frozen=True)
class _Connections:
    """M pairs of peaks with the score of the limb between them."""

    limb: np.ndarray  # int [M]
    first: np.ndarray  # int [M], index of a peak
    second: np.ndarray  # int [M]
    score: np.ndarray  # float32 [M]

    def __getitem__(self, index: np.ndarray) -> "_Connections":
        return _Connections(self.limb[index], self.first[index], self.second[index], self.score[index])


def decode(
    heatmap: np.ndarray,
    vectmap: np.ndarray,
    skeleton: Skeleton,
    parameters: DecodeParameters = DecodeParameters(),
) -> People:
    """Finds people in the maps of one picture, in cells. The same maps give the same people.

    Args:
        heatmap: float [h, w, K + 1]; background, the last channel, is not used.
        vectmap: float [h, w, 2 L].
        skeleton: of the maps.
        parameters: thresholds and limits.

    Raises:
        InputError: the maps' shapes do not fit the skeleton, or they contain NaN or infinity.
    """
    _check(heatmap, vectmap, skeleton)
    return group(find_peaks(heatmap, skeleton, parameters), vectmap, skeleton, parameters)


def _check(heatmap: np.ndarray, vectmap: np.ndarray, skeleton: Skeleton) -> None:
    for name, maps, count in (
        ("heatmap", heatmap, skeleton.num_heatmaps),
        ("vectmap", vectmap, skeleton.num_vectmaps),
    ):
        shape = list(maps.shape)
        if maps.ndim != 3 or shape[-1] != count or 0 in shape[:2]:
            raise InputError(f"{name} has shape {shape}; the skeleton {skeleton.name} needs [h, w, {count}]")
        if not np.isfinite(maps).all():
            raise InputError(f"{name} holds NaN or infinity; did the training of its network diverge?")
    if heatmap.shape[:2] != vectmap.shape[:2]:
        raise InputError(f"heatmap {heatmap.shape[:2]} and vectmap {vectmap.shape[:2]} differ in height or width")


# Neighbours before and after a cell in reading order, so that only one of two equal adjacent cells is a peak.
_BEFORE = np.array([[1, 1, 1], [1, 0, 0], [0, 0, 0]], np.uint8)
_AFTER = np.array([[0, 0, 0], [0, 0, 1], [1, 1, 1]], np.uint8)


def find_peaks(heatmap: np.ndarray, skeleton: Skeleton, parameters: DecodeParameters) -> Peaks:
    """Finds 3×3 local maxima of the upsampled heatmap, refined below a cell; keeps the highest ones of each part.

    Args:
        heatmap: float [h, w, K + 1].
        skeleton: of the heatmap.
        parameters: upsampling, threshold and limit.
    """
    filled = parameters.filled(skeleton)
    (h, w), num_parts, factor = heatmap.shape[:2], skeleton.num_parts, parameters.upsampling
    coarse = np.ascontiguousarray(heatmap[..., :num_parts], np.float32)
    fine = channels.resize(coarse, (w * factor, h * factor), cv2.INTER_CUBIC)
    before, after = (channels.by_channels(partial(cv2.dilate, kernel=kernel), fine) for kernel in (_BEFORE, _AFTER))
    peak = (fine > before) & (fine >= after) & (fine > parameters.peak_threshold)
    y, x, part = np.unravel_index(np.flatnonzero(peak), fine.shape)
    score = fine[y, x, part]
    y, x, part, score = (values[_high(score, part, filled.peak_share, num_parts)] for values in (y, x, part, score))
    order = np.lexsort((x, y, -score, part))
    rank = np.arange(len(part)) - np.searchsorted(part[order], part[order])
    order = order[rank < filled.max_peaks]
    y, x, part = y[order], x[order], part[order]
    xy = np.stack([x + _vertex(fine, y, x, part, 0, 1), y + _vertex(fine, y, x, part, 1, 0)], -1)
    xy = ((xy + 0.5) / factor - 0.5).astype(np.float32)
    return Peaks(xy, score[order], part)


def _high(score: np.ndarray, part: np.ndarray, share: float, num_parts: int) -> np.ndarray:
    """Which peaks have this share of the highest one of their part: bool [N]."""
    highest = np.zeros(num_parts, np.float32)
    np.maximum.at(highest, part, score)
    return score >= share * highest[part]


def peak_share(skeleton: Skeleton) -> float:
    """The least share of the highest peak of its part that a peak has: none for people, a quarter for others.

    A network that was trained for minutes on few pictures fires a little beside the animals.
    """
    return 0.0 if skeleton.of_people else 0.25


_PEOPLE, _PAIRS = 100, 2.5e6  # peaks per part of people, and pairs of peaks of others


def max_peaks(skeleton: Skeleton) -> int:
    """How many peaks of each part are kept, which bounds the time on noise: 100 of people; more of small skeletons.

    A picture may show hundreds of small animals, and a skeleton of few limbs has few pairs of peaks to score.
    """
    if skeleton.of_people:
        return _PEOPLE
    return max(_PEOPLE, min(1000, int(np.sqrt(_PAIRS / max(skeleton.num_limbs, 1)))))


def _vertex(maps: np.ndarray, y: np.ndarray, x: np.ndarray, part: np.ndarray, dy: int, dx: int) -> np.ndarray:
    """Vertex of the parabola through a maximum and its neighbours: an offset within ±0.5, 0 at the border."""
    h, w = maps.shape[:2]
    inside = (y >= dy) & (y < h - dy) & (x >= dx) & (x < w - dx)
    before = maps[np.where(inside, y - dy, y), np.where(inside, x - dx, x), part]
    after = maps[np.where(inside, y + dy, y), np.where(inside, x + dx, x), part]
    curvature = 2 * maps[y, x, part] - before - after
    return np.where(curvature > 0, (after - before) / np.maximum(2 * curvature, 1e-12), 0).clip(-0.5, 0.5)


def group(peaks: Peaks, vectmap: np.ndarray, skeleton: Skeleton, parameters: DecodeParameters) -> People:
    """People made of these peaks, in cells.

    Args:
        peaks: candidates for parts.
        vectmap: float [h, w, 2 L].
        skeleton: of the vectmap.
        parameters: thresholds and limits.
    """
    if not skeleton.limbs:
        return _lone(peaks, skeleton, parameters)
    filled = parameters.filled(skeleton)
    candidates = _score_limbs(_pairs(peaks, skeleton), peaks, np.asarray(vectmap, np.float32), parameters)
    limbs = _best_first(_without_overlong(candidates, peaks, skeleton, filled))
    return _people(_assemble(limbs, peaks, skeleton, parameters), limbs, peaks, skeleton, filled)


def _lone(peaks: Peaks, skeleton: Skeleton, parameters: DecodeParameters) -> People:
    """Each peak as a find of its own, best first, where no limbs join them."""
    kept = np.flatnonzero(peaks.score >= parameters.min_score)
    kept = kept[np.argsort(-peaks.score[kept], kind="stable")]
    keypoints = np.zeros((len(kept), skeleton.num_parts, 3), np.float32)
    keypoints[np.arange(len(kept)), peaks.part[kept]] = np.column_stack([peaks.xy[kept], peaks.score[kept]])
    return People(keypoints, peaks.score[kept].astype(np.float32))


def _pairs(peaks: Peaks, skeleton: Skeleton) -> _Connections:
    """Every pair of peaks that a limb could join, not scored yet."""
    first_part, second_part = np.array(skeleton.limbs, int).reshape(-1, 2).T
    start = np.searchsorted(peaks.part, np.arange(skeleton.num_parts + 1))  # those of part k begin at start[k]
    count = np.diff(start)
    seconds = count[second_part]
    pairs = count[first_part] * seconds  # of each limb
    limb = np.repeat(np.arange(skeleton.num_limbs), pairs)
    index = np.arange(len(limb)) - np.repeat(np.cumsum(pairs) - pairs, pairs)  # within the limb's pairs
    first = start[first_part][limb] + index // seconds[limb]
    second = start[second_part][limb] + index % seconds[limb]
    return _Connections(limb, first, second, np.zeros(len(limb), np.float32))


def _score_limbs(pairs: _Connections, peaks: Peaks, vectmap: np.ndarray, parameters: DecodeParameters) -> _Connections:
    """The pairs along which the vectmap agrees, scored with its mean along them.

    The score is weighted with the peaks' heights: of two hips on one limb's line the clearer one is right.
    """
    # Nearly all pairs of a crowd lie off every limb: a few samples are enough to drop those.
    first, rest = sample_order(parameters)
    along = _along(pairs, first, peaks, vectmap, parameters)
    hopeful = np.flatnonzero((along > parameters.sample_threshold).any(-1))
    pairs, along = pairs[hopeful], along[hopeful]
    along = np.concatenate([along, _along(pairs, rest, peaks, vectmap, parameters)], -1)
    agreement = (along > parameters.sample_threshold).mean(-1)
    score = along.mean(-1) * (peaks.score[pairs.first] * peaks.score[pairs.second]) ** 0.25
    valid = (agreement >= parameters.min_agreement) & (score > 0)
    return _Connections(pairs.limb[valid], pairs.first[valid], pairs.second[valid], score[valid])


def sample_order(parameters: DecodeParameters) -> tuple[np.ndarray, np.ndarray]:
    """The samples along a limb, from the middle outward: first those of which one must agree, then the others."""
    order = np.argsort(np.abs(np.arange(parameters.samples) - (parameters.samples - 1) / 2), kind="stable")
    allowed = int(parameters.samples * (1 - parameters.min_agreement) + 1e-6)  # samples that need not agree
    first, rest = np.split(order, [allowed + 1])
    return first, rest


def _along(
    pairs: _Connections, samples: np.ndarray, peaks: Peaks, vectmap: np.ndarray, parameters: DecodeParameters
) -> np.ndarray:
    """The vectmap's component along each pair at some of the samples between its two peaks: [M, len(samples)]."""
    start, span = peaks.xy[pairs.first], peaks.xy[pairs.second] - peaks.xy[pairs.first]
    unit = span / np.maximum(np.linalg.norm(span, axis=-1, keepdims=True), 1e-6)
    steps = np.linspace(0, 1, parameters.samples, dtype=np.float32)[samples]
    x, y = (start[:, None, axis] + steps * span[:, None, axis] for axis in (0, 1))
    vector = _bilinear(vectmap, x, y, pairs.limb)
    return vector.real * unit[:, :1] + vector.imag * unit[:, 1:]


def _bilinear(vectmap: np.ndarray, x: np.ndarray, y: np.ndarray, limb: np.ndarray) -> np.ndarray:
    """The limb's vector x + iy at points [M, samples], interpolated: complex64; points are clamped to the border."""
    h, w = vectmap.shape[:2]
    vectors = np.ascontiguousarray(vectmap, np.float32).view(np.complex64)  # [h, w, L]: one number for both axes
    limbs, flat = vectors.shape[-1], vectors.reshape(-1)
    x, y = x.clip(0, w - 1), y.clip(0, h - 1)
    x0, y0 = np.minimum(x, max(w - 2, 0)).astype(np.intp), np.minimum(y, max(h - 2, 0)).astype(np.intp)
    x_share, y_share = x - x0.astype(np.float32), y - y0.astype(np.float32)
    right, below = limbs * (w > 1), w * limbs * (h > 1)
    index = (y0 * w + x0) * limbs + limb[:, None]
    upper = flat[index] * (1 - x_share) + flat[index + right] * x_share
    lower = flat[index + below] * (1 - x_share) + flat[index + below + right] * x_share
    return upper * (1 - y_share) + lower * y_share


# Cells; shorter lengths count as this one, as they are within a peak's width.
SHORT = 2.0


def _without_overlong(
    candidates: _Connections, peaks: Peaks, skeleton: Skeleton, parameters: FilledParameters
) -> _Connections:
    """Drops candidates that are much longer than other candidates of their peaks.

    In a row of people every shoulder points to the elbows of all others; once the near ones are matched, the
    remaining ones would be joined across the picture.
    """
    length = np.linalg.norm(peaks.xy[candidates.first] - peaks.xy[candidates.second], axis=-1)
    limit = np.ones_like(length)
    for end in (candidates.first, candidates.second):
        shortest = np.full((skeleton.num_limbs, len(peaks.part)), np.inf, np.float32)
        np.minimum.at(shortest, (candidates.limb, end), length)
        limit *= np.maximum(shortest[candidates.limb, end], SHORT)
    return candidates[length <= parameters.max_length_ratio * np.sqrt(limit)]


def length_ratio(skeleton: Skeleton) -> float:
    """How many times a limb may be as long as the shortest ones of its two peaks: 2.5 for people, 4 for others.

    People stand in rows; of an animal seen from above, a false peak close by must not hide the true one.
    """
    return 2.5 if skeleton.of_people else 4.0


def _best_first(limbs: _Connections) -> _Connections:
    return limbs[np.lexsort((limbs.second, limbs.first, limbs.limb, -limbs.score))]


def _assemble(limbs: _Connections, peaks: Peaks, skeleton: Skeleton, parameters: DecodeParameters) -> np.ndarray:
    """The group of each peak [N]: joined by limbs, best first, then pieces that lie near each other.

    This includes the paper's greedy matching: a matched peak is in one group with its partner, and is not joined
    to another peak of the same part.
    """
    root, parts = list(range(len(peaks.part))), [1 << part for part in peaks.part.tolist()]
    owner = _join(limbs.first, limbs.second, root, parts)
    return _join(*_near_pieces(owner, peaks, skeleton, parameters), root, parts)


def _join(first: np.ndarray, second: np.ndarray, root: list[int], parts: list[int]) -> np.ndarray:
    """Joins the groups of each pair of peaks in turn, unless they have a part in common.

    Args:
        first: int [M], indices of peaks.
        second: int [M], likewise.
        root: for each peak another peak of its group, or itself; changed in place.
        parts: for each root the parts of its group as bits; changed in place.

    Returns:
        The root of each peak, int [N].
    """

    def find(peak: int) -> int:
        while root[peak] != peak:
            root[peak] = peak = root[root[peak]]
        return peak

    for a, b in zip(first.tolist(), second.tolist(), strict=True):
        a, b = find(a), find(b)
        if a != b and not parts[a] & parts[b]:
            root[b] = a
            parts[a] |= parts[b]
    return np.array([find(peak) for peak in range(len(root))], np.intp)


def _near_pieces(
    owner: np.ndarray, peaks: Peaks, skeleton: Skeleton, parameters: DecodeParameters
) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of groups that may be one person though no limb joins them, the nearest first.

    A neck needs two labelled shoulders, and both hips are connected through it, so a partly hidden person falls
    into a head, an arm and two legs: 17 % of COCO's people.
    """
    size = np.bincount(owner, minlength=len(owner))[owner]
    used = np.flatnonzero((size > 1) | (peaks.score >= parameters.lone_threshold))
    used = used[_may_grow(owner[used], peaks.part[used], skeleton)]
    roots, piece = np.unique(owner[used], return_inverse=True)
    if len(roots) < 2:
        return roots[:0], roots[:0]
    gap = _gaps(peaks.xy[used], piece)
    allowed = np.where(_has_limb(piece, peaks.part[used], skeleton), parameters.max_limb_gap, parameters.max_gap)
    a, b = np.nonzero(np.triu(gap <= allowed, 1))
    order = np.lexsort((b, a, gap[a, b]))
    return roots[a[order]], roots[b[order]]


def _may_grow(owner: np.ndarray, part: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """bool [N]: peaks of pieces that share no part with at least one other piece, and so might be joined with it."""
    roots, piece = np.unique(owner, return_inverse=True)
    has = np.zeros((len(roots), skeleton.num_parts), np.float32)
    has[piece, part] = 1
    return (has @ has.T == 0).any(1)[piece]


def _gaps(xy: np.ndarray, piece: np.ndarray) -> np.ndarray:
    """Least distance between the points of two pieces, in diagonals of the larger one's box: float [F, F]."""
    order = np.argsort(piece, kind="stable")
    xy, start = xy[order], np.searchsorted(piece[order], np.arange(piece.max() + 1))
    distance = np.linalg.norm(xy[:, None] - xy, axis=-1)
    distance = np.minimum.reduceat(np.minimum.reduceat(distance, start, 0), start, 1)
    diagonal = np.linalg.norm(np.maximum.reduceat(xy, start) - np.minimum.reduceat(xy, start), axis=-1)
    larger = np.maximum(diagonal[:, None], diagonal)
    return np.where(larger > 0, distance / np.maximum(larger, 1e-6), np.inf)  # without any limb there is no person


def _has_limb(piece: np.ndarray, part: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """Whether a limb of the skeleton goes from a part of one piece to a part of the other: bool [F, F]."""
    limbs = np.zeros((skeleton.num_parts, skeleton.num_parts))
    limbs[tuple(np.transpose(skeleton.limbs))] = 1
    has = np.zeros((piece.max() + 1, skeleton.num_parts))
    has[piece, part] = 1
    return has @ (limbs + limbs.T) @ has.T > 0


def _people(
    owner: np.ndarray, limbs: _Connections, peaks: Peaks, skeleton: Skeleton, parameters: FilledParameters
) -> People:
    """Groups of peaks as people, best first; weak ones are dropped."""
    roots, person = np.unique(owner, return_inverse=True)
    keypoints = np.zeros((len(roots), skeleton.num_parts, 3), np.float32)
    keypoints[person, peaks.part] = np.concatenate([peaks.xy, peaks.score[:, None]], -1)
    inside = person[limbs.first] == person[limbs.second]
    limb_total = np.bincount(person[limbs.first[inside]], limbs.score[inside], len(roots))
    count = np.bincount(person, minlength=len(roots))
    mean = (keypoints[..., 2].sum(-1) + limb_total) / (2 * count)
    kept = np.flatnonzero((count >= parameters.min_parts) & (mean >= parameters.min_score))
    keypoints, count = keypoints[kept], count[kept]
    size = _sizes(keypoints)
    certainty = size / (size + parameters.doubtful_size)  # small people are less often found correctly
    scores = (mean[kept] * np.sqrt(count / skeleton.num_parts) * certainty).astype(np.float32)
    order = np.argsort(-scores, kind="stable")
    return People(keypoints[order], scores[order])


def _sizes(keypoints: np.ndarray) -> np.ndarray:
    """Longer side of the box about each person's parts: [P]."""
    xy, found = keypoints[..., :2], keypoints[..., 2:] > 0
    low = np.where(found, xy, np.inf).min(1, initial=np.inf)
    high = np.where(found, xy, -np.inf).max(1, initial=-np.inf)
    return (high - low).max(1, initial=0)
