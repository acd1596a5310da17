"""The records step under disturbances: killed at any moment, run twice at once, with a full disk."""

import hashlib
import os
import random
import time
from pathlib import Path

import pytest

from components.coco_download.coco_download import coco_download
from openpose.drawn_people import dataset
from openpose.drawn_people.scene import Sample
from tests.process import Program

pytestmark = pytest.mark.slow

FLAGS = ("--split", "train", "--images-per-shard", "25", "--dense", "both", "--size", "64")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A drawn data set with many small shards."""
    folder = tmp_path_factory.mktemp("many")
    dataset.make(folder, Sample(seed=5, train=300, val=4, size=96))
    return folder


@pytest.fixture(scope="module")
def undisturbed(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    root = tmp_path_factory.mktemp("undisturbed")
    coco_download(str(data), str(root))
    assert start(root).wait() == 0
    return contents(root)


def start(root: Path, largest_file: int = 0) -> Program:
    return Program("components.tfrecord_targets", "--root", root, *FLAGS, largest_file=largest_file)


def contents(root: Path) -> dict[str, str]:
    """Checksums of all records under the root."""
    files = (path for path in (root / "records").rglob("[!.]*.tfrecord"))
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_killed_at_any_moment_and_repeated_gives_the_same_bytes(
    data: Path, undisturbed: dict[str, str], tmp_path: Path
) -> None:
    seed = int.from_bytes(os.urandom(4), "big")
    print(f"seed {seed}")
    moments = random.Random(seed)
    coco_download(str(data), str(tmp_path))
    kept: set[str] = set()
    for _ in range(20):
        process = start(tmp_path)
        # The work begins when the first shard appears.
        deadline = time.monotonic() + 60
        while process.poll() is None and set(contents(tmp_path)) <= kept and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(moments.uniform(0, 0.05))
        process.kill()
        process.wait()
        whole = contents(tmp_path)
        assert whole.items() <= undisturbed.items(), "what has its final name is whole"
        assert kept <= set(whole), "what was finished is kept"
        kept = set(whole)
    process = start(tmp_path)
    assert process.wait() == 0, process.communicate()
    assert contents(tmp_path) == undisturbed


def test_two_at_once_do_no_damage(data: Path, undisturbed: dict[str, str], tmp_path: Path) -> None:
    coco_download(str(data), str(tmp_path))
    both = [start(tmp_path) for _ in range(2)]
    for process in both:
        assert process.wait() == 0, process.communicate()
    assert contents(tmp_path) == undisturbed


def test_full_disk_is_one_clear_line_and_the_repeat_goes_on(
    data: Path, undisturbed: dict[str, str], tmp_path: Path
) -> None:
    coco_download(str(data), str(tmp_path))
    process = start(tmp_path, largest_file=60_000)
    printed, errors = process.communicate()
    assert process.returncode == 1
    (message,) = [line for line in errors.splitlines() if line.startswith("error: ")]
    assert "cannot be written, file too large" in message
    assert "make room and run again, finished work is kept" in message
    assert "Traceback" not in printed + errors
    assert contents(tmp_path).items() <= undisturbed.items()
    assert start(tmp_path).wait() == 0
    assert contents(tmp_path) == undisturbed
