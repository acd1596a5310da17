"""Steps in processes on this machine: their output, their paths, and their end when the run is stopped."""

import os
import pty
import re
import signal
import site
import subprocess
import sys
import time
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest
from kfp import dsl

from openpose.errors import InputError
from pipelines import in_place

ROOT = Path(__file__).resolve().parent.parent.parent

pytestmark = pytest.mark.slow

# A DAG with a loop, run as `python dag.py <folder> <action of the last step>`.
DAG = """
import sys
from pathlib import Path
from kfp import dsl
from pipelines import in_place

@dsl.component(base_image="none", install_kfp_package=False)
def plan(folder: str, what: str) -> list:
    import sys
    print("planned in", folder, "by", sys.executable)
    print("    indented")
    return ["a", "b", "c"] if what == "nothing" else ["a"]

@dsl.component(base_image="none", install_kfp_package=False)
def share(name: str):
    import sys
    for number in range(3):
        print("share", name, number, "bar" if sys.stderr.isatty() else "plain")

@dsl.component(base_image="none", install_kfp_package=False)
def last(what: str):
    import os, sys, time
    print("terminal" if sys.stderr.isatty() else "no terminal", file=sys.stderr)
    if what == "fail":
        sys.exit("error: it cannot be done")
    if what == "sleep":
        try:
            print("asleep as", os.getpid())
            time.sleep(100)
        finally:
            time.sleep(0.5)
            print("tidied up")

@dsl.pipeline(name="dag")
def dag(folder: str, what: str):
    planned = plan(folder=folder, what=what).set_display_name("Plan the shares")
    with dsl.ParallelFor(planned.output) as name:
        shared = share(name=name)
    last(what=what).after(shared)

folder = Path(sys.argv[1])
try:
    with in_place.alone(folder) as lock, in_place.processes(lock) as steps:
        outcome = in_place.run(dag, {"folder": str(folder), "what": sys.argv[2]}, folder / "kfp", steps)
except in_place.Stopped as stopped:
    sys.exit(stopped.exit_code)
print("failed:", outcome.failed, *(name for name, seconds in outcome.seconds.items() if 0 < seconds < 60))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a name that breaks careless shell scripts."""
    folder = tmp_path / "my python3 'data'"
    folder.mkdir()
    (folder / "dag.py").write_text(DAG)
    return folder


def command(folder: Path, what: str, python: str | Path = sys.executable) -> list[str]:
    return [str(python), str(folder / "dag.py"), str(folder), what]


def environment(folder: Path) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": str(folder)}


def start(folder: Path, what: str, python: str | Path = sys.executable) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command(folder, what, python),
        env=environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def test_only_the_steps_own_output_is_seen(folder: Path) -> None:
    """Also of an interpreter in a folder with a space in its name."""
    venv.create(folder / "a venv", symlinks=True)
    python = folder / "a venv/bin/python"
    packages = next((folder / "a venv/lib").glob("python*/site-packages"))
    (packages / "all.pth").write_text("\n".join(site.getsitepackages()))
    run = start(folder, "nothing", python)
    printed = run.communicate()[0].splitlines()
    assert run.returncode == 0, printed
    assert printed[:4] == ["== plan", f"planned in {folder} by {python}", "    indented", "== share"]
    shares = [f"share {name} {number} plain" for name in "abc" for number in range(3)]
    assert sorted(printed[4:13]) == shares
    assert printed[13:] == ["== last", "no terminal", "failed: {} plan share last"]
    assert "finished with status" in (folder / "kfp/kfp.log").read_text()
    assert {path.name for path in folder.iterdir()} == {"dag.py", "kfp", ".lock", "a venv"}


def test_failing_step_says_why_and_nothing_follows(folder: Path) -> None:
    run = start(folder, "fail")
    printed = run.communicate()[0].splitlines()
    assert printed[-3:] == ["no terminal", "error: it cannot be done", "failed: {'last': 1} plan share last"]


def test_bar_gets_the_terminal_but_not_in_a_loop(folder: Path) -> None:
    ours, theirs = pty.openpty()
    run = subprocess.Popen(
        command(folder, "nothing"),
        env=environment(folder),
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    printed = b"".join(_read(ours)).decode().replace("\r\n", "\n")
    assert run.wait() == 0
    assert "== last\nterminal\n" in printed
    assert printed.count("plain\n") == 9


def _read(terminal: int) -> Iterator[bytes]:
    try:
        while part := os.read(terminal, 4096):
            yield part
    except OSError:  # on Linux: the other end is closed
        os.close(terminal)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)])
def test_stopped_run_leaves_no_process_and_no_lock(folder: Path, number: signal.Signals, code: int) -> None:
    run = start(folder, "sleep")
    step = _pid_of_sleeper(run)
    with pytest.raises(InputError, match="another run is using this folder"), in_place.alone(folder):
        pass
    os.kill(run.pid, number)
    rest = run.communicate(timeout=20)[0]
    assert run.returncode == code
    assert "Traceback" not in rest
    assert ("tidied up" in rest) == (number != signal.SIGKILL)
    deadline = time.monotonic() + 5
    while Path(f"/proc/{step}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    with in_place.alone(folder):
        pass


def _pid_of_sleeper(run: subprocess.Popen[str]) -> int:
    assert run.stdout is not None
    for line in run.stdout:
        if found := re.match(r"asleep as (\d+)", line):
            return int(found[1])
    raise AssertionError("it did not come so far")


@pytest.mark.parametrize("packages", [["wave"], ["wave", "no_such_package"]])
def test_packages_are_imported_once_and_in_the_background(packages: list[str], tmp_path: Path) -> None:
    """One that cannot be imported harms nobody; steps that need it say so themselves."""

    @dsl.component(base_image="none", install_kfp_package=False)
    def step(last: bool, folder: str) -> None:
        import sys
        import time
        from pathlib import Path

        Path(folder, str(last)).write_text(str("wave" in sys.modules))
        time.sleep(2)

    @dsl.pipeline(name="dag")
    def dag(folder: str) -> None:
        first = step(last=False, folder=folder)
        step(last=True, folder=folder).after(first)

    with in_place.alone(tmp_path) as lock, in_place.processes(lock, packages) as steps:
        outcome = in_place.run(dag, {"folder": str(tmp_path)}, tmp_path / "kfp", steps)
    assert outcome.failed == {}
    assert (tmp_path / "True").read_text() == str(len(packages) == 1)
