"""`make submit` against a server: its requests, its messages and its exit codes."""

import io
import json
import os
import pty
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import certifi
import pytest

from components.finish.summary import ACCEPTED, FAILED, REJECTED
from openpose.errors import InputError
from pipelines import follow, kfp_api, runs, submit
from pipelines.kfp_api import Api
from tests.pipeline.kfp_server import PART, SUMMARY, Server, ended, node, pod, served_by_tls

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(autouse=True)
def _little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "PATIENCE", 10.0)


@pytest.fixture
def call(images: Path) -> Any:
    def submitted(*flags: str) -> int:
        return submit.main(["--images", str(images), "--version", "abc", *flags])

    return submitted


@pytest.mark.parametrize("compressed", [False, True])
def test_submits_follows_and_says_where_the_model_is(
    server: Server, call: Any, compressed: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    server.compressed = compressed
    assert call("--param", "epochs=3", "--param", "learning-rate=0.01") == ACCEPTED
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("http://localhost:8080/#/runs/details/run-1  (after `kubectl -n kubeflow port-forward")
    assert any(line.endswith("train                    done     1 min 00 s") for line in said), said
    assert "accepted: COCO AP is 0.676, the first on this data set." in said
    assert "  COCO AP 0.676  AR undefined" in said
    assert "  graph             /data/openpose/models/1/graph.pb" in said
    (sent,) = server.started
    parameters = sent["runtime_config"]["parameters"]
    assert parameters["epochs"] == 3
    assert parameters["learning_rate"] == "0.01"
    assert parameters["source"] == "sample"
    assert sent["pipeline_version_reference"]["pipeline_version_id"] == "abc"
    assert sent["service_account"] == "openpose-runner"
    assert b"openpose@sha256:1" in server.versions["abc"]
    assert b"defaultValue: c0de" in server.versions["abc"], "a run from Kubeflow's form knows the code too"


@pytest.mark.slow
def test_same_version_is_reused_and_another_of_its_name_refused(
    server: Server, call: Any, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("--no-wait") == 0
    assert call("--no-wait") == 0
    assert len(server.versions) == 1
    other = tmp_path / "images.json"
    other.write_text('{"cpu": {"image": "openpose@sha256:2"}}')
    assert call("--no-wait", "--images", str(other)) == 1
    assert "version abc of openpose-training already exists with other content" in capsys.readouterr().err
    assert len(server.started) == 2


def test_what_somebody_else_makes_at_the_same_moment_is_used(server: Server, call: Any) -> None:
    server.raced = True
    assert call("--no-wait") == 0
    (sent,) = server.started
    reference = {"pipeline_id": "pipeline-1", "pipeline_version_id": "abc"}
    assert (sent["pipeline_version_reference"], sent["experiment_id"]) == (reference, "experiment-1")


@pytest.mark.parametrize("archived", [False, True])
def test_through_the_address_of_kubeflows_page(
    server: Server, call: Any, archived: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    server.page, server.archived = True, archived
    assert call() == ACCEPTED
    said = capsys.readouterr().out.splitlines()
    assert said[0] == f"{server.address}/#/runs/details/run-1"
    assert "  COCO AP 0.676  AR undefined" in said


@pytest.mark.parametrize(
    ("tasks", "code", "said"),
    [
        (["coco-download", "train", "evaluate", "export", "register"], ACCEPTED, "accepted"),
        (["coco-download", "train", "evaluate", "explain-rejection"], REJECTED, "rejected"),
        (["coco-download"], ACCEPTED, "nothing new"),
    ],
)
def test_verdict_needs_no_log(
    server: Server, call: Any, tasks: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    server.tasks, server.logs = tasks, {}
    assert call() == code
    assert f"{said}; the summary of the last step cannot be read, see the run's page" in capsys.readouterr().out


def test_pictures_instead_of_a_training(server: Server, call: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("--dag", "predicting") == FAILED
    said = capsys.readouterr().err
    assert "`pictures` is missing; give --param pictures=…: Pictures to look at: a folder with all below it" in said
    server.tasks, server.logs = ["plan-prediction", "predict", "collect-predictions"], {}
    assert call("--dag", "predicting", "--param", "pictures=gs://bucket/photos") == ACCEPTED
    assert "done; the run's page says where the result is" in capsys.readouterr().out
    assert server.started[-1]["runtime_config"]["parameters"] == {"pictures": "gs://bucket/photos"}


def test_verdict_in_a_file_is_never_that_of_an_earlier_run(server: Server, call: Any, tmp_path: Path) -> None:
    file = tmp_path / "verdict"
    assert call("--verdict", str(file)) == ACCEPTED
    assert file.read_text() == "accepted\n"
    assert call("--verdict", str(file), "--param", "epochs=many") == FAILED  # not started
    assert not file.exists()


def test_kubeconfigs_authority_goes_before_that_of_the_environment(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, key = tmp_path / "server.pem", tmp_path / "key.pem"
    command = "openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=localhost -addext subjectAltName=DNS:localhost"
    subprocess.run([*command.split(), "-keyout", key, "-out", certificate], check=True, capture_output=True)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", certifi.where())  # knows other authorities
    with served_by_tls(server, certificate, key) as address:
        with pytest.raises(InputError, match="certificate is not trusted"):
            Api(address, patience=1).get("healthz")
        known = Api(address, patience=1)
        known.authority = str(certificate)
        assert known.get("healthz") == {"multi_user": False}


def test_rejected_by_the_verdict(server: Server, call: Any, capsys: pytest.CaptureFixture[str]) -> None:
    server.nodes, server.logs = ended(
        replace(SUMMARY, verdict="rejected", reason="COCO AP 0.1 is below the 0.9 asked for.", graph=None)
    )
    assert call() == REJECTED
    assert "rejected: COCO AP 0.1 is below the 0.9 asked for." in capsys.readouterr().out


def test_nothing_new_is_no_failure(server: Server, call: Any, capsys: pytest.CaptureFixture[str]) -> None:
    server.nodes, server.logs = ended(replace(SUMMARY, verdict="nothing new", reason="The champion is of this code."))
    assert call("--param", "only_new=true") == ACCEPTED
    assert "nothing new: The champion is of this code." in capsys.readouterr().out
    assert server.started[0]["runtime_config"]["parameters"]["only_new"] is True


@pytest.mark.parametrize("state", ["accepted", "rejected", "nothing new"])
def test_summary_for_ci(server: Server, call: Any, state: str, tmp_path: Path) -> None:
    pages = server.page = state == "accepted"
    server.nodes, server.logs = ended(replace(SUMMARY, verdict=state))
    file = tmp_path / "summary.md"
    file.write_text("# What was before\n")
    call("--summary", str(file))
    page = file.read_text()
    assert page.startswith(f"# What was before\n# {state}\n\nCOCO AP is 0.676")
    assert "| figure | value |\n|---|---|\n| AP | 0.676 |\n" in page
    where = f"[The run's page]({server.address}/#/runs/details/run-1)" if pages else "Run `run-1`"
    assert page.endswith(f"\n{where}\n")


def test_summary_for_ci_of_a_failure_that_the_last_step_did_not_see(server: Server, call: Any, tmp_path: Path) -> None:
    """The model was accepted, then the driver of its export died without a status file."""
    server.nodes, server.logs = ended(SUMMARY)
    failed = node(f"{PART}.export-driver", "Failed", message="Error (exit code 1)")
    server.nodes.append(failed)
    server.logs[pod(failed)], server.states = DRIVER_LOG, ["FAILED"]
    assert call("--summary", str(tmp_path / "summary.md")) == FAILED
    page = (tmp_path / "summary.md").read_text()
    assert page.startswith("# failed\n\nfailed: export-driver: failed to resolve inputs: no x\n")


def test_summary_for_ci_of_a_run_without_a_last_step(server: Server, call: Any, tmp_path: Path) -> None:
    server.nodes = [node("wf-1", "Failed", "DAG"), node(f"{PART}.train.executor", "Failed", message="OOMKilled")]
    server.logs, server.states = {}, ["FAILED"]
    assert call("--summary", str(tmp_path / "summary.md")) == FAILED
    assert (tmp_path / "summary.md").read_text().startswith("# failed\n\nfailed: train: OOMKilled\n")


def test_failed_names_the_task_and_its_error(server: Server, call: Any, capsys: pytest.CaptureFixture[str]) -> None:
    failed = node(f"{PART}.check.executor(0)", "Failed", message="Error (exit code 1)")
    server.nodes = [failed, node(f"{PART}.check.executor", "Failed", "Retry"), node("wf-1", "Failed", "DAG")]
    server.logs = {pod(failed): "I1126 05:00:00.1 main.go:1] noise\nerror: no network is called 'x'\n"}
    server.states = ["PENDING", "FAILED"]
    assert call() == FAILED
    said = capsys.readouterr().out
    assert "failed: check: no network is called 'x'" in said
    assert "noise" not in said


# Printed by Kubeflow Pipelines 2.17, shortened.
STEP_LOG = """time="2026-11-26T11:22:54.018Z" level=info msg="capturing logs" argo=true
I1126 11:22:54.275485      16 main.go:67] Setting log level to: '1'
[KFP Executor 2026-11-26 11:22:54,719 INFO]: Got executor_input:
{
    "inputs": {
        "root": "/data/openpose"
    }
}
epoch 1/1
{"loss": 1.5}
[KFP Executor 2026-11-26 11:22:54,900 INFO]: Wrote executor output file to /minio/output_metadata.json.
{
  "artifacts": {}
}
Error: exit status 1
"""
DRIVER_LOG = """I1126 11:00:21.097551      15 main.go:152] input ComponentSpec:{
  "inputDefinitions": {}
}
F1126 11:00:21.112781      15 main.go:127] KFP driver: driver.Container(runID=1) failed: failed to resolve inputs: no x
"""


def test_log_without_what_kubeflow_adds() -> None:
    assert follow.own_lines(STEP_LOG) == ["epoch 1/1", '{"loss": 1.5}']


def test_failed_before_the_step_began_says_what_kubeflow_said(
    server: Server, call: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    failed = node(f"{PART}.train-driver", "Failed", message="Error (exit code 1)")
    server.nodes, server.states = [node("wf-1", "Failed", "DAG"), failed], ["FAILED"]
    server.logs = {pod(failed): DRIVER_LOG}
    assert call() == FAILED
    assert "failed: train-driver: failed to resolve inputs: no x\n" in capsys.readouterr().out


def test_failed_without_any_log_says_what_kubernetes_says(
    server: Server, call: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    server.nodes = [node("wf-1", "Failed", "DAG"), node(f"{PART}.train.executor", "Failed", message="OOMKilled")]
    server.logs, server.states = {}, ["FAILED"]
    assert call() == FAILED
    assert "failed: train: OOMKilled" in capsys.readouterr().out


@pytest.mark.parametrize("seen", [True, False])
def test_terminated_run_is_no_failure(
    server: Server, call: Any, seen: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    server.states, server.terminated = (["CANCELING", "FAILED"], False) if seen else (["FAILED"], True)
    assert call() == follow.ENDED
    assert "cancelled" in capsys.readouterr().out


def test_pod_that_waits_says_why(server: Server, call: Any, capsys: pytest.CaptureFixture[str]) -> None:
    why = "Unschedulable: 0/1 nodes are available: 1 Insufficient nvidia.com/gpu."
    server.nodes = [
        node("wf-1", "Running", "DAG"),
        node(f"{PART}.train.executor", "Running", "Retry"),
        node(f"{PART}.train.executor(0)", "Pending", message=why),
    ]
    server.states = ["RUNNING"]
    assert call("--hours", "0") == follow.ENDED
    said = capsys.readouterr().out
    assert f"train                    waiting               {why}" in said
    assert "not finished after 0 hours" in said


def test_connection_lost_while_waiting(server: Server, call: Any, capsys: pytest.CaptureFixture[str]) -> None:
    server.away, server.away_once_started = 3, True
    assert call() == ACCEPTED
    assert server.away == 0
    assert len(server.started) == 1


def test_connection_lost_while_sending_is_not_sent_twice(
    server: Server, call: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = server.answer

    def lost(method: str, path: str, query: dict[str, str], body: bytes) -> tuple[int, Any]:
        answer(method, path, query, body)
        if method == "POST" and path.endswith("/runs"):
            raise ConnectionAbortedError
        return answer(method, path, query, body)

    monkeypatch.setattr(server, "answer", lost)
    assert call() == 1
    assert len(server.started) == 1
    assert "which may have arrived; see `make runs`" in capsys.readouterr().err


def test_dead_server(call: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    monkeypatch.setenv(kfp_api.ENDPOINT, address)
    with pytest.raises(InputError, match=r"does not answer .*refused.*; is KF_PIPELINES_ENDPOINT right"):
        Api(address, patience=1.0).check()


def test_wrong_token_and_one_that_changes(
    server: Server, call: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    server.token = "new-secret"
    file = tmp_path / "token"
    file.write_text("old-secret\n")
    monkeypatch.setenv(kfp_api.TOKEN_FILE, str(file))
    assert call() == 1
    said = capsys.readouterr()
    assert "requires a login (HTTP 401: Unauthenticated); set KF_PIPELINES_TOKEN to" in said.err
    assert "old-secret" not in said.out + said.err
    file.write_text("new-secret\n")
    assert call() == ACCEPTED
    server.token = "third"
    api = Api(server.address, kfp_api._read_token)
    file.write_text("third")
    api.check()
    said = capsys.readouterr()
    assert "secret" not in said.out + said.err


def test_namespace_is_asked_for(server: Server, call: Any, capsys: pytest.CaptureFixture[str]) -> None:
    server.multi_user = True
    assert call() == 1
    assert "give yours with --namespace" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--param", "epoch=3"], "unknown parameter 'epoch'"),
        (["--param", "epochs"], "--param epochs: give NAME=VALUE"),
        (["--param", "epochs=many"], "epochs is 'many'; it must be a whole number"),
        (["--param", "unpack=maybe"], "unpack is 'maybe'; it must be true or false"),
        (["--settings", "gcs"], "`root`, the storage root for all pods, is missing"),
        (["--settings", "gpu"], "no image 'gpu' was built"),
        (["--images", "nowhere.json"], "no image 'cpu' was built"),
        (["--params-file", "nowhere.yaml"], "nowhere.yaml: cannot be read as parameters"),
    ],
)
def test_what_cannot_be_submitted(
    server: Server, call: Any, flags: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(*flags) == 1
    assert said in capsys.readouterr().err
    assert not server.started


def test_parameters_of_a_file_and_over_them_those_given(
    call: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(kfp_api.ENDPOINT, raising=False)
    file = tmp_path / "mine.yaml"
    file.write_text("epochs: 7\nbatch_size: 8.0\nsource: coco2017\n")
    assert call("--dry-run", "--params-file", str(file), "--param", "epochs=9", "--experiment", "e") == 0
    first, _, rest = capsys.readouterr().out.partition("\n")
    about = json.loads(first.removeprefix("# "))
    parameters = about["run"]["runtime_config"]["parameters"]
    assert (parameters["epochs"], parameters["batch_size"], parameters["source"]) == (9, 8, "coco2017")
    assert "width" not in parameters  # only the sample sets it
    assert about["experiment"] == "e"
    assert "# Name: openpose-training" in rest


def test_table_on_a_terminal_is_drawn_over() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    out = Terminal()
    table = follow.Table(out)
    table.show([follow.Step("train", "running", "", "", 1.0)])
    table.show([follow.Step("train", "done", "", "", 61.0)])
    assert out.getvalue().count("\x1b[1A\x1b[J") == 1
    assert "done     1 min 01 s" in out.getvalue()


@pytest.mark.slow
@pytest.mark.parametrize(("answer", "code"), [("y", follow.ENDED), ("n", submit.LEFT_RUNNING)])
def test_control_c_asks(server: Server, images: Path, answer: str, code: int) -> None:
    server.states = ["RUNNING"]
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "pipelines.submit", "--images", str(images), "--version", "abc"]
    process = subprocess.Popen(
        command,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=ROOT,
        start_new_session=True,
    )
    os.close(theirs)
    _read_until(ours, "finish ")
    process.send_signal(signal.SIGINT)
    _read_until(ours, "[y/N]")
    os.write(ours, f"{answer}\n".encode())
    said = _read_until(ours, "resumes" if answer == "y" else "the run continues")
    assert process.wait(timeout=60) == code, said
    assert server.terminated == (answer == "y")
    os.close(ours)


def _read_until(terminal: int, text: str) -> str:
    said = ""
    while text not in said:
        said += os.read(terminal, 4096).decode()
    return said


def test_list_of_runs_says_how_each_went(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    def run(state: str, *tasks: str, identifier: str = "run-2") -> dict[str, Any]:
        details = {"task_details": [{"display_name": task, "state": "SUCCEEDED"} for task in tasks]}
        about = {"run_id": identifier, "created_at": "2026-11-29T03:05:33Z", "display_name": state}
        return {**about, "state": state, "run_details": details}

    server.terminated = True
    server.listed = [
        run("SUCCEEDED", "coco-download", "register"),
        run("SUCCEEDED", "coco-download", "explain-rejection"),
        run("SUCCEEDED", "somebody-else's"),
        run("FAILED", identifier="run-1"),
        run("FAILED"),
        run("RUNNING"),
    ]
    assert runs.main(["list"]) == 0
    words = [line.split()[3] for line in capsys.readouterr().out.splitlines()]
    assert words == ["accepted", "rejected", "succeeded", "cancelled", "failed", "running"]


def test_list_ends_quietly_when_nobody_reads_on(server: Server) -> None:
    command = f"{sys.executable} -m pipelines.runs list | head -1"
    server.listed = [{"run_id": "r", "created_at": "2026-11-29T03:05:33Z", "display_name": "x" * 100_000}] * 9
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.startswith("r  2026-11-29 03:05:33  pending")
    assert done.stderr == ""


def test_logs_of_a_running_step_that_no_way_leads_to(
    server: Server, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", "/nowhere")
    server.nodes = [node(f"{PART}.train.executor", "Running")]
    assert runs.main(["logs", "run-1"]) == 0
    said = capsys.readouterr().out
    assert "its log cannot be read: neither" in said
    assert "error_message" not in said


def test_runs_cancel_and_logs(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    assert runs.main(["cancel", "run-1"]) == 0
    assert server.terminated
    assert runs.main(["logs", "run-1", "finish"]) == 0
    said = capsys.readouterr().out
    assert "== finish: done" in said
    assert "launcher.go" not in said
    assert runs.main(["logs", "run-1", "sleep"]) == 1
    assert "has no step 'sleep'" in capsys.readouterr().err
