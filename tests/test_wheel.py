"""The installed package: all files are in its wheel, and its command `openpose` is the commands of a clone."""

import importlib
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from pipelines.__main__ import COMMANDS, main
from tests.one_person import save, write_graph

ROOT = Path(__file__).resolve().parent.parent
LAYERS = ("openpose", "components", "pipelines")
# Sub-command -> the module that a clone runs with `python -m`.
IN_A_CLONE = {
    "run": "pipelines.local",
    "predict": "openpose.predict",
    "train": "components.train",
    "evaluate": "components.evaluate",
    "export": "components.export",
    "score": "openpose.score",
    "records": "openpose.records",
    "serve": "openpose.serving",
    "sweep": "pipelines.sweep",
    "submit": "pipelines.submit",
}
# What a user types, and what bash then offers.
COMPLETED = {
    "openpose tra": ["train"],
    "openpose train --model mobilenet_v2": ["mobilenet_v2_large", "mobilenet_v2_small"],
    "openpose run --run": ["--runner"],
    "openpose records v": ["verify"],
}


pytestmark = pytest.mark.slow  # they build the wheel and install it


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, made from a copy, because setuptools writes beside the sources."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    for layer in LAYERS:
        shutil.copytree(ROOT / layer, folder / layer, ignore=shutil.ignore_patterns("__pycache__"))
    _pip("wheel", "--no-build-isolation", "--wheel-dir", folder / "dist", folder)
    (made,) = (folder / "dist").iterdir()
    return made


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the installed wheel; the packages that it needs are those of this Python."""
    folder = tmp_path_factory.mktemp("installed")
    _pip("install", "--no-compile", "--target", folder, wheel)
    return folder


def _pip(action: str, *arguments: object) -> None:
    words = [sys.executable, "-m", "pip", action, "--quiet", "--no-deps", *map(str, arguments)]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def python(installed: Path, folder: Path, *arguments: object) -> "subprocess.CompletedProcess[str]":
    """Runs Python with the installed package in a folder that has no clone."""
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": str(installed), "PYTHONSAFEPATH": "1"},
        cwd=folder,
        capture_output=True,
        text=True,
    )


def test_wheel_has_every_file_of_the_packages(wheel: Path) -> None:
    ours = {str(path.relative_to(ROOT)) for layer in LAYERS for path in (ROOT / layer).rglob("*") if path.is_file()}
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert packed == {name for name in ours if "__pycache__" not in name}


def test_help_lists_the_commands_and_imports_none(installed: Path, tmp_path: Path) -> None:
    done = python(installed, tmp_path, "-X", "importtime", installed / "bin/openpose", "--help")
    assert done.returncode == 0
    for name, command in COMMANDS.items():
        assert f"• {name}" in done.stdout
        assert command.words in " ".join(done.stdout.replace("│", " ").split())
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert "tyro" in imported
    assert not imported & {"tensorflow", "keras", "kfp", "numpy"}


@pytest.mark.parametrize("name", COMMANDS)
def test_sub_command_has_the_help_of_the_command(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    assert ended.value.code == 0
    helped = capsys.readouterr().out
    with pytest.raises(SystemExit):
        importlib.import_module(COMMANDS[name].module).main(["--help"])
    expected = capsys.readouterr().out
    usage = f"usage: python -m {IN_A_CLONE[name]} "
    assert expected.startswith(usage)
    assert helped == expected.replace(usage, f"usage: openpose {name} ")


def test_installed_command_is_the_one_of_a_clone(installed: Path, tmp_path: Path) -> None:
    helped = python(installed, tmp_path, installed / "bin/openpose", "train", "--help")
    expected = python(ROOT, tmp_path, "-m", "components.train", "--help")
    assert (helped.returncode, helped.stderr) == (0, "")
    assert helped.stdout == expected.stdout.replace("python -m components.train [", "openpose train [")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["predict", "--model=a.pb", "--image=no.jpg", "--out=out"], 1, "error: no.jpg: no such picture, video or"),
        (["train", "--root=.", "--train-records=no", "--valid-records=no", "--epochs=0"], 1, "error: epochs is 0; it"),
        (["score", "--truth=none.json", "--detections=found.json"], 1, "error: none.json: "),
        (["records", "show", "none.json"], 1, "error: none.json: no such file; give a records manifest"),
        (["serve"], 1, "error: give --model, a file, or --root"),
        (["train", "--epoch=0"], 2, "Missing from openpose train:"),
        (["teach"], 2, "Unrecognized options: teach"),
    ],
)
def test_errors_and_exit_codes_are_those_of_the_commands(
    arguments: list[str],
    code: int,
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    try:
        ended = main(arguments)
    except SystemExit as refused:
        ended = int(refused.code or 0)
    assert ended == code
    assert message in capsys.readouterr().err


def test_what_needs_a_clone_says_so(installed: Path, tmp_path: Path) -> None:
    done = python(installed, tmp_path, installed / "bin/openpose", "submit", "--version", "v1")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: build/images.json: no image 'cpu' was built, which the pods need; run `make")
    assert "in a clone of the repository" in done.stderr
    done = python(installed, tmp_path, "-m", "pipelines.manifests")
    assert done.returncode == 1
    assert done.stderr.startswith("error: manifests/ is in a clone of the repository")


@pytest.mark.skipif(shutil.which("bash") is None, reason="completes words in bash")
def test_bash_completes_sub_commands_flags_and_choices(tmp_path: Path) -> None:
    script = tmp_path / "openpose"
    with pytest.raises(SystemExit):
        main(["--tyro-write-completion", "bash", str(script)])
    asked = "".join(
        f"COMP_WORDS=({typed}); COMP_CWORD={len(typed.split()) - 1}; COMPREPLY=(); _tyro_openpose\n"
        'echo "${COMPREPLY[@]}"\n'
        for typed in COMPLETED
    )
    done = subprocess.run(["bash", "-c", f"source {script}\n{asked}"], capture_output=True, text=True, check=True)
    assert [line.split() for line in done.stdout.splitlines()] == list(COMPLETED.values())


def test_installed_command_finds_a_person(installed: Path, tmp_path: Path) -> None:
    write_graph(tmp_path / "graph.pb")
    save(tmp_path / "photo.jpg")
    flags = ["--model=graph.pb", "--image=photo.jpg", "--out=drawn.jpg", "--pixels=rgb"]
    done = python(installed, tmp_path, installed / "bin/openpose", "predict", *flags)
    assert (done.returncode, done.stdout) == (0, "photo.jpg: 1 person found, drawn in drawn.jpg\n"), done.stderr
    assert (tmp_path / "drawn.jpg").is_file()
