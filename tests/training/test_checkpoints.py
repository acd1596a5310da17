"""Checkpoints are read back wherever they were written, and no message says to remove one."""

import shutil
from pathlib import Path

import pytest
import tensorflow as tf

from openpose.errors import InputError
from openpose.training.checkpoints import Checkpoints


def of(folder: Path, value: float = 0.0) -> tuple[Checkpoints, tf.Variable]:
    variable = tf.Variable(value)
    return Checkpoints(folder, {"network": "tiny"}, model=tf.train.Checkpoint(value=variable)), variable


@pytest.mark.parametrize("name", ["team[a]", "a\\b", "a*b", "what?", "{a,b} #%41:=,'ü"])
def test_folder_with_any_name(tmp_path: Path, name: str) -> None:
    first, _ = of(tmp_path / name / "checkpoints", 3.0)
    first.save(5, {"note": 1})
    resumed, variable = of(tmp_path / name / "checkpoints")
    assert resumed.restore() == (5, {"note": 1})
    assert variable.numpy() == 3
    for given in (tmp_path / name, tmp_path / name / "checkpoints/step-00000005"):
        other, variable = of(tmp_path / "other")
        assert other.start_from(given) == (5, {"note": 1})
        assert variable.numpy() == 3


def test_temporary_folder_with_brackets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "[tmp]").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "[tmp]"))
    of(tmp_path / "[a]", 3.0)[0].save(5, {})
    assert of(tmp_path / "[a]")[0].restore() == (5, {})


def test_no_message_says_to_remove_a_checkpoint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoints, _ = of(tmp_path)
    for step in (1, 2):
        checkpoints.save(step, {})
    (tmp_path / "step-00000002/notes.json").write_text('{"about"')
    assert of(tmp_path)[0].restore() == (1, {})
    for data in tmp_path.glob("*/state.data*"):
        data.write_bytes(data.read_bytes()[:1])
    shutil.rmtree(tmp_path / "step-00000002")
    with pytest.raises(InputError, match=r"no checkpoint can be read, of 1 \(.+\); keep them.* move the folder") as no:
        of(tmp_path)[0].restore()
    said = (capsys.readouterr().err + str(no.value)).replace(str(tmp_path), "")
    assert said.count("warning: ") == 2
    assert "(its notes.json is not valid JSON: " in said
    assert "remove" not in said
    assert "delete" not in said
