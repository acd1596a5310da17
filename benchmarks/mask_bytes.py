"""Bytes per image of the loss mask as stored in records, against a 1-bit PNG and COCO's compressed RLE.

`python -m benchmarks.mask_bytes` takes the pictures with a mask from the developers' `../shared/coco` if present, else
from a drawn sample. All three encodings are lossless. Runs are smaller than a PNG for COCO's outlines, and larger for
people segmented as rectangles; the bound is on the bytes that the masks add to the pictures. It also prints the
reader's cost: looking the mask up at the 46×46 cells of the network's output, against only decoding the PNG, both in a
`tf.data` map (CPU time of all cores).
"""

import io
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image
from pycocotools import mask as rle

from benchmarks import _pictures, oracle
from openpose.coco.pictures import PictureStore
from openpose.errors import InputError
from openpose.input import augment
from openpose.records import schema
from openpose.records.loss_mask import loss_mask, mask_image
from openpose.records.picture import Picture

BOUND = 0.01  # of the pictures' bytes
SIZE, STRIDE = (368, 368), 8
GRID = (SIZE[0] // STRIDE, SIZE[1] // STRIDE)
ROUNDS = 5
FEATURE = "image/loss_mask/runs"
NOTHING = len(schema.with_features({}))


def main() -> int:
    """Prints the tables; returns the exit code."""
    try:
        with tempfile.TemporaryDirectory(prefix="mask-bytes-") as folder:
            real = oracle.SHARED / "coco" / oracle.ANNOTATIONS
            paths = sorted(real.parent.glob("person_keypoints_*.json")) or [oracle.draw_sample(Path(folder))]
            ratio = max(measure(path) for path in paths)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"mask_bytes: {ratio:.4f} (bound {BOUND:.4f})")
    return 0 if ratio <= BOUND else 1


def measure(path: Path) -> float:
    """Prints the table of one annotation file; returns the bytes of the runs relative to those of all its pictures."""
    pictures = _pictures.read(path, oracle.OPENPOSE)
    masked = [(picture, runs) for picture in pictures if len(runs := loss_mask(picture))]
    if not masked:
        raise InputError(f"{path}: no picture has a mask; give other data")
    images = [mask_image(runs, picture.height, picture.width) for picture, runs in masked]
    pngs = [png(image) for image in images]
    sizes = {
        "runs, the whole feature in the Example": [
            len(schema.with_features({FEATURE: runs})) - NOTHING for _, runs in masked
        ],
        "PNG of 1 bit, its content only": [len(content) for content in pngs],
        "COCO's compressed RLE, its content only": [len(rle.encode(np.asfortranarray(i))["counts"]) for i in images],
    }
    print(f"{path.name}: {len(masked)} of {len(pictures)} images have a mask, of {mean_runs(masked):.0f} runs")
    print(f"  {'bytes of an image with a mask':42}{'mean':>8}{'median':>8}{'largest':>9}")
    for name, lengths in sizes.items():
        print(f"  {name:42}{np.mean(lengths):8.0f}{np.median(lengths):8.0f}{max(lengths):9}")
    print_times([(runs, picture.height, picture.width) for picture, runs in masked], pngs)
    return sum(sizes["runs, the whole feature in the Example"]) / picture_bytes(path, pictures)


def picture_bytes(path: Path, pictures: Sequence[Picture]) -> int:
    """Bytes of all pictures of an annotation file; their folder or archive lies beside the file's folder."""
    split = path.stem.rpartition("_")[2]
    places = [path.parent.parent / split, path.parent.parent / f"{split}.zip", path.parent / f"{split}.zip"]
    with PictureStore(next(place for place in places if place.exists())) as store:
        return sum(store.size(picture.file_name) for picture in pictures)


def mean_runs(masked: Sequence[tuple[Picture, np.ndarray]]) -> float:
    return float(np.mean([len(runs) for _, runs in masked]))


def png(image: np.ndarray) -> bytes:
    """A mask uint8 [height, width] of 0 and 1 as a PNG of 1 bit."""
    buffer = io.BytesIO()
    Image.fromarray(image * 255).convert("1").save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def print_times(masks: Sequence[tuple[np.ndarray, int, int]], pngs: Sequence[bytes]) -> None:
    """Prints the reader's times."""
    runs = tf.RaggedTensor.from_row_lengths(np.concatenate([m[0] for m in masks]), [len(m[0]) for m in masks])
    heights, widths = (np.array([mask[side] for mask in masks], np.int64) for side in (1, 2))

    def look_up(runs: tf.Tensor, height: tf.Tensor, width: tf.Tensor) -> tf.Tensor:
        picture = tf.stack([height, width])[None]
        to_cells = augment.to_cells(augment.fit_affine(picture, SIZE), STRIDE)
        return augment.warp_masks(runs[None], picture, to_cells, GRID)

    def decode(content: tf.Tensor) -> tf.Tensor:
        return tf.io.decode_png(content, channels=1)

    cells = f"look the runs up at {GRID[1]}×{GRID[0]} cells"
    for name, seconds in (
        (cells, best((runs, heights, widths), look_up)),
        ("decode the PNG", best(np.array(pngs, object), decode)),
    ):
        print(f"  {name:42}{1e3 * seconds / len(masks):8.3f} ms/image")


def best(data: object, function: Callable[..., tf.Tensor]) -> float:
    """CPU seconds of the fastest of several rounds over all masks, after a warm-up."""
    dataset = tf.data.Dataset.from_tensor_slices(data).map(function, num_parallel_calls=tf.data.AUTOTUNE)
    times = []
    for _ in range(1 + ROUNDS):
        start = time.process_time()
        for _ in dataset:
            pass
        times.append(time.process_time() - start)
    return min(times[1:])


if __name__ == "__main__":
    sys.exit(main())
