"""Runs that nobody starts by hand, on a real Kubeflow Pipelines: a schedule's, and the retrain workflow's."""

import os
import secrets
from pathlib import Path
from typing import Any

import pytest

from components.finish.summary import ACCEPTED
from pipelines import follow, kfp_api
from pipelines.kfp_api import Api
from tests import workflow
from tests.cluster import runs
from tests.cluster.runs import ROOT_OF_TESTS, TINY, make, volume, wait

PAGES = "https://kubeflow.example.com/pipeline"  # where users would open Kubeflow's pages

pytestmark = [*runs.NEEDS_CLUSTER, pytest.mark.usefixtures("sample_run")]


@pytest.fixture
def champions() -> str:
    """A registry's name that no other run uses."""
    return f"test-{secrets.token_hex(4)}"


def entries(registry: str) -> list[str]:
    """The champions' entries, the oldest first."""
    folder = f"{ROOT_OF_TESTS}/registry/{registry}"
    return volume(f"import pathlib; print(*sorted(p.name for p in pathlib.Path({folder!r}).glob('0*.json')))").split()


def flags(registry: str, **parameters: Any) -> str:
    """What is asked for, as one text."""
    given = TINY | {"registry": registry} | parameters
    words = [f"--settings {runs.SETTINGS.relative_to(runs.ROOT)} --allow-dirty"]
    return " ".join(words + [f"--param {name}={value}" for name, value in given.items()])


def test_schedule_fires_and_its_runs_do_not_overlap(api: Api, champions: str) -> None:
    """Every minute, while a run takes longer than that."""
    asked = f"--name {champions} {flags(champions)}"
    assert "created the schedule" in make("schedule", "CRON=0 0 1 1 *", f"ARGS={asked}")
    try:
        assert "changed the schedule" in make("schedule", "CRON=* * * * *", f"ARGS={asked}")
        (schedule,) = api.schedules(champions)
        identifier = schedule["recurring_run_id"]

        def two_ended() -> bool:
            states = [run.get("state") for run in api.runs(20, identifier)]
            assert sum(state not in follow.OVER for state in states) <= 1, states
            return states.count("SUCCEEDED") >= 2

        wait(1500, two_ended)
        first, second = (api.run(run["run_id"]) for run in reversed(api.runs(20, identifier)[-2:]))
        assert first["finished_at"] <= second["created_at"]
        end = follow.follow(api, second["run_id"], 0.1)
        assert "nothing new" in end.text
    finally:
        assert "removed the schedule" in make("unschedule", f"ARGS=--name {champions}")
    assert api.schedules(champions) == []
    for run in api.runs(20, identifier):
        if run.get("state") not in follow.OVER:  # it goes on without its schedule
            assert follow.follow(api, run["run_id"], 0.1).code == ACCEPTED


def test_retrain_workflow(champions: str, api: Api, tmp_path: Path) -> None:
    """Its own commands: accepted, nothing new, rejected, and a new champion."""

    def retrain(**parameters: Any) -> tuple[int, str, str]:
        summary = tmp_path / f"{secrets.token_hex(4)}.md"
        summary.touch()
        given = {"vars_KF_PIPELINES_ENDPOINT": os.environ[kfp_api.ENDPOINT], "vars_KF_PIPELINES_UI_ENDPOINT": PAGES}
        done = workflow.run("Retrain", summary, **given, inputs_flags=flags(champions, **parameters))
        print(done.stdout)
        return done.returncode, summary.read_text(), runs.identifier(done.stdout)

    if registry := os.environ.get("OPENPOSE_CLUSTER_REGISTRY"):
        for word in ("built", "found"):  # a revision is built once
            assert word in workflow.run("Images", tmp_path / "summary.md", vars_REGISTRY=registry).stdout
    code, summary, _ = retrain()
    assert (code, summary.splitlines()[0]) == (0, "# accepted")
    assert "| AP | " in summary
    (first,) = entries(champions)

    code, summary, run = retrain()
    assert (code, summary.splitlines()[0]) == (0, "# nothing new")
    assert first in summary
    ran = {each.name for each in follow.steps(api.nodes(run)) if each.pod}
    assert ran == {"check", "coco-download", "finish"}

    code, summary, _ = retrain(min_ap=runs.REJECTED_AP, learning_rate="0.0046")
    assert code != 0
    assert summary.startswith("# rejected\n\nCOCO AP ")
    assert f"[The run's page]({PAGES}/#/runs/details/" in summary
    assert entries(champions) == [first], "the champion stays"

    code, summary, _ = retrain(learning_rate="0.0046")
    assert (code, summary.splitlines()[0]) == (0, "# accepted")
    (_, second) = entries(champions)
    assert second in summary
