"""What the documents name exists: files, headings, modules and make's targets."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md")), ROOT / "benchmarks/README.md"]
PATHS = re.compile(
    r"(?<![\w/.…-])(?:openpose|components|pipelines|tests|docs|benchmarks|images|manifests|requirements|\.github)"
    r"/(?!s\b)[\w./-]*[\w/]"  # no path: images/s
)
LINKS = re.compile(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)")
MODULES = re.compile(r"python -m ((?:openpose|components|pipelines|benchmarks|docs)(?:\.\w+)+)")
TARGETS = re.compile(r"(?:`|^ {4}(?:- )?)make ([a-z-]+)", re.MULTILINE)


@pytest.fixture(params=DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def document(request: pytest.FixtureRequest) -> Path:
    return request.param


def test_paths_exist(document: Path) -> None:
    named = PATHS.findall(document.read_text())
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_links_lead_somewhere(document: Path) -> None:
    for path, anchor in LINKS.findall(document.read_text()):
        target = (document.parent / path) if path else document
        if not target.resolve().is_relative_to(ROOT):
            continue  # a page of the repository on GitHub, such as a commit
        assert target.exists(), path
        if anchor:
            headings = re.findall(r"^#+ (.*)$", target.read_text(), re.MULTILINE)
            assert anchor in [re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings]


def test_modules_exist(document: Path) -> None:
    for module in MODULES.findall(document.read_text()):
        path = ROOT / module.replace(".", "/")
        assert path.with_suffix(".py").exists() or (path / "__main__.py").exists(), module


def test_targets_exist(document: Path) -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(TARGETS.findall(document.read_text())) <= set(targets)
