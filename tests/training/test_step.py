"""A step is the same on any number of devices, and what its options say that they do."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from openpose import skeleton, storage
from openpose.errors import InputError
from openpose.input import batches
from openpose.networks import loss
from openpose.records.manifest import RecordsManifest
from openpose.training import devices
from openpose.training.parameters import TrainParameters
from openpose.training.step import Trainer
from tests.process import free_port
from tests.training import train_process

ROOT = Path(__file__).resolve().parent.parent.parent
OPENPOSE = skeleton.get("openpose18")
PARAMETERS = TrainParameters(
    model="mobilenet_thin", width=0.2, stages=1, size=64, batch_size=4, epochs=4, learning_rate="0.003"
)
Manifests = dict[str, RecordsManifest]

pytestmark = pytest.mark.usefixtures("tiny")


@pytest.mark.slow
def test_sigma_is_the_width_of_the_true_peaks(sample_records: Manifests) -> None:
    def parts(sigma: float) -> np.ndarray:
        inputs = replace(PARAMETERS, sigma=sigma).inputs()
        return next(iter(batches.training(sample_records["train"], OPENPOSE, inputs, 4)))["maps"].numpy()[..., :18]

    narrow, wide = parts(6.0), parts(12.0)
    inside = (narrow > 0) & (narrow < 1)
    # exp(-d² / 2σ²): twice the sigma is the fourth root.
    np.testing.assert_allclose(wide[inside], narrow[inside] ** 0.25, rtol=1e-4)
    assert (wide > 0).sum() > 2 * (narrow > 0).sum()


# Devices


def worker_environments(workers: int) -> list[dict[str, str]]:
    cluster = {"worker": [f"localhost:{free_port()}" for _ in range(workers)]}
    return [
        {"TF_CONFIG": json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}})}
        for index in range(workers)
    ]


def start_workers(
    manifests: Manifests, folder: Path, environments: Sequence[dict[str, str]], **given: Any
) -> list["subprocess.Popen[bytes]"]:
    """Starts a training in processes of their own; not forked, as TensorFlow's workers may hang in such."""
    text = json.dumps({**storage.to_json(manifests), "folder": str(folder), "run": {"log_steps": 1}, **given})
    command = [sys.executable, "-m", "tests.training.train_process", text]
    return [subprocess.Popen(command, cwd=ROOT, env=os.environ | environment) for environment in environments]


def train_apart(
    manifests: Manifests, folder: Path, environments: Sequence[dict[str, str]] = (), **given: Any
) -> tuple[list[list[float]], list[np.ndarray]]:
    """Trains in processes of their own; returns all losses that were logged, and the weights."""
    if environments:
        started = start_workers(manifests, folder, environments, **given)
        assert [process.wait(timeout=300) for process in started] == [0] * len(started)
    else:
        assert train_process.start(manifests, folder, **{"run": {"log_steps": 1}, **given}).wait(timeout=300) == 0
    lines = [json.loads(line) for line in (folder / "logs/steps.jsonl").read_text().splitlines()]
    lines += [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    names = (*loss.NAMES, *(f"valid_{name}" for name in loss.NAMES))
    with np.load(folder / "weights.npz") as weights:
        return [[line[name] for name in names if name in line] for line in lines], list(weights.values())


@pytest.mark.slow
def test_one_device_two_and_two_workers_train_the_same(sample_records: Manifests, tmp_path: Path) -> None:
    # Six validation images in batches of four: the last batch is a partial one. SGD, as Adam would hide a wrong scale
    # of the gradients. In float64, as rounding errors of float32 grow in 20 steps like any small change.
    parameters = PARAMETERS.as_dict() | {"optimizer": "sgd", "learning_rate": "0.0001", "clip_norm": 50.0, "ema": 0.9}
    how: dict[str, Any] = {"parameters": parameters, "float64": True}
    expected = train_apart(sample_records, tmp_path / "one", **how)
    assert len(expected[0]) == 24
    two = train_apart(sample_records, tmp_path / "two", devices=2, **how)
    workers = train_apart(sample_records, tmp_path / "workers", worker_environments(2), **how)
    for losses, weights in (two, workers):
        for one, other in zip(expected[0], losses, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-6)
        for weight, same in zip(expected[1], weights, strict=True):
            assert weight.dtype == np.float64
            np.testing.assert_allclose(weight, same, rtol=1e-7, atol=1e-9)
    assert len(list((tmp_path / "workers/logs").glob("events*"))) == 1, "only the chief writes"


@pytest.mark.slow
@pytest.mark.parametrize("stopped", [0, 1])
def test_all_workers_stop_at_one_step_when_any_is_stopped(
    stopped: int, sample_records: Manifests, tmp_path: Path
) -> None:
    """A node that is drained stops one pod; the others must not wait for it in a step that it never comes to."""
    given: dict[str, Any] = {"parameters": PARAMETERS.as_dict() | {"epochs": 500}, "run": {"log_steps": 3}}
    processes = start_workers(sample_records, tmp_path, worker_environments(2), **given)
    log = tmp_path / "logs/steps.jsonl"
    while (not log.exists() or not log.read_text()) and not any(process.poll() for process in processes):
        time.sleep(0.05)
    processes[stopped].terminate()
    assert [process.wait(timeout=60) for process in processes] == [143, 143]
    newest = max(int(path.name.removeprefix("step-")) for path in (tmp_path / "checkpoints").glob("step-*"))
    assert newest > 0
    assert newest % 3 == 0 or newest % 5 == 0, "where the workers ask each other"


@pytest.mark.slow
def test_workers_that_see_other_checkpoints_are_refused(sample_records: Manifests, tmp_path: Path) -> None:
    """As on machines whose folder of the same name is not the same folder."""
    given: dict[str, Any] = {"parameters": PARAMETERS.as_dict() | {"epochs": 1}, "seen": 1}
    train_apart(sample_records, tmp_path / "first", **given)
    first, second = worker_environments(2)
    processes = [
        *start_workers(sample_records, tmp_path / "first", [first], **given),
        *start_workers(sample_records, tmp_path / "other", [second], **given),
    ]
    assert [process.wait(timeout=120) for process in processes] == [1, 1]
    assert not (tmp_path / "other/checkpoints").exists()


def test_more_gpus_than_there_are() -> None:
    visible = len(tf.config.list_physical_devices("GPU"))
    with pytest.raises(InputError, match=f"gpus is {visible + 1}, but {visible} are visible here"):
        devices.strategy(visible + 1)


WHEEL = ["sm_60", "sm_70", "sm_80", "sm_89", "compute_90"]  # of TensorFlow 2.21


@pytest.mark.parametrize(
    ("built_for", "capability"),
    [
        *((WHEEL, capability) for capability in [(6, 1), (7, 5), (8, 0), (8, 6), (9, 0)]),
        ([*WHEEL, "sm_120"], (12, 0)),
        (["12.0"], (12, 1)),
        (["sm_90a"], (9, 0)),
        ([], (12, 0)),
        (WHEEL, None),
    ],
)
def test_gpu_that_tensorflow_can_use(built_for: list[str], capability: tuple[int, int] | None) -> None:
    assert devices.unusable(built_for, capability) == ""


@pytest.mark.parametrize(("built_for", "capability"), [(WHEEL, (12, 0)), (WHEEL, (10, 0)), (WHEEL, (5, 2))])
def test_gpu_that_tensorflow_cannot_use(built_for: list[str], capability: tuple[int, int]) -> None:
    problem = devices.unusable(built_for, capability)
    assert f"capability {capability[0]}.{capability[1]}, but this TensorFlow was built for 6.0, 7.0, 8.0, 8.9, 9.0" in (
        problem
    )
    assert "nvcr.io/nvidia/tensorflow" in problem


def test_code_for_a_later_minor_version_is_not_enough() -> None:
    assert "8.0, but this TensorFlow was built for 8.9" in devices.unusable(["sm_89"], (8, 0))


def test_unusable_gpu_is_named_before_the_training(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gpus = [tf.config.PhysicalDevice(f"/physical_device:GPU:{number}", "GPU") for number in range(2)]
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: gpus)
    details = {"device_name": "NVIDIA GeForce RTX 5090", "compute_capability": (12, 0)}
    monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda gpu: details)
    monkeypatch.setattr(tf.sysconfig, "get_build_info", lambda: {"cuda_compute_capabilities": WHEEL})
    devices.strategy(0)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("warning: /physical_device:GPU:0 (NVIDIA GeForce RTX 5090) has compute capability 12.0, but")


@pytest.mark.parametrize(
    "text",
    [
        "no json",
        "[]",
        '{"cluster": {"worker": ["host"]}, "task": {"type": "worker", "index": 0}}',
        '{"cluster": {"worker": ["host:1"]}, "task": {"type": "worker", "index": 3}}',
        '{"cluster": {"ps": ["host:1"]}, "task": {"type": "ps", "index": 0}}',
    ],
)
def test_unusable_tf_config(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(InputError, match=r"TF_CONFIG.* must be (JSON )?like \{\"cluster\""):
        devices.worker_suffix()


def test_missing_worker_is_named() -> None:
    other = f"localhost:{free_port()}"
    with pytest.raises(InputError, match=f"worker {other} has not come within 1 s; start the same command there"):
        devices.meet(f"localhost:{free_port()}", [other], patience=1)


# Options


@pytest.fixture(scope="module")
def batch() -> dict[str, tf.Tensor]:
    """Any batch of four samples."""
    numbers = np.random.default_rng(0)
    maps = numbers.uniform(0, 1, (4, 8, 8, 57)).astype(np.float32)
    image = numbers.uniform(0, 255, (4, 64, 64, 3)).astype(np.float32)
    return {
        "image": tf.constant(image),
        "maps": tf.constant(maps),
        "mask": tf.ones((4, 8, 8, 1)),
        "id": tf.range(4, dtype=tf.int64),
    }


def make(**values: Any) -> Trainer:
    parameters = TrainParameters(**(PARAMETERS.as_dict() | {"warmup": 0} | values))
    return Trainer(parameters, OPENPOSE, 5, tf.distribute.get_strategy())


def moves(trainer: Trainer, batch: dict[str, tf.Tensor], steps: int = 1) -> dict[str, float]:
    """How far each trainable variable was moved by some steps."""
    before = [variable.numpy() for variable in trainer.model.trainable_variables]
    for _ in range(steps):
        trainer.train_step(batch)
    return {
        variable.path: float(np.abs(variable.numpy() - old).max())
        for variable, old in zip(trainer.model.trainable_variables, before, strict=True)
    }


@pytest.mark.slow
def test_batch_must_divide_among_the_devices(sample_records: Manifests, tmp_path: Path) -> None:
    process = train_process.start(sample_records, tmp_path, parameters=PARAMETERS.as_dict(), devices=3)
    assert "InputError: batch_size 4 does not divide among 3 replicas" in process.communicate()[1]


@pytest.mark.slow
def test_backbone_has_its_own_rate(batch: dict[str, tf.Tensor]) -> None:
    moved = moves(make(backbone_rate=0.0), batch)
    assert {path for path, distance in moved.items() if distance == 0} == {
        path for path in moved if path.startswith("backbone")
    }


@pytest.mark.slow
def test_weights_decay_but_not_norms_and_biases(batch: dict[str, tf.Tensor]) -> None:
    # Adam's step does not depend on the size of the gradients, so what differs is the decay.
    plain, decayed = (make(optimizer=name, weight_decay=0.1) for name in ("adam", "adamw"))
    for trainer in (plain, decayed):
        trainer.train_step(batch)
    for one, other in zip(plain.model.trainable_variables, decayed.model.trainable_variables, strict=True):
        differs = not np.array_equal(one.numpy(), other.numpy())
        assert differs == one.path.endswith("kernel"), one.path


@pytest.mark.slow
def test_clipping_shortens_the_step_of_sgd(batch: dict[str, tf.Tensor]) -> None:
    trainer = make()
    norm = float(trainer.train_step(batch)["gradient_norm"])
    plain, clipped = (
        moves(make(optimizer="sgd", momentum=0.0, weight_decay=0.0, learning_rate="0.0001", clip_norm=longest), batch)
        for longest in (0.0, norm / 10)
    )
    for path, distance in plain.items():
        assert clipped[path] == pytest.approx(distance / 10, rel=0.02, abs=1e-7), path


@pytest.mark.slow
def test_average_of_the_weights_is_what_is_validated_and_saved(batch: dict[str, tf.Tensor]) -> None:
    trainer = make(ema=0.5)
    kernel = trainer.model.trainable_variables[0]
    values = []
    for _ in range(3):
        trainer.train_step(batch)
        values.append(kernel.numpy())
    expected = 0.5 * (0.5 * values[0] + 0.5 * values[1]) + 0.5 * values[2]
    with trainer.averaged():
        np.testing.assert_allclose(kernel.numpy(), expected, rtol=1e-5)
    np.testing.assert_array_equal(kernel.numpy(), values[2])
    np.testing.assert_allclose(trainer.finished_model().trainable_variables[0], expected, rtol=1e-5)


@pytest.mark.slow
def test_parts_of_a_batch_give_the_whole_batchs_loss(batch: dict[str, tf.Tensor]) -> None:
    # The same samples twice: then batch norm sees the same in each half as in all of them.
    twice = {name: tf.concat([value[:2]] * 2, 0) for name, value in batch.items()}
    # Kept, as a function of TensorFlow does not keep the object that it is a method of.
    trainers = [make(accumulate=count) for count in (1, 2)]
    whole, parts = (trainer.train_step(twice) for trainer in trainers)
    for name, value in whole.items():
        assert float(parts[name]) == pytest.approx(float(value), rel=1e-4), name


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_lower_precision_learns_and_is_saved_in_float32(batch: dict[str, tf.Tensor], precision: str) -> None:
    trainer = make(precision=precision)
    losses = [float(trainer.train_step(batch)["loss"]) for _ in range(8)]
    assert losses[-1] < losses[0]
    model = trainer.finished_model()
    assert {layer.compute_dtype for layer in model.layers} == {"float32"}
    assert float(trainer.valid_step(batch)["loss"]) > 0


@pytest.mark.slow
def test_frozen_norms_keep_their_statistics_and_learn_the_rest(batch: dict[str, tf.Tensor]) -> None:
    trainer = make(freeze_norms=True)
    norm = next(layer for layer in trainer.model.layers if isinstance(layer, keras.layers.BatchNormalization))
    norm.moving_mean.assign(norm.moving_mean + 0.5)
    before = norm.get_weights()
    step, seen = trainer.train_step(batch), trainer.valid_step(batch)
    gamma, beta, mean, variance = norm.get_weights()
    assert not np.array_equal(gamma, before[0])
    assert not np.array_equal(beta, before[1])
    np.testing.assert_array_equal([mean, variance], before[2:])
    # Training saw what inference sees: the losses differ only by the step in between.
    assert float(seen["loss"]) / 4 == pytest.approx(float(step["loss"]), rel=0.1)


@pytest.mark.slow
def test_samples_made_in_the_step_train_the_same(sample_records: Manifests) -> None:
    values = []
    for on_device in (False, True):
        trainer = Trainer(PARAMETERS, OPENPOSE, 10, tf.distribute.get_strategy(), augment_on_device=on_device)
        batches = trainer.training_batches(sample_records["train"], first_step=0)
        steps = [trainer.train_step(next(batches)) for _ in range(3)]
        values.append([float(step[name]) for step in steps for name in loss.NAMES])
        # Regions differ in size, and making a step of a large network takes longer than many steps.
        assert trainer.train_step.experimental_get_tracing_count() == 1
    # OpenCV rounds pixels to whole grey levels.
    np.testing.assert_allclose(values[0], values[1], rtol=0.01)


@pytest.mark.slow
def test_xla_gives_the_same_losses(batch: dict[str, tf.Tensor]) -> None:
    compiled = Trainer(PARAMETERS, OPENPOSE, 5, tf.distribute.get_strategy(), xla=True)
    plain = Trainer(PARAMETERS, OPENPOSE, 5, tf.distribute.get_strategy())
    for _ in range(3):
        values, others = plain.train_step(batch), compiled.train_step(batch)
    for name, value in values.items():
        assert float(others[name]) == pytest.approx(float(value), rel=1e-3), name
