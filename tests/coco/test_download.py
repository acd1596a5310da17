"""A download is complete and correct, whatever happens to the server, the connection or the process."""

import hashlib
import json
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from openpose import storage
from openpose.coco import resumable
from openpose.coco.download import Download, Fetched, fetch
from openpose.errors import InputError
from tests.coco.faulty_server import Fault, FaultyServer, File, running

ROOT = Path(__file__).resolve().parent.parent.parent
PROGRAM = """
import resource, sys
from pathlib import Path
from openpose.coco import resumable
from openpose.coco.download import Download, fetch
from openpose.errors import InputError
resumable.PAUSE = 0.01
folder, limit, *urls = sys.argv[1:]
if int(limit):
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
try:
    downloads = [Download(url, url.rpartition("/")[2]) for url in urls]
    print([file.found for file in fetch(downloads, Path(folder))])
except InputError as error:
    sys.exit(str(error))
"""

pytestmark = pytest.mark.slow


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    with running() as server:
        yield server


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resumable, "PAUSE", 0.005)


def noise(size: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size)


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


def one(server: FaultyServer, folder: storage.StoragePath, name: str = "a.zip", **published: Any) -> Fetched:
    return fetch([Download(server.url(name), name, **published)], folder)[0]


def names(folder: Path) -> list[str]:
    """The files in the folder without the empty lock files."""
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".lock"))


def child(folder: Path, *urls: str, limit: int = 0) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PROGRAM, str(folder), str(limit), *urls]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.005)


def test_each_file_is_downloaded_once(server: FaultyServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    contents = {f"{index}.zip": noise(size, index) for index, size in enumerate((0, 1, 70_000, 3 << 20, 999_999, 5))}
    server.files = {name: File(content) for name, content in contents.items()}
    downloads = [Download(server.url(name), name) for name in contents]
    first = fetch(downloads, tmp_path)
    assert re.search(r"download: 4\.2 MB in ", capsys.readouterr().err)
    assert {name: (tmp_path / name).read_bytes() for name in contents} == contents
    assert names(tmp_path) == sorted([*contents, *(f"{name}.json" for name in contents)])
    sums = [(len(content), hashlib.sha256(content).hexdigest(), md5(content)) for content in contents.values()]
    assert [(file.bytes, file.sha256, file.md5) for file in first] == sums
    assert not any(file.found for file in first)
    again = fetch(downloads, tmp_path)
    assert all(file.found for file in again)
    assert [file.sha256 for file in again] == [file.sha256 for file in first]
    assert sum(len(server.gets(name)) for name in contents) == len(contents)
    assert capsys.readouterr().err == ""


def test_known_md5_needs_no_network(server: FaultyServer, tmp_path: Path) -> None:
    content = noise(1000)
    server.files["a.zip"] = File(content)
    one(server, tmp_path)
    asked = len(server.asked)
    assert one(server, tmp_path, md5=md5(content)).found
    assert len(server.asked) == asked


def test_goes_on_where_the_connection_was_cut(server: FaultyServer, tmp_path: Path) -> None:
    """The connection is lost at any byte, several times; no byte is downloaded twice."""
    content, chance = noise(500_000), random.Random(11)
    for index in range(25):
        cuts = [chance.choice((0, 1, chance.randrange(200_000))) for _ in range(3)]
        file = server.files[f"{index}.zip"] = File(content, faults=[Fault(cut=cut) for cut in cuts])
        assert one(server, tmp_path, f"{index}.zip", md5=md5(content)).bytes == len(content), cuts
        assert not file.faults
        starts = [int(re.sub(r"\D", "", start or "0")) for start in server.gets(f"{index}.zip")]
        assert starts == sorted(starts)
        assert starts[-1] > 0 or max(cuts) <= 1
    assert server.sent < 25 * len(content) * 1.7


@pytest.mark.parametrize(
    "file",
    [
        pytest.param({"head": 405}, id="no HEAD"),
        pytest.param({"head": 403}, id="HEAD forbidden"),
        pytest.param({"ranges": False}, id="no ranges"),
        pytest.param({"length": "chunked"}, id="chunked"),
        pytest.param({"length": "chunked", "head": 501, "ranges": False}, id="chunked, nothing else"),
        pytest.param({"validators": ()}, id="no validators"),
        pytest.param({"validators": ("Last-Modified",)}, id="only a date"),
        pytest.param({"validators": ("ETag",), "if_range": False}, id="no If-Range"),
    ],
)
def test_servers_that_can_do_little(
    server: FaultyServer, tmp_path: Path, file: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    content = noise(400_000)
    server.files["a.zip"] = File(content, faults=[Fault()] * (file.get("head", 200) != 200), **file)
    server.files["a.zip"].faults += [Fault(cut=100_001), Fault(cut=150_000)]
    one(server, tmp_path)
    resumes = file.get("ranges", True) and file.get("validators") != ()
    again = capsys.readouterr().err.count("the server does not go on in the middle; fetching it again from the first")
    assert again == (0 if resumes else 2)
    assert (tmp_path / "a.zip").read_bytes() == content
    assert names(tmp_path) == ["a.zip", "a.zip.json"]


def test_no_length_at_all(server: FaultyServer, tmp_path: Path) -> None:
    """A lost connection goes unnoticed then, unless the size is published."""
    content = noise(300_000)
    server.files["a.zip"] = File(content, length="none", faults=[Fault(cut=4 * 25_000)])
    one(server, tmp_path, bytes=len(content), md5=md5(content))
    assert (tmp_path / "a.zip").read_bytes() == content


def test_temporary_errors_are_retried(server: FaultyServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    faults = [
        Fault(500),
        Fault(503, {"Retry-After": "1"}),
        Fault(429),
        Fault(502),
        Fault(504),
        Fault(cut=9),
        Fault(500),
    ]
    server.files["a.zip"] = File(noise(1000), faults=faults)
    start = time.monotonic()
    one(server, tmp_path)
    assert time.monotonic() - start > 1
    assert "a.zip: the server says 503 Service Unavailable; trying again in 1.0 s" in capsys.readouterr().err
    assert (tmp_path / "a.zip").read_bytes() == noise(1000)


def test_server_with_too_many_errors_is_given_up(server: FaultyServer, tmp_path: Path) -> None:
    server.files["a.zip"] = File(noise(1000), faults=[Fault(cut=100)] + [Fault(503)] * 99)
    with pytest.raises(InputError, match=r"a\.zip: the server says 503 .*given up after 8 failures without"):
        one(server, tmp_path)
    assert len(server.gets("a.zip")) == 8
    assert names(tmp_path) == [".a.zip.part", ".a.zip.part.json"]
    server.files["a.zip"].faults.clear()
    one(server, tmp_path)
    assert server.gets("a.zip")[-1] == "bytes=100-"
    assert names(tmp_path) == ["a.zip", "a.zip.json"]


@pytest.mark.parametrize("if_range", [True, False])
def test_file_that_changes_between_two_tries(server: FaultyServer, tmp_path: Path, if_range: bool) -> None:
    old, new = noise(300_000, 1), noise(300_000, 2)
    server.files["a.zip"] = File(old, if_range=if_range, faults=[Fault(cut=200_000)] + [Fault(500)] * 8)
    with pytest.raises(InputError):
        one(server, tmp_path)
    server.files["a.zip"] = File(new, if_range=if_range)
    one(server, tmp_path)
    assert (tmp_path / "a.zip").read_bytes() == new


def test_file_that_changes_again_and_again(server: FaultyServer, tmp_path: Path) -> None:
    """Lost connections do not add up to a failure while new bytes of the new version arrive."""
    server.files["a.zip"] = File(noise(300_000, 1), faults=[Fault(cut=290_000)] + [Fault(500)] * 8)
    with pytest.raises(InputError):
        one(server, tmp_path)
    server.files["a.zip"] = File(noise(300_000, 2), faults=[Fault(cut=20_000)] * 12)
    one(server, tmp_path)
    assert (tmp_path / "a.zip").read_bytes() == noise(300_000, 2)


def test_file_that_became_shorter_than_the_part(server: FaultyServer, tmp_path: Path) -> None:
    """The server answers 416."""
    server.files["a.zip"] = File(noise(300_000), if_range=False, faults=[Fault(cut=200_000)] + [Fault(500)] * 8)
    with pytest.raises(InputError):
        one(server, tmp_path)
    server.files["a.zip"] = File(noise(1000, 2), if_range=False)
    one(server, tmp_path)
    assert (tmp_path / "a.zip").read_bytes() == noise(1000, 2)


def test_cut_after_the_last_byte(server: FaultyServer, tmp_path: Path) -> None:
    """Without a length the client asks for more; 416 says that there is nothing more."""
    server.files["a.zip"] = File(noise(1000), length="chunked", faults=[Fault(cut=1000)])
    one(server, tmp_path)
    assert (tmp_path / "a.zip").read_bytes() == noise(1000)
    assert server.gets("a.zip") == [None, "bytes=1000-"]


@pytest.mark.parametrize(
    ("published", "message"),
    [
        ({"md5": "0" * 32}, f"has the wrong MD5: expected {'0' * 32}, got {md5(noise(1000))}; nothing of it is kept"),
        ({"bytes": 1234}, "has the wrong size: expected 1,234 bytes, got 1,000 bytes; nothing of it is kept"),
    ],
)
@pytest.mark.parametrize("head", [200, 405])
def test_wrong_file_never_gets_the_name(
    server: FaultyServer, tmp_path: Path, published: dict[str, Any], message: str, head: int
) -> None:
    server.files["a.zip"] = File(noise(1000), head=head)
    with pytest.raises(InputError, match=re.escape(f"{server.url('a.zip')}: a.zip {message}")):
        one(server, tmp_path, **published)
    assert names(tmp_path) == []


def test_damaged_part_is_fetched_again(server: FaultyServer, tmp_path: Path) -> None:
    content = noise(300_000)
    server.files["a.zip"] = File(content, faults=[Fault(cut=200_000)] + [Fault(500)] * 8)
    with pytest.raises(InputError):
        one(server, tmp_path)
    part = tmp_path / ".a.zip.part"
    part.write_bytes(b"damaged" + part.read_bytes()[7:])
    one(server, tmp_path, md5=md5(content))
    assert (tmp_path / "a.zip").read_bytes() == content


@pytest.mark.parametrize("status", [401, 403, 404])
def test_denied_file_is_an_error_at_once(server: FaultyServer, tmp_path: Path, status: int) -> None:
    server.files["a.zip"] = File(b"", head=status, faults=[Fault(status)] * 9)
    url = server.url("a.zip?token=secret").replace("//", "//user:secret@")
    with pytest.raises(InputError) as error:
        fetch([Download(url, "a.zip")], tmp_path)
    assert str(error.value).startswith(f"{server.url('a.zip')}: the server says {status} ")
    assert len(server.gets("a.zip")) == 1
    assert names(tmp_path) == []


def test_no_message_or_record_has_a_password(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resumable, "TRIES", 2)
    with running() as server:
        server.files["a.zip"] = File(noise(1000))
        url = server.url("a.zip?token=secret").replace("//", "//user:secret@")
        fetched = fetch([Download(url, "a.zip")], tmp_path)
    assert "secret" not in f"{fetched} {(tmp_path / 'a.zip.json').read_text()}"
    with pytest.raises(InputError, match="connection refused") as error:
        fetch([Download(url, "b.zip")], tmp_path)
    assert "secret" not in f"{error.value} {capsys.readouterr()}"


def test_an_address_of_another_kind(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^ftp://host/a\.zip: give an address that begins with http://"):
        fetch([Download("ftp://user:secret@host/a.zip", "a.zip")], tmp_path)
    with pytest.raises(InputError, match=r"none/a\.zip: cannot be read \(No such file"):
        fetch([Download("file:///none/a.zip", "a.zip")], tmp_path)


def test_the_deadline_ends_a_server_that_trickles(server: FaultyServer, tmp_path: Path) -> None:
    server.files["a.zip"] = File(noise(1_000_000), rate=10_000)
    start = time.monotonic()
    with pytest.raises(InputError) as error:
        fetch([Download(server.url("a.zip"), "a.zip")], tmp_path, deadline=0.5)
    assert time.monotonic() - start < 15
    assert re.search(
        r"deadline of 0\.5 s is over at a\.zip 0\.0\d MB of 1\.00 MB; run the same command again", str(error.value)
    )
    server.files["a.zip"].rate = None
    one(server, tmp_path)
    assert server.gets("a.zip")[-1] is not None
    assert (tmp_path / "a.zip").read_bytes() == noise(1_000_000)


def test_an_error_in_one_file_ends_all(server: FaultyServer, tmp_path: Path) -> None:
    server.files = {name: File(noise(1000)) for name in ("good.zip", "bad.zip", "later.zip")}
    with pytest.raises(InputError, match=r"bad\.zip has the wrong MD5"):
        fetch(
            [Download(server.url(name), name, md5="0" if name == "bad.zip" else None) for name in server.files],
            tmp_path,
        )
    assert names(tmp_path) == ["good.zip", "good.zip.json"]
    assert server.gets("later.zip") == []


def test_ctrl_c_ends_it_at_once(server: FaultyServer, tmp_path: Path) -> None:
    server.files["a.zip"] = File(noise(1000), faults=[Fault(stall=500)])
    fetching = child(tmp_path, server.url("a.zip"))
    wait_for(lambda: server.sent == 500)
    fetching.send_signal(signal.SIGINT)
    _, err = fetching.communicate(timeout=40)
    assert "KeyboardInterrupt" in err
    assert "a.zip" not in names(tmp_path)


def test_too_small_a_disk_is_an_error_before_the_first_byte(server: FaultyServer, tmp_path: Path) -> None:
    server.files["a.zip"] = File(noise(1000), claims=10**16)
    with pytest.raises(InputError, match=r"not enough room: 10000000\.00 GB are still to be fetched, .* are missing"):
        one(server, tmp_path)
    assert server.gets("a.zip") == []


def test_disk_that_becomes_full(server: FaultyServer, tmp_path: Path) -> None:
    """A limit on the file size stands in for a full disk: a write fails in the middle."""
    server.files["a.zip"] = File(noise(1_000_000))
    fetching = child(tmp_path, server.url("a.zip"), limit=400_000)
    _, err = fetching.communicate(timeout=60)
    assert fetching.returncode == 1
    assert re.search(r"a\.zip: cannot be written, file too large \(\d+ MB free in .*make room and run again", err)
    assert "a.zip" not in names(tmp_path)
    one(server, tmp_path)
    assert (tmp_path / "a.zip").read_bytes() == noise(1_000_000)


def test_file_that_changed_since_is_fetched_again(server: FaultyServer, tmp_path: Path) -> None:
    server.files["a.zip"] = File(noise(1000, 1))
    one(server, tmp_path)
    server.files["a.zip"] = File(noise(1000, 2))
    assert not one(server, tmp_path).found
    assert (tmp_path / "a.zip").read_bytes() == noise(1000, 2)


def test_dead_server_but_the_file_is_here(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with running() as server:
        server.files["a.zip"] = File(noise(1000))
        one(server, tmp_path)
    capsys.readouterr()
    start = time.monotonic()
    assert one(server, tmp_path).found
    assert time.monotonic() - start < 20
    assert capsys.readouterr().err == (
        f"warning: cannot ask 127.0.0.1:{server.server_port} whether a.zip changed (connection refused); "
        f"using the copy of {tmp_path}\n"
    )


def test_cut_off_file_or_damaged_record_is_fetched_again(server: FaultyServer, tmp_path: Path) -> None:
    server.files["a.zip"] = File(noise(1000))
    one(server, tmp_path)
    (tmp_path / "a.zip").write_bytes(noise(1000)[:500])
    assert not one(server, tmp_path).found
    (tmp_path / "a.zip.json").write_text("{")
    assert not one(server, tmp_path).found
    assert (tmp_path / "a.zip").read_bytes() == noise(1000)


def test_two_processes_at_once(server: FaultyServer, tmp_path: Path) -> None:
    server.files["a.zip"] = File(noise(1_000_000), rate=10_000)
    first = child(tmp_path, server.url("a.zip"))
    wait_for(lambda: server.sent > 0)
    second = child(tmp_path, server.url("a.zip"))
    assert second.stderr is not None
    assert "another process is fetching it" in second.stderr.readline()
    server.files["a.zip"].rate = None  # the first one may finish now
    assert first.communicate(timeout=60)[0] == "[False]\n"
    out, err = second.communicate(timeout=60)
    assert out == "[True]\n"
    assert "another process" not in err
    assert (tmp_path / "a.zip").read_bytes() == noise(1_000_000)
    assert len(server.gets("a.zip")) == 1


@pytest.mark.slow
def test_killed_at_any_moment(server: FaultyServer, tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")
    chance, content = random.Random(seed), noise(3_000_000)
    left: set[tuple[str, ...]] = set()
    for index in range(20):
        folder = tmp_path / str(index)
        server.files["a.zip"] = File(content, rate=chance.choice((3e6, 10e6, None)))
        server.asked.clear()
        fetching = child(folder, server.url("a.zip"))
        wait_for(lambda: bool(server.asked))
        time.sleep(chance.uniform(0, 0.6) ** 2)
        fetching.kill()
        fetching.communicate()
        state = names(folder)
        left.add(tuple(state))
        if "a.zip" in state:
            assert (folder / "a.zip").read_bytes() == content
        server.files["a.zip"].rate = None
        one(server, folder, md5=md5(content))
        assert (folder / "a.zip").read_bytes() == content
        assert names(folder) == ["a.zip", "a.zip.json"]
    print(left)


def test_killed_between_the_last_byte_and_the_record(server: FaultyServer, tmp_path: Path) -> None:
    """Two moments that a random kill rarely hits; nothing is downloaded again."""
    server.files["a.zip"] = File(noise(1000))
    one(server, tmp_path)
    record = json.loads((tmp_path / "a.zip.json").read_text())
    version = {key: record[key] for key in ("url", "bytes", "etag", "last_modified")} | {"md5": None, "crc32c": None}
    for state in (".a.zip.part", "a.zip"):
        (tmp_path / "a.zip").rename(tmp_path / state)
        (tmp_path / "a.zip.json").unlink()
        (tmp_path / ".a.zip.part.json").write_text(json.dumps(version))
        one(server, tmp_path)
        assert json.loads((tmp_path / "a.zip.json").read_text()) == record
        assert names(tmp_path) == ["a.zip", "a.zip.json"]
    assert len(server.gets("a.zip")) == 1


def test_from_a_folder(tmp_path: Path) -> None:
    source = tmp_path / "COCO of me/a.zip"
    source.parent.mkdir()
    source.write_bytes(noise(1000))
    remote = Download(source.as_uri(), "a.zip")
    assert not fetch([remote], tmp_path / "root")[0].found
    assert fetch([remote], tmp_path / "root")[0].found
    source.write_bytes(noise(2000))
    assert not fetch([remote], tmp_path / "root")[0].found
    assert (tmp_path / "root/a.zip").read_bytes() == noise(2000)


def test_to_a_bucket(server: FaultyServer, bucket: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The file takes several requests of the upload, and the connection is lost in each."""
    folder, content = storage.path(f"{bucket}/archives"), noise(40 << 20)
    server.files["a.zip"] = File(content, faults=[Fault(cut=cut) for cut in (5_000_001, 20_000_000, 1)])
    fetched = one(server, folder, md5=md5(content))
    assert (fetched.place, fetched.found) == (f"{bucket}/archives/a.zip", False)
    assert storage.read_bytes(folder / "a.zip") == content
    assert sorted(storage.sizes(folder)) == ["a.zip", "a.zip.json"]
    assert one(server, folder).found
    server.files["a.zip"] = File(noise(1000, 2))
    assert not one(server, folder).found
    assert storage.read_bytes(folder / "a.zip") == noise(1000, 2)


def test_two_at_once_to_a_bucket(server: FaultyServer, bucket: str) -> None:
    server.files["a.zip"] = File(noise(20 << 20), rate=40e6)
    with ThreadPoolExecutor() as threads:
        both = [threads.submit(one, server, storage.path(bucket)) for _ in range(2)]
    assert both[0].result().sha256 == both[1].result().sha256
    assert storage.read_bytes(storage.path(bucket) / "a.zip") == noise(20 << 20)


def test_wrong_file_does_not_replace_an_object(server: FaultyServer, bucket: str) -> None:
    folder, old = storage.path(bucket), noise(1000, 1)
    server.files["a.zip"] = File(old)
    one(server, folder)
    server.files["a.zip"] = File(noise(17 << 20))
    with pytest.raises(InputError, match="wrong MD5"):
        one(server, folder, md5="0" * 32)
    assert storage.read_bytes(folder / "a.zip") == old
    assert storage.read_json(folder / "a.zip.json")["md5"] == md5(old)


def test_file_that_changes_during_an_upload(server: FaultyServer, bucket: str) -> None:
    folder, new = storage.path(bucket), noise(19 << 20, 2)
    server.files["a.zip"] = File(new, if_range=False)
    old = File(noise(20 << 20, 1), faults=[Fault(cut=18 << 20)])

    class Changing(dict[str, File]):
        def get(self, name: str, default: object = None) -> File:
            return old if server.sent == 0 else self[name]

    server.files = Changing(server.files)
    one(server, folder)
    assert storage.read_bytes(folder / "a.zip") == new


def test_from_a_bucket(bucket: str, tmp_path: Path) -> None:
    content = noise(20 << 20)
    source = storage.path(f"{bucket}/mirror/a.zip")
    storage.write_bytes(source, content)
    remote = Download(str(source), "a.zip")
    for folder in (tmp_path, storage.path(f"{bucket}/root")):
        assert not fetch([remote], folder)[0].found
        assert fetch([remote], folder)[0].found
        assert storage.read_bytes(folder / "a.zip") == content
    storage.write_bytes(source, noise(1000))
    assert fetch([remote], tmp_path)[0].bytes == 1000
    with pytest.raises(InputError, match=r"mirror/none\.zip: no such object"):
        fetch([Download(f"{bucket}/mirror/none.zip", "b.zip")], tmp_path)
    assert names(tmp_path) == ["a.zip", "a.zip.json"]
