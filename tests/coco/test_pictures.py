"""Pictures are read from folders and archives, and damage is reported clearly."""

import os
import random
import stat
import unicodedata
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from openpose import storage
from openpose.coco import zip_archive
from openpose.coco.pictures import PictureStore
from openpose.errors import InputError


@pytest.fixture(params=["folder", "stored", "deflated"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Three pictures, one of them in a sub-folder."""
    names = {"a.jpg": b"A" * 100, "sub/ü b.jpg": b"B" * 100, "c.jpg": bytes(range(100))}
    if request.param == "folder":
        for name, content in names.items():
            path = tmp_path / "val2017" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return tmp_path / "val2017"
    compression = zipfile.ZIP_STORED if request.param == "stored" else zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(tmp_path / "val2017.zip", "w", compression) as archive:
        for name, content in names.items():
            archive.writestr(f"val2017/{name}", content)
    return tmp_path / "val2017.zip"


def test_reads_by_file_name(store: Path) -> None:
    with PictureStore(store) as pictures:
        assert pictures.read("a.jpg") == b"A" * 100
        assert pictures.read("sub/ü b.jpg") == b"B" * 100
        with pytest.raises(FileNotFoundError):
            pictures.read("d.jpg")
        for outside in ("../val2017/a.jpg", "/etc/passwd"):
            with pytest.raises(ValueError, match="its name leads out of"):
                pictures.read(outside)


@pytest.mark.parametrize("store", ["stored", "deflated"], indirect=True)
def test_damaged_entry_of_an_archive(store: Path) -> None:
    content = store.read_bytes()
    start = content.index(b"c.jpg") + len(b"c.jpg")
    store.write_bytes(content[:start] + b"\xff" * 50 + content[start + 50 :])
    with PictureStore(store) as pictures:
        assert pictures.read("a.jpg") == b"A" * 100
        with pytest.raises(OSError, match="it is damaged in the archive"):
            pictures.read("c.jpg")


def test_signature_changes_with_the_pictures(store: Path) -> None:
    with PictureStore(store) as pictures:
        before = pictures.signature()
    if store.is_dir():
        (store / "a.jpg").write_bytes(b"longer than it was" * 100)
    else:
        with zipfile.ZipFile(store, "a") as archive:
            archive.writestr("val2017/d.jpg", b"D")
    with PictureStore(store) as pictures:
        assert pictures.signature() != before


def test_missing_or_damaged_store(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder of pictures or zip archive"):
        PictureStore(tmp_path / "val2017")
    (tmp_path / "val2017.zip").write_bytes(b"PK but not much more")
    with pytest.raises(InputError, match=r"val2017\.zip: not a whole zip archive"):
        PictureStore(tmp_path / "val2017.zip")


def test_a_fifo_is_no_picture_and_nobody_waits_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.jpg")
    with PictureStore(str(tmp_path)) as store:
        for read in (store.read, lambda name: store.head(name, 100)):
            with pytest.raises(OSError, match="FIFO"):
                read("a.jpg")
        assert store.size("a.jpg") == 0
        assert store.signature() == {"files": []}


def test_size_of_a_missing_picture_is_0(store: Path) -> None:
    with PictureStore(store) as pictures:
        assert pictures.size("sub/ü b.jpg") == 100
        assert pictures.size("d.jpg") == pictures.size("../val2017/a.jpg") == pictures.size("sub") == 0


def test_threads_read_from_folders_and_buckets(tmp_path: Path, bucket: str) -> None:
    contents = {f"{n}.jpg": random.Random(n).randbytes(30_000) for n in range(40)}
    with zipfile.ZipFile(tmp_path / "val2017.zip", "w") as archive:
        for name, content in contents.items():
            archive.writestr(f"val2017/{name}", content)
    remote = storage.path(bucket) / "val2017.zip"
    storage.write_bytes(remote, (tmp_path / "val2017.zip").read_bytes())
    for place in (tmp_path / "val2017.zip", remote):
        with PictureStore(place) as pictures, ThreadPoolExecutor(8) as threads:
            assert list(threads.map(pictures.read, contents)) == list(contents.values())
            positions = [pictures.position(name) for name in contents]
            assert positions == sorted(set(positions))


def entry(name: str, mode: int = 0) -> zipfile.ZipInfo:
    made = zipfile.ZipInfo(name)
    made.create_system, made.external_attr = 3, mode << 16
    return made


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda a: a.writestr(entry("val2017/a.jpg", stat.S_IFIFO | 0o644), b""), "is a device or pipe"),
        (lambda a: a.writestr("a.jpg", b"a", zipfile.ZIP_BZIP2), "uses a compression that is not supported"),
    ],
)
def test_entry_that_could_do_harm_is_refused_by_name(
    tmp_path: Path, write: Callable[[zipfile.ZipFile], None], message: str
) -> None:
    with zipfile.ZipFile(tmp_path / "val2017.zip", "w") as archive:
        write(archive)
    with pytest.raises(InputError) as caught:
        PictureStore(tmp_path / "val2017.zip")
    assert str(caught.value).startswith(f"{tmp_path}/val2017.zip: its entry ")
    assert message in str(caught.value)


def test_names_as_other_programs_write_them(tmp_path: Path) -> None:
    path, decomposed = tmp_path / "val2017.zip", unicodedata.normalize("NFD", "ö")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("val2017/UU.jpg", b"as on Linux")
        archive.writestr("val2017/OOO.jpg", b"as on a Mac")
        archive.writestr("val2017\\old.jpg", b"as on Windows")
        archive.writestr("top.jpg", b"at the top")
        archive.writestr("val2017/twice.jpg", b"first")
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("val2017/twice.jpg", b"last")
    # zip(1) writes UTF-8 without the flag that says so; Python cannot.
    path.write_bytes(path.read_bytes().replace(b"UU", "ü".encode()).replace(b"OOO", decomposed.encode()))
    with PictureStore(tmp_path / "val2017.zip") as pictures:
        for name, content in {
            "ü.jpg": b"as on Linux",
            "ö.jpg": b"as on a Mac",
            "old.jpg": b"as on Windows",
            "top.jpg": b"at the top",
            "twice.jpg": b"last",
        }.items():
            assert pictures.read(name) == content


def test_damaged_directory_is_never_more_than_one_clear_message(tmp_path: Path) -> None:
    path = tmp_path / "val2017.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in "abc":
            archive.writestr(f"val2017/{name}.jpg", b"x" * 100)
    whole, moments = path.read_bytes(), random.Random(1)
    for _ in range(500):
        damaged = bytearray(whole)
        damaged[moments.randrange(whole.index(b"PK\1\2"), len(whole))] = moments.randrange(256)
        path.write_bytes(damaged[: moments.choice([len(damaged), moments.randrange(len(damaged))])])
        try:
            with PictureStore(path) as pictures:
                pictures.read("b.jpg")
        except (InputError, OSError):
            pass


def test_packing_and_unpacking_keep_every_byte(tmp_path: Path) -> None:
    (tmp_path / "photos/sub").mkdir(parents=True)
    for name in ("a.jpg", "sub/ü b.jpg"):
        (tmp_path / "photos" / name).write_bytes(name.encode() * 100)
    for again in "12":
        zip_archive.pack(tmp_path / "photos", tmp_path / again / "photos.zip")
    assert (tmp_path / "1/photos.zip").read_bytes() == (tmp_path / "2/photos.zip").read_bytes()
    folder = zip_archive.unpack(tmp_path / "1/photos.zip", tmp_path / "unpacked")
    assert storage.sizes(folder) == storage.sizes(tmp_path / "photos")
    with PictureStore(folder) as pictures:
        assert pictures.read("sub/ü b.jpg") == "sub/ü b.jpg".encode() * 100
