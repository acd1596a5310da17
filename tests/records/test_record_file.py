"""RecordFile writes what TensorFlow's own writer writes."""

import hashlib
import resource
import signal
from pathlib import Path

import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from openpose.records import record_file
from openpose.records.record_file import RecordFile


@given(st.lists(st.lists(st.binary(max_size=200), max_size=4), max_size=8), st.integers(1, 300))
def test_bytes_and_sum_are_those_of_tensorflow(
    tmp_path_factory: pytest.TempPathFactory, records: list[list[bytes]], chunk: int
) -> None:
    folder = tmp_path_factory.mktemp("records")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(record_file, "_CHUNK", chunk)
        with RecordFile(folder / "ours") as ours:
            for pieces in records:
                ours.write(*pieces)
    with tf.io.TFRecordWriter(str(folder / "theirs")) as theirs:
        for pieces in records:
            theirs.write(b"".join(pieces))
    written = (folder / "ours").read_bytes()
    assert written == (folder / "theirs").read_bytes()
    assert (ours.bytes, ours.sha256) == (len(written), hashlib.sha256(written).hexdigest())


@pytest.mark.parametrize("megabytes", [1, 12], ids=["at the end", "on the way"])
def test_full_disk_is_noticed(tmp_path: Path, megabytes: int) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, limits[1]))
    try:
        with pytest.raises(OSError, match="too large"), RecordFile(tmp_path / "full") as file:
            for _ in range(megabytes):
                file.write(bytes(1_000_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)


def test_error_of_the_caller_is_not_hidden(tmp_path: Path) -> None:
    with pytest.raises(KeyError), RecordFile(tmp_path / "left") as file:
        file.write(b"a")
        raise KeyError
