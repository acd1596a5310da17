"""Every kind of source gives the same pictures and people; what cannot be used is reported in one line."""

import functools
import hashlib
import re
import shutil
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from components.coco_download.coco_download import coco_download
from components.coco_download.parameters import DataParameters
from openpose import skeleton, storage
from openpose.coco import index
from openpose.coco import source as data_source
from openpose.coco.manifest import DataManifest, MissingPictures
from openpose.coco.pictures import PictureStore
from openpose.errors import InputError
from openpose.records import schema

OFFICIAL = ("train2017.zip", "val2017.zip", "annotations_trainval2017.zip")


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Keeps the test's output clean."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a folder on a plain HTTP server."""
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def own(sample_folder: Path, tmp_path: Path) -> tuple[Path, dict[str, Any]]:
    """A user's own data: two archives of the same name, and JSON files; with the parameters that name them."""
    for split in ("train", "val"):
        folder = tmp_path / "own" / split
        folder.mkdir(parents=True)
        with (
            zipfile.ZipFile(sample_folder / f"{split}2017.zip") as source,
            zipfile.ZipFile(folder / "my images.zip", "w") as target,
        ):
            for name in source.namelist():
                target.writestr(Path(name).name, source.read(name))
        with zipfile.ZipFile(sample_folder / "annotations_trainval2017.zip") as archive:
            content = archive.read(f"annotations/person_keypoints_{split}2017.json")
        (folder / "labels.json").write_bytes(content)
    names = {f"{split}_annotations": f"{split}/labels.json" for split in ("train", "val")}
    names |= {f"{split}_pictures": f"{split}/my images.zip" for split in ("train", "val")}
    return tmp_path / "own", names


def images(manifest: DataManifest) -> dict[str, dict[str, bytes]]:
    """The pictures of each split as the next step reads them, in order."""
    found = {}
    for split, described in manifest.splits.items():
        people = index.Split(described.people, described.index)
        with PictureStore(described.pictures) as pictures:
            names = [schema.to_picture(e, skeleton.OPENPOSE18).file_name for e in people.read(0, len(people))]
            assert [pictures.size(name) for name in names] == people.picture_bytes.tolist()
            found[split] = {name: pictures.read(name) for name in names}
    return found


def fingerprints(manifest: DataManifest) -> list[str]:
    return [split.fingerprint for split in manifest.splits.values()]


@pytest.fixture(scope="module")
def expected(sample_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> DataManifest:
    return coco_download(str(sample_folder), str(tmp_path_factory.mktemp("expected")))


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["flat", "coco"])
def test_mirror_is_the_same_data_and_is_used_when_the_server_is_gone(
    sample_folder: Path, tmp_path: Path, expected: DataManifest, layout: str
) -> None:
    mirror = tmp_path / "mirror"
    for name in OFFICIAL:
        folder = mirror if layout == "flat" else mirror / ("annotations" if name.startswith("ann") else "zips")
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(sample_folder / name, folder)
    root = str(tmp_path / "root")
    with served(mirror) as url:
        manifest = coco_download(url.replace("//", "//joe:secret@"), root)
    assert fingerprints(manifest) == fingerprints(expected)
    assert images(manifest) == images(expected)
    assert Path(manifest.splits["val"].pictures).is_relative_to(tmp_path / "root/archives")
    for file in Path(root).rglob("*.json"):
        assert "secret" not in file.read_text(), file
    assert coco_download(url.replace("//", "//joe:secret@"), root) == manifest


def test_official_archives_are_checked(sample_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with served(sample_folder) as url:
        contents = {name: (sample_folder / name).read_bytes() for name in OFFICIAL}
        published = {n: (f"{url}/{n}", len(c), hashlib.md5(c).hexdigest()) for n, c in contents.items()}
        monkeypatch.setattr(data_source, "_OFFICIAL", published)
        assert coco_download("coco2017", str(tmp_path / "root")).splits["val"].counts["images"] == 6
        published["val2017.zip"] = (*published["val2017.zip"][:2], "0" * 32)
        with pytest.raises(InputError, match=r"val2017\.zip has the wrong MD5: expected 0{32}, got"):
            coco_download("coco2017", str(tmp_path / "other"))
        assert not list((tmp_path / "other").rglob("val2017.zip"))
        with pytest.raises(InputError, match=r"coco2017 has COCO's own names; leave out: my\.zip"):
            coco_download("coco2017", str(tmp_path / "root"), DataParameters(val_pictures="my.zip"))


@pytest.mark.slow
def test_own_names_with_the_same_base_name(
    own: tuple[Path, dict[str, Any]], tmp_path: Path, bucket: str, expected: DataManifest
) -> None:
    folder, names = own
    with served(folder) as url:
        for source, root in ((str(folder), tmp_path / "1"), (url, tmp_path / "2"), (str(folder), bucket)):
            assert images(coco_download(source, str(root), DataParameters(**names))) == images(expected)


@pytest.mark.slow
def test_folders_of_pictures_are_used_in_place_and_packed_into_a_bucket(
    sample_folder: Path, tmp_path: Path, bucket: str, expected: DataManifest, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    for name in OFFICIAL:
        with zipfile.ZipFile(sample_folder / name) as archive:
            archive.extractall(data)
    here = coco_download(data.as_uri(), str(tmp_path / "root"))
    assert here.splits["val"].pictures == str(data / "val2017")
    there = coco_download(str(data), bucket)
    assert images(here) == images(there) == images(expected)
    capsys.readouterr()
    assert coco_download(str(data), bucket) == there
    printed = capsys.readouterr()
    assert "nothing to do" in printed.out
    assert "pack" not in printed.err


def test_unpacked_once_and_never_in_the_users_folder(
    sample_folder: Path, tmp_path: Path, expected: DataManifest
) -> None:
    data, root = Path(shutil.copytree(sample_folder, tmp_path / "data")), str(tmp_path / "root")
    before = storage.sizes(data)
    for unpack in (True, True, False):
        manifest = coco_download(str(data), root, DataParameters(unpack=unpack))
        assert Path(manifest.splits["val"].pictures).is_dir() == unpack
        assert images(manifest) == images(expected)
        assert fingerprints(manifest) == fingerprints(expected)
    assert storage.sizes(data) == before
    with zipfile.ZipFile(data / "val2017.zip", "a") as archive:
        archive.writestr("val2017/new.jpg", b"new")
    manifest = coco_download(str(data), root, DataParameters(unpack=True))
    assert (Path(manifest.splits["val"].pictures) / "new.jpg").read_bytes() == b"new"


def test_held_out_share_needs_no_validation_files(
    own: tuple[Path, dict[str, Any]], tmp_path: Path, expected: DataManifest
) -> None:
    folder, names = own
    shutil.rmtree(folder / "val")
    train = {name: value for name, value in names.items() if name.startswith("train")}
    first, again, other = (
        coco_download(str(folder), str(tmp_path / name), DataParameters(**train, val_share=0.25, data_seed=seed))
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert {split: part.counts["images"] for split, part in first.splits.items()} == {"train": 18, "val": 6}
    found = images(first)
    assert found["train"] | found["val"] == images(expected)["train"]
    assert fingerprints(first) == fingerprints(again)
    assert len({*fingerprints(first), *fingerprints(other)}) == 4


def test_missing_pictures_are_counted_and_named(
    sample_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = Path(shutil.copytree(sample_folder, tmp_path / "data"))
    (data / "val2017.zip").unlink()
    with zipfile.ZipFile(sample_folder / "val2017.zip") as archive:
        archive.extractall(data)
    names = sorted(path.name for path in (data / "val2017").iterdir())
    (data / "val2017" / names[2]).unlink()
    manifest = coco_download(str(data), str(tmp_path / "root"))
    assert manifest.splits["val"].bad == MissingPictures(missing=1, names=[names[2]])
    assert f"1 pictures of val are missing or empty: {names[2]}" in capsys.readouterr().out
    for name in names[:2] + names[3:]:
        (data / "val2017" / name).unlink()
    (data / "val2017/holiday.jpg").write_bytes(b"x")
    with pytest.raises(InputError, match=r"all 6 pictures of .*val2017\.json are missing; .* holiday\.jpg"):
        coco_download(str(data), str(tmp_path / "other"))
    assert not list((tmp_path / "other").rglob("manifest.json"))


def _cut_off(data: Path) -> None:
    path = data / "val2017.zip"
    path.write_bytes(path.read_bytes()[:5000])


def _damaged(data: Path) -> None:
    path = data / "annotations_trainval2017.zip"
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 255
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("spoil", "arguments", "message"),
    [
        (_cut_off, {}, r"val2017\.zip: not a whole zip archive"),
        (_damaged, {}, r"annotations_trainval2017\.zip/annotations/.*: it is damaged in the archive \(Bad CRC"),
        (lambda data: (data / "val2017.zip").unlink(), {}, r"neither val2017 nor val2017\.zip nor .* is there"),
        (lambda data: None, {"val_pictures": "photos"}, r"neither photos nor photos\.zip is there"),
        (lambda data: None, {"val_share": 1.5}, r"val_share is 1\.5; it must be at least 0 and below 1"),
        (lambda data: None, {"val_share": 0.01}, r"1\.0% of its 24 images leave no image for val; give a larger share"),
        (lambda data: None, {"val_share": 0.1, "val_pictures": "x"}, "not both"),
    ],
)
def test_what_cannot_be_used_is_one_message_and_leaves_nothing(
    sample_folder: Path, tmp_path: Path, spoil: Callable[[Path], Any], arguments: dict[str, Any], message: str
) -> None:
    data = Path(shutil.copytree(sample_folder, tmp_path / "data"))
    spoil(data)
    with pytest.raises(InputError) as caught:
        coco_download(str(data), str(tmp_path / "root"), DataParameters(**arguments))
    assert re.search(message, str(caught.value)), caught.value
    assert [name for name in storage.sizes(tmp_path / "root") if not name.startswith("status/")] == []


@pytest.mark.parametrize("source", ["/no/such/folder", "ftp://host/data"])
def test_unknown_source(source: str, tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=f"{source}: .*`source` is coco2017, a folder in COCO's layout or of a tool, or an addr"
    ):
        coco_download(source, str(tmp_path))
