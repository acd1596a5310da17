"""Steps as commands: flags, `--config`, and the shell command of a call."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pytest

from components import command
from openpose.errors import InputError
from openpose.parameters import Limits, Parameters


@dataclass(frozen=True)
class Recipe(Parameters):
    """Parameters of the work."""

    epochs: Annotated[int, Limits(least=1)] = 30
    """How often each sample is seen."""
    init_partial: bool = False
    """Load only the weights that fit."""
    name: str = ""
    """Name of the result."""


def work(root: str, recipe: Recipe = Recipe(), revision: str = "") -> None:
    """Works.

    Args:
        root: Storage root.
        recipe: what decides the work.
        revision: Revision of the code.
    """
    SEEN.append((root, recipe, revision))


SEEN: list[tuple[str, Recipe, str]] = []


@pytest.fixture(autouse=True)
def fresh() -> None:
    SEEN.clear()


def config(tmp_path: Path, text: str) -> str:
    file = tmp_path / "config.yaml"
    file.write_text(text)
    return str(file)


def test_flags_are_the_fields(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.run(work, "work", ["--root=/data", "--epochs", "5", "--init-partial", "--name=-odd"]) == 0
    assert [("/data", Recipe(5, True, "-odd"), "")] == SEEN
    with pytest.raises(SystemExit) as ended:
        command.run(work, "work", ["--help"])
    assert ended.value.code == 0
    said = " ".join(capsys.readouterr().out.split())
    for part in ("Works.", "--config FILE", "Storage root. (required)", "How often each sample is seen. (default: 30)"):
        assert part in said


def test_value_that_cannot_be_used_ends_with_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.run(work, "work", ["--root=/data", "--epochs=0"]) == 1
    assert capsys.readouterr().err == "error: epochs is 0; it must be at least 1\n"


@pytest.mark.parametrize("way", ["--config={}", "--config {}"])
def test_file_gives_flags_and_flags_win(way: str, tmp_path: Path) -> None:
    file = config(tmp_path, "root: /data\ninit-partial: true\nepochs: 5\nname: of the file\n")
    assert command.run(work, "work", [*way.format(file).split(" "), "--epochs=7", "--no-init-partial"]) == 0
    assert [("/data", Recipe(7, False, "of the file"), "")] == SEEN


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epoch: 5", "unknown parameter 'epoch'; choose one of: root, epochs, init_partial, name, revision"),
        ("epochs: many", "epochs is 'many'; it must be a whole number"),
        ("- epochs", "must contain names and values of parameters, such as epochs: 5"),
        ("epochs: [", "cannot be read as parameters"),
    ],
)
def test_file_that_cannot_be_used_is_named(
    text: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = config(tmp_path, text)
    assert command.run(work, "work", ["--root=/data", "--config", file]) == 1
    assert capsys.readouterr().err.startswith(f"error: {file}: ")
    assert not SEEN
    with pytest.raises(InputError, match=message.split(";")[0].replace("[", r"\[")):
        command.read_yaml(Path(file), command.parameters(work))


def test_call_takes_values_as_kubeflow_hands_them_on() -> None:
    values: dict[str, Any] = {"root": "/data", "epochs": 5.0, "init_partial": False}
    command.call(work, values)
    assert [("/data", Recipe(5), "")] == SEEN
    with pytest.raises(InputError, match="unknown parameter 'epoch'"):
        command.call(work, {"root": "/data", "epoch": 5})
