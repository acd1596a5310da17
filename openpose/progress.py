"""Progress of long work: a bar on a terminal, a plain line every few seconds in a log.

    with progress.bar(total=4000, what="train", unit="step") as bar:
        for batch in batches:
            bar.update(1, loss=train_step(batch))

On a terminal this is tqdm's bar. In a pod's log, a file or CI, where a bar would leave nothing but carriage returns, it
prints a line every `EVERY` seconds and one at the end:

    train: 120/4000 steps (3%), 35.2 steps/s, 1 min 50 s left, loss=0.12
    train: 4000 steps in 1 min 54 s, 35.1 steps/s, loss=0.08

Bars go to stderr, and so do lines by default, because stdout is for results. Bars may be nested.
"""

from __future__ import annotations

import math
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import SupportsFloat, TextIO

from tqdm import tqdm

EVERY = 5.0  # seconds between two plain lines
REFRESH = 0.1  # seconds between two redraws on a terminal

Value = SupportsFloat | str


class Bar(tqdm):
    """tqdm's bar, which prints lines instead where `stream` is not a terminal."""

    monitor_interval = 0  # no redrawing in tqdm's thread: it would convert tensors there
    _time: Callable[[], float]  # tqdm's clock

    def __init__(self, total: int | None, what: str, unit: str, initial: int, stream: TextIO) -> None:
        self.what, self.one = what, unit
        self.values: dict[str, Value] = {}
        # The first unit is often slow (a graph is traced, a cache is cold), so the rate is measured from its end.
        self.first: tuple[float, float] | None = None
        self.plain = not stream.isatty()
        # tqdm would draw nothing on a terminal that reports 0 columns, as in some containers and in CI.
        screen = shutil.get_terminal_size()
        super().__init__(
            total=total,
            desc=what,
            unit="B" if unit == "byte" else f" {_plural(unit)}",
            unit_scale=unit == "byte",
            initial=initial,
            file=stream,
            mininterval=EVERY if self.plain else REFRESH,
            miniters=0,
            delay=1e-9 if self.plain else 0,  # no line before the first unit
            ncols=screen.columns,
            nrows=screen.lines,
        )

    def update(self, n: float | None = 1, **values: Value) -> bool | None:
        """Counts `n` more finished units.

        Args:
            n: finished units since the last call.
            **values: shown by name from now on. Converted by `float` only when they are shown, so that nothing waits
                for a tensor that is still being computed.
        """
        self.values.update(values)
        self.first = self.first or (self._time(), self.n + (n or 0))
        return super().update(n)

    def display(self, msg: str | None = None, pos: int | None = None) -> None:
        """Draws the bar or prints a line."""
        if self.plain:
            print(self._line(), file=self.fp, flush=True)
        else:
            self.postfix = self._values_text()
            super().display(msg, pos)

    def close(self, finished: bool = True) -> None:
        """Shows the last state; `finished` is False when an error ended the work."""
        if self.plain and not self.disable:
            print(self._last_line(finished), file=self.fp, flush=True)
            self.delay = math.inf  # tqdm then adds nothing
        super().close()

    def _line(self) -> str:
        rate, total = self._rate(), self.total or 0
        share = f" ({100 * self.n // total:.0f}%)" if total else ""
        # The rate of the first unit says nothing about thousands of others.
        telling = rate and (self._past_first() or 100 * self.n >= total)
        left = f"{duration((total - self.n) / rate)} left" if telling and self.n < total else ""
        return _joined(f"{self.what}: {self._count()}{share}", self._rate_text(rate), left, self._values_text())

    def _last_line(self, finished: bool) -> str:
        seconds = self._time() - self.start_t
        count = self._count(complete=finished and self.n == self.total)
        state = f"{count} in {duration(seconds)}" if finished else f"stopped at {count} after {duration(seconds)}"
        rate = self._rate_text(self._rate()) if seconds >= 1 else ""
        return _joined(f"{self.what}: {state}", rate, self._values_text())

    def _count(self, complete: bool = False) -> str:
        """`120/4000 steps`, or `4000 steps` when there is no total or it is reached."""
        if self.total is None or complete:
            return _amount(self.n, self.one)
        total = _amount(self.total, self.one)
        return f"{_amount(self.n, self.one)} of {total}" if self.one == "byte" else f"{self.n:.0f}/{total}"

    def _past_first(self) -> bool:
        return self.first is not None and self.first[1] < self.n

    def _rate(self) -> float:
        """Units per second; 0 while unknown."""
        now = self._time()
        since, done = self.first if self.first and self._past_first() else (self.start_t, self.initial)
        return (self.n - done) / (now - since) if now > since else 0.0

    def _rate_text(self, rate: float) -> str:
        if not rate:
            return ""
        if self.one == "byte":
            return f"{_amount(rate, self.one)}/s"
        if rate < 0.1:  # "0.0 shards/s" says nothing
            return f"{duration(1 / rate)} per {self.one}"
        return f"{rate:.1f} {_plural(self.one)}/s"

    def _values_text(self) -> str:
        shown = {
            name: value if isinstance(value, str) else f"{float(value):.4g}" for name, value in self.values.items()
        }
        return ", ".join(f"{name}={value}" for name, value in shown.items())


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
        total: number of units of the whole work; None when unknown.
        what: name of the work, at the start of every line.
        unit: name of one unit in the singular; "byte" is shown in kB, MB and GB.
        initial: units done by an earlier run, as in a resumed training.
        stream: where to write; standard error by default.
        lines: where to write when standard error is not a terminal, for work whose lines are its log.

    Yields:
        The `Bar` whose `update` counts finished units.
    """
    standard = sys.stderr if lines is None or sys.stderr.isatty() else lines
    shown = Bar(total, what, unit, initial, stream or standard)
    try:
        yield shown
    except BaseException:
        shown.close(finished=False)
        raise
    shown.close()


def say(text: str) -> None:
    """Prints a line to stderr; on a terminal above the bars."""
    if sys.stderr.isatty():
        tqdm.write(text, file=sys.stderr)
    else:  # tqdm would clear and repeat the last line of every bar
        print(text, file=sys.stderr, flush=True)


def duration(seconds: float) -> str:
    """Formats a time span: `0.4 s`, `50 s`, `1 min 50 s`, `2 h 05 min`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


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
