"""The retrain workflow against a server: its commands, exit codes and summary; and the example for GitLab."""

import re
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import workflow
from tests.pipeline.kfp_server import SUMMARY, Server, ended

MAKEFILE = (workflow.ROOT / "Makefile").read_text()


@pytest.fixture
def retrain(server: Server, images: Path, tmp_path: Path) -> Any:
    server.token = "secret"

    def ran(**given: str) -> tuple[subprocess.CompletedProcess[str], str]:
        flags = f"--images {images} --version abc {given.pop('vars_FLAGS', '')}"
        server_given = {"vars_KF_PIPELINES_ENDPOINT": server.address, "secrets_KF_PIPELINES_TOKEN": "secret"}
        done = workflow.run("Retrain", tmp_path / "summary.md", vars_FLAGS=flags, **server_given, **given)
        assert "secret" not in done.stdout
        return done, (tmp_path / "summary.md").read_text()

    return ran


@pytest.mark.slow
@pytest.mark.parametrize(("state", "good"), [("accepted", True), ("nothing new", True), ("rejected", False)])
def test_job_fails_when_the_model_is_rejected(
    server: Server, retrain: Any, state: str, good: bool, tmp_path: Path
) -> None:
    server.page = True
    server.nodes, server.logs = ended(replace(SUMMARY, verdict=state))
    done, summary = retrain()
    assert (done.returncode == 0) == good, done.stdout
    assert (tmp_path / "summary.md.outputs").read_text() == f"verdict={state}\n"
    assert ("::error title=Rejected" in done.stdout) == (state == "rejected")
    assert summary.startswith(f"# {state}\n")
    assert f"[The run's page]({server.address}/#/runs/details/run-1)" in summary
    (sent,) = server.started
    parameters = sent["runtime_config"]["parameters"]
    assert (parameters["only_new"], parameters["source"]) == (True, "sample")


@pytest.mark.slow
def test_by_hand_parameters_go_before_the_repositorys_variables(server: Server, retrain: Any) -> None:
    done, _ = retrain(vars_DATA="coco2017", vars_MODEL="cmu", inputs_model="lightweight", inputs_epochs="3")
    assert done.returncode == 0, done.stdout
    parameters = server.started[0]["runtime_config"]["parameters"]
    assert (parameters["source"], parameters["model"], parameters["epochs"]) == ("coco2017", "lightweight", 3)


def test_what_starts_the_workflow() -> None:
    starts = workflow.DOCUMENT[True]  # YAML reads `on` as True
    assert set(starts) == {"push", "schedule", "workflow_dispatch"}
    assert starts["push"]["branches"] == ["main"]
    for pattern in starts["push"]["paths"]:
        assert (workflow.ROOT / pattern.removesuffix("/**")).is_dir(), pattern
    asked = set(re.findall(r"inputs\.(\w+)", str(workflow.JOB)))
    assert asked == set(starts["workflow_dispatch"]["inputs"])
    one = workflow.DOCUMENT["concurrency"]
    assert "github.ref" in one["group"]
    assert one["cancel-in-progress"] is False, "a training is not thrown away for the next push"


def test_any_ci_has_what_the_workflow_calls() -> None:
    page = (workflow.ROOT / "docs/operations.md").read_text()
    (example,) = re.findall(r"^```yaml\n(# \.gitlab-ci\.yml.+?)^```", page, re.MULTILINE | re.DOTALL)
    gitlab = yaml.safe_load(example)["retrain"]
    commands = [step["run"] for step in workflow.JOB["steps"] if "run" in step], gitlab["script"]
    for found in commands:
        made = [line for line in found if line.startswith("make ")]
        assert [line.split()[1] for line in made] == ["images", "retrain"]
        for name in re.findall(r" ([A-Z]+)=", " ".join(made)):
            assert re.search(rf"^{name} :=", MAKEFILE, re.MULTILINE), name
    assert gitlab["resource_group"], "one at a time"
