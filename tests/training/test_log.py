"""What is read back from a training's log."""

import json
from pathlib import Path

import pytest

from openpose.networks import loss
from openpose.training.read_log import read_steps


def write(folder: Path, steps: int) -> None:
    lines = [json.dumps({"step": step, "time": 0.5, **dict.fromkeys(loss.NAMES, 2.0 * step)}) for step in range(steps)]
    (folder / "steps.jsonl").write_text("\n".join([*lines, '{"step": 9']))


@pytest.mark.parametrize(("steps", "points", "expected"), [(4, 10, [0, 1, 2, 3]), (10, 2, [2, 7]), (0, 5, [])])
def test_steps_are_averaged(tmp_path: Path, steps: int, points: int, expected: list[float]) -> None:
    write(tmp_path, steps)
    read = read_steps(tmp_path, points)
    assert [point["step"] for point in read] == expected
    assert [point["loss_lastlayer_paf"] for point in read] == [2 * step for step in expected]


def test_missing_log(tmp_path: Path) -> None:
    assert read_steps(tmp_path / "gone", 5) == []
