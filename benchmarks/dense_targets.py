"""Time to make heatmap and vectmap at 368×368 for 1 to 8 whole people, against tf-pose's method.

`python -m benchmarks.dense_targets`. The reference is tf-pose's algorithm. It draws a Gaussian at full resolution for
every keypoint of every person (sigma 8 pixels, within a window, maximum over the people). For every limb of every
person it adds the unit vector within a window (8 pixels from the line) and counts; a Python loop divides each pixel of
a limb by its count. Then it area-resizes all planes to 46×46. tf-pose compiles the loops within the windows; here NumPy
stands in for them. A second row also replaces the Python loop by NumPy, unlike tf-pose. Our `encode` computes the same
only at the 46×46 cells, and is measured as the input pipeline runs it, in a `tf.data` map. The last row is what a
worker does for an image of dense records, which are compressed.

Times are CPU seconds of all cores together, so it does not matter how many cores each method can use.
"""

import sys
import time
from collections.abc import Callable

import cv2
import numpy as np
import tensorflow as tf

from openpose.coco import annotations
from openpose.coco.person import Form
from openpose.codec.encode import MAX_EXPONENT, encode
from openpose.codec.parameters import TargetParameters
from openpose.input import dense
from openpose.input.parameters import InputParameters
from openpose.records import schema
from openpose.records.picture import Picture
from openpose.skeleton import OPENPOSE18

BOUND = 50.0  # times the speed of the reference
SIZE, STRIDE = 368, 8
SIGMA, REACH = 8.0, 8.0  # of the Gaussians and the limbs, pixels
PICTURES = 64
ROUNDS = 5
REPEATS = 4  # of ours, so that its start-up hardly counts
PARAMETERS = TargetParameters(stride=STRIDE, sigma=SIGMA, limb_width=REACH / STRIDE)

# A standing person: x and y of each part, in heights of the person.
STANDING = {
    "nose": (0.0, 0.06),
    "neck": (0.0, 0.17),
    "right_shoulder": (-0.11, 0.17),
    "right_elbow": (-0.15, 0.33),
    "right_wrist": (-0.15, 0.47),
    "left_shoulder": (0.11, 0.17),
    "left_elbow": (0.15, 0.33),
    "left_wrist": (0.15, 0.47),
    "right_hip": (-0.07, 0.5),
    "right_knee": (-0.07, 0.74),
    "right_ankle": (-0.07, 0.96),
    "left_hip": (0.07, 0.5),
    "left_knee": (0.07, 0.74),
    "left_ankle": (0.07, 0.96),
    "right_eye": (-0.02, 0.04),
    "left_eye": (0.02, 0.04),
    "right_ear": (-0.04, 0.05),
    "left_ear": (0.04, 0.05),
}


def main() -> int:
    """Prints the table; returns the exit code."""
    cv2.setNumThreads(1)
    pictures = [people(seed) for seed in range(PICTURES)]
    dataset = ours(pictures)
    times = {
        "tf-pose's method": best(lambda: [reference(keypoints, divide_each) for keypoints in pictures]),
        "tf-pose's method, divided by NumPy": best(lambda: [reference(keypoints, divide) for keypoints in pictures]),
        "ours, in a tf.data map": best(lambda: list(dataset.repeat(REPEATS))) / REPEATS,
        "ours, compressed for dense records": best(dense_records(pictures)),
    }
    print(f"{PICTURES} pictures of {SIZE}×{SIZE}, {sum(map(len, pictures)) / PICTURES:.1f} people each")
    print(f"  {f'best of {ROUNDS}':36}{'CPU ms/image':>13}{'times':>8}")
    slow, _, quick, _ = times.values()
    for name, seconds in times.items():
        print(f"  {name:36}{1e3 * seconds / PICTURES:13.2f}{slow / seconds:8.1f}")
    print_difference(pictures, dataset)
    print(f"dense_targets: {slow / quick:.1f} (bound {BOUND:.1f})")
    return 0 if slow / quick >= BOUND else 1


def people(seed: int) -> np.ndarray:
    """float32 [P, K, 2]: 1 to 8 people, from a quarter of the picture's height to all of it, with all parts inside."""
    rng = np.random.default_rng(seed)
    count = 1 + seed % 8
    pose = np.array([STANDING[part] for part in OPENPOSE18.parts]) + rng.normal(0, 0.02, (count, len(STANDING), 2))
    height = rng.uniform(SIZE / 4, SIZE, (count, 1, 1))
    feet = rng.uniform(height[:, 0] / 2, SIZE, (count, 2))[:, None] - [0, 1] * height
    return (feet + pose * height).clip(0, SIZE - 1).astype(np.float32)


def ours(pictures: list[np.ndarray]) -> tf.data.Dataset:
    """Batches [8, 46, 46, maps], made like the input pipeline makes them."""
    grid = (SIZE // STRIDE, SIZE // STRIDE)

    def maps(keypoints: tf.Tensor) -> tf.Tensor:
        keypoints = tf.ensure_shape(keypoints, [None, OPENPOSE18.num_parts, 2])
        labelled = tf.ones(tf.shape(keypoints)[:2], tf.bool)
        return tf.concat(encode(keypoints, labelled, grid, OPENPOSE18, PARAMETERS), -1)

    lengths = [len(keypoints) for keypoints in pictures]
    ragged = tf.RaggedTensor.from_row_lengths(np.concatenate(pictures), lengths)
    return tf.data.Dataset.from_tensor_slices(ragged).map(maps, num_parallel_calls=tf.data.AUTOTUNE).batch(8)


def reference(keypoints: np.ndarray, divide: Callable[[np.ndarray, np.ndarray], None]) -> tuple[np.ndarray, ...]:
    """tf-pose's heatmap and vectmap [46, 46, …] of one picture, transposed and resized as tf-pose does it."""
    heatmap = np.zeros((OPENPOSE18.num_heatmaps, SIZE, SIZE), np.float32)
    vectmap = np.zeros((OPENPOSE18.num_limbs, 2, SIZE, SIZE), np.float32)
    count = np.zeros((OPENPOSE18.num_limbs, SIZE, SIZE), np.int16)
    for person in keypoints:
        for part, point in enumerate(person):
            add_gaussian(heatmap[part], point)
        for limb, (first, second) in enumerate(OPENPOSE18.limbs):
            add_limb(vectmap[limb], count[limb], person[first], person[second])
    heatmap[-1] = 1 - heatmap[:-1].max(0)
    divide(vectmap, count)
    cells = (SIZE // STRIDE, SIZE // STRIDE)
    planes = (heatmap, vectmap.reshape(-1, SIZE, SIZE))
    turned = [plane.transpose(1, 2, 0) for plane in planes]
    return tuple(cv2.resize(maps, cells, interpolation=cv2.INTER_AREA) for maps in turned)


def divide_each(vectmap: np.ndarray, count: np.ndarray) -> None:
    """Divides the sums [L, 2, height, width] by the counts [L, height, width], pixel by pixel."""
    for limb, y, x in zip(*np.nonzero(count), strict=True):
        vectmap[limb][0][y][x] /= count[limb][y][x]
        vectmap[limb][1][y][x] /= count[limb][y][x]


def divide(vectmap: np.ndarray, count: np.ndarray) -> None:
    """Divides all pixels at once with NumPy."""
    where, y, x = np.nonzero(count)
    vectmap[where, :, y, x] /= count[where, y, x, None]


def add_gaussian(plane: np.ndarray, point: np.ndarray) -> None:
    """Takes the maximum of a plane [height, width] and a part's Gaussian, in the window where that is not 0."""
    radius = np.sqrt(2 * MAX_EXPONENT) * SIGMA
    x, y, window = around(point - radius, point + radius)
    exponent = ((x - point[0]) ** 2 + (y - point[1]) ** 2) / (2 * SIGMA**2)
    gaussian = np.where(exponent <= MAX_EXPONENT, np.exp(-exponent), 0)
    np.maximum(plane[window], gaussian, out=plane[window])


def add_limb(planes: np.ndarray, count: np.ndarray, start: np.ndarray, end: np.ndarray) -> None:
    """Adds a limb's unit vector to planes [2, height, width], and 1 to the count, on the limb."""
    length = np.linalg.norm(end - start)
    if length == 0:
        return
    unit = (end - start) / length
    x, y, window = around(np.minimum(start, end) - REACH, np.maximum(start, end) + REACH)
    on_limb = np.abs((x - start[0]) * unit[1] - (y - start[1]) * unit[0]) <= REACH
    planes[0][window] += on_limb * unit[0]
    planes[1][window] += on_limb * unit[1]
    count[window] += on_limb


def around(low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray, tuple[slice, slice]]:
    """The pixels between two corners (x, y): their x [1, w], their y [h, 1], and the window in a plane."""
    (left, top), (right, bottom) = np.maximum(np.ceil(low), 0).astype(int), np.minimum(high, SIZE - 1).astype(int) + 1
    x, y = np.arange(left, right, dtype=np.float32), np.arange(top, bottom, dtype=np.float32)
    return x[None], y[:, None], (slice(top, bottom), slice(left, right))


def dense_records(pictures: list[np.ndarray]) -> Callable[[], list[bytes]]:
    """A function that makes all pictures' features like a worker does for dense records."""
    no_image = schema.with_features({"image/encoded": b""})
    examples = [schema.serialize(picture(number, keypoints)) + no_image for number, keypoints in enumerate(pictures)]
    features = dense.make_targets(OPENPOSE18, InputParameters(size=(SIZE, SIZE), targets=PARAMETERS))
    return lambda: [features(example) for example in examples]


def picture(number: int, keypoints: np.ndarray) -> Picture:
    """A picture's annotations from its people's parts [P, K, 2]."""
    seen = np.concatenate([keypoints, np.full((*keypoints.shape[:2], 1), 2)], -1)
    people = [
        {"id": person, "bbox": [0, 0, SIZE, SIZE], "keypoints": parts.ravel().tolist()}
        for person, parts in enumerate(OPENPOSE18.to_source_keypoints(seen))
    ]
    image = {"id": number, "file_name": f"{number}.jpg", "width": SIZE, "height": SIZE}
    return annotations.make_picture(image, people, OPENPOSE18, Form("pictures"))


def best(work: Callable[[], object]) -> float:
    """CPU seconds of the fastest of several rounds, after a warm-up."""
    work()
    times = []
    for _ in range(ROUNDS):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def print_difference(pictures: list[np.ndarray], dataset: tf.data.Dataset) -> None:
    """Prints how much the maps differ: a cell's mean over its pixels is not the value at its centre."""
    other = np.stack([np.concatenate(reference(keypoints, divide), -1) for keypoints in pictures])
    difference = np.abs(np.concatenate(list(dataset.as_numpy_iterator())) - other)
    heatmap, vectmap = np.split(difference, [OPENPOSE18.num_heatmaps], -1)
    print(f"  mean difference of the maps: heatmap {heatmap.mean():.4f}, vectmap {vectmap.mean():.4f}")


if __name__ == "__main__":
    sys.exit(main())
