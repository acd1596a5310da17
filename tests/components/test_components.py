"""The steps as commands: their messages about wrong data and parameters, and the files that they write."""

import functools
import json
import math
import re
import resource
import shlex
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components import command
from components.coco_download import champion_check
from components.coco_download.coco_download import coco_download
from components.evaluate.evaluate import evaluate
from components.evaluate.parameters import AcceptanceThresholds, EvaluateParameters
from components.evaluate.verdict import judge
from components.export.export import export, rejection
from components.register.register import register
from components.tfrecord_targets.parameters import SplitParameters
from components.tfrecord_targets.tfrecord_targets import collect_records, plan, tfrecord_targets
from components.train.train import train
from openpose import storage
from openpose.coco.manifest import DataInputs, DataManifest, DataSplit, MissingPictures
from openpose.errors import InputError
from openpose.evaluation import score
from openpose.evaluation.manifest import ComparedChampion
from openpose.evaluation.pixel_errors import FIGURES
from openpose.evaluation.score_file import read_results
from openpose.parameters import Parameters
from openpose.records.manifest import RecordsManifest
from openpose.skeleton import OPENPOSE18
from openpose.training.parameters import TrainParameters
from tests import manifests, process

ROOT = Path(__file__).resolve().parent.parent.parent
DEFAULTS = {name: each.default for name, each in command.parameters(train).items()}
AT_64 = EvaluateParameters(height=64, min_ap=-1)
SMALL_SHARDS = SplitParameters(images_per_shard=5)
TRAIN = "annotations/person_keypoints_train2017.json"


@pytest.fixture(scope="module")
def unpacked(sample_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The drawn data set as folders."""
    folder = tmp_path_factory.mktemp("unpacked")
    for archive in sample_folder.glob("*.zip"):
        with zipfile.ZipFile(archive) as opened:
            opened.extractall(folder)
    return folder


@pytest.fixture
def data(unpacked: Path, tmp_path: Path) -> Path:
    """A copy of the drawn data set as folders, which a test may damage."""
    return shutil.copytree(unpacked, tmp_path / "data")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "root"


def run(step: Callable[..., Any], capsys: pytest.CaptureFixture[str], **arguments: Any) -> tuple[int, str, str]:
    """Runs a step as a command; returns its exit code, output and errors."""
    flags = [text for name, value in arguments.items() for text in (f"--{name.replace('_', '-')}", str(value))]
    code = command.run(step, "step", flags)
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def refused(step: Callable[..., Any], capsys: pytest.CaptureFixture[str], **arguments: Any) -> str:
    """Runs a step that must fail; returns its one-line error message."""
    code, _, errors = run(step, capsys, **arguments)
    assert code == 1
    *progress, message = errors.splitlines()
    assert not [line for line in progress if not line.startswith(("records ", "index ", "read ", "look for EXIF"))]
    assert message.startswith("error: ")
    return message.removeprefix("error: ")


def finished_files(root: Path) -> list[str]:
    """The files under the root, except the steps' status."""
    files = (path.relative_to(root) for path in root.rglob("*") if path.is_file())
    return sorted(str(path) for path in files if path.parts[0] != "status")


def change(path: Path, edit: Callable[[dict[str, Any]], None]) -> None:
    document = json.loads(path.read_text())
    edit(document)
    path.write_text(json.dumps(document))


# All steps


def test_zip_archives_and_folders_are_the_same_data(
    sample_folder: Path, unpacked: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    packed = coco_download(str(sample_folder), str(root))
    folders = coco_download(str(unpacked), str(root))
    for split in ("train", "val"):
        assert packed.splits[split].counts == folders.splits[split].counts
    assert packed.splits["train"].counts["images"] == 24
    assert packed.splits["train"].keypoints["nose"] > 0
    assert "images                          24           6" in capsys.readouterr().out
    assert coco_download(str(sample_folder), str(root)) == packed
    assert "nothing to do" in capsys.readouterr().out


@pytest.mark.slow
def test_workers_write_what_one_writes(sample_folder: Path, tmp_path: Path) -> None:
    manifests = []
    for workers in (1, 3):
        root = str(tmp_path / f"root{workers}")
        coco_download(sample_folder.as_posix(), root)
        for share in plan(workers):
            tfrecord_targets(root, parameters=SMALL_SHARDS, **share)
        manifests.append(collect_records(root, "train", parameters=SMALL_SHARDS))
    assert manifests[0].shards == manifests[1].shards
    assert manifests[0].fingerprint == manifests[1].fingerprint
    assert len(manifests[0].shards) == 5


def test_collecting_before_all_workers_are_done_is_refused(sample_folder: Path, root: Path) -> None:
    coco_download(str(sample_folder), str(root))
    assert tfrecord_targets(str(root), "train", parameters=SMALL_SHARDS, worker=0, workers=2) is None
    with pytest.raises(InputError, match="some shards of train are missing; run tfrecord_targets for each worker"):
        collect_records(str(root), "train", parameters=SMALL_SHARDS)


@pytest.mark.slow
def test_numbers_from_kubeflow_are_those_of_the_command() -> None:
    """A training's fingerprint is the same in a step and in the command that the step runs on other machines."""
    values = {"epochs": 3.0, "seed": 0.0, "max_rotation": 40, "width": 1, "model": "cmu"}
    expected = TrainParameters(epochs=3, seed=0, max_rotation=40.0, width=1.0, model="cmu")
    assert repr(TrainParameters.select(values)) == repr(expected)


@pytest.mark.slow
def test_command_without_arguments_says_what_it_needs() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "components.coco_download"], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert all(
        part in done.stderr for part in ("Missing from python -m components.coco_download", "--source", "--root")
    )


# Data that cannot be used


def _cut_off(data: Path) -> None:
    path = data / TRAIN
    path.write_bytes(path.read_bytes()[:1000])


def _no_keypoint_names(data: Path) -> None:
    change(data / TRAIN, lambda document: document["categories"][0].pop("keypoints"))


def _short_keypoints(data: Path) -> None:
    change(data / TRAIN, lambda document: document["annotations"][0]["keypoints"].pop())


def _not_a_number(data: Path) -> None:
    def edit(document: dict[str, Any]) -> None:
        document["annotations"][0]["keypoints"][0] = math.nan

    change(data / TRAIN, edit)


def _empty(data: Path) -> None:
    change(data / TRAIN, lambda document: document.update(images=[], annotations=[]))


def _no_pictures(data: Path) -> None:
    shutil.rmtree(data / "val2017")


def _no_annotations(data: Path) -> None:
    (data / TRAIN).unlink()


def _cut_off_archive(data: Path) -> None:
    shutil.rmtree(data / "train2017")
    (data / "train2017.zip").write_bytes(b"PK\x03\x04" + bytes(100))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_cut_off, rf"{TRAIN}: not valid JSON before `categories`: .*premature EOF.* Is the file cut off\?"),
        (_no_keypoint_names, rf"{TRAIN}: no entry of `categories` has `keypoints`; use COCO's person_keypoints file"),
        (_short_keypoints, rf"{TRAIN}: `keypoints` of annotation \d+ has 50 numbers; it must have 51"),
        (_not_a_number, rf"{TRAIN}: `keypoints` of annotation \d+ must be finite numbers"),
        (_empty, rf"{TRAIN}: `images` is empty; a split needs at least one image"),
        (
            _no_pictures,
            r"data: neither val2017 nor val2017\.zip nor .* is there; put the pictures of the val split there",
        ),
        (_no_annotations, rf"data: neither {TRAIN} nor annotations_trainval2017\.zip nor .* is there"),
        (_cut_off_archive, r"train2017\.zip: not a whole zip archive \(.*\); fetch or make it again"),
    ],
)
def test_data_that_cannot_be_used_is_named_and_leaves_nothing(
    data: Path, root: Path, capsys: pytest.CaptureFixture[str], spoil: Callable[[Path], None], message: str
) -> None:
    spoil(data)
    said = refused(coco_download, capsys, source=data, root=root)
    assert re.search(message, said), said
    assert said.startswith(str(data)), "it must name the user's own file"
    assert finished_files(root) == []
    assert storage.read_json(root / "status/coco_download.json")["error"] == said


def test_annotations_in_an_archive_are_named_with_it(
    sample_folder: Path, data: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(data / "annotations")
    with zipfile.ZipFile(data / "annotations_trainval2017.zip", "w") as archive:
        archive.writestr(TRAIN, "{}")
        archive.writestr("annotations/person_keypoints_val2017.json", "{}")
    said = refused(coco_download, capsys, source=data, root=root)
    assert said.startswith(f"{data}/annotations_trainval2017.zip/{TRAIN}: `categories` is missing; it must be a list")


def test_folder_that_is_not_there(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(coco_download, capsys, source="/no/such/folder", root=root)
    assert said.startswith(
        "/no/such/folder: no such folder; `source` is coco2017, a folder in COCO's layout or of a tool, or an"
    )
    said = refused(coco_download, capsys, source="ftp://host/data", root=root)
    assert said.startswith("ftp://host/data: `source` is coco2017, a folder")


def test_one_bad_image_is_left_out_and_named(data: Path, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pictures = sorted((data / "train2017").iterdir())
    pictures[3].write_bytes(pictures[3].read_bytes()[:500])
    coco_download(str(data), str(root))
    said = refused(tfrecord_targets, capsys, root=root, split="train")
    assert re.match(r"1 of 24 images cannot be used, more than the 1% allowed: ", said)
    assert pictures[3].name in said
    code, printed, _ = run(tfrecord_targets, capsys, root=root, split="train", max_bad_share=0.1)
    assert code == 0
    assert f"left out {pictures[3].name}: " in printed
    manifest = storage.open_manifest(storage.newest_manifest(root / "records"), RecordsManifest)
    assert [bad.file_name for bad in manifest.bad_images] == [pictures[3].name]
    assert manifest.counts["images"] == 23


def test_missing_image_is_named(data: Path, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = sorted((data / "val2017").iterdir())[0]
    missing.unlink()
    coco_download(str(data), str(root))
    said = refused(tfrecord_targets, capsys, root=root, split="val")
    assert f"{missing.name}: it is missing" in said


# Parameters that cannot be used


def test_records_before_data_and_of_an_unknown_split(
    sample_folder: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "run the step before this one first" in refused(tfrecord_targets, capsys, root=root, split="val")
    coco_download(str(sample_folder), str(root))
    capsys.readouterr()
    assert "no split 'test'; choose one of: train, val" in refused(tfrecord_targets, capsys, root=root, split="test")
    said = refused(tfrecord_targets, capsys, root=root, split="val", worker=2, workers=2)
    assert said == "worker 2 of 2: `worker` counts from 0 to workers - 1"


@pytest.fixture(scope="module")
def prepared(sample_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The arguments that every training needs: a root with records."""
    root = str(tmp_path_factory.mktemp("prepared"))
    coco_download(str(sample_folder), root)
    manifests = {}
    for split in ("train", "val"):
        manifest = tfrecord_targets(root, split)
        assert manifest is not None
        manifests[split] = f"{manifest.folder}/manifest.json"
    return {"root": root, "train_records": manifests["train"], "valid_records": manifests["val"]}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"model": "openpose"}, "model is 'openpose'; choose one of: auto, cmu, vgg, mobilenet, "),
        ({"size": 100}, "input size 100×100: both sides must be multiples of 8"),
        ({"batch_size": 1000}, r"training samples .* less than one batch of 1000; use more data or a smaller batch"),
        ({"learning_rate": "fast"}, "learning rate 'fast': give one positive number"),
        ({"decay": "linear"}, "decay is 'linear'; choose one of: auto, exponential, cosine"),
        ({"epochs": 0}, "epochs is 0; it must be at least 1"),
        ({"width": -1}, "width is -1.0; it must be above 0"),
        ({"min_scale": 0}, "min_scale is 0.0; it must be at least 0.01"),
        ({"min_scale": 0.9, "max_scale": 0.6}, "max_scale is 0.6; it must be at least 0.9"),
        ({"max_rotation": -5}, "max_rotation is -5.0; it must be at least 0"),
        ({"sigma": 0}, "sigma is 0.0; it must be at least 1"),
    ],
)
def test_training_parameters_that_make_no_sense(
    prepared: dict[str, str], capsys: pytest.CaptureFixture[str], parameters: dict[str, Any], message: str
) -> None:
    said = refused(train, capsys, **prepared, **({"size": 64, "batch_size": 2, "epochs": 1, "width": 0.2} | parameters))
    assert re.search(message, said), said


@pytest.mark.slow
def test_disk_that_is_full_in_mid_training_loses_nothing(prepared: dict[str, str], tmp_path: Path) -> None:
    arguments = prepared | {"root": str(tmp_path)}
    network = {"model": "mobilenet_thin", "width": 0.2, "stages": 1}
    values = {**network, "size": 64, "batch_size": 4, "epochs": 12, "save_steps": 5}
    words = shlex.split(command.line(train, "components.train", DEFAULTS | arguments | values))
    training = process.Program("tests.tiny", *words)
    while not (saved := sorted(tmp_path.glob("runs/*/checkpoints/step-*/state.index"))) and training.poll() is None:
        time.sleep(0.01)
    resource.prlimit(training.pid, resource.RLIMIT_FSIZE, (10_000, 10_000))
    errors = training.communicate()[1].splitlines()
    assert training.returncode == 1
    assert re.fullmatch(r"error: .+: cannot be written, file too large \(.+\); make room and run again, .+", errors[-1])
    assert "Traceback" not in "".join(errors)
    left = sorted(tmp_path.glob("runs/*/checkpoints/step-*/state.index"))
    assert left[-1] >= saved[-1]
    again = process.run("tests.tiny", *words)
    assert again.returncode == 0, again.stderr
    assert "warning" not in again.stderr, "the checkpoint that was left is whole"
    (manifest,) = tmp_path.glob("runs/*/manifest.json")
    assert len(storage.read_json(manifest)["history"]) == 12


def test_records_of_another_schema_version(
    prepared: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = tmp_path / "old/manifest.json"
    storage.write_json(old, storage.read_json(prepared["train_records"]) | {"schema": 0})
    said = refused(train, capsys, **prepared | {"train_records": str(old)})
    assert said == (
        f"{old}: `schema` is 0, this version reads {storage.SCHEMA}; "
        f"remove the folder {old.parent} and rerun the step that makes it"
    )


def test_manifests_given_in_the_wrong_place(prepared: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    records = prepared["valid_records"]
    said = refused(evaluate, capsys, root=prepared["root"], run=records, valid_records=records)
    assert said == f"{records}: `kind` is 'records', but a manifest of kind 'run' is needed here"
    said = refused(export, capsys, root=prepared["root"], run="nowhere", evaluation=records, valid_records=records)
    assert said == "nowhere: no such file"


# The verdict


def judged(
    ap: float | None,
    loss: float | None = 10.0,
    champion: float | None = None,
    nan_pictures: tuple[str, ...] = (),
    apart: tuple[float | None, float | None] = (3.0, 0.975),
    **demands: float,
) -> tuple[str, str]:
    figures = {"AP": ap, "valid_loss": loss, "valid_loss_lastlayer": 5.0, "rmse": apart[0], "found": apart[1]}
    return judge(figures, None if champion is None else {"AP": champion}, AcceptanceThresholds(**demands), nan_pictures)


@pytest.mark.parametrize(
    ("verdict", "reason"),
    [
        (
            judged(0.5, min_ap=0.4, max_valid_loss=20.0),
            "accepted: COCO AP is 0.500, the first on this data set; the validation loss is 10.00; both pass.",
        ),
        (judged(0.0), "rejected: COCO AP is 0, so the network finds nothing that is labelled."),
        (judged(0.0, min_ap=-1), "accepted: COCO AP is 0.000, the first on this data set"),
        (judged(1e-9), "accepted: COCO AP is 0.000, the first on this data set"),
        (judged(0.39, min_ap=0.4), "rejected: COCO AP 0.390 is below the required 0.400."),
        (judged(0.5, 30.0, max_valid_loss=20.0), "rejected: The validation loss 30.00 is above the allowed 20.00."),
        (
            judged(None, min_ap=0.4),
            "rejected: COCO AP is undefined because no keypoint of the validation split is label",
        ),
        (judged(None), "rejected: COCO AP is undefined because no keypoint of the validation split is labelled; label"),
        (
            judged(None, min_ap=-1),
            "accepted: COCO AP is undefined (no keypoint is labelled); the validation loss 10.00 passes.",
        ),
        (
            judged(0.5, max_rmse=2.5),
            "rejected: The RMSE 3.00 px is above the allowed 2.50 px; 97.5 % of the labelled keypoints were found.",
        ),
        (
            judged(0.5, max_rmse=3.0),
            "accepted: COCO AP is 0.500, the first on this data set; the validation loss is 10.00; "
            "the RMSE is 3.00 px; all pass.",
        ),
        (
            judged(0.0, apart=(None, 0.0), max_rmse=9.0, min_ap=-1),
            "rejected: The RMSE is undefined because no labelled keypoint was found, but at most 9.00 px is allowed.",
        ),
        (
            judged(None, apart=(None, None), max_rmse=9.0, min_ap=-1),
            "rejected: The RMSE is undefined because no keypoint is labelled, but at most 9.00 px is allowed.",
        ),
        (judged(0.5, None), "rejected: The validation loss is NaN or infinite."),
        (judged(0.5, champion=0.45), "accepted: COCO AP is 0.500, 0.050 above the champion's 0.450; the validation"),
        (judged(0.445, champion=0.45), "accepted: COCO AP is 0.445, 0.005 below the champion's 0.450, which is wit"),
        (
            judged(0.4, champion=0.45, tolerance=0.02),
            "rejected: COCO AP 0.400 is 0.050 below the champion's 0.450, more than the tolerance of 0.020.",
        ),
        (judged(0.4, champion=0.45, tolerance=0.06), "accepted: "),
        (
            judged(0.5, nan_pictures=("7.jpg", "8.jpg")),
            "rejected: The network's maps contain NaN or infinity in 2 pictures, such as 7.jpg.",
        ),
        (
            judge({"AP": 0.5, "valid_loss_lastlayer": 5.0}, None, AcceptanceThresholds()),
            "accepted: COCO AP is 0.500, the first on this data set; the validation loss of the last stage is 5.00;",
        ),
    ],
)
def test_verdict(verdict: tuple[str, str], reason: str) -> None:
    assert ": ".join(verdict).startswith(reason)


SHARES = st.floats(0, 1)


PIXELS = st.floats(0, 100)


@given(SHARES, SHARES, SHARES, SHARES, st.floats(0, 100), st.floats(0, 100), PIXELS, PIXELS)
def test_accepted_is_what_reaches_everything_that_is_asked_for(
    ap: float, champion: float, least: float, tolerance: float, loss: float, most: float, rmse: float, farthest: float
) -> None:
    verdict, reason = judged(
        *(ap, loss, champion),
        apart=(rmse, 1.0),
        min_ap=least,
        tolerance=tolerance,
        max_valid_loss=most,
        max_rmse=farthest,
    )
    reached = 0 < ap >= least and ap >= champion - tolerance and (not most or loss <= most)
    reached = reached and (not farthest or rmse <= farthest)
    assert verdict == ("accepted" if reached else "rejected")
    assert re.fullmatch(r"[A-Z][^\n]*[^.]\.", reason), "one sentence"


@pytest.mark.parametrize(
    "demands", [{"min_ap": -1.1}, {"tolerance": -1.0}, {"max_valid_loss": math.nan}, {"max_rmse": -1.0}]
)
def test_demands_that_make_no_sense(demands: dict[str, float]) -> None:
    with pytest.raises(InputError, match=f"{next(iter(demands))} is .*; it must be at least (0|-1)"):
        AcceptanceThresholds(**demands)


# Evaluation of a file


def of_file(prepared: dict[str, str], root: Path, model: Path, **more: Any) -> dict[str, Any]:
    """The arguments of evaluate for a model file."""
    records = prepared["valid_records"]
    return {"root": root, "valid_records": records, "model": model, "height": 64, "min_ap": -1, **more}


@pytest.mark.slow
def test_evaluation_of_a_file_and_again(
    prepared: dict[str, str], plain_model: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, printed, errors = run(evaluate, capsys, **of_file(prepared, root, plain_model))
    assert code == 0, errors
    assert "verdict: accepted: COCO AP is 0.000, the first on this data set; the validation loss is " in printed
    (place,) = root.glob("evaluations/*/manifest.json")
    manifest = json.loads(place.read_text(), parse_constant=lambda text: pytest.fail(f"{text} is no JSON"))
    losses = [name for name in manifest["figures"] if name.startswith("valid_")]
    assert losses == ["valid_loss", "valid_loss_lastlayer", "valid_loss_lastlayer_paf", "valid_loss_lastlayer_heat"]
    assert len(manifest["parts"]) == len(manifest["errors"]) == len(manifest["keypoints"]) == 17
    assert set(manifest["keypoints"]["nose"]) == {*FIGURES, "labelled"}
    (all_keypoints,) = [line.split() for line in printed.splitlines() if line.startswith("all keypoints ")]
    assert all_keypoints[2] == f"{manifest['figures']['AP']:.3f}"
    assert all_keypoints[-2] == f"{manifest['figures']['found']:.3f}"
    detections = read_results(manifest["detections"], OPENPOSE18)
    assert {detection["image_id"] for detection in detections} <= set(range(500_001, 500_007))
    assert "Worst pictures" in Path(manifest["report"]).read_text()
    assert json.loads((root / "status/evaluate.json").read_text())["manifest"] == str(place)
    again = [f"--{name.replace('_', '-')}={value}" for name, value in of_file(prepared, root, plain_model).items()]
    assert command.run(evaluate, "evaluate", [flag.replace("--model=", "--graph=") for flag in again]) == 0
    assert "nothing to do" in capsys.readouterr().out
    code, printed, _ = run(evaluate, capsys, **of_file(prepared, root, plain_model, min_ap=0.5))
    assert code == 0
    assert "verdict: rejected: COCO AP 0.000 is below the required 0.500." in printed
    rmse = manifest["figures"]["rmse"]
    code, printed, _ = run(evaluate, capsys, **of_file(prepared, root, plain_model, max_rmse=0.01))
    assert (code, rmse > 0.01) == (0, True)
    assert f"verdict: rejected: The RMSE {rmse:.2f} px is above the allowed 0.01 px; " in printed
    files = {"evaluations": ["detections.json", "manifest.json", "report.html"]}
    files["measurements"] = ["manifest.json", "measured.json"]
    assert finished_files(root) == sorted(
        f"{kind}/{folder.name}/{name}"
        for kind, names in files.items()
        for folder in (root / kind).iterdir()
        for name in names
    )
    assert len(list((root / "measurements").iterdir())) == 1, "other thresholds judge what was measured before"


@pytest.mark.slow
def test_graph_has_the_losses_of_its_last_stage_and_says_so(
    prepared: dict[str, str], plain_model: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    graph = plain_model.with_name("graph.pb")
    flags = ["--root", str(root), "--valid-records", prepared["valid_records"], "--height", "64", "--min-ap=-1"]
    assert command.run(evaluate, "evaluate", [*flags, "--graph", str(graph)]) == 0, "the flag's other name"
    assert "the validation loss of the last stage is " in capsys.readouterr().out
    (place,) = root.glob("evaluations/*/manifest.json")
    manifest = storage.read_json(place)
    whole = evaluate(str(root / "keras"), prepared["valid_records"], model=str(plain_model), parameters=AT_64)
    assert "valid_loss" not in manifest["figures"]
    for name in ("valid_loss_lastlayer", "valid_loss_lastlayer_paf", "valid_loss_lastlayer_heat"):
        assert manifest["figures"][name] == pytest.approx(whole.figures[name], rel=1e-4)
    assert manifest["notes"][0] in Path(manifest["report"]).read_text().replace("&#39;", "'")
    wrong = evaluate(str(root), prepared["valid_records"], model=str(graph), pixels="rgb", parameters=AT_64)
    assert wrong.figures["valid_loss_lastlayer"] != pytest.approx(whole.figures["valid_loss_lastlayer"], rel=1e-6)
    capsys.readouterr()
    said = refused(evaluate, capsys, **of_file(prepared, root, graph, max_valid_loss=9.0))
    assert said.startswith(f"max_valid_loss is 9.0, but {graph} gives only the last stage's maps; give the Keras")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"model": "nowhere.pb"}, "nowhere.pb: no such model file"),
        ({"model": ""}, "give either the training run's manifest (run) or the model's file (model)"),
        ({"run": "run.json"}, "give either the training run's manifest (run) or the model's file (model)"),
        ({"pixels": "grey"}, "pixels are 'grey'; choose one of: bgr, rgb"),
        ({"height": -8}, "height is -8; it must be at least 0"),
        ({"registry": "../other"}, "registry '../other': give a name of letters, digits, dots, dashes and underscores"),
    ],
)
def test_evaluations_that_make_no_sense(
    prepared: dict[str, str],
    plain_model: Path,
    root: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: dict[str, Any],
    message: str,
) -> None:
    given = {name: value for name, value in (of_file(prepared, root, plain_model) | arguments).items() if value != ""}
    assert refused(evaluate, capsys, **given) == message
    assert finished_files(root) == []


@pytest.mark.slow
def test_validation_split_without_people(
    data: Path, plain_model: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def only_in_first(document: dict[str, Any]) -> None:
        first, *_ = document["images"]
        document["annotations"] = [each for each in document["annotations"] if each["image_id"] == first["id"]]
        (data / "val2017" / first["file_name"]).unlink()

    change(data / "annotations/person_keypoints_val2017.json", only_in_first)
    coco_download(str(data), str(root))
    records = tfrecord_targets(str(root), "val", parameters=SplitParameters(max_bad_share=1.0))
    assert records is not None
    place = f"{records.folder}/manifest.json"
    rejected = evaluate(str(root), place, model=str(plain_model), parameters=replace(AT_64, min_ap=0.0))
    assert rejected.verdict == "rejected"
    manifest = evaluate(str(root), place, model=str(plain_model), parameters=AT_64)
    figures, said = manifest.figures, capsys.readouterr().out
    assert {figures[name] for name in (*score.METRICS, *FIGURES)} == {None}
    assert set(manifest.parts.values()) == {None}
    assert "COCO AP is undefined (no keypoint is labelled); the validation loss" in said
    assert "COCO's figures are undefined." in manifest.notes[0]
    assert "-1.0" not in Path(manifest.report).read_text()


@pytest.mark.slow
def test_nan_maps_are_rejected(
    prepared: dict[str, str], plain_model: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = root.parent / "broken.keras"
    model = keras.models.load_model(plain_model)
    model.set_weights([weights * np.nan for weights in model.get_weights()])
    model.save(broken)
    assert run(evaluate, capsys, **of_file(prepared, root, broken))[0] == 0
    (place,) = root.glob("evaluations/*/manifest.json")
    manifest = json.loads(place.read_text(), parse_constant=lambda text: pytest.fail(f"{text} is no JSON"))
    assert manifest["verdict"] == "rejected"
    assert manifest["reason"].startswith("The network's maps contain NaN or infinity in 6 pictures, such as ")
    assert manifest["figures"]["valid_loss"] is None


# The champion


def accepted(root: Path, model: str, ap: float, **inputs: Any) -> dict[str, Any]:
    """An accepted evaluation and its export, as arguments of `register`."""
    wanted = {"data": "coco", "model": model * 64, "run": model, "registry": "people"}
    judged = manifests.evaluation(root, ap, **wanted | inputs)
    return {"root": root, "evaluation": judged.path, "model": manifests.model(root, judged.fingerprint, model).path}


def test_champion_and_its_history(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = accepted(root, "a", 0.5)
    code, printed, _ = run(register, capsys, **first)
    assert code == 0
    assert f"champion in {root}/registry/people/00001-aaaaaaaaaaaa.json" in printed
    assert (root / "registry/people/latest").resolve() == first["model"].parent
    code, printed, _ = run(register, capsys, **first)
    assert "nothing to do" in printed
    status = storage.read_json(root / "status/register.json")
    assert (status["state"], status["manifest"]) == ("found", f"{root}/registry/people/00001-aaaaaaaaaaaa.json")
    second = accepted(root, "b", 0.6, champion=ComparedChampion("00001-aaaaaaaaaaaa.json", 0.5))
    champion = register(*map(str, second.values()))
    assert (champion.entry, champion.beaten) == ("00002-bbbbbbbbbbbb.json", "00001-aaaaaaaaaaaa.json")
    assert (champion.figures, champion.reason) == ({"AP": 0.6}, "AP is 0.6.")
    assert (root / "registry/people/latest").resolve() == second["model"].parent
    assert storage.read_json(root / "registry/people/00001-aaaaaaaaaaaa.json")["figures"] == {"AP": 0.5}


def data_manifest(**fingerprints: str) -> DataManifest:
    """A data set whose splits have these fingerprints."""
    nothing: dict[str, Any] = {"counts": {}, "keypoints": {}, "bad": MissingPictures(missing=0, names=[])}
    places: dict[str, Any] = dict.fromkeys(("people", "index", "pictures"), "")
    splits = {split: DataSplit(**places, **nothing, fingerprint=given) for split, given in fingerprints.items()}
    inputs = DataInputs(pictures={}, content={}, val_share=0, seed=0)
    return DataManifest(fingerprint="", folder="", inputs=inputs, source="", files=[], splits=splits, report="")


def test_registry_knows_what_a_champion_was_made_of(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = accepted(root, "a", 0.5)
    data = data_manifest(val="coco", train="pictures")
    made = champion_check.made_of("recipe", data)
    champion: dict[str, Any] = {"root": str(root), "data": data, "made_of": made, "registry": "people"}
    assert not champion_check.is_made_already(**champion)
    run(register, capsys, **first, made_of=made)
    assert champion_check.is_made_already(**champion)
    note = storage.read_json(root / "status/champion.json")
    assert (note["state"], note["manifest"]) == ("found", f"{root}/registry/people/00001-aaaaaaaaaaaa.json")
    assert "nothing to do" in run(register, capsys, **first)[1], "by hand, where that is not known"
    more = data_manifest(val="coco", train="more pictures")
    for other in (champion_check.made_of("another recipe", data), champion_check.made_of("recipe", more)):
        assert not champion_check.is_made_already(**champion | {"made_of": other})
    # The same model, exported or made in another way, gets a new entry.
    run(register, capsys, **first, made_of=champion_check.made_of("recipe", more))
    assert champion_check.is_made_already(**champion | {"made_of": champion_check.made_of("recipe", more)})
    assert storage.read_json(root / "registry/people/00002-aaaaaaaaaaaa.json")["beaten"] is None


def test_who_was_overtaken_in_the_meantime_is_not_registered(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    slow, quick = accepted(root, "a", 0.5), accepted(root, "b", 0.6)  # both evaluated before the first champion
    run(register, capsys, **quick)
    code, printed, _ = run(register, capsys, **slow)
    assert code == 0
    assert "not registered: 00001-bbbbbbbbbbbb.json became champion in the meantime, with a COCO AP of 0.600" in printed
    assert (root / "registry/people/latest").resolve() == quick["model"].parent
    near = accepted(root, "c", 0.595)
    assert register(*map(str, near.values())).entry == "00002-cccccccccccc.json"


def test_what_cannot_be_registered(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, other = accepted(root, "a", 0.5), accepted(root, "b", 0.5)
    said = refused(register, capsys, **one | {"model": other["model"]})
    assert said == f"{other['model']}: belongs to another evaluation than {one['evaluation']}; give two that match"
    change(one["evaluation"], lambda document: document.update(verdict="rejected", reason="AP is too low."))
    assert refused(register, capsys, **one) == f"{one['evaluation']}: the model was rejected: AP is too low."
    assert not (root / "registry").exists()


@pytest.mark.slow
def test_challenger_that_is_worse_than_the_champion(
    prepared: dict[str, str], plain_model: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = storage.read_json(prepared["valid_records"])["inputs"]["data"]
    register(*map(str, accepted(root, "a", 0.5, data=data, registry="openpose").values()))
    manifest = evaluate(str(root), prepared["valid_records"], model=str(plain_model), parameters=AT_64)
    assert manifest.verdict == "rejected"
    assert manifest.reason == "COCO AP 0.000 is 0.500 below the champion's 0.500, more than the tolerance of 0.010."
    assert "champion 0.500" in Path(manifest.report).read_text()
    assert manifest.notes == ["The champion's figures were measured by another revision of the code."]
    manifest = evaluate(
        str(root),
        prepared["valid_records"],
        model=str(plain_model),
        parameters=replace(AT_64, tolerance=0.5),
    )
    assert manifest.verdict == "accepted"
    manifest = evaluate(
        str(root),
        prepared["valid_records"],
        model=str(plain_model),
        parameters=replace(AT_64, registry="another"),
    )
    assert manifest.verdict == "accepted"


def test_rejection_says_why_and_what_to_do(tmp_path: Path) -> None:
    judged = manifests.evaluation(tmp_path, figures={"AP": 0.1, "APm": None}, report="/r/report.html")
    text = rejection("COCO AP 0.1 is too low.", judged)
    for part in ("COCO AP 0.1 is too low.", "| AP | 0.100 |", "| APm | undefined |", "/r/report.html", "min_ap"):
        assert part in text


def test_command_of_a_call_calls_it_again() -> None:
    given = DEFAULTS | {"root": "/data/my pose", "train_records": "t", "valid_records": "v", "xla": True, "width": 0.5}
    line = command.line(train, "train", given | {"init": "-odd'name.pb"})
    program, *words = shlex.split(line)
    assert program == "train"
    assert "--root=/data/my pose" in words
    assert len(words) == 6, "defaults are left out"
    seen: list[dict[str, Any]] = []

    @functools.wraps(train)
    def recorded(**arguments: Any) -> None:
        seen.append(arguments)

    assert command.run(recorded, "train", words) == 0
    groups = [value.as_dict() for value in seen[0].values() if isinstance(value, Parameters)]
    places = {name: value for name, value in seen[0].items() if not isinstance(value, Parameters)}
    assert dict(places, **{name: value for group in groups for name, value in group.items()}) == given | {
        "init": "-odd'name.pb"
    }
