"""The export as a user gets it: files that load elsewhere, and a model card; nothing if one file is wrong."""

import dataclasses
import json
import math
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import keras
import numpy as np
import pytest

from components.export import compare
from components.export.export import export
from components.export.parameters import ExportParameters
from openpose import skeleton, storage
from openpose.errors import InputError
from openpose.model_files import formats
from openpose.model_files.inference import Source
from openpose.model_files.manifest import ModelManifest
from openpose.networks.layers import Norm
from openpose.records import read
from openpose.records.manifest import RecordsManifest
from openpose.training import initial_weights
from openpose.training.manifest import RunInputs, RunManifest
from openpose.training.parameters import TrainParameters
from tests import manifests, tiny

OPENPOSE = skeleton.get("openpose18")
SIZE = 64
TITLES = [
    *("frozen graph", "SavedModel", "SavedModel, from JPEG", "SavedModel, keypoints", "ONNX", "ONNX, keypoints"),
    *("TFLite float32", "TFLite float32, keypoints", "TFLite float16", "TFLite int8"),
]
PEOPLE = {f"{name}_people": format for name, format in formats.FORMATS.items() if format.people}


@pytest.fixture(scope="module")
def steps(sample_records: dict[str, RecordsManifest], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The earlier steps' results: records, a network with maps of realistic size, its evaluation."""
    root = tmp_path_factory.mktemp("root")
    splits = {}
    for split, described in sample_records.items():
        work = storage.StepOutput(root, RecordsManifest, described.inputs, f"records/{split}-")
        Path(work.folder).parent.mkdir(parents=True, exist_ok=True)
        Path(work.folder).symlink_to(described.folder)
        work.finish(
            split=split,
            skeleton=described.skeleton,
            shards=described.shards,
            counts=described.counts,
            bad_images=described.bad_images,
        )
        splits[split] = work
    inputs = RunInputs(
        records=(splits["train"].fingerprint, splits["val"].fingerprint),
        parameters=TrainParameters(model="mobilenet_thin", size=SIZE, width=0.2),
    )
    run = storage.StepOutput(root, RunManifest, inputs, "runs/")
    nothing: dict[str, Any] = dict.fromkeys(("logs", "checkpoints", "report", "model_sha256"), "")
    run.finish(
        **nothing,
        model=str(root / "model.keras"),
        losses={"loss": 1.5, "valid_loss": 2.5},
        history=[],
    )
    write_model(root / "model.keras")
    evaluation = manifests.evaluation(root, figures={"AP": 0.25, "APm": None})
    return {
        "root": str(root),
        "run": str(run.manifest_path),
        "evaluation": str(evaluation.path),
        "valid_records": str(splits["val"].manifest_path),
    }


def write_model(path: Path, spoil: float = 1.0) -> None:
    """A network with random weights, scaled so that its maps are about as large as a trained network's."""
    keras.utils.set_random_seed(0)
    model = tiny.network(OPENPOSE, width=4, stages=2)  # so wide that the weights decide the size of a file
    norms = [layer for layer in model.layers if isinstance(layer, Norm)]
    for norm in norms:
        norm.batch_statistics = True
    noise = np.random.default_rng(0).uniform(0, 255, (2, SIZE, SIZE, 3)).astype(np.float32)
    initial_weights.calibrate(model, [norm.name for norm in norms], [noise])
    for layer in model.layers:
        if layer.name in ("stage2_heatmap_2", "stage2_vectmap_2"):
            kernel, bias = layer.get_weights()
            layer.set_weights([kernel * spoil, bias])
    model.save(path)


@pytest.fixture(scope="module")
def exported(steps: dict[str, Any]) -> ModelManifest:
    """The manifest of an export in all formats."""
    return export(**steps, parameters=ExportParameters(images=4))


@pytest.fixture(scope="module")
def only_onnx(steps: dict[str, Any]) -> ModelManifest:
    """The manifest of an export for pictures in RGB, in one format beside the graph."""
    return export(**steps, parameters=ExportParameters(images=1, pixels="rgb", formats="onnx"))


@pytest.mark.slow
def test_every_format_is_there_with_its_checksum_and_was_compared(exported: ModelManifest) -> None:
    folder = Path(exported.folder)
    assert set(exported.files) == {*formats.FORMATS, *PEOPLE}
    for name, digest in exported.sha256.items():
        assert storage.sha256(folder / name) == digest
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert files == {*exported.sha256, "manifest.json"}
    card = json.loads((folder / "model_card.json").read_text())
    assert set(card["formats"]) == {"keras", "jpeg", *formats.FORMATS, *PEOPLE}
    for name, format in PEOPLE.items():
        figures = card["formats"][name]
        assert figures["file"] == format.people
        assert abs(figures["ap"] - card["formats"]["keras"]["ap"]) <= compare.PEOPLE_BOUND
        assert figures["bytes"] < card["formats"][name.removesuffix("_people")]["bytes"] + 500_000
    for name, format in formats.FORMATS.items():
        figures = card["formats"][name]
        assert 0 <= figures["mean"] <= figures["largest"] <= format.largest, name
        assert 0 <= figures["ap"] <= 1
        assert figures["images_per_second"] > 0
    assert card["formats"]["tflite_float16"]["bytes"] < 0.7 * card["formats"]["tflite"]["bytes"]
    assert card["formats"]["tflite_int8"]["bytes"] < card["formats"]["tflite_float16"]["bytes"]


@pytest.mark.slow
def test_card_says_what_a_user_needs(exported: ModelManifest, steps: dict[str, Any]) -> None:
    text = Path(exported.card).read_text()
    records_of_run = storage.read_json(steps["run"])["inputs"]["records"]
    for part in (
        *("**BGR**", "[N, H/8, W/8, 57]", "0–18", "19–56", "CC BY 4.0", "| AP | 0.250 |", "| APm | undefined |"),
        *("| valid_loss | 2.500 |", "| width | `0.2` |", *records_of_run, "Git revision"),
    ):
        assert part in text, part
    assert exported.sha256["model.onnx"] in text


# Runs programs after each other, each as if it were alone, so that TensorFlow is imported only once.
RUN_ALL = """
import json, sys, numpy
for number, program in enumerate(json.load(sys.stdin)):
    names = {}
    exec(program, names)
    numpy.save(f"found{number}.npy", names["maps"] if "maps" in names else names["keypoints"])
"""


def found_by_examples(manifest: ModelManifest, titles: Sequence[str]) -> dict[str, np.ndarray]:
    """The maps or keypoints that each format's program from the card finds in a photograph next to the files."""
    folder = Path(manifest.folder)
    programs = re.findall(r"### (.*?)\n\n```python\n(.*?)```", Path(manifest.card).read_text(), re.DOTALL)
    assert [name for name, _ in programs] == titles
    for _, program in programs:
        assert len([line for line in program.splitlines() if line]) <= 12
    photo = np.random.default_rng(0).integers(0, 256, (9, 7, 3), np.uint8)
    cv2.imwrite(str(folder / "photo.jpg"), cv2.resize(photo, (70, 90), interpolation=cv2.INTER_CUBIC))
    try:
        given = json.dumps([program for _, program in programs])
        command = [sys.executable, "-c", RUN_ALL]
        subprocess.run(command, input=given, cwd=folder, text=True, check=True, capture_output=True)
        return {title: np.load(folder / f"found{number}.npy") for number, title in enumerate(titles)}
    finally:
        for path in (folder / "photo.jpg", *folder.glob("found*.npy")):
            path.unlink(missing_ok=True)


@pytest.mark.slow
def test_examples_of_the_card_run(exported: ModelManifest, only_onnx: ModelManifest) -> None:
    found = found_by_examples(exported, TITLES)
    assert found["SavedModel, from JPEG"].shape == (1, 8, 7, 57)  # padded; the other formats crop
    expected = found["frozen graph"]
    assert expected.shape == (1, 8, 6, 57)
    for title, largest in (("SavedModel", 1e-4), ("ONNX", 1e-4), ("TFLite float32", 1e-4), ("TFLite float16", 0.05)):
        np.testing.assert_allclose(found[title], expected, atol=largest, err_msg=title)
    assert np.abs(found["TFLite int8"] - expected).mean() < 0.05
    for title in (f"{format.title}, keypoints" for format in PEOPLE.values()):
        assert found[title].shape == (1, 100, 18, 3)
    turned = found_by_examples(only_onnx, ["frozen graph", "ONNX", "ONNX, keypoints"])["ONNX"]
    np.testing.assert_allclose(turned, expected, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("pixels", ["bgr", "rgb"])
def test_same_network_gives_the_same_bytes(steps: dict[str, Any], pixels: str, tmp_path: Path) -> None:
    sums = []
    for number in (1, 2):
        source = storage.read_json(steps["run"])["model"]
        network = keras.models.load_model(source, compile=False)
        calibration = [np.full((1, SIZE, SIZE, 3), 100 * number, np.float32) for number in (0, 1, 2)]
        made = Source(network, pixels, OPENPOSE.name, 8, SIZE, calibration)
        folder = tmp_path / str(number)
        folder.mkdir()
        for format in formats.FORMATS.values():
            format.write(made, folder / format.file)
        sums.append({name: storage.sha256(folder / name) for name in storage.sizes(folder)})
    assert sums[0] == sums[1]


@pytest.mark.slow
def test_no_network_is_exported_whose_maps_are_no_numbers(steps: dict[str, Any], tmp_path: Path) -> None:
    write_model(tmp_path / "model.keras", spoil=math.nan)
    spoilt = storage.read_json(steps["run"]) | {"model": str(tmp_path / "model.keras"), "fingerprint": "nan"}
    storage.write_json(tmp_path / "run.json", spoilt)
    before = storage.sizes(Path(steps["root"]) / "models")
    with pytest.raises(InputError, match=r"model\.keras: its maps hold NaN or infinity; did its training diverge\?"):
        export(**steps | {"run": str(tmp_path / "run.json")})
    assert storage.sizes(Path(steps["root"]) / "models") == before


@pytest.mark.slow
def test_difference_above_the_bound_leaves_nothing(steps: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    strict = dataclasses.replace(formats.FORMATS["tflite_float16"], largest=1e-9)
    monkeypatch.setitem(formats.FORMATS, "tflite_float16", strict)
    before = storage.sizes(Path(steps["root"]) / "models")
    with pytest.raises(InputError, match=r"model\.float16\.tflite: the largest difference .* Leave it out"):
        export(**steps, parameters=ExportParameters(images=2, formats="tflite_float16"), revision="strict")
    assert storage.sizes(Path(steps["root"]) / "models") == before


@pytest.mark.slow
def test_only_the_formats_that_are_asked_for(only_onnx: ModelManifest, steps: dict[str, Any]) -> None:
    assert set(only_onnx.files) == {"graph", "onnx", "onnx_people"}
    assert not (Path(only_onnx.folder) / "saved_model").exists()
    with pytest.raises(InputError, match="no format is called 'coreml'; choose from graph, saved_model, onnx"):
        export(**steps, parameters=ExportParameters(formats="onnx,coreml"))


def test_integers_need_pictures_of_the_training(steps: dict[str, Any], tmp_path: Path) -> None:
    other = storage.read_json(steps["run"])
    other["inputs"]["records"][0] = "0" * 64
    storage.write_json(tmp_path / "run.json", other)
    with pytest.raises(
        InputError, match=r"train-000000000000/manifest\.json: .* or leave tflite_int8 out of `formats`"
    ):
        export(**steps | {"run": str(tmp_path / "run.json")}, revision="other")


def test_pictures_compared_are_the_first_of_the_split(steps: dict[str, Any]) -> None:
    split = storage.open_manifest(steps["valid_records"], RecordsManifest)
    shown = compare.pictures(split, OPENPOSE, 3)
    first = next(iter(read.examples(split, OPENPOSE).as_numpy_iterator()))
    assert len(shown) == 3
    assert shown.ids[0] == int(first["id"])
    assert {image["id"] for image in shown.truth["images"]} == set(shown.ids)
