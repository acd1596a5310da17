"""`make schedule` against a server: one schedule per name, its next times, and no two runs at once."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from openpose.errors import InputError
from pipelines import schedule
from tests.pipeline.kfp_server import Server


@pytest.fixture
def create(images: Path) -> Any:
    def created(cron: str, *flags: str) -> int:
        return schedule.main(["create", cron, "--images", str(images), "--version", "abc", *flags])

    return created


def test_schedule_is_what_kubeflow_needs(server: Server, create: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert create("30 3 * * *", "--settings", "small", "--param", "epochs=3") == 0
    (sent,) = server.schedules.values()
    assert sent["trigger"] == {"cron_schedule": {"cron": "0 30 3 * * *"}}, "Kubeflow's begins with seconds"
    assert (sent["max_concurrency"], sent["no_catchup"], sent["mode"]) == ("1", True, "ENABLE")
    assert sent["pipeline_version_reference"]["pipeline_version_id"] == "abc"
    assert (sent["experiment_id"], sent["service_account"]) == ("experiment-1", "openpose-runner")
    parameters = sent["runtime_config"]["parameters"]
    assert (parameters["epochs"], parameters["source"]) == (3, "sample")
    assert parameters["only_new"] is True
    said = capsys.readouterr().out
    assert "created the schedule openpose-training (schedule-1), version abc: 30 3 * * *" in said
    assert said.count(" 03:30") == 3
    assert "in the time zone of Kubeflow's scheduler: UTC, unless its CRON_SCHEDULE_TIMEZONE says otherwise" in said


def test_made_again_it_takes_the_place_of_the_one_before(
    server: Server, create: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    server.schedules["other"] = {"display_name": "other"}
    assert create("0 3 * * *") == 0
    (first,) = set(server.schedules) - {"other"}
    server.scheduled[first] = {"run_id": "run-7", "state": "SUCCEEDED"}
    assert create("0 4 * * *", "--param", "only_new=false") == 0
    (second,) = set(server.schedules) - {"other"}
    assert server.schedules[second]["trigger"]["cron_schedule"]["cron"] == "0 0 4 * * *"
    assert server.schedules[second]["runtime_config"]["parameters"]["only_new"] is False
    assert "changed the schedule openpose-training" in capsys.readouterr().out


def test_not_changed_while_a_run_of_it_is_at_work(
    server: Server, create: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert create("0 3 * * *") == 0
    before = dict(server.schedules)
    server.scheduled["schedule-1"] = {"run_id": "run-7", "state": "RUNNING"}
    assert create("0 4 * * *") == 1
    assert server.schedules == before
    assert "stop it with `make cancel RUN=run-7`" in capsys.readouterr().err


def test_old_one_that_stays_is_said(
    server: Server, create: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert create("0 3 * * *") == 0
    answer = server.answer

    def refuse(method: str, *request: Any) -> tuple[int, Any]:
        return (500, {"message": "no"}) if method == "DELETE" else answer(method, *request)

    with monkeypatch.context() as patch:
        patch.setattr(server, "answer", refuse)
        assert create("0 4 * * *") == 1
    assert "the old one, schedule-1, was not removed (" in capsys.readouterr().err
    assert create("0 4 * * *") == 0
    assert len(server.schedules) == 1


def test_removed_without_its_run(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    server.schedules["1"] = {"display_name": "openpose-training"}
    server.scheduled["1"] = {"run_id": "run-7", "state": "RUNNING"}
    assert schedule.main(["remove"]) == 0
    assert (server.schedules, server.terminated) == ({}, False)
    assert "removed the schedule openpose-training; its run run-7 continues" in capsys.readouterr().out
    server.schedules["2"] = {"display_name": "nightly"}
    assert schedule.main(["remove"]) == 1
    assert "unknown schedule openpose-training; existing schedules: nightly" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("cron", "said"),
    [
        ("0 0 3 * * *", "there must be five fields"),
        ("@daily", "there must be five fields"),
        ("0 25 * * *", "Bad hour"),
        ("", "there must be five fields"),
    ],
)
def test_times_that_are_none(cron: str, said: str, server: Server, create: Any) -> None:
    with pytest.raises(InputError, match=f'CRON is "{cron.replace("*", ".")}": {said}'):
        schedule.next_times(cron, 3)
    assert create(cron) == 1
    assert not server.schedules


def test_next_times_are_in_the_future_and_of_the_days_that_were_asked_for() -> None:
    times = schedule.next_times("15 6 * * MON-FRI", 6)
    assert times == sorted(times)
    assert times[0] > datetime.now(UTC)
    assert {(time.hour, time.minute) for time in times} == {(6, 15)}
    assert {time.weekday() for time in times} == {0, 1, 2, 3, 4}
