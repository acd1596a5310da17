"""Searches for better parameters: `python -m pipelines.sweep`, or `make sweep`.

Optuna proposes values. Each trial is a run of the DAG, on this machine or on a cluster, and a page compares all of
them. The trials are kept in a file, so the same command goes on where it was stopped. Exit code: 0, or 1 if no trial
has a result.
"""

import itertools
import json
import math
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

import tyro
import yaml

from components.command import converted, named
from components.finish.summary import ACCEPTED, REJECTED
from components.parameters import dag_parameters
from openpose import storage
from openpose.errors import InputError, reports_errors
from openpose.parameters import Parameter
from pipelines import local

if TYPE_CHECKING:
    # Imported when a sweep starts: it takes a second, which --help should not spend.
    from optuna.study import Study
    from optuna.trial import FrozenTrial, Trial

Figure = Literal["ap", "valid_loss", "rmse", "median_error", "p90_error", "pck_5", "pck_10", "found"]
SMALLER_IS_BETTER = ("valid_loss", "rmse", "median_error", "p90_error")
POWERS = 10.0  # a range whose ends differ by this factor or more is searched on a logarithmic scale
FIGURES: tuple[str, ...] = get_args(Figure)
GIVE_UP = 3  # the first trials; if all of them fail, so would the others
ERROR, SUMMARY, SEARCH = "error", "summary", "search"  # what the file keeps of trials and of the study
STOPPED = (130, 143)  # exit codes after Ctrl-C and a termination signal


@dataclass(frozen=True)
class Options:
    """Searches for better parameters; each trial is a run of the pipeline."""

    over: Annotated[tyro.conf.UseAppendAction[tuple[str, ...]], tyro.conf.arg(metavar="NAME=VALUES")] = ()
    """A parameter to vary, with its values (stages=2,3,6) or a range (learning_rate=0.001..0.01); may be repeated.
    A range over a factor of 10 or more is searched on a logarithmic scale."""
    trials: int = 10
    """Number of runs, with those of earlier calls. Where all combinations of values are fewer, each is run once."""
    by: Figure = "ap"
    """The figure that is to become better."""
    name: str = "sweep"
    """Name of the sweep. Its files are in OUT/sweeps/NAME; on a cluster, its runs are in the experiment NAME."""
    param: Annotated[tyro.conf.UseAppendAction[tuple[str, ...]], tyro.conf.arg(metavar="NAME=VALUE")] = ()
    """A parameter with the same value in all trials, such as source=DATA (by default drawn people); may be repeated."""
    out: Path = Path("out")
    """Folder for all output."""
    settings: str = ""
    """Settings of a cluster, to run the trials there: a .yaml file, or the name of one in pipelines/clusters."""
    namespace: str = ""
    """Namespace of the user, in a Kubeflow with several users."""
    parallel: int = 1
    """Number of trials at the same time, on a cluster."""
    seed: int = 0
    """Seed of the values that are tried."""


@dataclass(frozen=True)
class Range:
    """The values that a parameter may have.

    Attributes:
        of: the parameter.
        values: to choose from; empty for a range.
        low: lower end of the range.
        high: upper end of the range, included.
    """

    of: Parameter
    values: tuple[Any, ...] = ()
    low: float = 0.0
    high: float = 0.0

    @classmethod
    def read(cls, text: str) -> "Range":
        """Reads NAME=a,b,c or NAME=low..high.

        Raises:
            InputError: the text is something else, or the parameter cannot have these values.
        """
        name, equals, values = text.partition("=")
        name = name.replace("-", "_")
        low, dots, high = values.partition("..")
        if not equals or not values:
            raise InputError(f"--over {text}: give NAME=a,b,c or NAME=low..high")
        if not dots:
            found = tuple(converted({name: each.strip()}, local.PARAMETERS)[name] for each in values.split(","))
            return cls(local.PARAMETERS[name], found)
        for end in (low, high):
            converted({name: end}, local.PARAMETERS)
        try:
            ends = float(low), float(high)
        except ValueError as error:
            raise InputError(f"--over {text}: the ends of a range must be numbers") from error
        if not ends[0] < ends[1] < math.inf:
            raise InputError(f"--over {text}: the range is empty; give its lower end first")
        return cls(local.PARAMETERS[name], (), *ends)

    def suggested(self, trial: "Trial") -> Any:
        """The value for a trial, as the parameter's kind."""
        if self.values:
            return trial.suggest_categorical(self.of.name, self.values)
        is_wide = self.low > 0 and self.high >= POWERS * self.low
        if self.of.kind is int:
            return trial.suggest_int(self.of.name, int(self.low), int(self.high), log=is_wide)
        value = trial.suggest_float(self.of.name, self.low, self.high, log=is_wide)
        return self.of.convert(f"{value:.3g}")


@reports_errors
def main(arguments: Sequence[str] | None = None, program: str = "python -m pipelines.sweep") -> int:
    """Runs the sweep; returns the exit code."""
    options = tyro.cli(Options, prog=program, args=arguments)
    from pipelines import in_place  # KFP takes seconds, which --help should not spend

    try:
        sweep = Sweep(options)
        with in_place.alone(sweep.folder):
            return sweep.run()
    except KeyboardInterrupt:
        print("stopped; the trials so far are kept, and the same command goes on from there", file=sys.stderr)
        return STOPPED[0]


class Sweep:
    """A sweep and its files.

    Args:
        options: of the command.

    Raises:
        InputError: an option cannot be used, or a sweep of this name varies something else.
    """

    def __init__(self, options: Options) -> None:
        if not options.over:
            raise InputError("nothing to vary; give --over NAME=VALUES, such as --over learning_rate=0.001..0.01")
        if options.parallel > 1 and not options.settings:
            raise InputError("parallel trials need a cluster; give its --settings, or leave --parallel out")
        self.options, self.ranges = options, [Range.read(text) for text in options.over]
        known = dag_parameters()
        if not options.settings:
            known = {"source": known["source"], **local.PARAMETERS}
        self.same = converted(named(options.param, "--param"), known)
        self.folder = options.out.absolute() / "sweeps" / options.name
        self.folder.mkdir(parents=True, exist_ok=True)
        self.study = self._study()

    def _study(self) -> "Study":
        import optuna
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        study = optuna.create_study(
            study_name=self.options.name,
            storage=JournalStorage(JournalFileBackend(str(self.folder / "trials.log"))),
            direction="minimize" if self.options.by in SMALLER_IS_BETTER else "maximize",
            load_if_exists=True,
        )
        search = {"over": sorted(self.options.over), "by": self.options.by, "param": sorted(self.options.param)}
        known = study.user_attrs.get(SEARCH, search)
        if known != search:
            raise InputError(
                f"{self.folder}: this sweep searches {' '.join(known['over'])} by {known['by']} with "
                f"{' '.join(known['param']) or 'no --param'}; give the same again, or another --name"
            )
        study.set_user_attr(SEARCH, search)
        # Without the number of trials, a sweep that goes on would propose the same values again.
        seed = self.options.seed + len(study.get_trials(deepcopy=False))
        study.sampler = optuna.samplers.TPESampler(seed=seed, constant_liar=self.options.parallel > 1)
        return study

    def run(self) -> int:
        """Runs the trials that are missing, and returns the exit code."""
        left = self._queue()
        running: dict[Future[dict[str, Any]], Trial] = {}
        with ThreadPoolExecutor(self.options.parallel) as threads:
            while left or running:
                while left and len(running) < self.options.parallel:
                    trial = self.study.ask()
                    running[threads.submit(self._outcome, trial.number, self._values(trial))] = trial
                    left -= 1
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    self._tell(running.pop(future), future)
        best = self.best()
        print(self._text(best), flush=True)
        return 0 if best else 1

    def _queue(self) -> int:
        """Queues interrupted trials and missing combinations; returns how many trials are to be run."""
        from optuna.trial import TrialState

        for trial in self.study.get_trials(states=[TrialState.RUNNING]):
            self.study.tell(trial.number, state=TrialState.FAIL)
            self.study.enqueue_trial(trial.params)
        done = [trial.params for trial in self.finished()]
        wanted = self.options.trials
        if all(each.values for each in self.ranges):
            combinations = list(self._combinations())
            if len(combinations) <= wanted:
                wanted = len(combinations)
                for combination in combinations:
                    if combination not in done:
                        self.study.enqueue_trial(combination, skip_if_exists=True)
        return max(0, wanted - len(done))

    def _combinations(self) -> Iterator[dict[str, Any]]:
        names = [each.of.name for each in self.ranges]
        for values in itertools.product(*(each.values for each in self.ranges)):
            yield dict(zip(names, values, strict=True))

    def _values(self, trial: "Trial") -> dict[str, Any]:
        return {each.of.name: each.suggested(trial) for each in self.ranges}

    def _outcome(self, number: int, values: dict[str, Any]) -> dict[str, Any]:
        """Runs a trial to its end; returns the run's summary.

        Raises:
            InputError: the run failed.
            KeyboardInterrupt: it was stopped.
        """
        print(f"trial {number}: {_words(values)}", flush=True)
        result = self.folder / f"trial-{number}.json"
        result.unlink(missing_ok=True)
        code = subprocess.run([sys.executable, "-m", *self._command(number, values, result)]).returncode
        if code in STOPPED or code < 0:
            raise KeyboardInterrupt
        if not self.options.settings and (self.options.out / "summary.json").exists():
            shutil.copyfile(self.options.out / "summary.json", result)
        summary: dict[str, Any] = json.loads(result.read_text()) if result.exists() else {}
        if code not in (ACCEPTED, REJECTED):
            raise InputError(summary.get("error") or f"the run ended with exit code {code}, see above")
        if summary.get(self.options.by) is None:
            raise InputError(f"the run has no {self.options.by}")
        return summary

    def _command(self, number: int, values: dict[str, Any], result: Path) -> list[str]:
        """The command of a trial's run."""
        options, config, values = self.options, self.folder / f"trial-{number}.yaml", self.same | values
        data = [] if options.settings or "source" not in values else ["--data", values.pop("source")]
        storage.write_text(config, yaml.safe_dump(values, sort_keys=False))
        if not options.settings:
            return ["pipelines.local", "--out", str(options.out), "--config", str(config), *data]
        where = ["--settings", options.settings, *(["--namespace", options.namespace] if options.namespace else [])]
        names = ["--experiment", options.name, "--name", f"{options.name} {number}"]
        return ["pipelines.submit", *where, *names, "--config", str(config), "--result", str(result)]

    def _tell(self, trial: "Trial", future: "Future[dict[str, Any]]") -> None:
        """Keeps a trial's outcome, and writes the page."""
        from optuna.trial import TrialState

        try:
            summary = future.result()
        except InputError as error:
            print(f"trial {trial.number} failed: {error}", file=sys.stderr)
            trial.set_user_attr(ERROR, str(error))
            self.study.tell(trial, state=TrialState.FAIL)
        else:
            trial.set_user_attr(SUMMARY, {name: summary.get(name) for name in ("verdict", "steps", *FIGURES)})
            self.study.tell(trial, summary[self.options.by])
        self._write_page()
        finished = self.finished()
        if len(finished) == GIVE_UP and all(ERROR in each.user_attrs for each in finished):
            raise InputError(f"the first {GIVE_UP} trials failed, the last one: {finished[-1].user_attrs[ERROR]}")

    def finished(self) -> "list[FrozenTrial]":
        """The trials that have a result or an error, without those that were interrupted."""
        found = self.study.get_trials(deepcopy=False)
        return [trial for trial in found if SUMMARY in trial.user_attrs or ERROR in trial.user_attrs]

    def best(self) -> "FrozenTrial | None":
        """The best trial; None if none has a result."""
        return self.study.best_trial if any(SUMMARY in trial.user_attrs for trial in self.finished()) else None

    def _write_page(self) -> None:
        from openpose.report.sweep_page import Trial as Row
        from openpose.report.sweep_page import sweep_page

        rows = []
        for trial in self.finished():
            summary = trial.user_attrs.get(SUMMARY, {})
            seconds = sum(step["seconds"] or 0.0 for step in (summary.get("steps") or {}).values())
            figures = {name: summary.get(name) for name in FIGURES}
            verdict = summary.get("verdict") or f"failed: {trial.user_attrs.get(ERROR)}"
            rows.append(Row(trial.number, dict(trial.params), figures, verdict, seconds))
        is_smaller_better = self.options.by in SMALLER_IS_BETTER
        storage.write_text(
            self.folder / "report.html", sweep_page(self.options.name, self.options.by, rows, is_smaller_better)
        )
        if best := self.best():
            shutil.copyfile(self.folder / f"trial-{best.number}.yaml", self.folder / "best.yaml")

    def _text(self, best: "FrozenTrial | None") -> str:
        """What the terminal says at the end."""
        finished = self.finished()
        failed = sum(ERROR in trial.user_attrs for trial in finished)
        counted = f"{len(finished)} trials" + (f", {failed} of them failed" if failed else "")
        lines = ["", f"sweep {self.options.name}: {counted}"]
        if best is not None:
            lines.append(
                f"  best {self.options.by}  {best.value:.4g}  with {_words(best.params)}  (trial {best.number})"
            )
            lines.append(f"  parameters  {self.folder / 'best.yaml'}, for --config of a run")
        lines.append(f"  page        {self.folder / 'report.html'}")
        return "\n".join(lines)


def _words(values: dict[str, Any]) -> str:
    return ", ".join(
        f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}" for name, value in values.items()
    )


if __name__ == "__main__":
    sys.exit(main())
