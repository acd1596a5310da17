"""What has a final name is whole, whatever happens while it is written."""

import hashlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import zipfile
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from openpose import storage
from openpose.errors import InputError

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, kw_only=True)
class Records(storage.Manifest):
    KIND = "records"
    split: str


class Run(storage.Manifest):
    KIND = "run"


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
    work = storage.StepOutput(tmp_path, Records, {"a": 1}, "records/train-")
    assert work.cached() is None
    manifest = work.finish(split="train")
    assert (work.cached(), manifest.path) == (manifest, work.manifest_path)
    with pytest.raises(InputError, match="`kind` is 'records', but a manifest of kind 'run' is needed"):
        storage.open_manifest(work.manifest_path, Run)
    for changes, message in (
        ({"schema": 0}, "`schema` is 0, this version reads 1; remove the folder .*train-"),
        ({"schema": 99}, "`schema` is 99, this version reads 1; use the newer version that made it, or remove the "),
        (
            {"split": 3},
            "`split` is 3, but str is needed; remove the folder .*train-.* and rerun the step that makes it",
        ),
    ):
        storage.write_json(work.manifest_path, manifest.as_document() | changes)
        with pytest.raises(InputError, match=rf"manifest\.json: {message}"):
            storage.open_manifest(work.manifest_path, Records)


def test_fingerprint_is_of_the_content_not_of_its_order() -> None:
    assert storage.fingerprint({"a": 1, "b": [1, 2]}) == storage.fingerprint({"b": [1, 2], "a": 1})
    assert storage.fingerprint({"a": 1}) != storage.fingerprint({"a": 2})


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_root_that_may_not_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="you may not write there"):
        storage.open_root(tmp_path)


# In a folder and in a bucket


@pytest.fixture(params=["folder", "gs", "s3"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> storage.StoragePath:
    return storage.open_root(
        tmp_path if request.param == "folder" else request.getfixturevalue(f"{request.param}_bucket")
    )


def test_files_are_written_read_and_removed(root: storage.StoragePath) -> None:
    place = root / "deep/größe 1.json"
    assert storage.size(place) is None
    assert storage.sizes(root / "deep") == {}
    storage.write_json(place, {"a": "é"})
    storage.write_bytes(root / "deep/er/b", b"0123456789")
    assert storage.read_json(str(place)) == {"a": "é"}
    assert storage.sizes(root / "deep") == {"größe 1.json": storage.size(place), "er/b": 10}
    assert storage.read_range(root / "deep/er/b", 8, 5) == b"89"
    assert storage.read_range(root / "deep/er/b", 20, 5) == b""
    with storage.open_binary(root / "deep/er/b") as file:
        file.seek(-4, os.SEEK_END)
        assert (file.read(2), file.tell()) == (b"67", 8)
    storage.remove(root / "deep")
    storage.remove(root / "deep")
    assert storage.sizes(root) == {}


def test_object_is_described_copied_and_streamed(bucket: str) -> None:
    root = storage.open_root(bucket)
    storage.write_bytes(root / "a", b"0123456789")
    found = storage.bucket_object(root / "a")
    assert found.size == 10
    assert found.md5 == (None if bucket.startswith("s3") else hashlib.md5(b"0123456789").hexdigest())
    storage.copy_object(found, root / "b")
    storage.upload_stream(io.BytesIO(b"streamed"), root / "c")
    with found.open() as file:
        file.seek(7)
        assert file.read() == b"789"
    assert [storage.read_bytes(root / name) for name in "bc"] == [b"0123456789", b"streamed"]
    with pytest.raises(InputError, match="/d: no such object; check the address"):
        storage.bucket_object(root / "d")


def test_state_of_a_file_tells_a_change(root: storage.StoragePath) -> None:
    storage.write_text(root / "a", "one")
    before = storage.state(root / "a")
    assert storage.state(root / "a") == before
    storage.write_text(root / "a", "other")
    assert storage.state(root / "a") != before


def test_zip_archive_is_read_and_its_ranges_too(root: storage.StoragePath) -> None:
    with storage.atomic_file(root / "a.zip") as temporary, zipfile.ZipFile(temporary, "w") as archive:
        archive.writestr("name", b"content")
    with storage.open_zip(root / "a.zip") as archive:
        assert archive.read("name") == b"content"
    with storage.RangeReader(root / "a.zip") as reader:
        assert reader.read(0, 4) == b"PK\3\4"


def test_what_only_a_folder_can_do(tmp_path: Path, bucket: str) -> None:
    remote = storage.open_root(bucket)
    assert storage.require_local(tmp_path, "is not local") == tmp_path
    with pytest.raises(InputError, match=f"^{remote}: is not local$"):
        storage.require_local(remote, "is not local")
    assert storage.local_or_scratch(tmp_path) == tmp_path
    assert storage.local_or_scratch(remote).is_dir()
    assert storage.free_space(remote) is None
    assert storage.free_space(tmp_path)
    storage.make_folder(tmp_path / "a/b")
    storage.make_folder(remote / "a/b")
    assert (tmp_path / "a/b").is_dir()
    assert storage.sizes(remote) == {}


def test_what_is_missing_is_named(root: storage.StoragePath) -> None:
    with pytest.raises(InputError, match=r"a\.json: no such file"):
        storage.read_json(root / "a.json")
    for read in (storage.open_binary, storage.read_bytes, lambda place: storage.read_range(place, 0, 1)):
        with pytest.raises(FileNotFoundError, match=r"a\.json"):
            read(root / "a.json")


def test_failed_writes_leave_what_was_there(root: storage.StoragePath) -> None:
    storage.write_text(root / "folder/a", "old")
    with pytest.raises(ZeroDivisionError), storage.atomic_folder(root / "folder") as temporary:
        (temporary / "a").write_text("half")
        raise ZeroDivisionError
    with pytest.raises(ZeroDivisionError), storage.atomic_file(root / "folder/a") as temporary:
        temporary.write_text("half")
        raise ZeroDivisionError
    assert storage.read_bytes(root / "folder/a") == b"old"
    assert list(storage.sizes(root)) == ["folder/a"]


def test_manifest_appears_last(root: storage.StoragePath) -> None:
    work = storage.StepOutput(root, Run, {}, "runs/")
    seen: list[int] = []

    def watch() -> None:
        while work.cached() is None:
            pass
        seen.append(len(storage.sizes(work.folder)))

    watcher = threading.Thread(target=watch)
    watcher.start()
    with storage.atomic_folder(work.folder) as temporary:
        work.finish(temporary)
        for number in range(40):
            (temporary / f"z{number}").write_text("whole")
    watcher.join()
    assert seen == [41]


def test_newest_manifest(root: storage.StoragePath) -> None:
    for name in ("b", "c", "a"):
        storage.write_json(root / f"records/{name}/manifest.json", {"made": name})
        storage.write_json(root / f"records/{name}/deeper/manifest.json", {})
        time.sleep(0.02)
    assert storage.newest_manifest(root / "records") == root / "records/a/manifest.json"
    with pytest.raises(InputError, match="no manifest is there; run the step before this one first"):
        storage.newest_manifest(root / "data")


def test_workspace_goes_on_from_what_was_published(root: storage.StoragePath) -> None:
    with storage.workspace(root / "run") as workspace:
        (workspace.folder / "step-1").mkdir()
        (workspace.folder / "step-1/state").write_text("one")
        (workspace.folder / "history").write_text("1")
        workspace.publish()
    with storage.workspace(root / "run") as workspace:
        assert (workspace.folder / "step-1/state").read_text() == "one"
        (workspace.folder / "step-1").rename(workspace.folder / "step-2")
        (workspace.folder / "history").write_text("2")
        workspace.publish()
    assert storage.sizes(root / "run") == {"step-2/state": 3, "history": 1}
    assert storage.read_bytes(root / "run/history") == b"2"


# Several processes


def test_two_that_make_the_same_folder_both_succeed(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from openpose import storage\n"
        "for _ in range(200):\n"
        "    with storage.atomic_folder(Path(sys.argv[1])) as temporary: (temporary / 'a').write_text('whole')"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "folder")]
    makers = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    assert [maker.communicate()[1] for maker in makers] == ["", ""]
    assert (tmp_path / "folder/a").read_text() == "whole"
    assert leftovers(tmp_path) == ["folder"]


def test_two_that_do_the_same_work_both_succeed(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from openpose import storage\n"
        "from tests.storage.test_storage import Run\n"
        "work = storage.StepOutput(Path(sys.argv[1]), Run, {}, 'runs/')\n"
        "for _ in range(200):\n"
        "    with storage.atomic_folder(work.folder) as temporary: work.finish(temporary)"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    workers = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=ROOT) for _ in range(2)]
    assert [worker.communicate()[1] for worker in workers] == ["", ""]
    assert len(list(tmp_path.glob("runs/*/manifest.json"))) == 1


def test_copies_of_a_killed_process_are_removed_by_the_next(tmp_path: Path) -> None:
    code = (
        "import time; from openpose import storage\n"
        "print((storage.scratch_folder() / 'copy').write_text('left'), flush=True); time.sleep({})"
    )
    environment = os.environ | {"TMPDIR": str(tmp_path)}

    def start(seconds: int) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", code.format(seconds)]
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline() == "4\n"
        return process

    killed, living = start(60), start(60)
    killed.kill()
    killed.communicate()
    assert len(leftovers(tmp_path)) == 2
    assert start(0).wait() == 0
    (folder,) = leftovers(tmp_path)
    assert (tmp_path / folder / "copy").exists()
    living.kill()
    living.communicate()


def test_unfinished_folders_of_killed_processes_are_removed_by_the_next(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from openpose import storage\n"
        "with storage.atomic_folder(Path(sys.argv[1])): print('made', flush=True); time.sleep(60)"
    )

    def start(name: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", code, str(tmp_path / name)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline() == "made\n"
        return process

    killed, other, living = start("a"), start("b"), start("a")
    for process in (killed, other):
        process.kill()
        process.communicate()
    (tmp_path / ".a").mkdir()
    with storage.atomic_folder(tmp_path / "a"):
        pass
    left = leftovers(tmp_path)
    assert sorted(name[10:] for name in left if name not in (".a", "a")) == ["a", "b"], "one writes, one is another's"
    (others,) = tmp_path.glob(".*.b")
    os.utime(others, (0, 0))
    with storage.atomic_folder(tmp_path / "a"):
        pass
    assert [name[10:] for name in leftovers(tmp_path) if name not in (".a", "a")] == ["a"], "too old to be written"
    living.kill()
    living.communicate()


# Buckets that cannot be used


@pytest.mark.parametrize("content", [None, "{}", '{"type": "service_account"}', "not JSON"])
def test_credentials_that_cannot_be_used_are_named(
    content: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "credentials.json"
    if content is not None:
        place.write_text(content)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(place))
    monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
    storage.forget_client()
    try:
        with pytest.raises(InputError, match=rf"^GOOGLE_APPLICATION_CREDENTIALS names {place}, which .* give "):
            storage.path("gs://bucket/root")
    finally:
        storage.forget_client()


def refusal(root: str, host: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """What is said about a storage root on another server than the emulator."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", host)
    storage.forget_client()
    start = time.monotonic()
    try:
        with pytest.raises(InputError) as caught:
            storage.open_root(root)
    finally:
        storage.forget_client()
    assert time.monotonic() - start < 20
    return str(caught.value)


@pytest.mark.slow
def test_bucket_that_cannot_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    said = refusal("gs://bucket/x", "http://localhost:1", monkeypatch)
    assert said.startswith(
        "gs://bucket/x: the bucket cannot be reached ([Errno 111] Connection refused); check the network "
    )


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (401, r"gs://bucket/x: the bucket refuses it \(.*\); log in with `gcloud auth application-default login`, or"),
        (403, r"refuses it \(a@b has no access\); .* give this account the role Storage Object User"),
        (404, r"there is no bucket 'bucket'; make it with `gcloud storage buckets create gs://bucket`, or give"),
        (400, r"the bucket refuses it \(a@b has no access\); give another storage root"),
    ],
)
def test_bucket_that_refuses(code: int, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Refusing(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps({"error": {"code": code, "message": "a@b has no access."}}).encode()
            self.send_response(code)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("localhost", 0), Refusing) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        said = refusal("gs://bucket/x", f"http://localhost:{server.server_port}", monkeypatch)
        server.shutdown()
        thread.join()
    assert re.search(message, said), said


def test_address_that_is_no_storage_root() -> None:
    for root, message in (
        ("hdfs://x", "hdfs://x: a storage root is a folder, gs://bucket/prefix or s3://bucket/prefix"),
        ("gs://", "storage root gs://: names no bucket; give gs://bucket/prefix"),
        ("s3://", "storage root s3://: names no bucket; give s3://bucket/prefix"),
    ):
        with pytest.raises(InputError) as caught:
            storage.open_root(root)
        assert str(caught.value) == message
