"""The data step on data with other keypoints than people's."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from components.coco_download.coco_download import coco_download
from components.coco_download.parameters import DataParameters
from components.tfrecord_targets.parameters import SplitParameters
from components.tfrecord_targets.tfrecord_targets import tfrecord_targets
from openpose import storage
from openpose.coco.index import Split
from openpose.coco.manifest import DataManifest
from openpose.errors import InputError
from openpose.records import schema
from openpose.skeleton import OPENPOSE18, Skeleton
from tests.coco.test_own_skeleton import MOUSE, document, mouse


@pytest.fixture
def mice(tmp_path: Path) -> Path:
    """Two splits of mice in COCO's layout; the validation file has another order of keypoints and another id."""
    folder = tmp_path / "mice"
    (folder / "annotations").mkdir(parents=True)
    for split, order in (("train", [0, 1, 2, 3]), ("val", [3, 1, 0, 2])):
        content = document(keypoints=[MOUSE[k] for k in order])
        content["categories"][0]["id"] = 3 if split == "train" else 8
        for entry in content["annotations"]:
            triples = np.array(entry["keypoints"]).reshape(-1, 3)[order]
            entry |= {"keypoints": triples.ravel().tolist(), "category_id": content["categories"][0]["id"]}
        (folder / f"annotations/person_keypoints_{split}2017.json").write_text(json.dumps(content))
        (folder / f"{split}2017").mkdir()
        Image.new("L", (500, 200), 90).save(folder / f"{split}2017/a.png")
    return folder


def download(folder: Path, root: Path, **parameters: Any) -> DataManifest:
    return coco_download(str(folder), str(root), DataParameters(**parameters))


def test_manifests_carry_the_whole_skeleton(mice: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = download(mice, tmp_path / "root")
    assert data.skeleton.source_parts == tuple(MOUSE)
    assert "limbs, chosen from 8 labelled ones" in capsys.readouterr().out
    assert storage.open_manifest(data.path, DataManifest) == data
    written = storage.read_json(data.path)
    assert written["skeleton"]["flip_pairs"] == [["leftear", "rightear"]]
    extents = data.splits["train"].extents
    assert extents
    assert (extents.height, extents.aspect) == (200, 2.5)
    records = tfrecord_targets(str(tmp_path / "root"), "val", parameters=SplitParameters(size=64))
    assert records
    assert records.skeleton == records.inputs.skeleton == data.skeleton
    assert records.extents == data.splits["val"].extents
    page = Path(data.report).read_text()
    assert "leftear–rightear" in page
    assert "20–20 % of the picture&#39;s height" in page
    assert "people" not in page
    assert "person" not in page


def test_dense_targets_need_a_size_that_is_not_left_to_the_training(mice: Path, tmp_path: Path) -> None:
    download(mice, tmp_path)
    records = tfrecord_targets(str(tmp_path), "val")
    assert records
    assert records.targets is None
    assert tfrecord_targets(str(tmp_path), "val", parameters=SplitParameters(size=64)).targets  # type: ignore[union-attr]
    with pytest.raises(InputError, match="dense is both, but the size for mouse is left to the training; give size"):
        tfrecord_targets(str(tmp_path), "train", parameters=SplitParameters(dense="both"))


def test_each_files_keypoints_are_matched_by_name(mice: Path, tmp_path: Path) -> None:
    data = download(mice, tmp_path)
    pictures = [
        schema.to_picture(Split(split.people, split.index).read(0, 1)[0], data.skeleton)
        for split in data.splits.values()
    ]
    np.testing.assert_array_equal(pictures[0].keypoints, pictures[1].keypoints)
    expected = np.array(mouse(1, 40, 100, 0)["keypoints"]).reshape(4, 3)[:, :2]
    np.testing.assert_array_equal(pictures[0].keypoints[0], expected)


def test_two_skeletons_under_one_root_never_meet(mice: Path, tmp_path: Path) -> None:
    file = tmp_path / "mouse.yaml"
    found = [download(mice, tmp_path / "root")]
    for limbs in ([["snout", "tailbase"]], [["leftear", "tailbase"]]):
        file.write_text(json.dumps({"keypoints": MOUSE, "limbs": limbs}))
        found.append(download(mice, tmp_path / "root", skeleton=str(file)))
        assert list(limbs[0]) == list(found[-1].skeleton.limb_names[0])
    found.append(download(mice, tmp_path / "root", category="mouse"))
    (mice / "beside.yaml").write_bytes(file.read_bytes())
    assert download(mice, tmp_path / "root", skeleton="beside.yaml") == found[2], "the same content beside the data"
    assert len({each.fingerprint for each in found}) == 4
    assert len({each.splits["val"].fingerprint for each in found}) == 4


@pytest.mark.parametrize(
    ("skeleton", "message"),
    [
        ("openpose18", "needs .*'nose'.*missing: nose"),
        ("hand", "skeleton is 'hand'; give auto, one of openpose18, crowdpose14, or a file"),
        ("nowhere.yaml", "no such skeleton file"),
    ],
)
def test_a_skeleton_that_does_not_fit_is_refused(mice: Path, tmp_path: Path, skeleton: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        download(mice, tmp_path / "root", skeleton=skeleton)


def test_peoples_documents_did_not_change(sample_folder: Path, tmp_path: Path) -> None:
    data = download(sample_folder, tmp_path)
    assert data.skeleton is OPENPOSE18
    written = storage.read_json(data.path)
    assert written["skeleton"] == "openpose18"
    assert set(written["inputs"]) == {"pictures", "content", "val_share", "seed"}
    assert "extents" not in written["splits"]["train"]
    assert download(sample_folder, tmp_path, skeleton="openpose18") == data
    records = tfrecord_targets(str(tmp_path), "val", parameters=SplitParameters())
    assert records
    assert records.targets
    assert records.targets.size == (368, 368)
    written = storage.read_json(records.path)
    assert (written["skeleton"], written["inputs"]["skeleton"]) == ("openpose18", "openpose18")
    assert "extents" not in written
    assert Skeleton.from_document(written["skeleton"]) is OPENPOSE18
