"""The front door: the Makefile, the locks and the environment that is made from them."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ("runtime", "dev", "build", "cpu", "gpu")
MARKER = r"( ; [\w .=!']+)?"  # of a package that only some machines need

# Python 3.11 as far as the Makefile can see: says its version, else what it was asked to do.
STUB = """#!/bin/sh
[ "$1" = -c ] && echo 3.11.9 && exit
[ "$2" = benchmarks.misses ] && echo "misses: 0.1 (bound 0.5)" && exit 1
printf '<%s>' "$@"; echo
"""


def make(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    # The variables of a `make` that runs these tests are not for the one that is tested.
    inherited = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run(
        ["make", "--no-print-directory", *arguments],
        cwd=folder,
        env=inherited | environment,
        capture_output=True,
        text=True,
        timeout=300,
    )


def normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def locked(name: str) -> dict[str, str]:
    """Package -> version of a lock."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    return dict(re.findall(r"^([\w.-]+)==(\S+)", text, re.MULTILINE))


def declared() -> tuple[dict[str, str], dict[str, str]]:
    """Package -> version of the direct dependencies and of the group `dev`."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    def pins(requirements: list[str]) -> dict[str, str]:
        pairs = (requirement.split("==") for requirement in requirements)
        return {normalized(name): version for name, version in pairs}

    return pins(project["dependencies"]), pins(project["optional-dependencies"]["dev"])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The Makefile in a folder with a space in its name, where every Python is the stub."""
    folder = tmp_path / "a folder"
    python = folder / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(STUB)
    python.chmod(0o755)
    shutil.copy(ROOT / "Makefile", folder)
    return folder


# The Makefile


def test_make_alone_explains_every_target_and_variable() -> None:
    text = (ROOT / "Makefile").read_text()
    help_text = make(ROOT).stdout
    targets = set(re.findall(r"^\.PHONY: (.*)$", text, re.MULTILINE)[0].split()) - {"help", "setup-dev"}
    variables = set(re.findall(r"^([A-Z]+) :=", text, re.MULTILINE))
    assert {"run", "setup", "test", "test-fast", "bench", "compile", "sample", "lock"} <= targets
    assert {"MODEL", "EPOCHS", "BATCH", "SIZE", "OUT", "DATA", "SEED", "PYTHON"} <= variables
    for name in targets:
        assert re.search(rf"^  make {name} +\w", help_text, re.MULTILINE), name
    for name in variables:
        assert re.search(rf"^  {name} +\w", help_text, re.MULTILINE), name
    assert max(map(len, help_text.splitlines())) <= 100


def test_run_passes_on_what_was_given_and_nothing_else(folder: Path) -> None:
    install = "<requirements/install.py><.venv><requirements/runtime.txt>"
    assert make(folder, "run", MODEL="from-the-environment").stdout.splitlines() == [
        install,
        "<-m><pipelines.local>",
    ]
    given = make(folder, "run", "DATA=/some where/coco's", "EPOCHS=3", "OUT=out/a b")
    assert given.stdout.splitlines() == [
        install,
        "<-m><pipelines.local><--data></some where/coco's><--out><out/a b><--epochs><3>",
    ]


def test_run_knows_all_its_variables(folder: Path) -> None:
    given = make(
        folder,
        "run",
        "MODEL=m",
        "WIDTH=0.5",
        "SIZE=128",
        "EPOCHS=1",
        "BATCH=2",
        "LR=1e-3",
        "SEED=4",
        "DATA=d",
        "RUNNER=docker",
    )
    assert given.stdout.splitlines()[-1] == (
        "<-m><pipelines.local><--runner><docker><--data><d><--seed><4><--model><m><--width><0.5><--size><128>"
        "<--epochs><1><--batch-size><2><--learning-rate><1e-3>"
    )


def test_images_knows_its_variables(folder: Path) -> None:
    assert make(folder, "images").stdout.splitlines()[-1] == "<-m><pipelines.images>"
    assert "<--push>" not in make(folder, "images", "PUSH=0").stdout
    given = make(folder, "images", "REGISTRY=r/me", "PUSH=1", "PLATFORM=p", "VARIANT=cpu", "ARGS=--network host")
    assert given.stdout.splitlines()[-1] == (
        "<-m><pipelines.images><--variant><cpu><--registry><r/me><--push><--platform><p><--network><host>"
    )


def test_wrong_python_gets_one_clear_line(folder: Path, tmp_path: Path) -> None:
    old = tmp_path / "python3"
    old.write_text("#!/bin/sh\necho 3.12.1\n")
    old.chmod(0o755)
    done = make(folder, "setup", f"PYTHON={old}")
    line, from_make = done.stderr.splitlines()
    assert done.returncode != 0
    assert line == (
        f"error: Python 3.11 is needed, but PYTHON={old} is 3.12.1; "
        "give another one: make setup PYTHON=/path/to/python3.11"
    )
    assert from_make.startswith("make: ***")


def test_missing_python_gets_one_clear_line(folder: Path) -> None:
    done = make(folder, "run", "PYTHON=/no/such/python")
    assert done.returncode != 0
    assert "PYTHON=/no/such/python cannot be run; give another one: make run PYTHON=" in done.stderr


def test_bench_goes_on_after_a_miss_and_fails_at_the_end(folder: Path) -> None:
    (folder / "benchmarks").mkdir()
    for name in ("__init__", "misses", "oracle"):
        (folder / "benchmarks" / f"{name}.py").touch()
    done = make(folder, "bench")
    assert done.returncode != 0
    assert done.stdout.splitlines()[1:] == [
        *("== misses", "misses: 0.1 (bound 0.5)", "== oracle", "<-m><benchmarks.oracle>"),
        *("== all", "misses: 0.1 (bound 0.5)", "<-m><benchmarks.oracle>"),
    ]
    assert "error: failed: misses" in done.stderr
    (folder / "benchmarks" / "misses.py").unlink()
    assert make(folder, "bench").returncode == 0


@pytest.mark.slow
def test_environment_is_made_again_only_when_it_must_be(tmp_path: Path) -> None:
    """With empty locks, so that nothing is fetched."""
    folder = tmp_path / "a folder"
    (folder / "requirements").mkdir(parents=True)
    shutil.copy(ROOT / "Makefile", folder)
    shutil.copy(ROOT / "requirements" / "install.py", folder / "requirements")
    for name in LOCKS:
        (folder / "requirements" / f"{name}.txt").touch()
    python = f"PYTHON={Path(sys.base_prefix) / 'bin' / 'python3.11'}"
    stamp = folder / ".venv" / "installed.txt"
    rubbish = folder / ".venv" / "rubbish"

    assert ".venv is ready" in make(folder, "setup", python).stdout
    rubbish.touch()
    (folder / "requirements" / "runtime.txt").touch()  # newer, but the same
    assert make(folder, "setup").stdout == ""
    assert "is ready" in make(folder, "setup-dev").stdout  # an addition
    assert make(folder, "setup", "setup-dev").stdout == ""
    assert rubbish.exists()

    stamp.unlink()  # as an install that was cut off leaves it
    assert "is ready" in make(folder, "setup").stdout
    assert not rubbish.exists()
    (folder / "requirements" / "runtime.txt").write_text("# another lock\n")
    assert "is ready" in make(folder, "setup").stdout

    (folder / "requirements" / "runtime.txt").write_text("nothing==1.0 --hash=sha256:0\n")
    failed = make(folder, "setup")
    assert failed.returncode != 0
    assert "error: .venv could not be made: pip failed, see above" in failed.stderr
    assert not stamp.exists()

    (folder / ".venv").rename(tmp_path / "theirs")
    (folder / ".venv").symlink_to(tmp_path / "theirs")
    assert "error: .venv is a link to an environment of another lock" in make(folder, "setup").stderr
    assert (tmp_path / "theirs" / "bin").exists()


# The locks


@pytest.mark.parametrize("name", LOCKS)
def test_lock_has_a_hash_for_every_package_and_nothing_else(name: str) -> None:
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.strip().startswith("#")]
    for line in lines:
        assert re.fullmatch(rf"[\w.-]+==\S+{MARKER} \\|--hash=sha256:[0-9a-f]{{64}}( \\)?", line), line
    hashed = re.findall(rf"^[\w.-]+==\S+{MARKER} \\\n    --hash=", text, re.MULTILINE)
    assert len(hashed) == len(locked(name)) > 0


def test_locks_agree_with_pyproject_and_with_each_other() -> None:
    dependencies, dev = declared()
    assert dependencies.items() <= locked("runtime").items()
    assert dev.items() <= locked("dev").items()
    assert locked("runtime").items() <= locked("dev").items()
    assert locked("build").items() <= locked("runtime").items()


@pytest.mark.parametrize(("name", "own"), [("cpu", r"tensorflow-cpu"), ("gpu", r"nvidia-.*")])
def test_an_image_has_the_versions_of_make_run(name: str, own: str) -> None:
    dependencies, _ = declared()
    without = set(re.findall(r"^[\w.-]+$", (ROOT / "requirements/images-without.txt").read_text(), re.MULTILINE))
    common = {package: version for package, version in locked(name).items() if not re.fullmatch(own, package)}
    assert common.items() <= locked("runtime").items()
    assert dependencies.keys() - common.keys() == without & dependencies.keys()
    assert without <= locked("runtime").keys() | {"colorama"}
    assert len(common) < len(locked(name))


def test_everything_imported_is_declared() -> None:
    dependencies, _ = declared()
    distributions = packages_distributions()
    own = {"openpose", "components", "pipelines"}
    for path in (path for package in own for path in (ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level and node.module:
                names = [node.module]
            for name in {name.partition(".")[0] for name in names} - own - sys.stdlib_module_names:
                provided_by = {normalized(distribution) for distribution in distributions.get(name, [])}
                assert provided_by & dependencies.keys(), f"{path}: {name} is not in pyproject.toml"


def test_no_file_names_a_package_index() -> None:
    """Where packages come from is the user's own setting."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if listed.returncode:
        pytest.skip("needs the git repository: this is a copy without it")
    # In pieces, for this file is one of them.
    hosts = [
        "pypi" + ".org",
        "python" + "hosted.org",
        "pypi" + ".python",
        "--index" + "-url ",
        "--extra-index" + "-url",
    ]
    for name in listed.stdout.split("\0"):
        path = ROOT / name
        if path.is_file() and path.suffix not in {".jpg", ".jpeg", ".png"}:
            text = path.read_text(errors="replace")
            assert not [host for host in hosts if host in text], name
