"""The first step: refuses parameters that cannot work."""

import re
from pathlib import Path
from typing import Any

import pytest

from components import status
from components.check.check import OUTPUTS, check, recipe
from components.parameters import dag_parameters
from openpose.errors import InputError

VALUES = {name: each.default for name, each in dag_parameters().items()} | {
    "source": "sample",
    "width": 0.2,
    "stages": 1,
}


def checked(root: Path, machine: dict[str, str] | None = None, **changes: Any) -> dict[str, Any]:
    watcher = {"cpu": "1", "memory": "2Gi", "accelerator": ""}
    return check(VALUES | {"root": str(root)} | changes, machine or {}, watcher)


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"model": "x"}, "model is 'x'"),
        ({"size": 100}, "both sides must be multiples of 8"),
        ({"learning_rate": "fast"}, "learning rate 'fast'"),
        ({"width": -1.0}, "width is -1.0; it must be above 0"),
        ({"min_ap": -2}, "min_ap is -2.0; it must be at least -1"),
        ({"max_rmse": -1}, "max_rmse is -1.0; it must be at least 0"),
        ({"workers": 0}, "workers is 0; it must be at least 1"),
        ({"dense": "all"}, "dense is 'all'; choose one of: val, both, none"),
        ({"gpus": -1}, "gpus is -1; it must be at least 0"),
        ({"gpus": 2}, "compiled for a cluster without accelerators"),
        ({"machines": 0}, "machines is 0; it must be at least 1"),
        ({"machines": 2}, "machines is 2, but this DAG runs here and not on a cluster"),
        ({"data_workers": 2}, "data_workers is 2, but this DAG runs here and not on a cluster"),
        ({"machines": 3, "machine": {"cpu": "1"}}, "batch_size 16 does not divide among 3 replicas"),
        (
            {"machines": 2, "accumulate": 16, "machine": {"cpu": "1"}},
            "among 2 replicas (machines × gpus) in 16",
        ),
        ({"registry": "a/b"}, "registry 'a/b'"),
        ({"pixels": "gbr"}, "pixels is 'gbr'; choose one of: bgr, rgb"),
        ({"formats": "onx"}, "no format is called 'onx'"),
        ({"save_minutes": -1.0}, "save_minutes is -1.0"),
    ],
)
def test_parameters_that_cannot_work(parameters: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=re.escape(said)):
        checked(tmp_path, **parameters)
    assert status.steps(tmp_path)["check"].state == "failed"
    assert said in status.steps(tmp_path)["check"].error


@pytest.mark.parametrize(
    ("source", "asked", "registry"),
    [
        ("sample", "openpose", "sample"),
        ("sample", "trial", "trial"),
        ("coco2017", "openpose", "openpose"),
        ("/data/people", "people", "people"),
    ],
)
def test_the_sample_has_a_registry_of_its_own(
    source: str, asked: str, registry: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = checked(tmp_path, source=source, registry=asked)
    assert result["registry"] == result["evaluate"]["registry"] == registry
    assert f"champions to registry/{registry}" in capsys.readouterr().out


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"model is 'x'.*; pixels is 'gbr'"):
        checked(tmp_path, model="x", pixels="gbr")


def test_good_parameters_pass(tmp_path: Path) -> None:
    outputs = checked(tmp_path, machines=2, gpus=4, machine={"accelerator": "nvidia.com/gpu"})
    assert {name: type(value) for name, value in outputs.items()} == OUTPUTS
    assert status.steps(tmp_path)["check"].state == "done"


def test_recipe_is_of_what_decides_the_result() -> None:
    parameters = VALUES | {"root": "/data", "revision": "1"}
    faster = {"root": "gs://bucket", "workers": 8, "gpus": 4, "machines": 2, "data_workers": 2}
    assert recipe(parameters) == recipe(parameters | faster)
    for change in ({"epochs": 31}, {"revision": "2"}):
        assert recipe(parameters) != recipe(parameters | change)


@pytest.mark.parametrize(
    ("machines", "data_workers", "asked"),
    [(1, 0, ("16", "64Gi", "4")), (2, 0, ("1", "2Gi", "0")), (1, 3, ("1", "2Gi", "0"))],
)
def test_step_that_only_watches_other_pods_asks_for_little(
    machines: int, data_workers: int, asked: tuple[str, ...], tmp_path: Path
) -> None:
    """The resources of the training's pod, from the check's outputs."""
    training = {"cpu": "16", "memory": "64Gi", "accelerator": "nvidia.com/gpu"}
    outputs = checked(tmp_path, training, machines=float(machines), data_workers=data_workers, gpus=4.0)
    assert (outputs["cpu"], outputs["memory"], outputs["accelerators"]) == asked
