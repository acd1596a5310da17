"""What has a final name is whole, whatever happens while it is written."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from openpose import storage
from openpose.errors import InputError


def leftovers(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    storage.write_json(path, {"a": 1})
    with pytest.raises(ZeroDivisionError), storage.atomic_file(path) as temporary:
        temporary.write_text("half")
        raise ZeroDivisionError
    assert storage.read_json(path) == {"a": 1}
    assert leftovers(tmp_path) == ["a.json"]


def test_failed_folder_leaves_the_old_one(tmp_path: Path) -> None:
    with storage.atomic_folder(tmp_path / "model") as temporary:
        (temporary / "graph.pb").write_text("old")
    with pytest.raises(ZeroDivisionError), storage.atomic_folder(tmp_path / "model") as temporary:
        (temporary / "graph.pb").write_text("half")
        raise ZeroDivisionError
    assert (tmp_path / "model/graph.pb").read_text() == "old"
    assert leftovers(tmp_path) == ["model"]


def test_killed_writer_leaves_no_file_under_the_final_name(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from openpose import storage\n"
        "with storage.atomic_file(Path(sys.argv[1])) as temporary:\n"
        "    temporary.write_text('half'); print('written', flush=True); time.sleep(60)"
    )
    writer = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "a")], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    assert writer.stdout.readline() == "written\n"
    writer.send_signal(signal.SIGKILL)
    writer.communicate()
    assert not (tmp_path / "a").exists()


def test_full_disk_is_a_clear_error_and_loses_nothing(tmp_path: Path) -> None:
    """The limit on a file's size stands in for a full disk: the write fails in the middle."""
    code = (
        "import resource, signal, sys; from pathlib import Path; from openpose import errors, storage\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try: storage.write_bytes(Path(sys.argv[1]), b'x' * 5000)\n"
        "except errors.InputError as error: print(error)"
    )
    path = tmp_path / "big"
    path.write_text("old")
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert "big: cannot be written" in done.stdout
    assert "make room and run again" in done.stdout
    assert path.read_text() == "old"
    assert leftovers(tmp_path) == ["big"]


def test_damaged_json_is_named(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    path.write_text('{"kind": "rec')
    with pytest.raises(InputError, match=r"manifest\.json: not valid JSON"):
        storage.read_json(path)


def test_manifest_of_another_kind_or_schema_is_refused(tmp_path: Path) -> None:
    work = storage.Work(tmp_path, "records", {"a": 1}, "records/train-")
    assert work.finished() is None
    manifest = work.finish(split="train")
    assert work.finished() == manifest
    with pytest.raises(InputError, match="`kind` is 'records', but a manifest of kind 'run' is needed"):
        storage.open_manifest(work.manifest_path, "run")
    storage.write_json(work.manifest_path, manifest | {"schema": 99})
    with pytest.raises(InputError, match=r"`schema` is 99, this version reads 1; remove the folder .*train-"):
        storage.open_manifest(work.manifest_path, "records")


def test_fingerprint_is_of_the_content_not_of_its_order() -> None:
    assert storage.fingerprint({"a": 1, "b": [1, 2]}) == storage.fingerprint({"b": [1, 2], "a": 1})
    assert storage.fingerprint({"a": 1}) != storage.fingerprint({"a": 2})


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_root_that_may_not_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="you may not write there"):
        storage.root_folder(tmp_path)


def test_bucket_is_said_to_come_later() -> None:
    with pytest.raises(InputError, match=r"gs://bucket/x: buckets are not supported yet"):
        storage.root_folder("gs://bucket/x")
