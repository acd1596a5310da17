"""Pictures out of folders and archives, whole or damaged."""

import zipfile
from pathlib import Path

import pytest

from openpose.errors import InputError
from openpose.pictures import PictureStore


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


def test_what_is_no_store(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder of pictures or zip archive"):
        PictureStore(tmp_path / "val2017")
    (tmp_path / "val2017.zip").write_bytes(b"PK but not much more")
    with pytest.raises(InputError, match=r"val2017\.zip: not a whole zip archive"):
        PictureStore(tmp_path / "val2017.zip")
