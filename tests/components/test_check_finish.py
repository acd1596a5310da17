"""The first step: what is refused before anything starts."""

import inspect
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from components import status
from components.check import component
from components.check.check import check, recipe
from openpose.errors import InputError
from openpose.training.parameters import TrainParameters

DEMANDS = {"min_ap": 0.0, "max_valid_loss": 0.0, "tolerance": 0.01}


def checked(root: Path, train: dict[str, Any] | None = None, **others: Any) -> None:
    values = asdict(TrainParameters()) | {"width": 0.2, "stages": 1} | (train or {})
    check(str(root), values, others.pop("demands", DEMANDS), **others)


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"train": {"model": "x"}}, "no network is called 'x'"),
        ({"train": {"size": 100}}, "both sides must be multiples of 8"),
        ({"train": {"learning_rate": "fast"}}, "learning rate 'fast'"),
        ({"train": {"width": -1.0}}, "width is -1.0; it must be above 0"),
        ({"demands": DEMANDS | {"min_ap": -1}}, "min_ap is -1; it must be at least 0"),
        ({"workers": 0}, "workers is 0; at least 1 is needed"),
        ({"dense": "all"}, "dense is 'all'; choose one of: val, both, none"),
        ({"gpus": -1}, "gpus is -1; it must be at least 0"),
        ({"gpus": 2}, "compiled for a cluster without accelerators"),
        ({"machines": 0}, "machines is 0; it must be at least 1"),
        ({"machines": 2}, "machines is 2, but this DAG runs here and not on a cluster"),
        ({"machines": 3, "machine": {"cpu": "1"}}, "batch_size 16 does not divide among 3 replicas"),
        (
            {"machines": 2, "train": {"accumulate": 16}, "machine": {"cpu": "1"}},
            "among 2 replicas (machines × gpus) in 16",
        ),
        ({"registry": "a/b"}, "registry 'a/b'"),
        ({"pixels": "gbr"}, "pixels are 'gbr'"),
        ({"formats": "onx"}, "no format is called 'onx'"),
        ({"save_minutes": -1.0}, "save_minutes is -1.0"),
    ],
)
def test_parameters_that_cannot_work(parameters: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=re.escape(said)):
        checked(tmp_path, **parameters)
    assert status.steps(tmp_path)["check"].state == "failed"
    assert said in status.steps(tmp_path)["check"].error


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no network is called 'x'.*; pixels are 'gbr'"):
        checked(tmp_path, {"model": "x"}, pixels="gbr")


def test_good_parameters_pass(tmp_path: Path) -> None:
    checked(tmp_path, machines=2, gpus=4, machine={"accelerator": "nvidia.com/gpu"})
    assert status.steps(tmp_path)["check"].state == "done"


def test_recipe_is_of_what_decides_the_result() -> None:
    parameters = {"root": "/data", "workers": 2, "gpus": 0, "machines": 1, "epochs": 30, "revision": "1"}
    assert recipe(parameters) == recipe(parameters | {"root": "gs://bucket", "workers": 8, "gpus": 4, "machines": 2})
    for change in ({"epochs": 31}, {"revision": "2"}):
        assert recipe(parameters) != recipe(parameters | change)


@pytest.mark.parametrize(("machines", "asked"), [(1, ("16", "64Gi", "4")), (2, ("1", "2Gi", "0"))])
def test_step_that_only_watches_other_pods_asks_for_little(
    machines: int, asked: tuple[str, ...], tmp_path: Path
) -> None:
    """What the check's outputs make the training's pod ask for."""
    declared = inspect.signature(component.check.python_func).parameters
    values = {name: getattr(TrainParameters(), name) for name in declared if hasattr(TrainParameters(), name)}
    values |= DEMANDS | {"root": str(tmp_path), "width": 0.2, "stages": 1, "batch_size": 16}
    values |= {"machine": {"cpu": "16", "memory": "64Gi", "accelerator": "nvidia.com/gpu"}}
    values |= {"machines": float(machines), "gpus": 4.0}
    values |= {"watcher": {"cpu": "1", "memory": "2Gi", "accelerator": ""}, "workers": 1, "dense": "val"}
    values |= {"save_minutes": 10.0, "ap_images": 0, "registry": "openpose", "pixels": "bgr", "formats": "all"}
    values |= {"shard_mb": 128.0, "images_per_shard": 0, "max_bad_share": 0.01, "height": 0, "revision": "1"}
    assert component.check.python_func(**values)[:3] == asked
