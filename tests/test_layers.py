"""The layers' arrows point one way, and a component imports nothing heavy."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
# What each layer must not import.
FORBIDDEN = {"openpose": {"components", "pipelines", "kfp"}, "components": {"pipelines"}}


def sources(layer: str) -> list[Path]:
    return sorted((ROOT / layer).rglob("*.py"))


def imported(tree: ast.AST) -> set[str]:
    """Top-level names of all packages that are imported anywhere in the tree."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("layer", sorted(FORBIDDEN))
def test_no_import_points_up(layer: str) -> None:
    assert sources(layer)
    for path in sources(layer):
        up = imported(ast.parse(path.read_text())) & FORBIDDEN[layer]
        assert not up, f"{path.relative_to(ROOT)} imports {up}"


@pytest.mark.parametrize(
    "path", sorted((ROOT / "components").glob("*/component.py")), ids=lambda path: path.parent.name
)
def test_component_imports_only_kfp_and_the_standard_library(path: Path) -> None:
    top_level = ast.Module([node for node in ast.parse(path.read_text()).body if not _is_function(node)], [])
    assert imported(top_level) <= sys.stdlib_module_names | {"kfp"}


def _is_function(node: ast.AST) -> bool:
    return isinstance(node, ast.FunctionDef)


def test_only_storage_and_the_download_know_buckets() -> None:
    for path in sources("openpose"):
        if path.parent != ROOT / "openpose/storage" and path.name != "remotes.py":
            assert "cloudpathlib" not in path.read_text(), path
            assert "google.cloud" not in path.read_text(), path
