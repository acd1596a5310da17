"""Imports point down in CONTRIBUTING.md's picture, a component imports nothing heavy, one wing knows buckets."""

import ast
import graphlib
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LAYERS = ("openpose", "components", "pipelines")
# The picture: on each line a name and a few words, from the roof to the ground.
PICTURE = (ROOT / "CONTRIBUTING.md").read_text().partition("```text\n")[2].partition("```")[0]
NAMES = re.findall(r"^ *(\w+)(?:/|\.py) ", PICTURE, re.MULTILINE)
FLOORS = {name: floor for floor, name in enumerate(reversed(NAMES))}
COMMANDS = {"openpose.sample", "openpose.score", "openpose.data_service"}  # and each wing's __main__

# Still to be mended: (wing, the wing above that it imports).
EXCEPTIONS: set[tuple[str, str]] = set()
COMING = {"parameters"}  # in the picture, not yet in the tree


def module_name(path: Path) -> str:
    """A file's module, such as `openpose.records`."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports(tree: ast.AST) -> set[str]:
    """Full names of everything that is imported anywhere in the tree: modules, and names in modules."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"line {node.lineno}: write imports in full"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def ours(name: str) -> str:
    """The module of ours that an imported name is, or is in; empty for another's."""
    while name and name not in SOURCES:
        name = name.rpartition(".")[0]
    return name


def wing(module: str) -> str:
    """The picture's name of what a module belongs to; commands belong to the roof, `openpose`."""
    layer, *inside = module.split(".")
    if layer != "openpose":
        return layer
    if module in COMMANDS or inside[-1:] == ["__main__"]:
        return "openpose"
    return inside[0] if inside else "openpose/__init__"


SOURCES = {module_name(path): path for layer in LAYERS for path in sorted((ROOT / layer).rglob("*.py"))}
IMPORTS = {
    module: {ours(name) for name in imports(ast.parse(path.read_text()))} - {"", module}
    for module, path in SOURCES.items()
}


def test_the_picture_shows_every_wing() -> None:
    wings = {wing(module) for module in SOURCES} - {"openpose/__init__"}
    assert len(NAMES) == len(FLOORS)
    assert wings - FLOORS.keys() == set(), "add it to the picture in CONTRIBUTING.md"
    assert FLOORS.keys() - wings <= COMING, "remove it from the picture in CONTRIBUTING.md"


def test_no_import_points_up() -> None:
    up = {
        (wing(module), wing(other)): f"{module} imports {other}"
        for module, others in IMPORTS.items()
        for other in others
        if wing(module) != wing(other) and FLOORS.get(wing(other), -1) >= FLOORS.get(wing(module), -1)
    }
    assert {pair: words for pair, words in up.items() if pair not in EXCEPTIONS} == {}
    assert up.keys() >= EXCEPTIONS, "it is mended: remove it from EXCEPTIONS"


def test_no_imports_in_a_circle() -> None:
    excepted = {
        module: {o for o in others if (wing(module), wing(o)) not in EXCEPTIONS} for module, others in IMPORTS.items()
    }
    try:
        graphlib.TopologicalSorter(excepted).prepare()
    except graphlib.CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))


def test_nothing_imports_a_command() -> None:
    for module, others in IMPORTS.items():
        if wing(module) != "openpose":
            assert {other for other in others if wing(other) == "openpose"} == set(), module


@pytest.mark.parametrize(
    "path", sorted((ROOT / "components").glob("*/component.py")), ids=lambda path: path.parent.name
)
def test_component_imports_only_kfp_and_the_standard_library(path: Path) -> None:
    top_level = [node for node in ast.parse(path.read_text()).body if not isinstance(node, ast.FunctionDef)]
    packages = {name.split(".")[0] for name in imports(ast.Module(top_level, []))}
    assert packages <= sys.stdlib_module_names | {"kfp"}


def test_only_pipelines_and_declarations_know_kubeflow() -> None:
    for module, path in SOURCES.items():
        if not module.startswith("pipelines") and path.name != "component.py":
            names = imports(ast.parse(path.read_text()))
            assert not {name for name in names if name.split(".")[0].startswith("kfp")}, path


def test_only_storage_knows_buckets() -> None:
    for module, path in SOURCES.items():
        if wing(module) != "storage":
            assert "cloudpathlib" not in path.read_text(), path
            assert "google.cloud" not in path.read_text(), path
