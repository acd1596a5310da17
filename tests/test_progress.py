"""What a user sees of long work, with a clock that the test moves."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable

import pytest

from openpose import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def sleep(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Moves the clock of `progress` on by some seconds."""
    now = [1000.0]
    monkeypatch.setattr("tqdm.std.time", lambda: now[0])

    def move(seconds: float) -> None:
        now[0] += seconds

    return move


def test_log_gets_a_line_every_five_seconds_and_one_at_the_end(sleep: Callable[[float], None]) -> None:
    log = io.StringIO()
    with progress.bar(24, what="train", unit="step", stream=log) as bar:
        for step in range(24):
            sleep(0.5)
            bar.update(1, loss=1 / (step + 1))
    assert log.getvalue().splitlines() == [
        "train: 10/24 steps (41%), 2.0 steps/s, 7.0 s left, loss=0.1",
        "train: 20/24 steps (83%), 2.0 steps/s, 2.0 s left, loss=0.05",
        "train: 24 steps in 12 s, 2.0 steps/s, loss=0.04167",
    ]


def test_lines_of_a_log_go_to_stdout_where_that_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.bar(2, what="train", lines=sys.stdout) as bar:
        bar.update(2)
    with progress.bar(2, what="index") as bar:
        bar.update(2)
    out, err = capsys.readouterr()
    assert out.startswith("train: 2 steps")
    assert err.startswith("index: 2 steps")


def test_slow_first_step_does_not_spoil_the_estimate(sleep: Callable[[float], None]) -> None:
    log = io.StringIO()
    with progress.bar(1000, what="train", unit="step", stream=log) as bar:
        sleep(4.95)  # a graph is traced
        bar.update()
        for _ in range(10):
            sleep(0.01)
            bar.update()
    assert log.getvalue().splitlines()[0] == "train: 6/1000 steps (0%), 100.0 steps/s, 9.9 s left"


def test_resumed_work_counts_only_its_own_rate(sleep: Callable[[float], None]) -> None:
    log = io.StringIO()
    with progress.bar(100, what="train", unit="step", initial=90, stream=log) as bar:
        for _ in range(6):
            sleep(1)
            bar.update()
    assert log.getvalue().splitlines() == [
        "train: 95/100 steps (95%), 1.0 steps/s, 5.0 s left",
        "train: 96/100 steps in 6.0 s, 1.0 steps/s",
    ]


def test_unknown_total(sleep: Callable[[float], None]) -> None:
    log = io.StringIO()
    with progress.bar(None, what="read", unit="batch", stream=log) as bar:
        for _ in range(2):
            sleep(6)
            bar.update(3)
    assert log.getvalue().splitlines() == [
        "read: 3 batches, 0.5 batches/s",
        "read: 6 batches, 0.5 batches/s",
        "read: 6 batches in 12 s, 0.5 batches/s",
    ]


def test_bytes_are_shown_in_their_usual_units(sleep: Callable[[float], None]) -> None:
    log = io.StringIO()
    with progress.bar(19_300_000_000, what="train2017.zip", unit="byte", stream=log) as bar:
        for _ in range(2):
            sleep(6)
            bar.update(600_000_000)
    assert log.getvalue().splitlines()[1] == ("train2017.zip: 1.2 GB of 19.3 GB (6%), 100.0 MB/s, 3 min 01 s left")


def test_very_slow_units_are_given_by_their_duration(sleep: Callable[[float], None]) -> None:
    log = io.StringIO()
    with progress.bar(2, what="records", unit="shard", stream=log) as bar:
        sleep(90)
        bar.update()
    assert log.getvalue().splitlines()[0] == ("records: 1/2 shards (50%), 1 min 30 s per shard, 1 min 30 s left")


def test_interrupted_work_is_reported_as_stopped(sleep: Callable[[float], None]) -> None:
    log = io.StringIO()
    with pytest.raises(KeyboardInterrupt), progress.bar(10, what="train", stream=log) as bar:
        sleep(3)
        bar.update(4)
        raise KeyboardInterrupt
    assert log.getvalue() == "train: stopped at 4/10 steps after 3.0 s, 1.3 steps/s\n"


def test_nothing_to_do_and_no_update() -> None:
    log = io.StringIO()
    with progress.bar(0, what="records", unit="shard", stream=log):
        pass
    assert log.getvalue() == "records: 0 shards in 0.0 s\n"


def test_bars_can_be_nested(sleep: Callable[[float], None]) -> None:
    log = io.StringIO()
    with progress.bar(1, what="outer", stream=log) as outer:
        with progress.bar(1, what="inner", stream=log) as inner:
            sleep(2)
            inner.update()
        outer.update()
    assert log.getvalue().splitlines() == [
        "inner: 1 step in 2.0 s, 0.5 steps/s",
        "outer: 1 step in 2.0 s, 0.5 steps/s",
    ]


def test_values_are_converted_only_when_they_are_shown(sleep: Callable[[float], None]) -> None:
    class Loss:
        converted = 0

        def __float__(self) -> float:
            self.converted += 1
            return 0.25

    loss, log = Loss(), io.StringIO()
    with progress.bar(100, what="train", stream=log) as bar:
        for _ in range(100):
            bar.update(loss=loss, phase="warm-up")
    assert loss.converted == 1
    assert log.getvalue().endswith(", loss=0.25, phase=warm-up\n")


def test_terminal_gets_a_bar() -> None:
    terminal = Terminal()
    with progress.bar(3, what="train", unit="step", stream=terminal) as bar:
        for _ in range(3):
            bar.update(loss=0.5)
    assert "\r" in terminal.getvalue()
    assert "train: 100%" in terminal.getvalue()
    assert "3/3" in terminal.getvalue()
    assert "loss=0.5" in terminal.getvalue()


def test_writes_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.bar(1, what="train") as bar:
        bar.update()
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("train: 1 step in ")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (110, "1 min 50 s"),
        (3599.6, "1 h 00 min"),
        (7500, "2 h 05 min"),
    ],
)
def test_duration(seconds: float, text: str) -> None:
    assert progress.duration(seconds) == text
