"""The images of the steps: what goes into them, how they are called, and what `make images` asks of Docker.

Without Docker: a program of that name on PATH says what it was asked for. tests/images/test_in_docker.py has the rest.
"""

import itertools
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from docker.utils.build import exclude_paths
from hypothesis import given
from hypothesis import strategies as st

from components import revision
from openpose.errors import InputError
from pipelines import images, in_docker, local

ROOT = Path(__file__).resolve().parent.parent.parent

# Writes down what it was asked for, and the secrets that the build was given.
DOCKER = """#!{python}
import pathlib, sys
words = sys.argv[1:]
with open({folder!r} + "/asked", "a") as file:
    print(*words, file=file)
for word in words:
    if word.startswith("id="):
        name, _, source = word.removeprefix("id=").partition(",src=")
        pathlib.Path({folder!r}, name).write_bytes(pathlib.Path(source).read_bytes())
    if word.endswith("result.json"):
        pathlib.Path(word).write_text('{{"containerimage.digest": "sha256:several"}}')
if words[0] == "build" and "--fail" in words:
    sys.exit(1)
if words[0] == "buildx" and {no_buildx}:
    sys.exit(1)
if words == ["buildx", "inspect"]:
    print("Name:          default\\nDriver:        {driver}\\nLast Activity: 2026-01-01")
    sys.exit()
print({{
    "{{{{.Client.Version}}}}": "{version}",
    "{{{{.Server.Version}}}}": "{server}",
    "{{{{.Id}}}}": "sha256:id",
    "{{{{json .DriverStatus}}}}": '[["driver-type","{store}"]]',
    "{{{{json .RepoDigests}}}}": '["other@sha256:other", "registry/openpose-kubeflow-cpu@sha256:pushed"]',
    "{{{{.Size}}}}": "1000000000",
}}.get(next((word for word in words if word.startswith("{{{{")), ""), "yes"))
"""


def write_docker(folder: Path, **given: str | int) -> Path:
    """Writes a docker; `given` replaces its versions and the driver and image store of its builder."""
    folder.mkdir(exist_ok=True)
    program = folder / "docker"
    usual: dict[str, str | int] = {"version": "28.2.2", "server": "28.2.2", "driver": "docker", "store": "overlay2"}
    program.write_text(DOCKER.format(python=sys.executable, folder=str(folder), **(usual | {"no_buildx": 0} | given)))
    program.chmod(0o755)
    return program


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a docker that builds everything at once."""
    program = write_docker(tmp_path / "bin")
    monkeypatch.setattr(images, "BUILT", tmp_path / "images.json")
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none")  # so nobody says what is in a registry
    return program.parent


# What goes in


def test_context_has_the_steps_and_no_data(tmp_path: Path) -> None:
    inside = ["LICENSE", "requirements/cpu.txt", "openpose/networks/loss.py", "components/train/train.py"]
    outside = [
        "requirements/dev.txt",  # a change there is no reason to install the packages again
        *("out/models/1/graph.pb", "data/train2017/1.jpg", ".git/config", ".venv/bin/python", "build/training.yaml"),
        *("openpose/__pycache__/loss.cpython-311.pyc", "pipelines/local.py", "tests/conftest.py", "pip.conf", ".env"),
    ]
    for name in inside + outside:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    patterns = (ROOT / ".dockerignore").read_text().splitlines()
    sent = exclude_paths(tmp_path, [line for line in patterns if line and not line.startswith("#")])
    assert set(inside) <= set(sent)
    assert not set(outside) & set(sent)


def test_context_has_whatever_the_recipe_copies() -> None:
    recipe = (ROOT / "images/Dockerfile").read_text()
    copied = re.findall(r"^COPY (?!--from)(\S+)|type=bind,source=(\S+?),", recipe, re.MULTILINE)
    names = {first or second for first, second in copied}
    assert names == {"LICENSE", "requirements", "openpose", "components"}
    assert names <= set(images._CONTENT)


def test_base_is_named_by_digest_in_one_place() -> None:
    recipe = (ROOT / "images/Dockerfile").read_text()
    assert re.search(r"^ARG BASE_IMAGE=python:3\.11-slim-bookworm@sha256:[0-9a-f]{64}$", recipe, re.MULTILINE)
    assert set(re.findall(r"^FROM (\S+)", recipe, re.MULTILINE)) == {"${BASE_IMAGE}"}
    assert re.search(r"^USER [1-9]\d*:[1-9]\d*$", recipe, re.MULTILINE)


# What it is called


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small clone of this repository with one commit."""
    folder = tmp_path / "clone"
    (folder / "openpose/networks").mkdir(parents=True)
    (folder / "openpose/networks/loss.py").write_text("one")
    (folder / ".gitignore").write_text("out\n")
    for module in (images, revision):
        monkeypatch.setattr(module, "REPOSITORY", folder)
    for command in (["init", "-q"], ["add", "."], ["-c", "user.name=x", "-c", "user.email=x@y", "commit", "-qm", "x"]):
        subprocess.run(["git", "-C", str(folder), *command], check=True)
    return folder


def test_tag_is_the_revision_and_no_two_contents_share_it(checkout: Path) -> None:
    clean = images.tag()
    assert re.fullmatch(r"[0-9a-f]{12}", clean)
    (checkout / "out").touch()  # ignored by git
    assert images.tag() == clean
    tags = {clean}
    (checkout / "openpose/networks/loss.py").write_text("two")
    tags.add(images.tag())
    (checkout / "openpose/new.py").write_text("three")  # goes into an image too
    tags.add(images.tag())
    assert len(tags) == 3
    assert all(re.fullmatch(rf"{clean}(-dirty-[0-9a-f]{{8}})?", tag) for tag in tags)
    (checkout / "openpose/networks/loss.py").write_text("one")
    (checkout / "openpose/new.py").unlink()
    assert images.tag() == clean


def test_copy_without_git_has_no_tag(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revision, "REPOSITORY", tmp_path)
    with pytest.raises(InputError, match="not a git checkout"):
        images.tag()


# What was built


def test_placeholder_until_something_was_built(tmp_path: Path) -> None:
    path = tmp_path / "images.json"
    placeholder = {"image": "openpose-kubeflow:dev", "digest": None}
    assert images.read(path) == {"cpu": placeholder, "gpu": placeholder, "serve": placeholder}
    path.write_text(json.dumps({"cpu": {"image": "a:1", "digest": "sha256:b", "code": "c"}}))
    assert images.read(path)["cpu"]["image"] == "a:1"
    assert images.read(path)["gpu"] == placeholder
    path.write_text("{")
    with pytest.raises(InputError, match=r"images\.json: not valid JSON"):
        images.read(path)


def test_containers_run_the_code_that_is_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "BUILT", tmp_path / "images.json")
    with pytest.raises(InputError, match="run `make images VARIANT=cpu` first"):
        local.built_image()
    entry = {"image": "a:1", "digest": "sha256:b", "code": revision.fingerprint()}
    images.BUILT.write_text(json.dumps({"cpu": entry}))
    assert local.built_image() == "a:1"
    images.BUILT.write_text(json.dumps({"cpu": entry | {"code": "other"}}))
    with pytest.raises(InputError, match="a:1: the code has changed since"):
        local.built_image()


# What Docker is asked for


@pytest.mark.slow
def test_build_writes_down_what_it_built(docker: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tag = images.tag()
    assert images.main(["--network", "host"]) == 0
    built = json.loads(images.BUILT.read_text())
    assert built["cpu"] == {
        "image": f"openpose-kubeflow-cpu:{tag}",
        "digest": "sha256:id",
        "code": revision.fingerprint(),
    }
    assert built["gpu"]["image"] == f"openpose-kubeflow-gpu:{tag}"
    asked = [line for line in (docker / "asked").read_text().splitlines() if line.startswith("build ")]
    assert len(asked) == 2
    for line, variant in zip(asked, ("cpu", "gpu"), strict=True):
        assert f"--tag openpose-kubeflow-{variant}:{tag} " in line
        assert f"--network host --build-arg VARIANT={variant} --build-arg REVISION={tag}" in line
    assert f"built openpose-kubeflow-cpu:{tag} (sha256:id)" in capsys.readouterr().out


@pytest.mark.slow
def test_variant_of_the_same_code_stays_listed(docker: Path) -> None:
    images.main(["--variant", "gpu"])
    images.main(["--variant", "cpu", "--registry", "registry/"])
    assert set(json.loads(images.BUILT.read_text())) == {"cpu", "gpu"}
    built = json.loads(images.BUILT.read_text())
    built["gpu"]["code"] = "older"
    images.BUILT.write_text(json.dumps(built))
    images.main(["--variant", "cpu"])
    assert set(json.loads(images.BUILT.read_text())) == {"cpu"}


def test_pushed_image_is_named_by_its_digest(docker: Path) -> None:
    assert images.main(["--variant", "cpu", "--registry", "registry", "--push"]) == 0
    built = json.loads(images.BUILT.read_text())["cpu"]
    assert built["image"] == "registry/openpose-kubeflow-cpu@sha256:pushed"
    assert built["digest"] == "sha256:pushed"
    assert f"push registry/openpose-kubeflow-cpu:{images.tag()}" in (docker / "asked").read_text()


@pytest.mark.slow
def test_revision_that_the_registry_has_is_not_built_again(
    docker: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = []
    there = {"image": "registry/openpose-kubeflow-cpu@sha256:there", "digest": "sha256:there"}

    def found(name: str) -> dict[str, str]:
        asked.append(name)
        return there

    monkeypatch.setattr(images, "in_registry", found)
    monkeypatch.setattr(images, "tag", lambda: "abc")
    assert images.main(["--variant", "cpu", "--registry", "registry", "--push"]) == 0
    assert asked == ["registry/openpose-kubeflow-cpu:abc"]
    assert json.loads(images.BUILT.read_text())["cpu"] == there
    assert "found registry/openpose-kubeflow-cpu@sha256:there" in capsys.readouterr().out
    assert not (docker / "asked").exists()
    for tag, flags in (("abc-dirty-1", ["--push"]), ("abc", [])):  # files that may change again, or nothing pushed
        monkeypatch.setattr(images, "tag", lambda tag=tag: tag)
        assert images.main(["--variant", "cpu", "--registry", "registry", *flags]) == 0
    assert len(asked) == 1


def test_several_platforms_go_to_the_registry(docker: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--variant", "cpu", "--registry", "registry", "--platform", "linux/amd64,linux/arm64"]
    assert images.main(flags) == 1
    assert "add PUSH=1" in capsys.readouterr().err
    assert images.main([*flags, "--push"]) == 0
    assert json.loads(images.BUILT.read_text())["cpu"]["image"].endswith("/openpose-kubeflow-cpu@sha256:several")
    assert "--platform linux/amd64,linux/arm64" in (docker / "asked").read_text()


@pytest.mark.parametrize(
    ("driver", "store"), [("docker-container", "overlay2"), ("docker", "io.containerd.snapshotter.v1")]
)
def test_pushed_image_has_an_sbom_and_provenance(docker: Path, driver: str, store: str) -> None:
    write_docker(docker, driver=driver, store=store)
    assert images.main(["--variant", "cpu", "--registry", "registry", "--push", "--sbom=false"]) == 0
    asked = (docker / "asked").read_text()
    # The user's own flag comes later, so that it wins.
    assert re.search(r"^buildx build --push .* --sbom=true --provenance=mode=max .* --sbom=false ", asked, re.MULTILINE)
    assert not re.search(r"^push ", asked, re.MULTILINE)
    built = json.loads(images.BUILT.read_text())["cpu"]
    assert built["image"] == "registry/openpose-kubeflow-cpu@sha256:several"


@pytest.mark.slow
def test_image_has_no_sbom_where_none_can_be_attached(docker: Path) -> None:
    assert images.main(["--variant", "cpu", "--registry", "registry", "--push"]) == 0
    write_docker(docker, no_buildx=1, version="20.10.24")
    assert images.main(["--variant", "cpu", "--registry", "registry", "--push"]) == 0
    write_docker(docker, driver="docker-container")
    assert images.main(["--variant", "cpu"]) == 0  # not pushed
    asked = (docker / "asked").read_text()
    assert len(re.findall(r"^build ", asked, re.MULTILINE)) == 3
    assert "--sbom" not in asked
    assert "--provenance" not in asked


def test_pips_settings_are_secrets(docker: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own.pem").write_text("an authority")
    monkeypatch.setenv("PIP_INDEX_URL", "https://me:word@packages.example/simple")
    monkeypatch.setenv("PIP_CERT", str(tmp_path / "own.pem"))
    assert images.main(["--variant", "cpu"]) == 0
    settings = (docker / "pip.conf").read_text()
    assert "index-url = https://me:word@packages.example/simple\n" in settings
    assert "cert = /run/secrets/ca.pem\n" in settings
    assert (docker / "ca.pem").read_text() == "an authority"
    assert "packages.example" not in (docker / "asked").read_text()
    assert "packages.example" not in images.BUILT.read_text()


def test_failed_build_leaves_what_was_there(docker: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images.BUILT.write_text("{}")
    assert images.main(["--fail"]) == 1
    assert "error: docker build failed with exit code 1; see its output above" in capsys.readouterr().err
    assert images.BUILT.read_text() == "{}"


def test_first_docker_with_buildkit_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    with pytest.raises(InputError, match="`docker`, which builds the images, was not found"):
        images.client()
    new = write_docker(tmp_path / "new", version="28.2.2", no_buildx=1)
    monkeypatch.setenv("PATH", str(tmp_path / "new"))
    with pytest.raises(InputError, match=r"new/docker cannot build with BuildKit; install its plugin docker-buildx"):
        images.client()
    old = write_docker(tmp_path / "old", version="20.10.24+dfsg1", no_buildx=1)
    monkeypatch.setenv("PATH", f"{new.parent}:{old.parent}")
    assert images.client() == str(old)
    write_docker(tmp_path / "old", version="20.10.24+dfsg1", server="", no_buildx=1)
    with pytest.raises(InputError, match="Docker does not answer"):
        images.client()


@given(st.text(alphabet="aä\n", max_size=30), st.lists(st.integers(0, 60)))
def test_log_in_any_pieces_has_the_same_lines(text: str, cuts: list[int]) -> None:
    content = text.encode()
    places = [0, *sorted(min(cut, len(content)) for cut in cuts), len(content)]
    pieces = [content[start:end] for start, end in itertools.pairwise(places)]
    assert "".join(in_docker._lines(pieces)).removesuffix("\n") == text.removesuffix("\n")
    assert all(line.count("\n") == 1 and line.endswith("\n") for line in in_docker._lines(pieces))
