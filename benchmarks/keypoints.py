"""Time of target maps and decoder for skeletons of 18, 24 and 133 keypoints.

`python -m benchmarks.keypoints` encodes and decodes pictures of three animals on a grid of 46×46 cells, with 18 parts
of people, and with chains of 24 and 133 keypoints, as the flies of SLEAP and COCO-WholeBody have. The bound is on the
time of one keypoint of 133 relative to one of 18: time must grow no worse than linearly. It takes half a minute.
"""

import itertools
import statistics
import sys
import time
from collections.abc import Callable

import cv2
import numpy as np
import tensorflow as tf

from openpose.codec import decode, encode
from openpose.skeleton import OPENPOSE18, Skeleton
from openpose.skeleton.derive import complete
from openpose.skeleton.draft import Draft
from openpose.skeleton.limbs import Distances

GRID, ANIMALS, REPEATED = (46, 46), 3, 15
BOUND = 1.2


def chain(keypoints: int) -> Skeleton:
    """A skeleton whose keypoints are joined one after the other."""
    names = tuple(f"point{number}" for number in range(keypoints))
    draft = Draft("", "chain", names, tuple(itertools.pairwise(names)))
    return complete(draft, lambda bare: Distances(bare.num_parts))[0]


def animals(skeleton: Skeleton) -> np.ndarray:
    """Parts [P, K, 2] in pixels: each animal a spiral of its own."""
    step = np.arange(skeleton.num_parts) + 1
    radius, turn = 50 * np.sqrt(step / skeleton.num_parts), 2.4 * np.sqrt(step)
    spiral = radius[:, None] * np.stack([np.cos(turn), np.sin(turn)], -1)
    return np.stack([spiral + 70 + 105 * number for number in range(ANIMALS)]).astype(np.float32)


def milliseconds(work: Callable[[], object]) -> float:
    """The median time of a few repetitions, after one that does not count."""
    work()
    times = []
    for _ in range(REPEATED):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return 1e3 * statistics.median(times)


def measure(skeleton: Skeleton) -> tuple[float, float]:
    """Milliseconds of CPU time for target maps and for the decoder, one picture."""
    parts = animals(skeleton)
    keypoints, labelled = tf.constant(parts[None]), tf.ones([1, *parts.shape[:2]], tf.bool)
    encoder = tf.function(lambda: encode.encode_batch(keypoints, labelled, GRID, skeleton))
    heatmap, vectmap = (maps.numpy()[0] for maps in encoder())
    return milliseconds(encoder), milliseconds(lambda: decode.decode(heatmap, vectmap, skeleton))


def main() -> int:
    """Prints the table; returns the exit code."""
    tf.config.threading.set_intra_op_parallelism_threads(1)
    cv2.setNumThreads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    print(f"{'keypoints':>9}{'limbs':>7}{'targets ms':>12}{'decoder ms':>12}")
    each: dict[int, float] = {}
    for skeleton in (OPENPOSE18, chain(24), chain(133)):
        encoding, decoding = measure(skeleton)
        each[skeleton.num_parts] = (encoding + decoding) / skeleton.num_parts
        print(f"{skeleton.num_parts:>9}{skeleton.num_limbs:>7}{encoding:>12.2f}{decoding:>12.2f}")
    ratio = each[133] / each[18]
    print(f"keypoints: {ratio:.3f} (bound {BOUND:.3f})")
    return 0 if ratio <= BOUND else 1


if __name__ == "__main__":
    sys.exit(main())
