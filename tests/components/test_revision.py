"""The fingerprint of the code changes with the files that decide results, and with no others."""

from pathlib import Path

import pytest

from components import revision


def test_fingerprint_covers_code_and_templates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revision, "REPOSITORY", tmp_path)
    seen = set()
    for name in ("openpose/a.py", "components/a.py", "openpose/report/page.html.j2"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("content")
        seen.add(revision.fingerprint())
    assert len(seen) == 3
    (tmp_path / "openpose/a.pyc").write_bytes(b"content")
    (tmp_path / "README.md").write_text("content")
    assert revision.fingerprint() in seen
