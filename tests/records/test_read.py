"""What went into the records comes out again; damage is named."""

from pathlib import Path

import numpy as np
import pytest

from openpose.errors import InputError
from openpose.records import read
from openpose.skeleton import OPENPOSE18 as OPENPOSE
from tests.records.written import encoded, write


def test_round_trip(tmp_path: Path) -> None:
    images = {f"{name}.jpg": encoded() for name in "abcde"}
    manifest = write(tmp_path, images)
    assert sorted(shard.images for shard in manifest.shards) == [1, 2, 2]
    assert manifest.counts["samples"] == 5
    found = list(read.examples(manifest, OPENPOSE).as_numpy_iterator())
    assert sorted(example["filename"].decode() for example in found) == sorted(images)
    example = next(example for example in found if example["filename"] == b"c.jpg")
    assert example["encoded"] == images["c.jpg"]
    assert example["mask_runs"].tolist() == []
    assert example["main"].tolist() == [True]
    assert example["centre"].tolist() == [[24.5, 29.5]]
    np.testing.assert_allclose(example["scale"] * 368, [50])
    assert example["keypoints"][0, 2].tolist() == [12, 22]
    assert example["bbox"].tolist() == [[5, 5, 40, 50]]
    assert (example["width"], example["height"]) == (80, 60)


def test_damaged_shard_is_named(tmp_path: Path) -> None:
    manifest = write(tmp_path, {"a.jpg": encoded()})
    shard = tmp_path / "records" / manifest.shards[0].name
    shard.write_bytes(shard.read_bytes()[:-1])
    with pytest.raises(InputError, match=rf"{shard.name}: it has .* bytes instead of"):
        read.examples(manifest, OPENPOSE)


def test_ground_truth_is_what_pycocotools_expects(tmp_path: Path) -> None:
    truth = read.ground_truth(read.examples(write(tmp_path, {"a.jpg": encoded()}), OPENPOSE), OPENPOSE)
    assert truth["annotations"][0]["num_keypoints"] == 17
    assert truth["annotations"][0]["keypoints"][:6] == [10, 20, 2, 11, 21, 2]
    assert truth["categories"][0]["skeleton"][0] == [16, 14]
