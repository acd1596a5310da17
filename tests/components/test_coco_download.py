"""The download step: every source gives the same data, harmful input is refused, interruptions cost little."""

import json
import os
import random
import shutil
import stat
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from components.coco_download.coco_download import coco_download
from components.coco_download.parameters import DataParameters
from components.tfrecord_targets.parameters import SplitParameters
from components.tfrecord_targets.tfrecord_targets import tfrecord_targets
from openpose import storage
from openpose.coco import zip_archive
from openpose.coco.manifest import DataManifest
from openpose.coco.pictures import PictureStore
from openpose.errors import InputError
from tests import labelled
from tests.coco.faulty_server import Fault, FaultyServer, File, running
from tests.process import Program


@pytest.fixture
def server(sample_folder: Path) -> Iterator[FaultyServer]:
    """A mirror with the drawn data set's archives."""
    with running() as served:
        for archive in sample_folder.glob("*.zip"):
            served.files[archive.name] = File(archive.read_bytes())
        yield served


def fingerprints(manifest: DataManifest) -> list[str]:
    return [split.fingerprint for split in manifest.splits.values()]


def test_mirror_gives_what_the_folder_gives_and_keeps_archives(
    server: FaultyServer, sample_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from_folder = coco_download(str(sample_folder), str(tmp_path / "folder"))
    from_mirror = coco_download(server.url("").rstrip("/"), str(tmp_path / "mirror"))
    assert fingerprints(from_mirror) == fingerprints(from_folder)
    fetched = {file.name: file for file in from_mirror.files}
    assert set(fetched) == {"train2017.zip", "val2017.zip", "annotations_trainval2017.zip"}
    for name, file in fetched.items():
        assert Path(file.place).read_bytes() == (sample_folder / name).read_bytes()
        assert file.sha256 == storage.sha256(sample_folder / name)
    capsys.readouterr()
    sent = server.sent
    assert coco_download(server.url("").rstrip("/"), str(tmp_path / "mirror")) == from_mirror
    assert server.sent == sent, "nothing is fetched again"
    assert "nothing to do" in capsys.readouterr().out


def test_mirror_as_cocos_own_server_and_with_trouble(server: FaultyServer, sample_folder: Path, tmp_path: Path) -> None:
    moved = {"zips/train2017.zip", "zips/val2017.zip", "annotations/annotations_trainval2017.zip"}
    server.files = {name: server.files[Path(name).name] for name in moved}
    server.files["zips/train2017.zip"].faults = [Fault(status=503), Fault(cut=5000), Fault(cut=20_000)]
    manifest = coco_download(server.url("").rstrip("/"), str(tmp_path))
    assert fingerprints(manifest) == fingerprints(coco_download(str(sample_folder), str(tmp_path / "other")))


def test_file_address_and_unpacked_archives(sample_folder: Path, tmp_path: Path) -> None:
    data = shutil.copytree(sample_folder, tmp_path / "data")
    packed = coco_download(data.as_uri(), str(tmp_path / "root"))
    sums = {file.name: file.sha256 for file in packed.files}
    assert sums["val2017.zip"] == storage.sha256(data / "val2017.zip")
    assert "annotations/person_keypoints_val2017.json" in sums
    files = coco_download(str(data), str(tmp_path / "root"), DataParameters(unpack=True))
    assert len(list((tmp_path / "root/archives").rglob("train2017/*.jpg"))) == 24
    for split in ("train", "val"):
        assert packed.splits[split].counts == files.splits[split].counts
        manifest = tfrecord_targets(str(tmp_path / "root"), split, parameters=SplitParameters(dense="none"))
        assert manifest is not None
        assert manifest.bad_images == []


def own_data(sample_folder: Path, folder: Path) -> Path:
    """The training split of the drawn data, with file names that are not COCO's."""
    folder.mkdir()
    with zipfile.ZipFile(sample_folder / "annotations_trainval2017.zip") as archive:
        (folder / "labels.json").write_bytes(archive.read("annotations/person_keypoints_train2017.json"))
    with zipfile.ZipFile(sample_folder / "train2017.zip") as archive, zipfile.ZipFile(folder / "img.zip", "w") as own:
        for name in archive.namelist():
            own.writestr(Path(name).name, archive.read(name))  # at the archive's top
    return folder


@pytest.mark.slow
def test_own_names_and_a_share_that_is_held_out(sample_folder: Path, tmp_path: Path) -> None:
    data = own_data(sample_folder, tmp_path / "own")
    names: dict[str, Any] = {"train_annotations": "labels.json", "train_pictures": "img.zip"}
    manifest = coco_download(str(data), str(tmp_path / "root"), DataParameters(val_share=0.25, data_seed=3, **names))
    assert {split: part.counts["images"] for split, part in manifest.splits.items()} == {"train": 18, "val": 6}
    names_of = {}
    for split in ("train", "val"):
        records = tfrecord_targets(str(tmp_path / "root"), split)
        assert records is not None
        assert records.counts["images"] == manifest.splits[split].counts["images"]
        names_of[split] = records.fingerprint
    assert names_of["train"] != names_of["val"]
    with pytest.raises(InputError, match=r"val_share is 1\.5"):
        DataParameters(val_share=1.5, **names)
    with pytest.raises(InputError, match=r"or say with --val-annotations what they are called"):
        coco_download(str(data), str(tmp_path / "root"), DataParameters(**names))


def test_report_opens_alone(sample_folder: Path, tmp_path: Path) -> None:
    page = Path(coco_download(str(sample_folder), str(tmp_path)).report).read_text()
    assert page.count("data:image/jpeg") == 12
    assert "left ankle" in page
    assert len(page) < 2_000_000


@pytest.mark.slow
def test_the_same_in_a_bucket(sample_folder: Path, bucket: str, tmp_path: Path) -> None:
    local = coco_download(str(sample_folder), str(tmp_path))
    remote = coco_download(str(sample_folder), bucket)
    assert fingerprints(remote) == fingerprints(local)
    assert remote.splits["val"].pictures.startswith(bucket)
    sparse = SplitParameters(dense="none")
    made = [tfrecord_targets(root, "val", parameters=sparse) for root in (bucket, str(tmp_path))]
    there, here = (manifest.shards for manifest in made if manifest is not None)
    assert there == here


# Splits that nothing can be learnt or measured on


def drawn(folder: Path, **people: list[dict[str, Any]]) -> Path:
    """A data set of one grey picture in each split, with these people."""
    for split in ("train", "val"):
        (folder / f"{split}2017").mkdir(parents=True)
        Image.new("RGB", (80, 60), (99, 99, 99)).save(folder / f"{split}2017/{split}.jpg")
        (folder / "annotations").mkdir(exist_ok=True)
        document = labelled.document(people.get(split, [labelled.person()]), [f"{split}.jpg"])
        (folder / f"annotations/person_keypoints_{split}2017.json").write_text(json.dumps(document))
    return folder


UNSEEN = [value for k in range(17) for value in (10 + k, 20, 0)]


@pytest.mark.parametrize(
    ("people", "said"),
    [
        ({"val": []}, "the val split has a labelled keypoint that counts, .*it has no annotations; label some people"),
        ({"val": [labelled.person(iscrowd=1)]}, "1 crowds with keypoints, .*write iscrowd 0"),
        ({"val": [labelled.person(keypoints=UNSEEN)]}, r"1 coordinates, but v = 0 .*; write v = 2"),
        ({"train": [labelled.person(keypoints=None)]}, "so that no network can be trained; .*1 no labelled keypoint"),
        ({"train": [labelled.person(bbox=[5, 5, 30, 30], area=900)]}, "has no sample: .*1 too small .*32×32"),
    ],
)
def test_a_split_without_labelled_people_is_refused_with_the_reason(
    people: dict[str, list[dict[str, Any]]], said: str, tmp_path: Path
) -> None:
    data = drawn(tmp_path / "data", **people)
    for _ in range(2):
        with pytest.raises(InputError, match=f"person_keypoints_{next(iter(people))}2017.json: .*{said}"):
            coco_download(str(data), str(tmp_path / "root"))
    assert list((tmp_path / "root").glob("data/*")) == []


def test_what_became_of_annotations_is_printed_kept_and_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    people = [labelled.person(area=0), labelled.person(id=8, keypoints=None)]
    manifest = coco_download(str(drawn(tmp_path / "data", train=people)), str(tmp_path / "root"))
    train = manifest.splits["train"]
    assert train.annotations is not None
    assert sum(train.annotations.values()) == 2
    printed, page = capsys.readouterr().out, Path(manifest.report).read_text()
    for words in [*train.annotations, *(train.corrections or {})]:
        assert f"    1 {words}" in printed
        assert words.split(":")[0] in page
    again = coco_download(str(drawn(tmp_path / "other")), str(tmp_path / "other-root"))
    assert "corrections" not in json.loads(again.path.read_text())["splits"]["train"]


def test_data_of_an_older_version_is_read_again(tmp_path: Path) -> None:
    root, data = str(tmp_path / "root"), str(drawn(tmp_path / "data"))
    manifest = coco_download(data, root)
    document = json.loads(manifest.path.read_text())
    for split in document["splits"].values():
        del split["annotations"]
    manifest.path.write_text(json.dumps(document))
    assert coco_download(data, root) == manifest


def test_a_picture_in_both_splits_is_a_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = drawn(tmp_path / "data")
    shutil.copy(data / "train2017/train.jpg", data / "val2017/train.jpg")
    document = labelled.document([labelled.person()], ["train.jpg"])
    (data / "annotations/person_keypoints_val2017.json").write_text(json.dumps(document))
    manifest = coco_download(str(data), str(tmp_path / "root"))
    assert manifest.warnings is not None
    assert "1 pictures are in both splits" in manifest.warnings[0]
    assert f"warning: {manifest.warnings[0]}" in capsys.readouterr().out
    assert manifest.warnings[0].split("(")[0] in Path(manifest.report).read_text()


# Harmful archives


def entry(name: str, mode: int = 0) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    return info


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (entry("../evil.jpg"), r"entry '\.\./evil\.jpg' leads out of the archive's folder"),
        (entry("a/../../evil.jpg"), "leads out of the archive's folder"),
        (entry("/etc/passwd"), "entry '/etc/passwd' leads out of the archive's folder"),
        (entry("C:\\evil.jpg"), "leads out of the archive's folder"),
        (entry("link.jpg", stat.S_IFLNK | 0o777), r"entry 'link\.jpg' is a link"),
    ],
)
def test_harmful_entries_are_refused_by_name(tmp_path: Path, harm: zipfile.ZipInfo, said: str) -> None:
    with zipfile.ZipFile(tmp_path / "train2017.zip", "w") as archive:
        archive.writestr("train2017/a.jpg", b"fine")
        archive.writestr(harm, b"/etc/passwd")
    with pytest.raises(InputError, match=said):
        PictureStore(tmp_path / "train2017.zip")
    with pytest.raises(InputError, match=said):
        zip_archive.unpack(tmp_path / "train2017.zip", tmp_path / "unpacked")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["train2017.zip"]


def test_bomb_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "train2017.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("train2017/bomb.jpg", bytes(50_000_000))
    with pytest.raises(InputError, match=r"'train2017/bomb\.jpg' says that it is 50,000,000 bytes, packed into"):
        PictureStore(tmp_path / "train2017.zip")


def test_damage_in_an_archive_is_noticed(sample_folder: Path, tmp_path: Path) -> None:
    data = shutil.copytree(sample_folder, tmp_path / "data")
    content = bytearray((data / "train2017.zip").read_bytes())
    with zipfile.ZipFile(data / "train2017.zip") as archive:
        info = archive.infolist()[5]
    content[info.header_offset + 500] ^= 0xFF
    (data / "train2017.zip").write_bytes(content)
    coco_download(str(data), str(tmp_path / "root"))
    with pytest.raises(InputError, match=rf"{Path(info.filename).name}: it is damaged in the archive"):
        tfrecord_targets(str(tmp_path / "root"), "train")


# Interruptions


def start(source: str, root: Path) -> Program:
    return Program("components.coco_download", "--source", source, "--root", root)


def contents(root: Path) -> dict[str, bytes]:
    """All files with a final name, also of their folders, except the steps' status."""
    files = {path.relative_to(root): path for path in root.rglob("*") if path.is_file()}
    return {
        str(name): path.read_bytes()
        for name, path in files.items()
        if name.parts[0] != "status" and not any(part.startswith(".") for part in name.parts)
    }


@pytest.mark.slow
def test_killed_at_any_moment_and_repeated_gives_the_same_bytes(server: FaultyServer, tmp_path: Path) -> None:
    url = server.url("").rstrip("/")
    assert start(url, tmp_path).wait() == 0
    whole = contents(tmp_path)
    shutil.rmtree(tmp_path)
    for file in server.files.values():
        file.rate = 2 * len(file.content)  # slow enough to interrupt
    seed = int.from_bytes(os.urandom(4), "big")
    print(f"seed {seed}")
    moments = random.Random(seed)
    for _ in range(10):
        asked = len(server.asked)
        process = start(url, tmp_path)
        while len(server.asked) == asked and process.poll() is None:
            time.sleep(0.005)
        time.sleep(moments.uniform(0, 2))
        process.kill()
        process.wait()
    process = start(url, tmp_path)
    assert process.wait() == 0, process.communicate()
    killed = contents(tmp_path)
    assert killed.keys() == whole.keys()
    assert [name for name in whole if whole[name] != killed[name]] == []


@pytest.mark.slow
def test_two_at_once_both_succeed(server: FaultyServer, tmp_path: Path) -> None:
    both = [start(server.url("").rstrip("/"), tmp_path) for _ in range(2)]
    for process in both:
        assert process.wait() == 0, process.communicate()
    (manifest,) = (tmp_path / "data").glob("*/manifest.json")
    assert len(storage.open_manifest(manifest, DataManifest).files) == 3
