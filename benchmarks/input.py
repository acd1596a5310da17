"""Speed of the training input at 368×368, against a bare loop that decodes the same JPEGs.

`python -m benchmarks.input` makes sparse records of pictures (the validation split of the developers' `../shared/coco`
if present, else a drawn sample) and takes batches from them: read, shuffled, decoded, augmented, with targets. It
measures the whole input on the CPU, the part that remains on the CPU when there is a GPU (read, shuffle, decode,
batch), and what of that remains in the training's process when a data worker, in a process of its own on the same
cores, does it. The reference is a Python loop, `for picture in pictures: tf.io.decode_jpeg(picture)`, on the same
machine. Such a loop uses one core and the input all cores, so a second row has `decode_jpeg` in a `tf.data` map on all
cores.
"""

import itertools
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tensorflow as tf

from benchmarks import oracle
from components.coco_download.coco_download import coco_download
from components.coco_download.parameters import DataParameters
from components.tfrecord_targets.parameters import SplitParameters
from components.tfrecord_targets.tfrecord_targets import tfrecord_targets
from openpose import skeleton, storage
from openpose.drawn_people import dataset
from openpose.drawn_people.scene import Sample
from openpose.errors import InputError
from openpose.input import batches
from openpose.input.parameters import InputParameters
from openpose.records import cache, read
from openpose.records.manifest import RecordsManifest
from openpose.training import data_service, process

BOUND_ALL, BOUND_HOST = 2.3, 0.5  # milliseconds of CPU per image beyond the bare loop's
SIZE, BATCH = 368, 16
IMAGES = 1_600  # for each measurement
ROUNDS = 3
OPENPOSE = skeleton.get("openpose18")


def main() -> int:
    """Prints the table; returns the exit code."""
    try:
        process.settle()
        with tempfile.TemporaryDirectory(prefix="input-") as folder:
            manifest = make_records(Path(folder))
            rates = measure(manifest)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    loop = next(iter(rates.values()))[0]
    bare, _, whole, host, _ = (1e3 * cpu for _, cpu in rates.values())
    print(f"{manifest.counts['images']} pictures, {SIZE}×{SIZE}, batch {BATCH}, best of {ROUNDS}")
    print(f"  {'':36}{'images/s':>9}{'ratio':>8}{'CPU ms/image':>14}")
    for name, (seconds, cpu) in rates.items():
        print(f"  {name:36}{1 / seconds:9.0f}{loop / seconds:8.2f}{1e3 * cpu:14.2f}")
    whole, host = whole - bare, host - bare
    print(f"input: {whole:.2f} ms beyond decoding (bound {BOUND_ALL}), {host:.2f} ms with a GPU (bound {BOUND_HOST})")
    return 0 if whole <= BOUND_ALL and host <= BOUND_HOST else 1


def make_records(root: Path) -> RecordsManifest:
    """Makes sparse records of the real validation split (pictures of COCO's size) or of a drawn training split."""
    real, drawn = oracle.SHARED / "coco", root / "sample"
    if real.exists():
        names = DataParameters(train_annotations=oracle.ANNOTATIONS, train_pictures="val2017")
        coco_download(str(real), str(root), names)
    else:
        dataset.make(drawn, Sample(seed=0, train=400, val=1))
        coco_download(str(drawn), str(root))
    tfrecord_targets(str(root), "train", parameters=SplitParameters(dense="none"))
    (path,) = root.glob("records/train-*/manifest.json")
    return storage.open_manifest(str(path), RecordsManifest)


def measure(manifest: RecordsManifest) -> dict[str, tuple[float, float]]:
    """Seconds and CPU seconds per image, for each method."""
    inputs = InputParameters(size=(SIZE, SIZE))

    def training(on_device: bool, remote: str = "") -> Iterator[Any]:
        made = batches.training(manifest, OPENPOSE, inputs, BATCH, on_device=on_device, files=cache.copied)
        return iter(data_service.distribute(made, remote) if remote else made)

    encoded = [example["encoded"] for example in read.examples(manifest, OPENPOSE).as_numpy_iterator()]
    with tf.device("CPU"), data_worker() as remote:
        return {
            "bare loop": best(iter(bare_loop(encoded))),
            "decode_jpeg in a tf.data map": best(iter(bare_map(encoded))),
            "the whole input": best(training(on_device=False)),
            "the CPU's part with a GPU": best(training(on_device=True)),
            "that with a data worker": best(training(on_device=True, remote=remote)),
        }


@contextmanager
def data_worker() -> Iterator[str]:
    """The address of a data service with one worker, a process that ends with the block."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    _server = data_service.dispatcher(port)  # ends with its last reference
    flags = [f"--dispatcher=localhost:{port}", "--port=0", "--address=localhost:%port%"]
    command = [sys.executable, "-m", "openpose.data_service", "worker", *flags]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as worker:
        try:
            assert worker.stdout
            worker.stdout.readline()  # it is ready
            yield f"grpc://localhost:{port}"
        finally:
            worker.kill()


def bare_loop(encoded: Sequence[bytes]) -> Iterator[None]:
    """Decodes a batch of pictures at each step."""
    pictures = itertools.cycle(encoded)
    while True:
        for picture in itertools.islice(pictures, BATCH):
            tf.io.decode_jpeg(picture, channels=3)
        yield


def bare_map(encoded: Sequence[bytes]) -> tf.data.Dataset:
    """Decodes a JPEG from memory for each image of its batches, which hold only sizes."""
    pictures = tf.data.Dataset.from_tensor_slices(encoded).repeat()
    sizes = pictures.map(lambda e: tf.shape(tf.io.decode_jpeg(e, channels=3)), num_parallel_calls=tf.data.AUTOTUNE)
    return sizes.batch(BATCH)


def best(elements: Iterator[Any]) -> tuple[float, float]:
    """The fastest round's time and CPU time per image, after a warm-up."""
    times = []
    for _ in range(1 + ROUNDS):
        start, cpu = time.perf_counter(), time.process_time()
        for _ in range(IMAGES // BATCH):
            next(elements)
        times.append(((time.perf_counter() - start) / IMAGES, (time.process_time() - cpu) / IMAGES))
    return min(time for time, _ in times[1:]), min(cpu for _, cpu in times[1:])


if __name__ == "__main__":
    sys.exit(main())
