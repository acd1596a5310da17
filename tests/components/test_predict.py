"""People in many pictures: workers share them, an interrupted one goes on, and the result is that of one worker."""

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from components.predict import predict as step
from components.predict.parameters import PredictParameters
from components.predict.predict import collect, plan, predict, predict_share, shares
from openpose import storage
from openpose.errors import InputError
from tests.model_files import test_people


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A network that finds pairs of red and green dots, as an ONNX file."""
    file = tmp_path_factory.mktemp("model") / "model.onnx"
    test_people.FORMATS["onnx"].write(test_people.source(), file)
    return str(file)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven pictures of one to three pairs in two folders, and files that are none."""
    folder = tmp_path_factory.mktemp("photos")
    images, _ = test_people.pictures(7, 64, 96)
    for number, image in enumerate(images):
        file = folder / ("left" if number % 2 else "right") / f"{number}.png"
        file.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(file), image[..., ::-1])
    (folder / "notes.txt").write_text("no picture")
    (folder / "right/broken.jpg").write_bytes(b"half a picture")
    return folder


def documents(folder: str) -> tuple[Any, Any]:
    return tuple(storage.read_json(f"{folder}/{name}") for name in (step.RESULTS, step.DATA))


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step, "CHUNK", 2)


@pytest.mark.slow
def test_workers_find_what_one_finds(
    photos: Path, model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alone = predict(str(tmp_path / "alone"), str(photos), model)
    said = capsys.readouterr().out
    assert "thing: 13 found in 7 pictures, 1 left out" in said
    assert "left out: right/broken.jpg: not a picture that can be read" in said
    assert alone.counts == {"pictures": 7, "thing": 13, "failed": 1}
    folder = plan(str(tmp_path / "shared"), str(photos), model, "openpose", PredictParameters())
    predict_share(folder, **shares(3)[2])
    with pytest.raises(InputError, match="3 of 4 chunks are missing; run the shares again"):
        collect(folder)
    for share in shares(3)[:2]:
        predict_share(folder, **share)
    together = collect(folder)
    assert together.counts == alone.counts
    assert documents(folder) == documents(alone.folder)


@pytest.mark.slow
def test_result_is_a_coco_data_set(photos: Path, model: str, tmp_path: Path) -> None:
    made = predict(str(tmp_path), str(photos), model, parameters=PredictParameters(draw=True))
    results, data = documents(made.folder)
    assert {image["file_name"]: image["id"] for image in data["images"]} == {
        f"{'left' if number % 2 else 'right'}/{number}.png": place
        for place, number in enumerate((1, 3, 5, 0, 2, 4, 6), 1)
    }
    assert [one["id"] for one in data["annotations"]] == list(range(1, 14))
    count = {image["id"]: 1 + int(Path(image["file_name"]).stem) % 3 for image in data["images"]}
    for found in (results, data["annotations"]):
        assert {number: sum(one["image_id"] == number for one in found) for number in count} == count
    assert data["categories"][0]["keypoints"] == list(test_people.PAIR.source_parts)
    drawn = cv2.imread(f"{made.folder}/drawn/left/1.jpg")
    assert drawn is not None
    assert drawn.shape == (64, 96, 3)


@pytest.mark.slow
def test_interrupted_worker_goes_on_with_the_next_chunk(
    photos: Path, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = plan(str(tmp_path), str(photos), model, "openpose", PredictParameters())
    looked = []
    at = step._Look.at

    def once(look: step._Look, names: list[str]) -> dict[str, Any]:
        looked.append(names)
        if len(looked) == 3:
            raise KeyboardInterrupt
        return at(look, names)

    monkeypatch.setattr(step._Look, "at", once)
    with pytest.raises(KeyboardInterrupt):
        predict_share(folder)
    assert len(list((Path(folder) / step.CHUNKS).iterdir())) == 2
    predict_share(folder)
    assert looked == [["left/1.png", "left/3.png"], ["left/5.png", "right/0.png"]] + 2 * [
        ["right/2.png", "right/4.png"]
    ] + [["right/6.png", "right/broken.jpg"]]
    assert collect(folder).counts["pictures"] == 7
    again = len(looked)
    assert predict(str(tmp_path), str(photos), model).folder == folder
    assert len(looked) == again


@pytest.mark.slow
def test_archive_and_buckets_give_the_same(photos: Path, model: str, bucket: str, tmp_path: Path) -> None:
    files = [file for file in sorted(photos.rglob("*")) if file.is_file()]
    archive = tmp_path / "photos.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for file in files:
            packed.write(file, file.relative_to(photos))
            storage.write_bytes(storage.path(f"{bucket}/in/{file.relative_to(photos)}"), file.read_bytes())
    expected = documents(predict(str(tmp_path / "out"), str(photos), model).folder)
    for pictures in (str(archive), f"{bucket}/in"):
        made = predict(f"{bucket}/out", pictures, model)
        assert documents(made.folder) == expected
        assert storage.size(made.path) is not None


def test_what_cannot_be_looked_at_is_said(photos: Path, model: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere: no such folder of pictures or zip archive"):
        predict(str(tmp_path), str(tmp_path / "nowhere"), model)
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "notes.txt").write_text("no picture")
    with pytest.raises(InputError, match=r"no picture is there \(.jpg, .png, …\); it has 1 other files, such as notes"):
        predict(str(tmp_path), str(empty), model)
    with pytest.raises(InputError, match=r"latest.json: no model was accepted there"):
        predict(str(tmp_path), str(photos))
    shutil.copy(photos / "right/broken.jpg", empty)
    with pytest.raises(InputError, match=r"none of the 1 pictures can be used; the first: broken.jpg: not a picture"):
        predict(str(tmp_path), str(empty), model)


def test_result_is_written_chunk_by_chunk(tmp_path: Path) -> None:
    people = [{"category_id": 1, "keypoints": [1.0, 2.0, 1.0] * 2, "score": 0.5}]
    rows: list[dict[str, Any]] = [{"name": f"{n}.jpg", "height": 4, "width": 6, "people": people} for n in range(4)]
    for number in range(2):
        chunk = {"pictures": rows[2 * number : 2 * number + 2], "failed": []}
        storage.write_json(tmp_path / "chunks" / f"{number:06d}.json", chunk)
    with (tmp_path / "results").open("w") as results, (tmp_path / "data").open("w") as data:
        ids = {row["name"]: number for number, row in enumerate(rows, 1)}
        assert step._write_coco(tmp_path, 2, ids, test_people.PAIR, results, data) == 4
    made = json.loads((tmp_path / "data").read_text())
    assert [image["id"] for image in made["images"]] == [one["image_id"] for one in made["annotations"]] == [1, 2, 3, 4]
    assert len(json.loads((tmp_path / "results").read_text())) == 4
    assert np.array(made["annotations"][0]["bbox"]).tolist() == [1.0, 2.0, 0.0, 0.0]
