"""Makes the virtual environment from a lock with hashes, and again when the lock's content changed.

    python3 requirements/install.py .venv requirements/runtime.txt

requirements/install.sh calls it with a Python that fits. It needs nothing but Python's standard library.

The environment's last file, installed.txt, names the locks that are installed. An interrupted install has none and is
repeated. After a change of the lock the environment is made from nothing, so that it holds only what the lock says.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).resolve().parent
RUNTIME = HERE / "runtime.txt"  # every other lock contains it
BUILD = HERE / "build.txt"  # builds the one dependency that is published without a wheel


def main() -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(description="Makes the virtual environment from a lock with hashes.")
    parser.add_argument("venv", type=Path, help="the environment's folder")
    parser.add_argument("lock", type=Path, help="requirements with hashes")
    arguments = parser.parse_args()
    with Path(__file__).open() as this_file:
        fcntl.flock(this_file, fcntl.LOCK_EX)  # a second `make` waits, then finds the work done
        install(arguments.venv, arguments.lock)


def install(venv: Path, lock: Path) -> None:
    """Brings `venv` to the state of `lock`; returns at once if it is there already.

    Raises:
        SystemExit: `venv` is a link, or venv or pip failed.
    """
    stamp = venv / "installed.txt"
    installed = stamp.read_text().splitlines() if stamp.is_file() else []
    if _state(lock) in installed:
        return
    if venv.is_symlink():  # other checkouts may be using it
        sys.exit(f"error: {venv} is a link to an environment of another lock; remove the link")
    started = time.monotonic()
    stamp.unlink(missing_ok=True)
    if _state(RUNTIME) not in installed:
        print(f"Making {venv}. The first time this takes a minute or two …", flush=True)
        if subprocess.run([sys.executable, "-m", "venv", "--clear", str(venv)]).returncode:
            sys.exit(f"error: {venv} could not be made: venv failed, see above")
        _pip_install(venv, BUILD)
    _pip_install(venv, lock)
    _compile(venv)
    partial = stamp.with_suffix(".partial")
    partial.write_text(f"{_state(RUNTIME)}\n{_state(lock)}\n")
    partial.replace(stamp)
    print(f"{venv} is ready ({time.monotonic() - started:.0f} s).", flush=True)


def _state(lock: Path) -> str:
    """One line that changes whenever installing `lock` would have another result."""
    digest = hashlib.sha256(BUILD.read_bytes() + lock.read_bytes()).hexdigest()
    return f"{lock.name} {digest} {sys.base_prefix} {sys.version.split()[0]}"


def _pip_install(venv: Path, lock: Path) -> None:
    """Installs a lock, and shows one line of progress instead of pip's hundreds of lines."""
    command = [
        *(str(venv / "bin" / "python"), "-u", "-m", "pip", "install", "--disable-pip-version-check", "--no-input"),
        *("--require-hashes", "--no-deps", "--requirement", str(lock)),
        "--no-build-isolation",  # an isolated build would fetch setuptools without a hash; build.txt has it
        "--no-compile",  # _compile uses all cores
    ]
    packages = len(re.findall(r"^[\w.-]+==", lock.read_text(), re.MULTILINE))
    with tempfile.NamedTemporaryFile("w+") as output:
        if _run(command, output.fileno(), lambda: _progress(Path(output.name).read_text(), packages)):
            sys.exit(f"error: {venv} could not be made: pip failed, see above")


def _compile(venv: Path) -> None:
    """Compiles the packages on all cores.

    Where PYTHONDONTWRITEBYTECODE is set, every process would otherwise compile what it imports: 7 s for TensorFlow.
    """
    command = [str(venv / "bin" / "python"), "-m", "compileall", "-qq", "--workers", "0", str(venv / "lib")]
    _run(command, None, lambda: "compiling")  # some packages have files that are no Python of this version


def _run(command: list[str], output: int | None, progress: Callable[[], str]) -> int:
    """Runs a command to its end and shows its progress; returns its exit code."""
    with subprocess.Popen(command, stdout=output) as process:
        try:
            _show(process, progress)
        finally:
            process.terminate()  # after Ctrl-C; does nothing to a process that has ended
    return process.returncode


def _show(process: subprocess.Popen[bytes], progress: Callable[[], str]) -> None:
    """Waits for a process; on a terminal it redraws a line meanwhile, in a log it prints one every five seconds."""
    terminal, started = sys.stdout.isatty(), time.monotonic()
    while True:
        try:
            process.wait(0.5 if terminal else 5.0)
            break
        except subprocess.TimeoutExpired:
            line = f"  {progress()} ({time.monotonic() - started:.0f} s)"
            print(f"\r\033[K{line}" if terminal else line, end="" if terminal else "\n", flush=True)
    if terminal:
        print("\r\033[K", end="", flush=True)


def _progress(output: str, packages: int) -> str:
    """What pip is doing, from its output so far."""
    if re.search(r"^\s*Installing ", output, re.MULTILINE):
        return f"installing {packages} packages"
    collected = re.findall(r"^\s*Collecting ([^\s=]+)", output, re.MULTILINE)
    return f"fetching {len(collected)}/{packages}: {collected[-1]}" if collected else "starting pip"


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("error: interrupted; the next make starts the install again")
