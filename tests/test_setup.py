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
import yaml

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ("runtime", "dev", "build", "cpu", "gpu")
MARKER = r"( ; [\w .=!']+)?"  # of a package that only some machines need
PYTHONS = ("3.11", "3.12", "3.13")

# A Python as far as the Makefile can see: says its version, else what it was asked to do.
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


def declared(extra: str = "dev") -> tuple[dict[str, str], dict[str, str]]:
    """Package -> version of the direct dependencies and of an extra."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    def pins(requirements: list[str]) -> dict[str, str]:
        pairs = (requirement.split("==") for requirement in requirements)
        return {normalized(name.partition("[")[0]): version for name, version in pairs}

    return pins(project["dependencies"]), pins(project["optional-dependencies"][extra])


def script(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    file.chmod(0o755)


def copy_front_door(folder: Path) -> None:
    (folder / "requirements").mkdir(parents=True)
    for name in ("Makefile", "requirements/install.sh", "requirements/install.py"):
        shutil.copy(ROOT / name, folder / name)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The Makefile in a folder with a space in its name, where .venv's Python is the stub."""
    folder = tmp_path / "a folder"
    copy_front_door(folder)
    script(folder / ".venv" / "bin" / "python", STUB)
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


# Choosing a Python


@pytest.fixture
def system(tmp_path: Path) -> Path:
    """The folder `bin` of a system without Python, beside a folder with the Makefile."""
    copy_front_door(tmp_path / "a folder")
    system = tmp_path / "bin"
    system.mkdir()
    for name in ("make", "sh", "tail"):
        (system / name).symlink_to(str(shutil.which(name)))
    script(system / "uname", "#!/bin/sh\necho Linux\n")
    return system


def setup_on(system: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return make(system.parent / "a folder", "setup", *arguments, PATH=str(system))


def python(version: str, venv: bool = True) -> str:
    """Like STUB, but says its name; without its venv module as on Debian."""
    return f"""#!/bin/sh
[ "$1" = -c ] && echo {version} && exit {0 if venv else 1}
echo "${{0##*/}} $*"
"""


def test_the_newest_python_that_fits_is_chosen(system: Path) -> None:
    script(system / "python3", python("3.14.0"))
    script(system / "python3.11", python("3.11.9"))
    assert setup_on(system).stdout == "python3.11 requirements/install.py .venv requirements/runtime.txt\n"
    script(system / "python3.12", python("3.12.1"))
    assert setup_on(system).stdout.startswith("python3.12 ")
    script(system / "python3.13", python("3.13.5", venv=False))
    assert setup_on(system).stdout.startswith("python3.12 ")
    script(system / "python3.13", python("3.13.5"))
    assert setup_on(system).stdout.startswith("python3.13 ")
    script(system.parent / "a folder/.venv/bin/python", python("3.11.9"))  # an environment that is there stays
    assert setup_on(system).stdout.startswith("python ")
    assert setup_on(system, f"PYTHON={system / 'python3.12'}").stdout.startswith("python3.12 ")


def test_python3_is_chosen_if_it_fits(system: Path) -> None:
    script(system / "python3", python("3.12.1"))
    assert setup_on(system).stdout.startswith("python3 requirements/install.py")


# What a system has, and what its user is told to do.
SYSTEMS = {
    "ubuntu 24.04": ("python3.12-venv python3", "3.12.3", "apt install python3.12-venv"),
    "ubuntu 22.04": ("python3.11-venv python3", "3.10.12", "apt install python3.11-venv"),
    "debian 11": ("python3", "3.9.2", "get uv from https://docs.astral.sh/uv, then: uv python install 3.13"),
    "container": ("", "", "apt update && apt install python3-venv"),
}


@pytest.mark.parametrize("name", SYSTEMS)
def test_debian_and_ubuntu_are_told_the_package(system: Path, name: str) -> None:
    packages, version, cure = SYSTEMS[name]
    script(
        system / "apt-cache", f'#!/bin/sh\ncase " {packages} " in *" $2 "*) echo "Package: $2";; *) exit 100;; esac\n'
    )
    found = "none was found"
    if version:
        script(system / "python3", python(version, venv=False))
        found = f"python3 is {version}{' without its venv module' if version == '3.12.3' else ''}"
    done = setup_on(system)
    line, from_make = done.stderr.splitlines()
    assert done.returncode != 0
    assert line == (
        f"error: Python 3.11, 3.12 or 3.13 with its venv module is needed, but {found}. "
        f"To install one: {cure}. Or give one: make setup PYTHON=/path/to/python3.13"
    )
    assert from_make.startswith("make: ***")


def test_other_systems_are_told_their_way(system: Path) -> None:
    def cure() -> str:
        return setup_on(system).stderr.partition("To install one: ")[2].partition(". Or")[0]

    assert cure() == "get uv from https://docs.astral.sh/uv, then: uv python install 3.13"
    script(system / "dnf", "#!/bin/sh\n")
    assert cure() == "dnf install python3.12"
    script(system / "uname", "#!/bin/sh\necho Darwin\n")
    assert cure() == "brew install python@3.13"
    script(system / "uv", "#!/bin/sh\n")
    assert cure() == "uv python install 3.13"


def test_given_python_that_does_not_fit_gets_one_clear_line(system: Path) -> None:
    script(system / "python3.13", python("3.13.5"))  # not used instead
    script(system / "old", python("3.9.2"))
    line, _ = setup_on(system, f"PYTHON={system / 'old'}").stderr.splitlines()
    assert f"is needed, but PYTHON={system / 'old'} is 3.9.2. To install one" in line
    line, _ = setup_on(system, "PYTHON=/no/such/python").stderr.splitlines()
    assert "is needed, but PYTHON=/no/such/python cannot be run. To install one" in line


def test_every_python_is_named_wherever_pythons_are_named() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["project"]["requires-python"] == ">=3.11,<3.14"
    assert project["tool"]["ruff"]["target-version"] == "py311"
    assert project["tool"]["mypy"]["python_version"] == PYTHONS[0]
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())
    assert workflow["jobs"]["test"]["strategy"]["matrix"]["python"] == list(PYTHONS)
    assert "3.11, 3.12 or 3.13" in make(ROOT).stdout


# The environment and the benchmarks


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
    copy_front_door(folder)
    for name in LOCKS:
        (folder / "requirements" / f"{name}.txt").touch()
    python = f"PYTHON={Path(sys.base_prefix) / 'bin' / f'python3.{sys.version_info.minor}'}"
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
    assert common.items() <= locked("dev").items()
    assert dependencies.keys() - common.keys() == without & dependencies.keys()
    assert without <= locked("runtime").keys()
    assert len(common) < len(locked(name))


@pytest.mark.slow
def test_everything_imported_is_declared() -> None:
    dependencies, _ = declared()
    dependencies = dependencies | declared("serve")[1] | declared("mlflow")[1]
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
