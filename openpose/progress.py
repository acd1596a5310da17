"""Progress of long work: a bar on a terminal, a plain line every few seconds in a log.

    with progress.bar(total=4000, what="train", unit="step") as bar:
        for batch in batches:
            bar.update(1, loss=train_step(batch))

On a terminal this is tqdm's bar. Elsewhere (a pod's log, a file, CI) a bar would fill the log with carriage
returns, so there is a line every `EVERY` seconds and one at the end:

    train: 120/4000 steps (3%), 35.2 steps/s, 1 min 50 s left, loss=0.12
    train: 4000 steps in 1 min 54 s, 35.1 steps/s, loss=0.08

Bars go to stderr, and so do lines where nothing else is asked for: stdout belongs to results. Bars may be nested.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn, SupportsFloat, TextIO

from tqdm import tqdm

EVERY = 5.0  # seconds between two plain lines
TERMINAL = "OPENPOSE_PROGRESS_TERMINAL"  # environment variable with the path of a terminal
REFRESH = 0.1  # seconds between two redraws on a terminal

_now = time.monotonic

Value = SupportsFloat | str


class Bar:
    """What `bar` yields: counts finished units and remembers the latest values to show beside them."""

    def __init__(self, total: int | None, what: str, unit: str, initial: int, stream: TextIO) -> None:
        self.total, self.what, self.unit, self.initial, self.stream = total, what, unit, initial, stream
        self.done = initial
        self.values: dict[str, Value] = {}
        self._start = self._shown = _now()
        # The first unit is often slower (a graph is traced, a cache is cold): the rate starts after it.
        self._first: tuple[float, int] | None = None
        self._tqdm = _tqdm(total, what, unit, initial, stream) if stream.isatty() else None

    def update(self, count: int = 1, **values: Value) -> None:
        """Counts `count` more units.

        Args:
            count: finished units since the last call.
            **values: shown by their names from now on. Anything that `float` takes; converted only when it is
                shown, so that a tensor which is still being computed is not waited for.
        """
        self.done += count
        self.values.update(values)
        now = _now()
        self._first = self._first or (now, self.done)
        if self._tqdm is not None:
            if now - self._shown >= REFRESH:
                self._tqdm.set_postfix_str(self._values_text(), refresh=False)
                self._shown = now
            self._tqdm.update(count)
        elif now - self._shown >= EVERY:
            self._print(self._line(now))
            self._shown = now

    def close(self, finished: bool = True) -> None:
        """Ends the bar with its last state; `finished` is False when an error ended the work."""
        if self._tqdm is not None:
            self._tqdm.set_postfix_str(self._values_text(), refresh=False)
            self._tqdm.close()
        else:
            self._print(self._last_line(_now(), finished))

    def _print(self, line: str) -> None:
        print(line, file=self.stream, flush=True)

    def _line(self, now: float) -> str:
        counted = f"{self.what}: {self._count()}"
        if self.total:
            counted += f" ({100 * self.done // self.total}%)"
        rate = self._rate(now)
        left = ""
        # Of thousands of steps the first one, with its tracing, says nothing about the rest.
        telling = self.total is not None and (self._past_first() or 100 * self.done >= self.total)
        if self.total and rate and telling and self.done < self.total:
            left = f"{duration((self.total - self.done) / rate)} left"
        return _joined(counted, self._rate_text(rate), left, self._values_text())

    def _last_line(self, now: float, finished: bool) -> str:
        took = duration(now - self._start)
        complete = finished and (self.total is None or self.done == self.total)
        count = self._count(complete)
        state = f"{count} in {took}" if finished else f"stopped at {count} after {took}"
        rate = self._rate_text(self._rate(now)) if now - self._start >= 1 else ""
        return _joined(f"{self.what}: {state}", rate, self._values_text())

    def _count(self, complete: bool = False) -> str:
        """`120/4000 steps`, or `4000 steps` when there is no total or nothing is left of it."""
        if self.total is None or complete:
            return _amount(self.done, self.unit)
        if self.unit == "byte":
            return f"{_amount(self.done, self.unit)} of {_amount(self.total, self.unit)}"
        return f"{self.done}/{_amount(self.total, self.unit)}"

    def _rate(self, now: float) -> float:
        """Units per second, or 0 while it cannot be told."""
        since, done = self._start, self.initial
        if self._first is not None and self._past_first():
            since, done = self._first
        return (self.done - done) / (now - since) if now > since else 0.0

    def _past_first(self) -> bool:
        return self._first is not None and self._first[1] < self.done

    def _rate_text(self, rate: float) -> str:
        if not rate:
            return ""
        if self.unit == "byte":
            return f"{_amount(rate, self.unit)}/s"
        if rate < 0.1:  # "0.0 shards/s" says nothing
            return f"{duration(1 / rate)} per {self.unit}"
        return f"{rate:.1f} {_plural(self.unit)}/s"

    def _values_text(self) -> str:
        return ", ".join(
            f"{name}={value if isinstance(value, str) else format(float(value), '.4g')}"
            for name, value in self.values.items()
        )


@contextmanager
def bar(
    total: int | None = None,
    what: str = "progress",
    unit: str = "step",
    initial: int = 0,
    stream: TextIO | None = None,
    lines: TextIO | None = None,
) -> Iterator[Bar]:
    """Shows the progress of the work in the `with` block.

    Args:
        total: units of the whole work, or None when nobody knows.
        what: the work's name, in front of every line.
        unit: one unit's name in the singular; "byte" is shown in kB, MB and GB.
        initial: units that an earlier run has already done (a resumed training).
        stream: where to write; the terminal of `show_on_this_terminal`, or standard error as it is at the call,
            when None.
        lines: where to write instead when there is no terminal, for work whose lines are its log.

    Yields:
        The `Bar` whose `update` counts finished units.
    """
    shown = Bar(total, what, unit, initial, stream or _terminal() or _standard(lines))
    try:
        yield shown
    except BaseException:
        shown.close(finished=False)
        raise
    shown.close()


def _standard(lines: TextIO | None) -> TextIO:
    return sys.stderr if lines is None or sys.stderr.isatty() else lines


def show_on_this_terminal() -> None:
    """Lets processes started from here draw their bars on this process's terminal, also when their output is piped."""
    if sys.stderr.isatty():
        os.environ[TERMINAL] = os.ttyname(sys.stderr.fileno())


def _terminal() -> TextIO | None:
    try:
        return open(os.environ[TERMINAL], "w")
    except (KeyError, OSError):
        return None


def duration(seconds: float) -> str:
    """A time span for people: `0.4 s`, `50 s`, `1 min 50 s`, `2 h 05 min`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def _tqdm(total: int | None, what: str, unit: str, initial: int, stream: TextIO) -> tqdm[NoReturn]:
    size = unit == "byte"
    screen = shutil.get_terminal_size()
    return tqdm(
        total=total,
        desc=what,
        unit="B" if size else f" {_plural(unit)}",
        unit_scale=size,
        initial=initial,
        file=stream,
        mininterval=REFRESH,
        # Some terminals say that they have 0 columns (a container's, CI's); tqdm would show nothing there.
        ncols=screen.columns,
        nrows=screen.lines,
    )


def _amount(count: float, unit: str) -> str:
    if unit != "byte":
        return f"{count:.0f} {unit if count == 1 else _plural(unit)}"
    for name, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.1f} {name}"
    return f"{count:.0f} B"


def _plural(unit: str) -> str:
    return unit + ("es" if unit.endswith(("s", "x", "ch", "sh")) else "s")


def _joined(*parts: str) -> str:
    return ", ".join(part for part in parts if part)
