"""A sweep proposes values, runs a trial for each, goes on where it stopped, and compares the trials on a page."""

import textwrap
from pathlib import Path
from typing import Any

import pytest
import tyro
import yaml

from openpose.errors import InputError
from pipelines import local, submit, sweep
from pipelines.sweep import Options, Range, Sweep

# Stands for a run of the DAG: its AP is best at the learning rate 0.003. A run with `stages` 5 fails.
RUN = """
    import json, math, sys, yaml
    out, config = sys.argv[sys.argv.index("--out") + 1], sys.argv[sys.argv.index("--config") + 1]
    values = yaml.safe_load(open(config))
    failed = values.get("stages") == 5
    rate = float(values.get("learning_rate", 0.003))
    figures = dict.fromkeys(("rmse", "median_error", "p90_error", "pck_5", "pck_10", "found"))
    ap = 0.8 - 0.1 * abs(math.log10(rate / 0.003)) + 0.01 * values.get("stages", 0)
    figures |= {"ap": ap, "valid_loss": 1 - ap, "error": "no learning" if failed else "", "verdict": "accepted"}
    json.dump(figures | {"steps": {"train": {"seconds": 61.0}}}, open(f"{out}/summary.json", "w"))
    sys.exit(1 if failed else 3)
"""


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs the command with flags; trials are runs of the script above."""
    (tmp_path / "a_run.py").write_text(textwrap.dedent(RUN))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    out = tmp_path / "out"
    command = Sweep._command

    def short(self: Sweep, number: int, values: dict[str, Any], result: Path) -> list[str]:
        module, *flags = command(self, number, values, result)
        assert module == "pipelines.local"
        return ["a_run", *flags]

    monkeypatch.setattr(Sweep, "_command", short)
    return lambda *flags: sweep.main(["--out", str(out), *flags])


@pytest.mark.slow
def test_the_best_is_found_and_shown(call: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("--over", "learning_rate=0.0001..0.1", "--trials", "15", "--param", "epochs=3") == 0
    said = capsys.readouterr().out
    folder = tmp_path / "out/sweeps/sweep"
    best = yaml.safe_load((folder / "best.yaml").read_text())
    assert 0.001 < float(best["learning_rate"]) < 0.01
    assert best["epochs"] == 3
    assert "sweep sweep: 15 trials" in said
    assert f"with learning_rate {float(best['learning_rate']):.3g}" in said
    page = (folder / "report.html").read_text()
    assert page.count("<th>trial ") == 15
    assert "<svg" in page
    assert "1 min 01 s" in page
    assert local.parse(["--config", str(folder / "best.yaml")])[1]["learning_rate"] == best["learning_rate"]


@pytest.mark.slow
def test_each_combination_once_and_no_more_afterwards(
    call: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ("--over", "stages=2,3", "--over", "width=0.5,1.0", "--trials", "9", "--by", "valid_loss")
    assert call(*flags) == 0
    folder = tmp_path / "out/sweeps/sweep"
    tried = [yaml.safe_load((folder / f"trial-{number}.yaml").read_text()) for number in range(4)]
    assert sorted((each["stages"], each["width"]) for each in tried) == [(2, 0.5), (2, 1.0), (3, 0.5), (3, 1.0)]
    assert yaml.safe_load((folder / "best.yaml").read_text())["stages"] == 3
    capsys.readouterr()
    assert call(*flags) == 0
    assert "trial " not in capsys.readouterr().out.partition("sweep sweep")[0]
    assert not (folder / "trial-4.yaml").exists()


def test_a_stopped_sweep_goes_on(call: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = Sweep._outcome

    def stopped(self: Sweep, number: int, values: dict[str, Any]) -> dict[str, Any]:
        if number == 2:
            raise KeyboardInterrupt
        return outcome(self, number, values)

    flags = ("--over", "learning_rate=0.001..0.01", "--trials", "4")
    with monkeypatch.context() as patch:
        patch.setattr(Sweep, "_outcome", stopped)
        assert call(*flags) == 130
    assert call(*flags) == 0
    page = (tmp_path / "out/sweeps/sweep/report.html").read_text()
    assert [f"<th>trial {number}<" in page for number in range(6)] == [True, True, False, True, True, False]


def test_trials_that_fail_are_named(call: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("--over", "stages=2,5") == 0
    assert "trial 1 failed: no learning" in capsys.readouterr().err
    assert "failed: no learning" in (tmp_path / "out/sweeps/sweep/report.html").read_text()
    assert call("--name", "hopeless", "--over", "learning_rate=0.001..0.01", "--param", "stages=5") == 1
    assert "error: the first 3 trials failed, the last one: no learning" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ([], "nothing to vary; give --over NAME=VALUES"),
        (["--over", "epochs"], "--over epochs: give NAME=a,b,c or NAME=low..high"),
        (["--over", "epoch=1,2"], "unknown parameter 'epoch'"),
        (["--over", "epochs=1,many"], "epochs is 'many'; it must be a whole number"),
        (["--over", "epochs=9..3"], "the range is empty; give its lower end first"),
        (["--over", "model=a..b"], "model is 'a'; choose one of"),
        (["--over", "width=0.5,1", "--parallel", "2"], "parallel trials need a cluster"),
        (["--over", "width=0.5,1", "--param", "root=gs://bucket/a"], "unknown parameter 'root'"),
        (["--over", "width=0.5,1", "--param", "epochs"], "--param epochs: give NAME=VALUE"),
    ],
)
def test_what_cannot_be_searched(call: Any, flags: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(*flags) == 1
    assert said in capsys.readouterr().err


def test_another_search_needs_another_name(call: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("--over", "stages=2,3") == 0
    assert call("--over", "stages=2,4") == 1
    assert (
        "this sweep searches stages=2,3 by ap with no --param; give the same again, or another"
        in capsys.readouterr().err
    )


def test_values_have_the_kind_of_their_parameter() -> None:
    assert Range.read("stages=2,3").values == (2, 3)
    assert Range.read("learning-rate=0.1,0.2").values == ("0.1", "0.2")
    with pytest.raises(InputError, match="whole number"):
        Range.read("stages=1.5..3")


def test_here_the_source_is_the_data_of_a_run(tmp_path: Path) -> None:
    sweep = Sweep(Options(over=("stages=2,3",), out=tmp_path, param=("source=/some mice", "epochs=2")))
    module, *flags = sweep._command(0, {"stages": 3}, tmp_path / "trial-0.json")
    assert module == "pipelines.local"
    options, parameters = local.parse(flags)
    assert (options.data, options.out) == ("/some mice", tmp_path)
    assert (parameters["stages"], parameters["epochs"]) == (3, 2)


def test_on_a_cluster_each_trial_is_submitted(tmp_path: Path) -> None:
    options = Options(
        over=("stages=2,3",),
        out=tmp_path,
        settings="gpu",
        name="try",
        parallel=2,
        namespace="me",
        param=("source=gs://mice", "root=s3://pose/a"),
    )
    module, *flags = Sweep(options)._command(4, {"stages": 3}, tmp_path / "trial-4.json")
    assert module == "pipelines.submit"
    made = tyro.cli(submit.Options, args=flags)
    assert (made.settings, made.experiment, made.name, made.result) == (
        "gpu",
        "try",
        "try 4",
        tmp_path / "trial-4.json",
    )
    assert made.params_file
    assert made.namespace == "me"
    assert yaml.safe_load(made.params_file.read_text()) == {"stages": 3, "source": "gs://mice", "root": "s3://pose/a"}
