"""Imports point down in README's picture, steps start without TensorFlow, one wing knows buckets."""

import ast
import functools
import graphlib
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LAYERS = ("openpose", "components", "pipelines")
# The picture: on each line a name and a few words, or several names; from the roof to the ground.
PICTURE = (ROOT / "README.md").read_text().partition("## Where things are")[2].split("```")[1]
NAMES = [
    name
    for names in re.findall(r"^ *((?:\w+(?:/|\.py)(?:, )?)+)", PICTURE, re.MULTILINE)
    for name in re.findall(r"(\w+)(?:/|\.py)", names)
]
FLOORS = {name: floor for floor, name in enumerate(reversed(NAMES))}
COMMANDS = {"openpose.sample", "openpose.score", "openpose.data_service"}  # and each wing's __main__

HANDING_ON = {
    "networks",
    "model_files",
    "skeleton",
    "storage",
}  # wings whose __init__ has names; all others have a docstring only
# Steps and commands that start without TensorFlow; those that compute import it when they find no finished work.
STEPS = ("check", "coco_download", "tfrecord_targets", "train", "evaluate", "export", "register", "finish")
QUICK = [
    *(f"components.{step}.{step}" for step in STEPS),
    *(
        f"pipelines.{command}"
        for command in ("local", "sweep", "submit", "schedule", "runs", "images", "manifests", "training")
    ),
    "pipelines.__main__",
    *(f"openpose.{wing}.__main__" for wing in ("drawn_people", "evaluation", "networks", "predict", "report")),
    "openpose.data_service",
    "components.train.tf_pose",
]


def module_name(path: Path) -> str:
    """A file's module, such as `openpose.records`."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


SOURCES = {module_name(path): path for layer in LAYERS for path in sorted((ROOT / layer).rglob("*.py"))}


@functools.cache
def imports(module: str) -> set[str]:
    """Full names of everything that a module imports anywhere: modules, and names in modules."""
    return named(tree(module))


@functools.cache
def imported_first(module: str) -> set[str]:
    """Likewise what is imported when the module is: not in functions and classes, nor under `if TYPE_CHECKING`."""
    body = tree(module).body
    return named(
        ast.Module([node for node in body if not isinstance(node, ast.FunctionDef | ast.ClassDef | ast.If)], [])
    )


@functools.cache
def tree(module: str) -> ast.Module:
    return ast.parse(SOURCES[module].read_text())


def named(tree: ast.AST) -> set[str]:
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
    """The picture's name of what a module belongs to; commands and `import openpose` belong to the roof, `openpose`."""
    layer, *inside = module.split(".")
    if layer != "openpose":
        return layer
    if module in COMMANDS or inside[-1:] == ["__main__"]:
        return "openpose"
    return inside[0] if inside else "openpose"


@functools.cache
def of_ours() -> dict[str, set[str]]:
    """The modules of ours that each module imports."""
    return {module: {ours(name) for name in imports(module)} - {"", module} for module in SOURCES}


def test_the_picture_shows_every_wing() -> None:
    wings = {wing(module) for module in SOURCES}
    assert len(NAMES) == len(FLOORS)
    assert wings - FLOORS.keys() == set(), "add it to the picture in README.md"
    assert FLOORS.keys() - wings == set(), "remove it from the picture in README.md"


def test_no_import_points_up() -> None:
    up = {
        (wing(module), wing(other)): f"{module} imports {other}"
        for module, others in of_ours().items()
        for other in others
        if wing(module) != wing(other) and FLOORS.get(wing(other), -1) >= FLOORS.get(wing(module), -1)
    }
    assert up == {}


def test_a_wing_says_its_purpose_and_no_more() -> None:
    for path in (ROOT / "openpose").glob("*/__init__.py"):
        docstring, *rest = ast.parse(path.read_text()).body
        assert isinstance(docstring, ast.Expr), path
        assert not rest or path.parent.name in HANDING_ON, path


def test_no_imports_in_a_circle() -> None:
    try:
        graphlib.TopologicalSorter(of_ours()).prepare()
    except graphlib.CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))


def test_nothing_imports_a_command() -> None:
    for module, others in of_ours().items():
        if wing(module) != "openpose":
            assert {other for other in others if wing(other) == "openpose"} == set(), module


@pytest.mark.parametrize("module", [module for module in SOURCES if module.endswith(".component")])
def test_component_imports_only_kfp_and_the_standard_library(module: str) -> None:
    packages = {name.split(".")[0] for name in imported_first(module)}
    assert packages <= sys.stdlib_module_names | {"kfp"}


@pytest.mark.parametrize("module", QUICK)
def test_starts_without_tensorflow(module: str) -> None:
    way, seen = [[module]], set[str]()
    while way:
        chain = way.pop()
        names = imported_first(chain[-1])
        heavy = {name for name in names if name.split(".")[0] in ("tensorflow", "keras")}
        assert not heavy, f"{' imports '.join(chain)} imports {heavy}"
        packages = {name.rpartition(".")[0] for name in (chain[-1], *map(ours, names))}
        following = ({ours(name) for name in names} | packages) & SOURCES.keys() - seen
        seen |= following
        way += [[*chain, each] for each in following]


def test_only_pipelines_and_declarations_know_kubeflow() -> None:
    for module in SOURCES:
        if not module.startswith("pipelines") and not module.endswith(".component"):
            assert not {name for name in imports(module) if name.split(".")[0].startswith("kfp")}, module


def test_only_storage_knows_buckets() -> None:
    for module, path in SOURCES.items():
        if wing(module) != "storage":
            assert "cloudpathlib" not in path.read_text(), path
            assert "google.cloud" not in path.read_text(), path
            assert "boto" not in path.read_text(), path
