"""What MLflow has of a run, in its own store; and that it never stops a step."""

import os
import time
from pathlib import Path
from typing import Any

import pytest

from openpose import tracking
from tests.process import free_port

mlflow = pytest.importorskip("mlflow")


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test has a client of its own, and variables that end with it."""
    tracking._client.cache_clear()
    tracking._failures.clear()
    for name in (tracking.URI, tracking.RUN, tracking.EXPERIMENT, *tracking._DEFAULTS):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(tracking.URI, f"file:{tmp_path / 'mlflow'}")
    return tmp_path / "mlflow"


def only_run(experiment: str = tracking.DEFAULT_EXPERIMENT) -> Any:
    client = mlflow.MlflowClient()
    (run,) = client.search_runs([client.get_experiment_by_name(experiment).experiment_id])
    return run


def test_a_run_has_curves_parameters_tags_and_pages(store: Path) -> None:
    with tracking.pipeline("out") as end:
        for step in (10, 20):
            tracking.figures({"loss": 100 / step, "nothing": None, "broken": float("nan")}, step)
        tracking.figures({"AP": 0.5}, before="evaluation/")
        tracking.parameters({"model": "unet", "long": "x" * 9000}, "training/")
        tracking.tags({"data": "abc", "missing": None})
        tracking.page("evaluation.html", lambda: "<p>Très bien</p>")
        end(False)
    assert tracking.RUN not in os.environ
    run = only_run()
    assert (run.info.run_name, run.info.status) == ("out", "FINISHED")
    assert run.data.metrics == {"loss": 5.0, "evaluation/AP": 0.5}
    curve = mlflow.MlflowClient().get_metric_history(run.info.run_id, "loss")
    assert [(each.step, each.value) for each in curve] == [(10, 10.0), (20, 5.0)]
    assert run.data.params["training/model"] == "unet"
    assert {name: value for name, value in run.data.tags.items() if not name.startswith("mlflow.")} == {
        "openpose.data": "abc"
    }
    kept = mlflow.MlflowClient().download_artifacts(run.info.run_id, "evaluation.html")
    assert Path(kept).read_text() == "<p>Très bien</p>"


@pytest.mark.parametrize(("failed", "state"), [(True, "FAILED"), (None, "KILLED")])
def test_how_a_run_ended(store: Path, failed: bool | None, state: str) -> None:
    with tracking.pipeline("out") as end:
        if failed is not None:
            end(failed)
    assert only_run().info.status == state


def test_the_callers_run_and_experiment(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(tracking.EXPERIMENT, "mice")
    with tracking.pipeline("outer") as end, tracking.pipeline("inner") as inner:
        tracking.figures({"loss": 1.0})
        inner(True)
        end(False)
    run = only_run("mice")
    assert (run.info.run_name, run.info.status) == ("outer", "FINISHED")


@pytest.mark.usefixtures("store")
def test_nothing_is_sent_without_a_run(store: Path) -> None:
    tracking.figures({"loss": 1.0})
    assert not store.exists()


def test_nothing_happens_without_its_variables() -> None:
    with tracking.pipeline("out") as end:
        tracking.page("page.html", lambda: pytest.fail("nobody needs this page"))
        end(False)


def test_dead_server_is_one_warning_in_seconds(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(tracking.URI, f"http://me:secret@localhost:{free_port()}")
    monkeypatch.setenv(tracking.RUN, "0123456789abcdef")
    start = time.monotonic()
    for step in range(100):
        tracking.figures({"loss": 1.0}, step)
    assert time.monotonic() - start < 60
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith("warning: MLflow at http://localhost:")
    assert "refused" in said
    assert "secret" not in said


def test_a_server_that_comes_back_gets_the_next_figures(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracking, "PAUSE", 0.0)
    with tracking.pipeline("out") as end:
        with monkeypatch.context() as broken:
            broken.setenv(tracking.RUN, "0123456789abcdef")
            tracking.figures({"loss": 1.0}, 1)
        tracking.figures({"loss": 0.5}, 2)
        end(False)
    assert only_run().data.metrics == {"loss": 0.5}
