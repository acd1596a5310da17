"""What the documents say holds: files, links, commands and flags exist, and code blocks can be copied."""

import ast
import contextlib
import functools
import io
import re
import runpy
import shlex
import subprocess
import tomllib
import warnings
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

import openpose
from components.parameters import dag_parameters
from openpose import networks
from pipelines import settings
from pipelines.__main__ import COMMANDS as PACKAGE_COMMANDS
from pipelines.__main__ import COMPLETION

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md")), ROOT / "benchmarks/README.md"]
MAKEFILE = (ROOT / "Makefile").read_text()

PATHS = re.compile(
    r"(?<![\w/.…-])(?:openpose|components|pipelines|tests|docs|benchmarks|images|manifests|requirements|\.github)"
    r"/(?!s\b)[\w./-]*[\w/]"  # no path: images/s
)
LINKS = re.compile(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)")
MODULES = re.compile(r"python -m ((?:openpose|components|pipelines|benchmarks|docs)(?:\.\w+)+)")
TARGETS = re.compile(r"`make ([a-z-]+)")
BLOCKS = re.compile(r"^```(.*)\n((?:.*\n)*?)^```$", re.MULTILINE)
SPANS = re.compile(r"`([^`\n]+)`")
FLAGS = re.compile(r"(?<![\w-])--[a-z][\w-]*")

LANGUAGES = {"sh", "text", "yaml", "json", "python", "mermaid"}
OTHER_PROGRAMS = {"aws", "eksctl", "export", "gcloud", "git", "kubectl"}
OTHER_FLAGS = {"--network", "--build-arg", "--sbom", "--audience", "--no-deps"}  # of docker build, kubectl and pip
# Commands whose flags the documents name, without those that stand in a code block.
COMMANDS = (
    *(
        f"components.{step}"
        for step in ("coco_download", "tfrecord_targets", "train", "evaluate", "export", "register")
    ),
    *(
        "components.train.tf_pose",
        "pipelines.local",
        "pipelines.sweep",
        "pipelines.submit",
        "pipelines.fetch",
        "pipelines.prune",
    ),
    "openpose.predict",
    *("openpose.data_service worker", "openpose.records show"),
)


@pytest.fixture(params=DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def document(request: pytest.FixtureRequest) -> Path:
    return request.param


def prose(document: Path) -> str:
    """The text outside code blocks."""
    return BLOCKS.sub("", document.read_text())


def blocks(document: Path, language: str) -> list[str]:
    return [text for name, text in BLOCKS.findall(document.read_text()) if name == language]


def commands(document: Path) -> list[list[str]]:
    """The words of each command in the document's shell blocks."""
    lines = "".join(blocks(document, "sh")).replace("\\\n", " ").splitlines()
    return [words for line in lines if (words := shlex.split(line.removesuffix("&"), comments=True))]


@dataclass(frozen=True)
class Target:
    """A target of the Makefile, and the command of ours that it runs, if it does."""

    needs: str
    command: str


def targets() -> dict[str, Target]:
    found: dict[str, Target] = {}
    for name, needs, recipe in re.findall(r"^([a-z-]+):(?!=)(.*)\n((?:\t.*\n)*)", MAKEFILE, re.MULTILINE):
        command = re.search(r"\$\(python\) -m ((?:pipelines|openpose)[\w.]*(?: [a-z]+)?)", recipe)
        found.setdefault(name, Target("", ""))
        if recipe or not found[name].needs:
            found[name] = Target(needs.partition("##")[0].strip(), command[1] if command else "")
    return found


@functools.cache
def help_of(command: str) -> str:
    """What the command prints for --help: a module, and perhaps a command of it, such as `pipelines.runs logs`."""
    module, *rest = command.split()
    shown = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(shown), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # runpy says when a module was imported before
        patch.setattr("sys.argv", [module, *rest, "--help"])
        with contextlib.suppress(SystemExit):
            runpy.run_module(module, run_name="__main__", alter_sys=True)
    assert shown.getvalue(), f"{command} has no --help"
    return shown.getvalue()


def exists(module: str) -> bool:
    path = ROOT / module.replace(".", "/")
    return path.with_suffix(".py").exists() or (path / "__main__.py").exists()


def check_flags(command: str, words: list[str]) -> None:
    """Checks that a command of ours has the flags among the words."""
    module = command.split()[0]
    source = ROOT / f"{module.replace('.', '/')}.py"
    known = source.read_text() if module.startswith("benchmarks.") else help_of(command)  # their --help is slow
    for flag in FLAGS.findall(" ".join(words)):
        assert re.search(rf"{flag}(?![\w-])", known), f"{command} has no {flag}"


def check_python(words: list[str]) -> None:
    """Checks `python -m MODULE [COMMAND] FLAGS`."""
    assert words[0] == "-m"
    _, module, *rest = words
    if module == "pytest":
        assert all((ROOT / path).exists() for path in rest if not path.startswith("-"))
        return
    assert exists(module), module
    inner = rest[:1] if rest and re.fullmatch(r"[a-z]+", rest[0]) else []
    if module == "components.train" and "--datapath" in rest:
        module = "components.train.tf_pose"  # it sees by the flags which is meant
    check_flags(" ".join([module, *inner]), rest)


def check_package(words: list[str]) -> None:
    """Checks `openpose COMMAND FLAGS`, the package's command."""
    if not words[0].startswith("-"):
        check_flags(f"pipelines {words[0]}", words[1:])
    else:
        assert words[0] in ("--help", *COMPLETION)


def check_make(words: list[str]) -> None:
    """Checks `make TARGET NAME=VALUE`."""
    target, *given = words
    assert target in targets(), f"make {target}"
    for name, _, value in (word.partition("=") for word in given):
        assert re.search(rf"^{name} :=", MAKEFILE, re.MULTILINE), f"make has no variable {name}"
        if name == "MODEL":
            assert target == "serve" or value in networks.NAMES
        elif name == "OVERLAY":
            assert (ROOT / "manifests/overlays" / value).is_dir(), value
        elif name == "SETTINGS":
            assert (ROOT / f"pipelines/clusters/{value}.yaml").is_file(), value
        elif name == "ARGS" and target != "images":  # those are flags of docker build
            made = targets()[target]
            command = made.command or targets()[made.needs].command
            check_flags(command, shlex.split(value))
            for parameter in re.findall(r"--param (\w+)=", value):
                assert parameter in dag_parameters(), parameter


def test_paths_exist(document: Path) -> None:
    named = PATHS.findall(document.read_text())
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_links_lead_somewhere(document: Path) -> None:
    for path, anchor in LINKS.findall(prose(document)):
        target = ((document.parent / path) if path else document).resolve()
        if not target.is_relative_to(ROOT):
            check_github_page(target.relative_to(ROOT.parent.parent).parts)
            continue
        assert target.exists(), path
        if anchor:
            headings = re.findall(r"^#+ (.*)$", BLOCKS.sub("", target.read_text()), re.MULTILINE)
            assert anchor in [heading_anchor(heading) for heading in headings]


def heading_anchor(heading: str) -> str:
    return re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-")


def check_github_page(parts: tuple[str, ...]) -> None:
    """Checks a page of the repository on GitHub: a workflow, a commit, or the form for security reports."""
    if parts[:2] == ("actions", "workflows"):
        assert (ROOT / ".github/workflows" / parts[2]).is_file()
    elif parts[0] == "commit":
        shallow = subprocess.run(["git", "rev-parse", "--is-shallow-repository"], cwd=ROOT, capture_output=True)
        if shallow.stdout.strip() == b"false":  # in a clone with the whole history
            subprocess.run(["git", "cat-file", "-e", f"{parts[1]}^{{commit}}"], cwd=ROOT, check=True)
    else:
        assert parts == ("security", "advisories", "new")


def test_modules_exist(document: Path) -> None:
    assert [module for module in MODULES.findall(document.read_text()) if not exists(module)] == []


def test_targets_exist(document: Path) -> None:
    assert set(TARGETS.findall(document.read_text())) <= targets().keys()


def test_blocks_can_be_copied(document: Path) -> None:
    text = document.read_text()
    assert len(re.findall(r"^ *```", text, re.MULTILINE)) == 2 * len(BLOCKS.findall(text)), "an indented fence"
    assert not re.search(r"\n\n    ", prose(document)), "a code block without fences"
    assert {name for name, _ in BLOCKS.findall(text)} <= LANGUAGES
    assert not re.search("[…<]", "".join(blocks(document, "sh"))), "a placeholder is a word in capitals"


def test_lines_are_short(document: Path) -> None:
    lines = document.read_text().splitlines()
    assert [line for line in lines if len(line) > 120 and not line.startswith("|")] == []


def test_commands_exist(document: Path) -> None:
    for words in commands(document):
        if words[0] == "make":
            check_make(words[1:])
        elif words[0] == ".venv/bin/python" and words[1:3] != ["-m", "pip"]:
            check_python(words[1:])
        elif words[0] == "openpose":
            check_package(words[1:])
        else:
            assert words[0] in OTHER_PROGRAMS or words[1:3] == ["-m", "pip"], words


def test_flags_in_the_text_exist(document: Path) -> None:
    known = {flag for command in COMMANDS for flag in FLAGS.findall(help_of(command))} | OTHER_FLAGS
    known |= {flag for file in (ROOT / "benchmarks").glob("*.py") for flag in FLAGS.findall(file.read_text())}
    named = {flag for span in SPANS.findall(prose(document)) for flag in FLAGS.findall(span)}
    assert named - known == set()


def test_python_in_blocks_imports_what_exists(document: Path) -> None:
    for block in blocks(document, "python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "openpose":
                assert node.attr in openpose.__all__
            if isinstance(node, ast.ImportFrom):
                path = ROOT / (node.module or "").replace(".", "/")
                file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
                for name in (alias.name for alias in node.names):
                    has = (path / name).is_dir() or (path / f"{name}.py").is_file()
                    assert has or re.search(rf"^(?:class|def) {name}\b", file.read_text(), re.MULTILINE), name


def test_yaml_in_blocks_is_read(document: Path) -> None:
    for block in blocks(document, "yaml"):
        assert yaml.safe_load(block)


def test_settings_of_the_example_are_accepted(tmp_path: Path) -> None:
    (example,) = [block for block in blocks(ROOT / "docs/operations.md", "yaml") if block.startswith("claim:")]
    (tmp_path / "mine.yaml").write_text(example)
    assert settings.read(str(tmp_path / "mine.yaml")).train.hours == 72


def test_long_pages_have_contents(document: Path) -> None:
    headings = re.findall(r"^## (.*)$", prose(document), re.MULTILINE)
    contents = re.search(r"\*\*Contents:\*\*((?:.*\n)+?)\n", document.read_text())
    if document.parent == ROOT / "docs" and (contents or len(document.read_text().splitlines()) > 60):
        assert contents
        linked = [anchor for _, anchor in LINKS.findall(contents[1])]
        assert [anchor for anchor in linked if anchor in map(heading_anchor, headings)] == [
            heading_anchor(heading) for heading in headings
        ]


def test_every_document_is_a_page_of_the_site() -> None:
    pages = set(re.findall(r"^ +- (?:\w+: )?(\S+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE))
    assert len(pages) == len(DOCUMENTS)
    assert {path.name for path in (ROOT / "docs").glob("*.md")} <= pages


def test_readme_links_every_document() -> None:
    linked = {path for path, _ in LINKS.findall((ROOT / "README.md").read_text())}
    assert {str(path.relative_to(ROOT)) for path in DOCUMENTS} - linked == {"README.md"}


def test_the_networks_are_listed() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \|.*\| (\d) \|$", (ROOT / "docs/training.md").read_text(), re.MULTILINE)
    assert rows == [(name, each.description, str(each.stride)) for name, each in networks.NETWORKS.items()]


def test_every_command_of_the_package_is_listed() -> None:
    listed = re.findall(r"^\| `openpose (\w+)", (ROOT / "docs/python.md").read_text(), re.MULTILINE)
    assert listed == list(PACKAGE_COMMANDS)


def test_every_benchmark_is_listed() -> None:
    listed = set(re.findall(r"^\| `(\w+)`", (ROOT / "benchmarks/README.md").read_text(), re.M))
    assert listed == {path.stem for path in (ROOT / "benchmarks").glob("[!_]*.py")}


def test_one_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == version
    assert re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)[0] == version
