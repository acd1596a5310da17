"""The last step: the summary of a run."""

import contextlib
import json
from dataclasses import asdict
from pathlib import Path

import pytest

from components import status
from components.finish.finish import finish
from components.finish.summary import MARK, Summary, summarise
from components.steps import STEPS
from openpose import storage
from openpose.errors import InputError
from openpose.evaluation.pixel_errors import FIGURES
from tests import manifests


def run_step(root: Path, name: str, error: Exception | None = None) -> None:
    with contextlib.suppress(InputError), status.step(root, name):
        if error:
            raise error


def test_failed_step_and_its_error_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(status.RUN, "run-1")
    run_step(tmp_path, "coco_download")
    run_step(tmp_path, "train", InputError("the batch\nis too large"))
    monkeypatch.setenv(status.RUN, "run-2")  # another run with the same root must not count
    run_step(tmp_path, "train")
    monkeypatch.setenv(status.RUN, "run-1")
    summary = finish(str(tmp_path), "FAILED")
    assert (summary.verdict, summary.step, summary.error) == ("failed", "train", "the batch is too large")
    assert {name: step.state for name, step in summary.steps.items()} == dict.fromkeys(STEPS, "skipped") | {
        "coco_download": "done",
        "train": "failed",
    }
    assert storage.read_json(tmp_path / "summaries/run-1.json") == summary.document()
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith(MARK)]
    assert Summary.read(json.loads(line.removeprefix(MARK))) == summary
    assert "**train**: the batch is too large" in summary.markdown()


def test_killed_step_is_named(tmp_path: Path) -> None:
    with status.step(tmp_path, "train"):
        summary = finish(str(tmp_path), "FAILED")  # the state that a killed pod leaves
    assert summary.step == "train"
    assert "killed because it ran out of memory" in summary.error


def made(root: Path, name: str, manifest: storage.StoragePath) -> None:
    """Records a step as done, with its manifest."""
    with status.step(root, name) as step:
        step.manifest_path = manifest


def registered(root: Path) -> Path:
    """A champion's entry."""
    storage.write_json(root / "registry.json", manifests.champion("a", entry="00001-a.json").as_document())
    return root / "registry.json"


@pytest.mark.parametrize("state", ["SUCCEEDED", "COMPLETE", "RUNNING"])
@pytest.mark.parametrize("verdict", ["accepted", "rejected"])
def test_verdict_figures_and_places(verdict: str, state: str, tmp_path: Path) -> None:
    said = manifests.evaluation(
        tmp_path, verdict=verdict, reason="Because.", figures={"AP": 0.5, "AR": None}, report="r.html"
    )
    made(tmp_path, "evaluate", said.path)
    if verdict == "accepted":
        made(tmp_path, "export", manifests.model(tmp_path).path)
        made(tmp_path, "register", registered(tmp_path))
    summary = finish(str(tmp_path), state)
    assert (summary.verdict, summary.reason, summary.error) == (verdict, "Because.", "")
    page = summary.markdown()
    assert page.startswith(f"# {verdict}\n")
    assert "| AP | 0.500 |" in page
    assert "AR" not in page, "undefined"
    assert "- report: `r.html`" in page


@pytest.mark.parametrize(("ended", "missing"), [([], "export"), (["export"], "register")])
def test_accepted_model_that_did_not_become_the_champion(ended: list[str], missing: str, tmp_path: Path) -> None:
    made(tmp_path, "evaluate", manifests.evaluation(tmp_path).path)
    for name in ended:
        made(tmp_path, name, manifests.model(tmp_path).path)
    summary = finish(str(tmp_path), "COMPLETE")
    assert summary.verdict == "failed"
    assert summary.error == (f"the model was accepted, but the step {missing} did not start; see its driver's log")


def test_pixel_errors_stand_beside_ap(tmp_path: Path) -> None:
    errors = dict(zip(FIGURES, (4.25, 2.5, 6.0, None, 1.0, 0.9), strict=True))
    nose = {"rmse": 3.0, "labelled": 7}
    said = manifests.evaluation(
        tmp_path, verdict="rejected", figures={"AP": 0.5} | errors, parts={"nose": 0.4}, keypoints={"nose": nose}
    )
    made(tmp_path, "evaluate", said.path)
    summary = finish(str(tmp_path), "SUCCEEDED")
    document = summary.document()
    assert {name: document[name] for name in FIGURES} == errors
    assert document["keypoints"] == {"nose": {"AP": 0.4, "rmse": 3.0, "labelled": 7}}
    assert summary.figure_lines() == [
        "  COCO AP 0.500",
        "  rmse 4.250  median_error 2.500  p90_error 6.000  pck_5 undefined  pck_10 1.000  found 0.900",
    ]
    assert "| rmse | 4.250 |" in summary.markdown()


def test_disk_use_of_each_kind_stands_on_the_page(tmp_path: Path) -> None:
    sizes = {"records/train-ab/0.tfrecord": 3_000_000, "runs/ab/checkpoints/1.h5": 2_000, "runs/ab/run.json": 500}
    for name, size in sizes.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(bytes(size))
    summary = finish(str(tmp_path), "FAILED")
    assert summary.disk_use == {"records": 3_000_000, "checkpoints": 2_000, "runs": 500}
    assert "| records | 3.0 MB |\n| checkpoints | 2 kB |\n" in summary.markdown()


def test_evaluation_of_an_older_version_has_no_pixel_errors(tmp_path: Path) -> None:
    place = manifests.evaluation(tmp_path, verdict="rejected").path
    older = storage.read_json(place)
    del older["keypoints"], older["inputs"]["max_rmse"]
    storage.write_json(place, older)
    made(tmp_path, "evaluate", place)
    summary = finish(str(tmp_path), "SUCCEEDED")
    assert (summary.ap, summary.rmse, summary.found, summary.keypoints) == (0.5, None, None, None)
    assert summary.figure_lines() == ["  COCO AP 0.500"]


def test_nothing_new_is_said_with_the_champion(tmp_path: Path) -> None:
    with status.step(tmp_path, "champion") as step:
        step.manifest_path, step.found = registered(tmp_path), True
    summary = finish(str(tmp_path), "SUCCEEDED")
    assert summary.verdict == "nothing new"
    assert "00001-a.json was made by this code" in summary.reason
    assert (summary.champion, summary.graph) == ("00001-a.json", "graph.pb")
    assert "| AP | 0.500 |" in summary.markdown()


def test_root_that_cannot_be_used_is_said_and_no_second_failure(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    summary = finish(str(tmp_path / "file"), "FAILED")
    assert summary.verdict == "failed"
    assert "cannot be made" in summary.error


def test_process_that_was_killed_here_is_named(tmp_path: Path) -> None:
    """Its status file still says that it is running."""
    with status.step(tmp_path, "tfrecord_targets-train-0"):
        summary = summarise(
            tmp_path, "FAILED", exit_codes={"tfrecord_targets": 137}, seconds={"tfrecord_targets": 2.04}
        )
    assert summary.verdict == "failed"
    assert summary.reason.startswith("tfrecord_targets: its process ended with signal SIGKILL; ")
    assert (summary.steps["tfrecord_targets"].state, summary.steps["tfrecord_targets"].seconds) == ("failed", 2.0)
    assert summary.exit_code == 1


def test_step_took_from_its_first_workers_start_to_its_lasts_end(tmp_path: Path) -> None:
    for name, start, seconds in (("train-0", 100.0, 5.0), ("val-0", 103.0, 9.5), ("train-collect", 113.0, 1.0)):
        worker = status.Status(f"tfrecord_targets-{name}", "done", start, seconds, "", None)
        storage.write_json(tmp_path / f"status/{worker.step}.json", asdict(worker))
    assert summarise(tmp_path, "SUCCEEDED").steps["tfrecord_targets"].seconds == 14.0


def test_summary_of_an_older_image_is_read() -> None:
    """A schedule keeps its image, so an older image may print a summary with fewer fields."""
    older = {
        **{"state": "accepted", "step": None, "error": "", "reason": "Because.", "figures": {"AP": 0.5}},
        **{"graph": "graph.pb", "report": "r.html", "champion": "00001-a.json", "logs": None, "root": "/data"},
        "steps": {"train": {"state": "done", "seconds": 60.0}},
    }
    summary = Summary.read(older)
    assert (summary.verdict, summary.graph, summary.losses, summary.exit_code) == ("accepted", "graph.pb", None, 0)
    assert "| train | done | 60.0 |" in summary.markdown()
