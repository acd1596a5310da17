"""What this machine's GPU does for the project, as one table: `bash benchmarks/gpu.sh`, at most 10 minutes.

The training step of `lightweight` (368×368, batch 8) in each precision, with and without XLA, against plain Keras; the
same step with its input made on the CPU and on the GPU; whether repeated steps give the same weights; AP on 16 drawn
pictures that a network memorises; and predictions per second of each exported format. Each part is a process of its
own, which gives its memory back. What fails or has no time left is named in the table.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from benchmarks import _real, formats, overfit, train_step
from openpose import networks
from openpose.drawn_people import dataset
from openpose.drawn_people.scene import Sample
from openpose.model_files.formats import FORMATS
from openpose.model_files.inference import Source
from openpose.records.manifest import RecordsManifest
from openpose.training.parameters import TrainParameters
from openpose.training.step import Trainer

SECONDS = 570  # for all parts; gpu.sh ends the whole after 600
PLAIN = "plain Keras, float32"
ROW = "{:<44}{:>10}{:>12}{:>10}{:>12}"
NO_GPU = (
    "gpu: skipped: TensorFlow sees no GPU. It needs NVIDIA's driver, and CUDA's libraries, which requirements/gpu.txt "
    "installs (benchmarks/gpu.sh has the commands). --cpu tries the script without one"
)


class Size(NamedTuple):
    """How much is measured.

    Attributes:
        rounds: repetitions of each measurement.
        pictures: drawn pictures of the input.
        epochs: of the training that memorises pictures.
        precisions: of the training step.
    """

    rounds: int
    pictures: int
    epochs: int
    precisions: tuple[Any, ...]


ON_GPU, TRY = Size(30, 256, 11, ("float32", "bfloat16", "float16")), Size(2, 24, 1, ("float32",))


def main() -> int:
    """Prints the table; returns 1 if a part could not be measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--cpu", action="store_true", help="try the script without a GPU: few repetitions")
    parser.add_argument("--part", choices=PARTS, help="only this part, in this process")
    options = parser.parse_args()
    if not options.cpu and not tf.config.list_physical_devices("GPU"):
        print(NO_GPU)
        return 0
    if options.part:
        PARTS[options.part](TRY if options.cpu else ON_GPU)
        return 0
    print(machine())
    print(ROW.format("", "ms", "images/s", "ratio", "memory/MB"), flush=True)
    end, failed = time.monotonic() + SECONDS, []
    for part in PARTS:
        if not measured(part, end - time.monotonic(), options.cpu):
            failed.append(part)
    print(f"gpu: not measured: {', '.join(failed)}" if failed else "gpu: all parts measured")
    return 1 if failed else 0


def machine() -> str:
    """The GPUs and the versions, in a line."""
    names = [
        tf.config.experimental.get_device_details(device).get("device_name", device.name)
        for device in tf.config.list_physical_devices("GPU")
    ]
    cuda = tf.sysconfig.get_build_info().get("cuda_version", "none")
    return f"{', '.join(names) or 'no GPU'}; TensorFlow {tf.__version__}, CUDA {cuda}"


def measured(part: str, seconds: float, cpu: bool) -> bool:
    """Measures a part in a process of its own, which prints its rows; returns whether it succeeded in time."""
    command = [sys.executable, "-m", "benchmarks.gpu", "--part", part, *(["--cpu"] if cpu else [])]
    try:
        done = subprocess.run(command, stderr=subprocess.PIPE, text=True, timeout=max(seconds, 1))
    except subprocess.TimeoutExpired:
        print(f"{part}: no time left", flush=True)
        return False
    if done.returncode:
        print(f"{part}: failed: {(done.stderr.strip().splitlines() or ['no message'])[-1]}", flush=True)
    return done.returncode == 0


def row(name: str, seconds: float, images: int, reference: float | None = None, memory: int | None = None) -> None:
    """Prints a row: the seconds of one call with so many images, and their ratio to the reference's seconds."""
    ratio = "" if reference is None else f"{reference / seconds:.2f}"
    used = "" if memory is None else f"{memory / 1e6:.0f}"
    print(ROW.format(name, f"{1e3 * seconds:.1f}", f"{images / seconds:.0f}", ratio, used), flush=True)


def steps(size: Size) -> None:
    """Rows of the training step, each with its memory; the ratios are to plain Keras in float32."""
    batch = train_step.any_batch()
    made: dict[str, Callable[[], Any]] = {PLAIN: train_step.plain_step(batch)}
    for precision in size.precisions:
        for xla in (False, True):
            name = f"step, {precision}{', XLA' if xla else ''}"
            made[name] = step_of(batch, TrainParameters(**_OF_STEP, precision=precision), xla)
    memory = {name: memory_of(step) for name, step in made.items()}
    seconds = medians(made, size.rounds)
    for name, median in seconds.items():
        row(name, median, train_step.BATCH, seconds[PLAIN], memory[name])


_OF_STEP: dict[str, Any] = {"model": "lightweight", "size": train_step.SIZE, "batch_size": train_step.BATCH}


def step_of(batch: dict[str, tf.Tensor], parameters: TrainParameters, xla: bool = False) -> Callable[[], Any]:
    """Our training step on the batch."""
    trainer = Trainer(parameters, train_step.OPENPOSE, 1000, tf.distribute.get_strategy(), xla)
    return lambda: float(trainer.train_step(batch)["loss"])


def memory_of(step: Callable[[], Any]) -> int | None:
    """Traces the step; returns the most memory on the GPU, in bytes, that its second call takes beyond what is held."""
    step()
    if not tf.config.list_physical_devices("GPU"):
        return None
    tf.config.experimental.reset_memory_stats("GPU:0")
    step()
    used = tf.config.experimental.get_memory_info("GPU:0")
    return int(used["peak"] - used["current"])


def medians(calls: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Median seconds of each call; they take turns."""
    return {name: 1 / speed for name, speed in formats.take_turns(calls, rounds).items()}


def inputs(size: Size) -> None:
    """Rows of a training with its input: samples made on the CPU, and on the device of the network."""
    with tempfile.TemporaryDirectory() as folder:
        records = drawn(Path(folder), size.pictures)["train"]
        for where, on_device in (("CPU", False), ("device", True)):
            trainer = Trainer(
                TrainParameters(**_OF_STEP), train_step.OPENPOSE, 1000, tf.distribute.get_strategy(), False, on_device
            )
            batches = trainer.training_batches(records, 0)
            row(f"step and input, samples made on the {where}", through(trainer, batches, size), train_step.BATCH)


def through(trainer: Trainer, batches: Iterator[Any], size: Size) -> float:
    """Mean seconds of a step with its input, after as many steps that fill the queues."""
    for _ in range(size.rounds):
        trainer.train_step(next(batches))
    start = time.perf_counter()
    for _ in range(size.rounds):
        losses = trainer.train_step(next(batches))
    float(losses["loss"])  # waits for the device
    return (time.perf_counter() - start) / size.rounds


def drawn(root: Path, pictures: int) -> dict[str, RecordsManifest]:
    """Records of drawn pictures in both splits."""
    dataset.make(root / "drawn", Sample(train=pictures, val=4))
    return _real.records(root / "drawn", root)


def repeats(size: Size) -> None:
    """Whether the same steps give the same weights twice, in each precision."""
    batch = train_step.any_batch()
    for precision in size.precisions:
        first, second = (weights_after(size.rounds, batch, precision) for _ in range(2))
        largest = max(float(np.abs(a - b).max()) for a, b in zip(first, second, strict=True))
        same = "the same weights" if largest == 0 else f"weights differ by up to {largest:.1e}"
        print(f"{size.rounds} steps twice, {precision}: {same}", flush=True)


def weights_after(count: int, batch: dict[str, tf.Tensor], precision: Any) -> list[np.ndarray]:
    """The network's weights after so many steps on the batch."""
    parameters = TrainParameters(**_OF_STEP, precision=precision)
    trainer = Trainer(parameters, train_step.OPENPOSE, 1000, tf.distribute.get_strategy())
    for _ in range(count):
        trainer.train_step(batch)
    weights: list[np.ndarray] = trainer.model.get_weights()
    return weights


def memorises(size: Size) -> None:
    """AP on 16 drawn pictures after training on them alone."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        start = time.monotonic()
        dataset.make(root / "drawn", Sample(train=4 * overfit.PICTURES, val=1))
        for archive in (root / "drawn").glob("*.zip"):
            shutil.unpack_archive(archive, root / "drawn")
        overfit.choose(root / "drawn", root / "coco")
        made = _real.records(root / "coco", root, dense="both", size=overfit.SIDE)
        model = _real.trained(root, made, **overfit.RECIPE | {"epochs": size.epochs})
        reached = _real.ap(model, made["val"], overfit.SIDE)
    print(f"{size.epochs} epochs on 16 pictures: AP {reached:.3f} in {time.monotonic() - start:.0f} s", flush=True)


def predictions(size: Size) -> None:
    """Rows of each exported format, one picture at a time; the ratios are to plain Keras."""
    network = networks.build("lightweight", train_step.OPENPOSE)
    picture = np.random.default_rng(0).uniform(0, 255, (1, formats.SIZE, formats.SIZE, 3)).astype(np.float32)
    asks: dict[str, Callable[[], Any]] = {formats.KERAS: lambda: network.predict_on_batch(picture)}
    with tempfile.TemporaryDirectory() as folder:
        stride = networks.get("lightweight").stride
        source = Source(network, "rgb", train_step.OPENPOSE.name, stride, formats.SIZE, [picture])
        for format in FORMATS.values():
            asks[format.title], _ = formats.written(format.write, source, Path(folder) / format.file, picture)
        seconds = medians(asks, size.rounds)
    for title, median in seconds.items():
        row(f"prediction, {title}", median, 1, seconds[formats.KERAS])


PARTS: dict[str, Callable[[Size], None]] = {
    "steps": steps,
    "inputs": inputs,
    "predictions": predictions,
    "repeats": repeats,
    "memorises": memorises,
}

if __name__ == "__main__":
    sys.exit(main())
