"""The decoder as a TensorFlow graph, which exported files contain: the same people as `decode.py` finds.

It uses only operations that TensorFlow, ONNX Runtime and TensorFlow Lite all have. Sizes depend on the data, so a
picture with few peaks takes little time. TensorFlow Lite's operations may fail on empty tensors, so each list that
depends on the data ends with one entry that stands for nothing. It says `tf.equal`, because in the plain graph that a
SavedModel is made in, `==` asks whether two tensors are one.

Letters of the shapes: h × w cells, K parts, L limbs, k peaks per part, N = K k peaks, M pairs of peaks, F pieces of
people. Peak i of part p has the index p k + i; those of a part are in falling order of height, and some stand for
nothing.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from openpose.codec import decode
from openpose.codec.decode import FilledParameters
from openpose.skeleton import Skeleton

_FAR = 1e30  # beyond every distance and score
_LARGE = 1e6  # beyond every value of a map
_CENTRE = np.array([1, 1, 0], np.int32)  # from a place among the finer cells of a cell to that with those around it


class Found(NamedTuple):
    """The people in one picture, best first; the entries after them are 0.

    Attributes:
        keypoints: float32 [max_people, K, 3]: x, y in cells, and score, of each part; 0 where it was not found.
        scores: float32 [max_people].
        count: int32 [], how many people there are.
    """

    keypoints: tf.Tensor
    scores: tf.Tensor
    count: tf.Tensor


class _Peaks(NamedTuple):
    xy: tf.Tensor  # float32 [N, 2], cells
    score: tf.Tensor  # float32 [N]
    exists: tf.Tensor  # bool [N]
    part: tf.Tensor  # int32 [N]
    each: tf.Tensor  # int32 [], peaks of each part


class _Pairs(NamedTuple):
    """Pairs of peaks, best first."""

    first: tf.Tensor  # int32 [M], index of a peak
    second: tf.Tensor  # int32 [M]
    score: tf.Tensor  # float32 [M]
    exists: tf.Tensor  # bool [M]


class _Groups(NamedTuple):
    """Which peaks belong together."""

    owner: tf.Tensor  # int32 [N]: index of the peak that stands for the group
    parts: tf.Tensor  # float32 [N, K]: 1 for each part of the group, in the row of its owner


def max_people(skeleton: Skeleton) -> int:
    """How many finds a graph returns at most by default: 100 people; as many others as `decode.max_peaks` peaks."""
    return decode.max_peaks(skeleton)


@dataclass(frozen=True)
class GraphDecoder:
    """Finds people in maps, in TensorFlow operations.

    Attributes:
        skeleton: of the maps.
        parameters: thresholds and limits, filled for the skeleton.
        max_people: the best of them are returned.
    """

    skeleton: Skeleton
    parameters: FilledParameters
    max_people: int

    def decode(self, heatmap: tf.Tensor, vectmap: tf.Tensor) -> Found:
        """The people in the maps of one picture; none where the maps hold no numbers.

        Args:
            heatmap: float32 [h, w, K + 1]; background, the last channel, is not used.
            vectmap: float32 [h, w, 2 L].
        """
        peaks = self._peaks(_finite(heatmap[..., : self.skeleton.num_parts]))
        if not self.skeleton.limbs:
            return self._lone(peaks)
        limbs = self._limbs(peaks, vectmap)
        groups = _join(_Groups(tf.range(tf.size(peaks.part)), self._one_hot(peaks)), limbs)
        groups = _join(groups, self._near_pieces(groups, peaks))
        return self._people(groups, limbs, peaks)

    def _peaks(self, heatmap: tf.Tensor) -> _Peaks:
        """The highest 3×3 local maxima of the upsampled heatmap of each part, refined below a cell.

        The heatmap is upsampled only about cells that have more than half of the threshold in or beside them. A peak
        elsewhere would need negative values around it.
        """
        factor, above = self.parameters.upsampling, self.parameters.peak_threshold
        beside = tf.nn.max_pool2d(heatmap[None], 3, 1, "SAME")[0]
        cell = _listed(beside > above / 2)
        fine = _upsampled_about(heatmap, cell, factor)
        where = _listed(tf.transpose(_is_peak(fine, above) & _all_but_last(cell), [2, 0, 1]))
        where = tf.gather(where, [1, 2, 0], axis=1)  # y, x and the cell's number, as in `fine`; still cell by cell
        height = tf.where(_all_but_last(where), tf.gather_nd(fine, where + _CENTRE), 0.0)
        part = tf.gather(cell[:, 2], where[:, 2])
        of_part = tf.where(tf.equal(part, tf.range(self.skeleton.num_parts)[:, None]), height, 0.0)  # [K, all peaks]
        most = tf.reduce_max(tf.reduce_sum(tf.cast(of_part > 0, tf.int32), -1))
        each = tf.clip_by_value(most, 1, self.parameters.max_peaks)
        score, order = tf.math.top_k(of_part, each)
        exists = tf.reshape((score > 0) & (score >= self.parameters.peak_share * score[:, :1]), [-1])
        where = tf.gather(where, tf.reshape(order, [-1]))
        inside = tf.cast(where[:, :2], tf.float32) + _vertex(fine, where + _CENTRE)
        yx = tf.cast(tf.gather(cell[:, :2], where[:, 2]), tf.float32) + (inside + 0.5) / factor - 0.5
        part = tf.range(self.skeleton.num_parts * each) // each
        return _Peaks(yx[:, ::-1], tf.where(exists, tf.reshape(score, [-1]), 0.0), exists, part, each)

    def _one_hot(self, peaks: _Peaks) -> tf.Tensor:
        return tf.cast(tf.equal(peaks.part[:, None], tf.range(self.skeleton.num_parts)), tf.float32)

    def _lone(self, peaks: _Peaks) -> Found:
        """Each peak as a find of its own, where no limbs join them."""
        keypoint = tf.concat([peaks.xy, peaks.score[:, None]], -1)
        keypoints = self._one_hot(peaks)[..., None] * keypoint[:, None]
        return self._best(keypoints, peaks.score, peaks.exists & (peaks.score >= self.parameters.min_score))

    def _limbs(self, peaks: _Peaks, vectmap: tf.Tensor) -> _Pairs:
        """Pairs of peaks along which the vectmap agrees, without those that are much longer than others."""
        begin, end = (np.array(parts, np.int32) for parts in zip(*self.skeleton.limbs, strict=True))
        exists = tf.reshape(peaks.exists, [self.skeleton.num_parts, -1])
        both = tf.gather(exists, begin)[:, :, None] & tf.gather(exists, end)[:, None]
        limb, i, j = tf.unstack(_listed(both), axis=-1)
        first, second = tf.gather(begin, limb) * peaks.each + i, tf.gather(end, limb) * peaks.each + j
        real = _all_but_last(limb)
        # Nearly all pairs of a crowd lie off every limb: a few samples, from the middle, are enough to drop those.
        some, rest = decode.sample_order(self.parameters)
        along = self._along(limb, first, second, some, peaks, vectmap)
        hopeful = _listed(real & tf.reduce_any(along > self.parameters.sample_threshold, -1))[:, 0]
        limb, first, second, along = (tf.gather(values, hopeful) for values in (limb, first, second, along))
        along = tf.concat([along, self._along(limb, first, second, rest, peaks, vectmap)], -1)
        agree = tf.reduce_sum(tf.cast(along > self.parameters.sample_threshold, tf.int32), -1)
        height = tf.gather(peaks.score, first) * tf.gather(peaks.score, second)
        score = tf.reduce_mean(along, -1) * tf.sqrt(tf.sqrt(height))
        least = self.parameters.samples - (len(some) - 1)
        valid = _all_but_last(limb) & (agree >= least) & (score > 0)
        valid &= self._not_overlong(limb, first, second, valid, peaks)
        return _best_first(first, second, score, valid)

    def _along(
        self,
        limb: tf.Tensor,
        first: tf.Tensor,
        second: tf.Tensor,
        samples: np.ndarray,
        peaks: _Peaks,
        vectmap: tf.Tensor,
    ) -> tf.Tensor:
        """The vectmap's component along each pair at some of the samples between its peaks: [M, len(samples)]."""
        start = tf.gather(peaks.xy, first)
        span = tf.gather(peaks.xy, second) - start
        unit = span / tf.maximum(_length(span), 1e-6)[:, None]
        steps = np.linspace(0, 1, self.parameters.samples, dtype=np.float32)[samples]
        x, y = (start[:, axis, None] + steps * span[:, axis, None] for axis in (0, 1))
        return tf.reduce_sum(_bilinear(vectmap, x, y, limb, self.skeleton.num_limbs) * unit[:, None], -1)

    def _not_overlong(
        self, limb: tf.Tensor, first: tf.Tensor, second: tf.Tensor, valid: tf.Tensor, peaks: _Peaks
    ) -> tf.Tensor:
        """Which pairs are not much longer than the shortest valid ones of their peaks: bool [M]."""
        length = _length(tf.gather(peaks.xy, first) - tf.gather(peaks.xy, second))
        limit, count = tf.ones_like(length), tf.size(peaks.part)
        for end in (first, second):
            own = limb * count + end
            shortest = tf.math.unsorted_segment_min(tf.where(valid, length, _FAR), own, self.skeleton.num_limbs * count)
            limit *= tf.maximum(tf.gather(shortest, own), decode.SHORT)
        return length <= self.parameters.max_length_ratio * tf.sqrt(limit)

    def _near_pieces(self, groups: _Groups, peaks: _Peaks) -> _Pairs:
        """Pairs of groups that may be one person though no limb joins them, the nearest first."""
        size = _segment_sum(tf.cast(peaks.exists, tf.float32), groups.owner, tf.size(groups.owner))
        used = peaks.exists & ((tf.gather(size, groups.owner) > 1) | (peaks.score >= self.parameters.lone_threshold))
        roots, piece = _pieces(used, groups.owner)
        has = tf.gather(groups.parts, roots)
        apart = tf.equal(tf.matmul(has, has, transpose_b=True), 0)
        apart &= _all_but_last(roots)
        may_grow = tf.reduce_any(apart, -1) & _all_but_last(roots)
        used &= tf.gather(may_grow, piece)
        roots, piece = _pieces(used, groups.owner)
        points = _listed(used)[:, 0]
        piece = _last_is(tf.gather(piece, points), tf.size(roots) - 1)
        gap = _gaps(tf.gather(peaks.xy, points), piece, tf.size(roots))
        has, limbs = tf.gather(groups.parts, roots), np.zeros((self.skeleton.num_parts,) * 2, np.float32)
        limbs[tuple(np.transpose(self.skeleton.limbs))] = 1
        linked = tf.matmul(tf.matmul(has, limbs + limbs.T), has, transpose_b=True) > 0
        near = gap <= tf.where(linked, self.parameters.max_limb_gap, self.parameters.max_gap)
        number = tf.range(tf.size(roots))
        pairs = _listed(near & (number[:, None] < number) & _all_but_last(roots))
        one, other = (tf.gather(roots, pairs[:, end]) for end in (0, 1))
        return _best_first(one, other, -tf.gather_nd(gap, pairs), _all_but_last(one))

    def _people(self, groups: _Groups, limbs: _Pairs, peaks: _Peaks) -> Found:
        """Groups of peaks as people, best first; weak ones are dropped."""
        size = _segment_sum(tf.cast(peaks.exists, tf.float32), groups.owner, tf.size(groups.owner))
        enough = tf.gather(size, groups.owner) >= self.parameters.min_parts
        roots, person = _pieces(peaks.exists & enough, groups.owner)
        count, parts = tf.size(roots), self.skeleton.num_parts
        keypoint = tf.concat([peaks.xy, peaks.score[:, None]], -1)
        keypoints = _segment_sum(keypoint, person * parts + peaks.part, count * parts)
        keypoints = tf.reshape(keypoints, [-1, parts, 3])
        one, other = (tf.gather(groups.owner, end) for end in (limbs.first, limbs.second))
        inside = tf.where(tf.equal(one, other) & limbs.exists, limbs.score, 0.0)
        limb_total = _segment_sum(inside, tf.gather(person, limbs.first), count)
        found = tf.maximum(tf.gather(size, roots), 1.0)
        mean = (tf.reduce_sum(keypoints[..., 2], -1) + limb_total) / (2 * found)
        length = _sizes(keypoints)
        certainty = length / (length + self.parameters.doubtful_size)
        score = mean * tf.sqrt(found / parts) * certainty
        return self._best(keypoints, score, _all_but_last(roots) & (mean >= self.parameters.min_score))

    def _best(self, keypoints: tf.Tensor, score: tf.Tensor, exists: tf.Tensor) -> Found:
        """The best of the people that exist, in tables of a fixed size."""
        shown = tf.minimum(tf.size(score), self.max_people)
        score, order = tf.math.top_k(tf.where(exists, score, -_FAR), shown)
        exists = tf.gather(exists, order)
        keypoints = tf.where(exists[:, None, None], tf.gather(keypoints, order), 0.0)
        missing = self.max_people - shown
        return Found(
            tf.reshape(
                tf.pad(keypoints, [[0, missing], [0, 0], [0, 0]]), [self.max_people, self.skeleton.num_parts, 3]
            ),
            tf.reshape(tf.pad(tf.where(exists, score, 0.0), [[0, missing]]), [self.max_people]),
            tf.reduce_sum(tf.cast(exists, tf.int32)),
        )


def _finite(maps: tf.Tensor) -> tf.Tensor:
    """Maps with 0 in place of NaN and infinity.

    tf2onnx multiplies by 0 instead of choosing, and NaN stays NaN, unless the condition compares a value with itself.
    """
    bounded = tf.clip_by_value(maps, -_LARGE, _LARGE)
    bounded = tf.where(tf.not_equal(bounded, bounded), 0.0, bounded)
    return tf.where(tf.abs(bounded) < _LARGE, bounded, 0.0)


def _listed(mask: tf.Tensor) -> tf.Tensor:
    """Where a mask is true, int32 [M + 1, rank]; the last row stands for nothing."""
    return tf.pad(tf.cast(tf.where(mask), tf.int32), [[0, 1], [0, 0]])


def _all_but_last(values: tf.Tensor) -> tf.Tensor:
    """True for each entry of a list but the last, which stands for nothing."""
    count = tf.shape(values)[0]
    return tf.range(count) < count - 1


def _length(vectors: tf.Tensor) -> tf.Tensor:
    return tf.sqrt(tf.reduce_sum(vectors * vectors, -1))


def _segment_sum(values: tf.Tensor, segment: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    return tf.math.unsorted_segment_sum(values, segment, count)


def _upsampled_about(maps: tf.Tensor, cell: tf.Tensor, factor: int) -> tf.Tensor:
    """Maps about some of their cells, interpolated cubically as OpenCV does it; the border is repeated.

    Args:
        maps: float32 [h, w, K].
        cell: int32 [M, 3]: y, x and the number of the map.
        factor: of the finer cells in each direction.

    Returns:
        float32 [factor + 2, factor + 2, M]: the finer cells in the cell and those around it; at most -1e30 outside of
        the map. The cells are the last axis, because slices along the others are quick then.
    """
    weights, offset = _cubic_weights(factor)
    size, channels = tf.shape(maps)[:2], maps.shape[-1]
    before, after = -offset[0], offset[-1]
    for axis in (0, 1):
        inside = tf.clip_by_value(tf.range(-before, size[axis] + after), 0, size[axis] - 1)
        maps = tf.gather(maps, inside, axis=axis)
    row = (size[1] + before + after) * channels
    around = tf.reshape((offset[:, None] + before) * row + (offset + before) * channels, [-1, 1])
    y, x, number = tf.unstack(cell, axis=-1)
    coarse = tf.gather(tf.reshape(maps, [-1]), around + (y * row + x * channels + number))
    ends = [tf.equal(at, end) for at, last in ((y, size[0] - 1), (x, size[1] - 1)) for end in (0, last)]
    known = tf.concat([coarse, tf.cast(tf.stack(ends), tf.float32)], 0)
    both = np.concatenate([np.kron(weights, weights), _beyond_ends(factor + 2)], 1)
    return tf.reshape(tf.matmul(both, known), [factor + 2, factor + 2, -1])


def _beyond_ends(side: int) -> np.ndarray:
    """Weights that make finer cells beyond the end of a map -1e30: float32 [side², 4].

    Args:
        side: of the square of finer cells in and around a cell.

    Returns:
        A column for each end: above the map, below, left and right of it.
    """
    rows, columns = np.indices((side, side)).reshape(2, -1)
    beyond = [at == end for at in (rows, columns) for end in (0, side - 1)]
    return -_FAR * np.stack(beyond, 1).astype(np.float32)


def _cubic_weights(factor: int) -> tuple[np.ndarray, np.ndarray]:
    """The weights [factor + 2, n] of n cells in the finer cells in and around one, and the n cells' offsets from it."""
    at = (np.arange(-1, factor + 1) + 0.5) / factor - 0.5
    before = np.floor(at).astype(np.int32)
    offset = np.arange(before[0] - 1, before[-1] + 3, dtype=np.int32)
    weights = np.zeros((len(at), len(offset)), np.float32)
    for row, share, first in zip(weights, at - before, before - before[0], strict=True):
        row[first : first + 4] = cubic_weights(share)
    return weights, offset


def cubic_weights(share: Any) -> list[Any]:
    """Weights of the cells at -1, 0, 1 and 2 for a point at this share of the way from 0 to 1, as OpenCV has them."""
    a, rest = -0.75, 1 - share
    outer = ((a * (share + 1) - 5 * a) * (share + 1) + 8 * a) * (share + 1) - 4 * a
    inner = ((a + 2) * share - (a + 3)) * share * share + 1
    next_inner = ((a + 2) * rest - (a + 3)) * rest * rest + 1
    return [outer, inner, next_inner, 1 - outer - inner - next_inner]


def _is_peak(fine: tf.Tensor, above: float) -> tf.Tensor:
    """Which inner cells [n - 2, n - 2, M] of [n, n, M] are local maxima; of equal neighbours the first is one."""
    inner = fine[1:-1, 1:-1]
    peak, size = inner > above, fine.shape[1] - 2
    for y, x in np.ndindex(3, 3):
        neighbour = fine[y : y + size, x : x + size]
        if (y, x) < (1, 1):
            peak &= inner > neighbour
        elif (y, x) > (1, 1):
            peak &= inner >= neighbour
    return peak


def _vertex(fine: tf.Tensor, where: tf.Tensor) -> tf.Tensor:
    """The vertices of the parabolas through maxima and their neighbours along y and x, within ±0.5: float32 [M, 2]."""
    here, offsets = tf.gather_nd(fine, where), []
    for step in np.array([[1, 0, 0], [0, 1, 0]], np.int32):
        before, after = (tf.gather_nd(fine, where + sign * step) for sign in (-1, 1))
        curvature = 2 * here - before - after
        offset = tf.clip_by_value((after - before) / tf.maximum(2 * curvature, 1e-12), -0.5, 0.5)
        inside = (before > -_FAR) & (after > -_FAR) & (curvature > 0)
        offsets.append(tf.where(inside, offset, 0.0))
    return tf.stack(offsets, -1)


def _bilinear(vectmap: tf.Tensor, x: tf.Tensor, y: tf.Tensor, limb: tf.Tensor, limbs: int) -> tf.Tensor:
    """The limbs' vectors [M, samples, 2] at points [M, samples], interpolated; points are clamped to the border."""
    h, w = tf.unstack(tf.shape(vectmap)[:2])
    x = tf.clip_by_value(x, 0.0, tf.cast(w - 1, tf.float32))
    y = tf.clip_by_value(y, 0.0, tf.cast(h - 1, tf.float32))
    x0, y0 = tf.cast(x, tf.int32), tf.cast(y, tf.int32)
    x_share, y_share = ((at - tf.cast(cell, tf.float32))[..., None] for at, cell in ((x, x0), (y, y0)))
    left, right = ((column * limbs + limb[:, None]) for column in (x0, tf.minimum(x0 + 1, w - 1)))
    above, below = (row * (w * limbs) for row in (y0, tf.minimum(y0 + 1, h - 1)))
    index = tf.stack([above + left, above + right, below + left, below + right])
    corners = _finite(tf.gather(tf.reshape(vectmap, [-1, 2]), index))
    upper, lower = (corners[row] * (1 - x_share) + corners[row + 1] * x_share for row in (0, 2))
    return upper * (1 - y_share) + lower * y_share


def _best_first(first: tf.Tensor, second: tf.Tensor, score: tf.Tensor, exists: tf.Tensor) -> _Pairs:
    """The pairs that exist, best first, and of equal ones the first; one that does not when there are none."""
    count = tf.maximum(tf.reduce_sum(tf.cast(exists, tf.int32)), 1)
    score, order = tf.math.top_k(tf.where(exists, score, -_FAR), count)
    return _Pairs(tf.gather(first, order), tf.gather(second, order), score, tf.gather(exists, order))


def _join(groups: _Groups, pairs: _Pairs) -> _Groups:
    """Joins the groups of each pair of peaks, the best pair first, unless they have a part in common.

    A pair whose groups have no better pair is joined at once, whatever other pairs there are: no better one can change
    its groups before its turn. So all such pairs are joined in one round, and the result is that of one pair after the
    other. The most rounds are as many as the parts of a group, nearly always.
    """
    peak, rank, last = tf.range(tf.size(groups.owner)), tf.range(tf.size(pairs.first)), tf.size(pairs.first) - 1

    def round(owner: tf.Tensor, parts: tf.Tensor, go_on: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        a, b = tf.gather(owner, pairs.first), tf.gather(owner, pairs.second)
        common = tf.reduce_sum(tf.gather(parts, a) * tf.gather(parts, b), -1)
        free = pairs.exists & tf.not_equal(a, b) & tf.equal(common, 0)
        waiting = tf.where(free, rank, last + 1)
        best = tf.math.unsorted_segment_min(tf.concat([waiting, waiting], 0), tf.concat([a, b], 0), tf.size(owner))
        chosen = free & tf.equal(tf.gather(best, a), rank) & tf.equal(tf.gather(best, b), rank)
        own = tf.minimum(best, last)  # of each group; groups without pairs have a large number
        joins = (best <= last) & tf.gather(chosen, own)
        root, partner = tf.gather(a, own), tf.gather(a, own) + tf.gather(b, own) - peak
        parts = tf.maximum(parts, tf.gather(parts, tf.where(joins, partner, peak)))
        return tf.gather(tf.where(joins, root, peak), owner), parts, tf.reduce_any(free)

    shapes = (tf.TensorShape([None]), tf.TensorShape([None, groups.parts.shape[-1]]), tf.TensorShape([]))
    start = (groups.owner, groups.parts, tf.constant(True))
    owner, parts, _ = tf.while_loop(lambda owner, parts, go_on: go_on, round, start, shapes)
    return _Groups(owner, parts)


def _pieces(used: tf.Tensor, owner: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The groups of the peaks that are used, numbered.

    Returns:
        int32 [F + 1], the owner of each group; the last one stands for nothing.
        int32 [N], the number of each peak's group; F for a peak that is not used.
    """
    is_root = used & tf.equal(owner, tf.range(tf.size(owner)))
    number = tf.cumsum(tf.cast(is_root, tf.int32))
    roots = _listed(is_root)[:, 0]
    return roots, tf.where(used, tf.gather(number, owner) - 1, tf.size(roots) - 1)


def _last_is(values: tf.Tensor, last: tf.Tensor) -> tf.Tensor:
    return tf.where(_all_but_last(values), values, last)


def _gaps(xy: tf.Tensor, piece: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    """Least distance between the points of two pieces, in diagonals of the larger one's box: float32 [F, F]."""
    distance = _length(xy[:, None] - xy)
    for _ in range(2):
        distance = tf.transpose(tf.math.unsorted_segment_min(distance, piece, count))
    box = tf.math.unsorted_segment_min(tf.concat([xy, -xy], -1), piece, count)
    diagonal = _length(box[:, :2] + box[:, 2:])
    larger = tf.maximum(diagonal[:, None], diagonal)
    return tf.where(larger > 0, distance / tf.maximum(larger, 1e-6), _FAR)  # without any limb there is no person


def _sizes(keypoints: tf.Tensor) -> tf.Tensor:
    """Longer side of the box about each person's parts: [P]."""
    xy, found = keypoints[..., :2], keypoints[..., 2:] > 0
    low = tf.reduce_min(tf.where(found, xy, _FAR), 1)
    high = tf.reduce_max(tf.where(found, xy, -_FAR), 1)
    return tf.maximum(tf.reduce_max(high - low, -1), 0.0)
