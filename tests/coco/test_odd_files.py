"""Files as they come from phones, Macs, Windows and browsers: names, encodings, links and archives."""

import gzip
import io
import json
import os
import unicodedata
import zipfile
from pathlib import Path
from typing import Any

import pytest

from openpose import storage
from openpose.coco import json_stream, layout, source, zip_archive
from openpose.coco.layout import Names
from openpose.coco.pictures import PictureStore
from openpose.errors import InputError, print_any_text, reports_errors
from tests import labelled

BOTH = Names({"train": "", "val": ""}, {"train": "", "val": ""})
SHADOW = b"\0\5\x16\7\0\2\0\0Mac OS X        "


def read(content: bytes, field: str = "images") -> list[dict[str, Any]]:
    return list(json_stream.items(lambda: io.BytesIO(content), field, "a.json"))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (gzip.compress(b'{"images": []}', mtime=0), "packed with gzip; unpack it"),
        ('{"images": []}'.encode("utf-16"), "UTF-16; save it as UTF-8"),
        ('{"images": []}'.encode("utf-16-le"), "UTF-16 or UTF-32, or not a text; save it as UTF-8"),
        ('{"images": []}'.encode("utf-32"), "save it as UTF-8"),
        ('{"images": [{"file_name": "Tür"}]}'.encode("latin-1"), "not UTF-8 .*save it as UTF-8"),
        (b'{"images": [{"id": 1}]} and more', "Something follows the end of the JSON; remove it"),
        (b'{"images": [{"id": 123456789012345678901234567890}]}', "more than 64 bits; write a smaller one"),
        (b'{"images": [{"id": 1}, {"id"', "cut off"),
        (b"<!DOCTYPE html><html>", "a page in HTML"),
        (b"PK\3\4", "zip archive"),
        (b"", "before `images`"),
        (b"\0\0\0\0", "not a text"),
    ],
)
def test_what_a_file_is_instead_of_json_is_said_with_the_cure(content: bytes, said: str) -> None:
    with pytest.raises(InputError, match=rf"^a\.json: not valid JSON.*{said}"):
        read(content)


def test_byte_order_mark_and_nan_are_read() -> None:
    entries = [{"id": n, "name": 'NaN, "Infinity" \\'} for n in range(5000)]
    entries[3]["score"] = float("nan")
    entries[4000] |= {"a": [float("inf"), -float("inf"), 1.5], "b": "-Infinity"}
    found = read(b"\xef\xbb\xbf" + json.dumps({"images": entries}).encode())
    assert len(found) == 5000
    assert found[3] == {"id": 3, "name": 'NaN, "Infinity" \\', "score": None}
    assert found[4000] == {"id": 4000, "name": 'NaN, "Infinity" \\', "a": [None, None, 1.5], "b": "-Infinity"}


@pytest.mark.parametrize(
    "name", ["sub\\a.jpg", "./sub/a.jpg", "pictures/sub/a.jpg", "pictures\\sub\\a.jpg", "sub//a.jpg"]
)
@pytest.mark.parametrize("packed", [False, True])
def test_ways_of_writing_a_name(tmp_path: Path, name: str, packed: bool) -> None:
    place = tmp_path / "pictures"
    (place / "sub").mkdir(parents=True)
    (place / "sub/a.jpg").write_bytes(b"A")
    if packed:
        zip_archive.pack(place, tmp_path / "pictures.zip")
        place = tmp_path / "pictures.zip"
    with PictureStore(place) as store:
        assert (store.read(name), store.size(name)) == (b"A", 1)
        for outside in ("..\\..\\a.jpg", "C:\\a.jpg", "sub/b.jpg", "x/sub/a.jpg"):
            assert store.size(outside) == 0
        assert store.alike("..\\..\\A.JPG") is not None


@pytest.mark.parametrize(("on_disk", "in_file"), [("NFD", "NFC"), ("NFC", "NFD")])
def test_composed_and_decomposed_names(tmp_path: Path, on_disk: str, in_file: str) -> None:
    def name(form: str) -> str:
        return unicodedata.normalize(form, "Müller/Café 1.jpg")  # type: ignore[arg-type]

    (tmp_path / name(on_disk)).parent.mkdir()
    (tmp_path / name(on_disk)).write_bytes(b"A")
    with PictureStore(tmp_path) as store:
        assert store.read(name(in_file)) == b"A"


def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode("Tür.jpg".encode("latin-1"))).write_bytes(b"A")
    (tmp_path / "a.jpg").write_bytes(b"B")
    with PictureStore(tmp_path) as store:
        assert store.read("Tür.jpg") == b"A"
        assert len(storage.fingerprint(store.signature())) == 64
        storage.write_json(tmp_path / "out.json", store.some(9))
    assert storage.read_json(tmp_path / "out.json") == ["T\udcfcr.jpg", "a.jpg"]
    zip_archive.pack(tmp_path, tmp_path.parent / "a.zip")
    with PictureStore(tmp_path.parent / "a.zip") as store:
        assert (store.read("a.jpg"), store.read("Tür.jpg")) == (b"B", b"A")


def test_output_in_an_encoding_that_lacks_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    printed = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(printed, "ascii"))
    print_any_text()
    print("80×60 T\udcfcr", flush=True)
    assert printed.getvalue() == b"80\\xd760 T\\udcfcr\n"


def test_what_macos_adds_is_passed_over(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(b"A")
    with PictureStore(folder) as store:
        before = store.signature()
    for name in ("._a.jpg", ".DS_Store"):
        (folder / name).write_bytes(SHADOW)
    with PictureStore(folder) as store:
        assert store.signature() == before
        assert store.some(5) == ["a.jpg"]
    zip_archive.pack(folder, tmp_path / "photos.zip")
    with zipfile.ZipFile(tmp_path / "photos.zip", "a") as archive:
        archive.writestr("__MACOSX/photos/._a.jpg", SHADOW)
    with PictureStore(tmp_path / "photos.zip") as store:
        assert store.some(5) == ["photos/a.jpg"]
    assert [file.name for file in zip_archive.unpack(tmp_path / "photos.zip", tmp_path / "out").iterdir()] == ["a.jpg"]


def test_a_link_to_a_folder_is_followed(tmp_path: Path) -> None:
    elsewhere, folder = tmp_path / "elsewhere", tmp_path / "photos"
    for each in (elsewhere, folder):
        each.mkdir()
    (elsewhere / "a.jpg").write_bytes(b"A")
    (folder / "link").symlink_to(elsewhere)
    (folder / "nothing").symlink_to(tmp_path / "nothing")
    (elsewhere / "up").symlink_to(folder)  # a circle
    with PictureStore(folder) as store:
        before = store.signature()
        (elsewhere / "b.jpg").write_bytes(b"B")
        assert store.signature() != before
    zip_archive.pack(folder, tmp_path / "photos.zip")
    with PictureStore(tmp_path / "photos.zip") as store:
        assert store.read("link/b.jpg") == b"B"


@pytest.mark.parametrize(
    ("name", "top"), [("train2017.ZIP", "train2017/"), ("photos (1).zip", "photos/"), ("x.zip", "y/"), ("x.zip", "")]
)
def test_pictures_in_any_archive(tmp_path: Path, name: str, top: str) -> None:
    with zipfile.ZipFile(tmp_path / name, "w") as archive:
        archive.writestr(f"{top}a.jpg", b"A")
        archive.writestr(f"{top}sub/b.jpg", b"B")
    with PictureStore(tmp_path / name) as store:
        assert (store.read("a.jpg"), store.size("sub/b.jpg"), store.has("a.jpg")) == (b"A", 1, True)
    unpacked = zip_archive.unpack(tmp_path / name, tmp_path / "out")
    with PictureStore(unpacked) as store:
        assert store.read("sub/b.jpg") == b"B"


def data(folder: Path) -> Path:
    for split in ("train", "val"):
        (folder / f"{split}2017").mkdir(parents=True)
        (folder / f"{split}2017/a.jpg").write_bytes(b"A")
        (folder / "annotations").mkdir(exist_ok=True)
        (folder / f"annotations/person_keypoints_{split}2017.json").write_text(
            json.dumps(labelled.document([labelled.person()]))
        )
    return folder


def test_pictures_in_folders_in_folders_of_an_archive(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "train2017.zip", "w") as archive:
        for name in ("a.jpg", "b/c.jpg"):
            archive.writestr(f"export/data/train2017/{name}", name)
    with PictureStore(tmp_path / "train2017.zip") as store:
        for name in ("a.jpg", "b/c.jpg", "train2017/a.jpg", "data/train2017/b/c.jpg"):
            assert store.read(name).decode() == name.removeprefix("data/").removeprefix("train2017/")


@pytest.mark.parametrize(
    ("wanted", "there"), [("a.JPG", "x/a.jpg"), ("a.jpg ", "a.jpg"), ("a%20b.jpg", "a b.jpg"), ("a", "a.png")]
)
def test_a_picture_of_nearly_the_name_is_found_for_the_message(tmp_path: Path, wanted: str, there: str) -> None:
    (tmp_path / there).parent.mkdir(exist_ok=True)
    (tmp_path / there).write_bytes(b"a")
    with PictureStore(tmp_path) as store:
        assert store.alike(wanted) == there
        assert store.alike("other") is None


def test_links_to_themselves_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"a")
    (tmp_path / "b").symlink_to("b")
    (tmp_path / "c.json").symlink_to("nowhere")
    (tmp_path / "d").symlink_to(".")
    assert storage.sizes(tmp_path) == {"a.jpg": 1}
    assert layout.recognise(tmp_path, BOTH) is None


def test_a_folder_in_place_of_the_annotations(tmp_path: Path) -> None:
    (tmp_path / "annotations/person_keypoints_train2017.json").mkdir(parents=True)
    (tmp_path / "train2017").mkdir()
    names = Names({"train": ""}, {"train": ""})
    with pytest.raises(InputError, match=r"train2017\.json: is a folder; it must be the JSON file"):
        source.bring(str(tmp_path), tmp_path / "root", names)


def test_names_that_no_disk_or_archive_can_have(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "long.zip", "w") as archive:
        archive.writestr("n" * 300, "")
    with pytest.raises(InputError, match=r"long\.zip: its entry 'nnn.* cannot be written here .*rename it"):
        zip_archive.unpack(tmp_path / "long.zip", tmp_path / "out")
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as archive:
        archive.writestr("ü.jpg", "")
    content = (tmp_path / "bad.zip").read_bytes().replace("ü".encode(), b"\xff\xfe")
    (tmp_path / "bad.zip").write_bytes(content)
    with pytest.raises(InputError, match=r"bad\.zip: a file name in it is marked as UTF-8, but is not"):
        zip_archive.open_archive(tmp_path / "bad.zip")


def test_what_the_system_refuses_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "loop").symlink_to("loop")

    @reports_errors
    def command() -> int:
        (tmp_path / "loop").read_bytes()
        return 0

    assert command() == 1
    assert capsys.readouterr().err == f"error: {tmp_path}/loop: it is a link that leads to itself; remove it\n"
    with pytest.raises(InputError, match="it is a folder, where a file is needed"), storage.user_errors(tmp_path):
        tmp_path.read_bytes()


def test_one_folder_around_everything(tmp_path: Path) -> None:
    data(tmp_path / "down/loaded")
    (tmp_path / "down/.DS_Store").write_bytes(SHADOW)
    files = source.bring(str(tmp_path / "down"), tmp_path / "root", BOTH)
    assert files.pictures["val"] == tmp_path / "down/loaded/val2017"


@pytest.mark.parametrize(
    ("there", "said"),
    [
        ("train2017 (1).zip", r"but train2017 \(1\)\.zip is; rename it, or say with --train-pictures"),
        ("train2017.tar.gz", r"but train2017\.tar\.gz is; unpack it"),
        ("TRAIN2017.ZIP", r"but TRAIN2017\.ZIP is; rename it"),
    ],
)
def test_a_file_of_nearly_the_name_is_seen(tmp_path: Path, there: str, said: str) -> None:
    folder = data(tmp_path / "data")
    (folder / "train2017").rename(folder / there)
    with pytest.raises(InputError, match=said):
        source.bring(str(folder), tmp_path / "root", BOTH)


@pytest.mark.parametrize("name", ["data.tar.gz", "data.tgz", "data.7z", "data.rar"])
def test_other_archives_are_refused_with_the_cure(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\x1f\x8b")
    with pytest.raises(InputError, match=r"is not read; unpack it and give the folder, or pack the folder as \.zip"):
        source.bring(str(tmp_path / name), tmp_path / "root", BOTH)
    with pytest.raises(InputError, match="is not read; unpack it"):
        PictureStore(tmp_path / name)
