"""What `predict` writes as coco.json, read as data, is true of the records' pictures in all EXIF orientations."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from components.coco_download.coco_download import coco_download
from components.coco_download.parameters import DataParameters
from components.tfrecord_targets.parameters import SplitParameters
from components.tfrecord_targets.tfrecord_targets import tfrecord_targets
from openpose import model_files
from openpose.evaluation import score
from openpose.predict.__main__ import main
from openpose.predict.predictor import Predictor
from openpose.predict.results import coco_results
from openpose.records import exif, read
from openpose.skeleton import OPENPOSE18
from tests.one_person import ORANGE, write_graph

UNDONE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sees its person only where a picture's upper part and left part are bright."""
    return write_graph(tmp_path_factory.mktemp("graph") / "graph.pb", corner=True)


def photo(height: int, width: int) -> Image.Image:
    """Bright at the upper left, dark elsewhere."""
    image = np.zeros((height, width, 3), np.uint8)
    image[: height // 2, : width // 2] = ORANGE
    return Image.fromarray(image)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("orientation", "size"), [*((number, (368, 400)) for number in range(1, 9)), (3, (368, 368)), (6, (368, 368))]
)
def test_coco_json_is_true_of_the_records(graph: Path, tmp_path: Path, orientation: int, size: tuple[int, int]) -> None:
    upright, tags = photo(*size), Image.Exif()
    tags[exif.ORIENTATION] = orientation
    stored = upright.transpose(UNDONE[orientation]) if orientation > 1 else upright
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("1.jpg", "2.jpg"):
        stored.save(folder / name, quality=95, exif=tags)
        with Image.open(folder / name) as saved:
            assert ImageOps.exif_transpose(saved).size == upright.size
    assert main(["--model", str(graph), "--image", str(folder), "--out", str(tmp_path), "--pixels", "rgb"]) == 0
    names = DataParameters(train_annotations="coco.json", train_pictures="photos", val_share=0.5)
    data = coco_download(str(tmp_path), str(tmp_path / "root"), names)
    records = tfrecord_targets(str(tmp_path / "root"), "val", parameters=SplitParameters(dense="none"))
    assert records is not None
    predictor = Predictor(model_files.load(graph, OPENPOSE18, "rgb"), size[0])
    found = []
    for record in read.examples(records, OPENPOSE18).as_numpy_iterator():
        people = predictor.people(tf.io.decode_jpeg(record["encoded"], channels=3).numpy())
        found += coco_results(int(record["id"]), people, OPENPOSE18)
    assert len(found) == 1
    truth = read.ground_truth(read.examples(records, OPENPOSE18), OPENPOSE18)
    assert score.average_precision(truth, found, OPENPOSE18)["AP"] == pytest.approx(1)
    unclear = orientation in (2, 3, 4) or (size[0] == size[1] and orientation > 1)
    assert bool(data.warnings) == unclear
