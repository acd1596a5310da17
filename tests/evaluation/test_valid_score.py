"""The AP of a training's epochs."""

from typing import Any, cast

import pytest
import tensorflow as tf

from openpose import skeleton
from openpose.errors import InputError
from openpose.evaluation.truth import true_people
from openpose.evaluation.valid_score import ValidScore
from openpose.predict.predictor import Predictor
from openpose.records import read, schema
from openpose.records.manifest import RecordsManifest
from openpose.records.shards import shard_paths

OPENPOSE = skeleton.get("openpose18")


class Oracle:
    """Finds the labelled people of a split's pictures, asked for in the records' order; counts the pictures."""

    def __init__(self, split: RecordsManifest) -> None:
        serialized = tf.data.TFRecordDataset(shard_paths(split)).as_numpy_iterator()
        self.truth = [true_people(schema.to_picture(one, OPENPOSE), OPENPOSE) for one in serialized]
        self.asked = 0

    def people(self, image: Any) -> Any:
        self.asked += 1
        return self.truth[self.asked - 1]


@pytest.mark.parametrize(("images", "asked"), [(2, 2), (100, 6)])
def test_true_people_of_the_first_pictures_have_ap_1(
    sample_records: dict[str, RecordsManifest], images: int, asked: int
) -> None:
    oracle = Oracle(sample_records["val"])
    scored = ValidScore(sample_records["val"], images, OPENPOSE)
    assert scored.ap(cast(Predictor, oracle), lambda: False) == pytest.approx(1.0)
    assert oracle.asked == asked
    oracle.asked = 0
    assert scored.ap(cast(Predictor, oracle), lambda: True) is None


def test_pictures_without_labelled_people_have_no_ap(
    sample_records: dict[str, RecordsManifest], monkeypatch: pytest.MonkeyPatch
) -> None:
    nobody = {"images": [{"id": 1}, {"id": 2}], "annotations": [{"num_keypoints": 0, "iscrowd": 0}]}
    monkeypatch.setattr(read, "ground_truth", lambda *_: nobody)
    with pytest.raises(InputError, match="ap_images is 2, but nobody is labelled in the first 2 pictures of"):
        ValidScore(sample_records["val"], 2, OPENPOSE)
