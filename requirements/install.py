"""Makes the virtual environment from a hashed lock, and makes it again only when the lock's content changed.

    python3.11 requirements/install.py .venv requirements/runtime.txt

Needs nothing but Python's standard library. `make` calls it.

A stamp in the environment, written last, names the locks that are installed: an install that was cut off has
none and is repeated. When a lock changed, the environment is made from nothing, so that it holds what the
lock says and no more.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import importlib.util
import re
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO

HERE = Path(__file__).resolve().parent
RUNTIME = HERE / "runtime.txt"  # what every other lock begins with
BUILD = HERE / "build.txt"  # builds the one dependency that is published without a wheel


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Makes the virtual environment from a hashed lock.")
    parser.add_argument("venv", type=Path, help="the environment's folder")
    parser.add_argument("lock", type=Path, help="requirements with hashes")
    arguments = parser.parse_args()
    with Path(__file__).open() as this_file:
        fcntl.flock(this_file, fcntl.LOCK_EX)  # a second `make` waits, then finds the work done
        try:
            install(arguments.venv, arguments.lock)
        except subprocess.CalledProcessError as error:
            sys.exit(f"error: {arguments.venv} could not be made: {error.cmd[2]} failed, see above")


def install(venv: Path, lock: Path) -> None:
    """Brings `venv` to the state of `lock`; returns at once when it is there.

    Raises:
        SystemExit: this Python cannot make environments, or `venv` is a link.
        subprocess.CalledProcessError: venv or pip failed and said why on standard error.
    """
    stamp = venv / "installed.txt"
    installed = stamp.read_text().splitlines() if stamp.is_file() else []
    if _state(lock) in installed:
        return
    if venv.is_symlink():  # somebody else's, who may be using it
        sys.exit(f"error: {venv} is a link to an environment of another lock; remove the link")
    started = time.monotonic()
    stamp.unlink(missing_ok=True)
    if _state(RUNTIME) not in installed:
        if importlib.util.find_spec("ensurepip") is None:
            sys.exit("error: this Python lacks its venv module; on Debian: apt install python3.11-venv")
        print(f"Making {venv}. The first time this takes a minute or two …", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(venv)], check=True)
        _pip_install(venv, BUILD)
    _pip_install(venv, lock)
    partial = stamp.with_suffix(".partial")
    partial.write_text(f"{_state(RUNTIME)}\n{_state(lock)}\n")
    partial.replace(stamp)
    print(f"{venv} is ready ({time.monotonic() - started:.0f} s).", flush=True)


def _state(lock: Path) -> str:
    """One line that differs whenever an install of `lock` would come out differently."""
    digest = hashlib.sha256(BUILD.read_bytes() + lock.read_bytes()).hexdigest()
    return f"{lock.name} {digest} {sys.base_prefix} {sys.version.split()[0]}"


def _pip_install(venv: Path, lock: Path) -> None:
    """Installs a lock, and shows how far pip is instead of pip's hundreds of lines."""
    command = [
        *(str(venv / "bin" / "python"), "-m", "pip", "install", "--disable-pip-version-check", "--no-input"),
        *("--require-hashes", "--no-deps", "--requirement", str(lock)),
        "--no-build-isolation",  # an isolated build would fetch setuptools unhashed; build.txt has it
        "--no-compile",  # bytecode is written for the modules that are used, when they are first used
    ]
    pip = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert pip.stdout is not None
    packages = len(re.findall(r"^[\w.-]+==", lock.read_text(), re.MULTILINE))
    progress = _Progress(pip.stdout, packages)
    try:
        progress.show()
        if pip.wait():
            raise subprocess.CalledProcessError(pip.returncode, command)
    finally:
        pip.terminate()  # when interrupted; pip that has ended does not mind


class _Progress:
    """pip's output as one line: written over on a terminal, repeated every five seconds in a log."""

    def __init__(self, lines: IO[str], packages: int) -> None:
        self._text = "starting pip"
        self._reader = threading.Thread(target=self._read, args=(lines, packages), daemon=True)
        self._reader.start()

    def _read(self, lines: IO[str], packages: int) -> None:
        collected = 0
        for line in lines:
            word, _, rest = line.strip().partition(" ")
            if word == "Collecting":
                collected += 1
                self._text = f"fetching {collected}/{packages}: {rest.split('==')[0]}"
            elif word == "Installing":
                self._text = f"installing {packages} packages"

    def show(self) -> None:
        """Returns when pip has closed its output."""
        terminal = sys.stdout.isatty()
        wait = 0.5 if terminal else 5.0
        started = time.monotonic()
        self._reader.join(wait)
        while self._reader.is_alive():
            line = f"  {self._text} ({time.monotonic() - started:.0f} s)"
            print(f"\r\033[K{line}" if terminal else line, end="" if terminal else "\n", flush=True)
            self._reader.join(wait)
        if terminal:
            print("\r\033[K", end="", flush=True)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("error: interrupted; the next make starts the install again")
