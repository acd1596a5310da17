"""Builds the images of the steps and of the server, and records them: `python -m pipelines.images`, or `make images`.

`build/images.json` describes the images of the last build:

    {"cpu": {"image": "openpose-kubeflow-cpu:5f1c…", "digest": "sha256:…", "code": "…"}, "gpu": {…}, "serve": {…}}

A pushed image is named by its digest in the registry. If the registry already has a commit's image, that image is used,
so that each commit has one image. Other images have a tag that is unique to their content, and the digest of the Docker
that built them. A pushed image carries an SBOM and its provenance wherever the builder can attach them.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import tyro

from components import revision
from components.revision import REPOSITORY
from openpose import storage
from openpose.errors import InputError, reports_errors

IN_CLONE = (REPOSITORY / "images/Dockerfile").is_file()  # an installed package has no files to build images from
WHERE = "" if IN_CLONE else " in a clone of the repository"  # for messages: `make images` works only there
BUILT = (REPOSITORY if IN_CLONE else Path()) / "build/images.json"
OF_STEPS = ("cpu", "gpu")
VARIANTS = (*OF_STEPS, "serve")
PLACEHOLDER = "openpose-kubeflow:dev"
_PIP_SETTINGS = ("index-url", "extra-index-url", "trusted-host", "proxy", "default-timeout", "retries")
_ATTESTATIONS = ("--sbom=true", "--provenance=mode=max")
_CONTENT = ("images/Dockerfile", ".dockerignore", "LICENSE", "requirements", "openpose", "components")


@dataclass(frozen=True)
class Options:
    """Builds the images of the steps and of the server. Passes other flags to `docker build`."""

    variant: Literal["cpu", "gpu", "serve"] | None = None
    """Image to build: of the steps, without or with CUDA, or of the server; by default both of the steps."""
    registry: str = ""
    """Registry for the images, such as europe-docker.pkg.dev/me/pose."""
    push: bool = False
    """Push the images to the registry."""
    platform: str = ""
    """Platform such as linux/amd64, or several separated by commas, which need --push; by default Docker's own."""


def read(path: str | Path) -> dict[str, dict[str, Any]]:
    """Reads the built images: {"cpu": {"image", "digest", "code"}, "gpu": {…}, "serve": {…}}.

    An image that was not built is PLACEHOLDER, with None as digest.

    Raises:
        InputError: the file is damaged.
    """
    built = storage.read_json(path) if Path(path).exists() else {}
    return {variant: built.get(variant, {"image": PLACEHOLDER, "digest": None}) for variant in VARIANTS}


def missing(images: Mapping[str, Mapping[str, Any]], variants: Iterable[str]) -> str:
    """What to do about images that are needed but were not built; empty if all are there."""
    lacking = [variant for variant in sorted(variants) if images[variant]["image"] == PLACEHOLDER]
    if not lacking:
        return ""
    chosen = "" if lacking[0] in OF_STEPS else f" VARIANT={lacking[0]}"
    return f"no image {lacking[0]!r} was built, which the pods need; run `make images{chosen}`{WHERE}"


def tag() -> str:
    """The images' tag: the commit; for a changed tree also -dirty and a fingerprint of the images' content.

    Raises:
        InputError: this is not a git checkout.
    """
    commit, changed = revision.commit(12), revision.git("status", "--porcelain")
    names = revision.git("ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *_CONTENT)
    if commit is None or changed is None or names is None:
        raise InputError(f"{REPOSITORY}: not a git checkout, so the images have no commit as tag; use a clone")
    head = commit.removesuffix("-dirty")
    if not changed:
        return head
    files = sorted({REPOSITORY / name for name in names.split("\0") if name})
    content = [(str(file), storage.sha256(file)) for file in files if file.is_file()]
    return f"{head}-dirty-{storage.fingerprint(content)[:8]}"


def client() -> str:
    """Path of the first `docker` on PATH that has BuildKit.

    Raises:
        InputError: `docker` is missing or lacks BuildKit, or Docker does not answer.
    """
    found = [shutil.which("docker", path=folder) for folder in os.environ.get("PATH", "").split(os.pathsep)]
    for program in filter(None, found):
        version = _output(program, "version", "--format", "{{.Client.Version}}").partition(".")[0]
        # Before version 23, BuildKit was part of the program itself.
        if _output(program, "buildx", "version") or (version.isdigit() and int(version) < 23):
            if not _output(program, "version", "--format", "{{.Server.Version}}"):
                raise InputError("Docker does not answer; start it (on Linux `systemctl start docker`) and try again")
            return program
    if not any(found):
        raise InputError("`docker`, which builds the images, was not found; install Docker Engine")
    raise InputError(f"{next(filter(None, found))} cannot build with BuildKit; install its plugin docker-buildx")


def _output(*command: str) -> str:
    """The output of a command, even if it fails: a client without a server prints its version and exits with 1."""
    return subprocess.run(command, capture_output=True, text=True).stdout.strip()


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, cwd=REPOSITORY, env=os.environ | {"DOCKER_BUILDKIT": "1"})
    if done.returncode:
        action = next(word for word in command[1:3] if word in ("build", "push"))
        raise InputError(f"docker {action} failed with exit code {done.returncode}; see its output above")


def build(variant: str, name: str, options: Options, flags: Sequence[str]) -> dict[str, Any]:
    """Builds one image, and pushes it if the options say so.

    Args:
        variant: cpu, gpu or serve.
        name: of the image, with registry and tag.
        options: platform and push.
        flags: other flags of `docker build`.

    Returns:
        Its entry in `build/images.json`.

    Raises:
        InputError: the build or the push failed; Docker has printed why.
    """
    docker, code, platforms = client(), revision.fingerprint(), options.platform
    several, attested = "," in platforms, options.push and _attests(docker)
    if several and not options.push:
        raise InputError(f"PLATFORM={platforms}: images for several platforms must be pushed to a registry; add PUSH=1")
    pushes = several or attested  # the builder itself, because Docker may be unable to store the image
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result.json"
        command = [docker, *(("buildx", "build", "--push", "--metadata-file", str(result)) if pushes else ("build",))]
        command += _ATTESTATIONS if attested else ()
        command += ["--file", "images/Dockerfile", "--tag", name, *_pip_secrets(Path(folder)), *flags]
        command += ["--build-arg", f"VARIANT={variant}", "--build-arg", f"REVISION={name.rpartition(':')[2]}"]
        command += ["--platform", platforms] if platforms else []
        _run([*command, "."])
        if pushes:
            digest = json.loads(result.read_text())["containerimage.digest"]
        elif options.push:
            digest = push_image(docker, name)
        else:
            digest = _output(docker, "image", "inspect", "--format", "{{.Id}}", name)
    if not pushes:
        print(_describe(docker, name), flush=True)
    image = f"{name.rpartition(':')[0]}@{digest}" if options.push else name
    return {"image": image, "digest": digest, "code": code}


def _attests(docker: str) -> bool:
    """Whether the builder can attach an SBOM and provenance; Docker's own needs containerd's image store for it."""
    driver = re.search(r"^Driver: *(\S+)", _output(docker, "buildx", "inspect"), re.MULTILINE)
    if driver is None or driver[1] != "docker":
        return driver is not None
    return "io.containerd." in _output(docker, "info", "--format", "{{json .DriverStatus}}")


def push_image(docker: str, name: str) -> str:
    """Pushes a built image to its registry; returns its digest there.

    Raises:
        InputError: the push failed; Docker has printed why.
    """
    _run([docker, "push", name])
    found: Iterable[str] = json.loads(_output(docker, "image", "inspect", "--format", "{{json .RepoDigests}}", name))
    repository = name.rpartition(":")[0]
    return next(digest.partition("@")[2] for digest in found if digest.partition("@")[0] == repository)


def in_registry(name: str) -> dict[str, Any] | None:
    """The entry of an image in its registry; None if the registry lacks the image or does not answer."""
    import docker  # here because most builds do not need Docker's package

    try:
        digest = docker.from_env().images.get_registry_data(name).id
    except docker.errors.DockerException:
        return None
    return {"image": f"{name.rpartition(':')[0]}@{digest}", "digest": digest, "code": revision.fingerprint()}


def _pip_secrets(folder: Path) -> list[str]:
    """Flags of `docker build` that pass this machine's pip settings without storing them in a layer."""
    listed = _output(sys.executable, "-m", "pip", "config", "list")
    settings = dict(line.partition("=")[::2] for line in listed.splitlines())
    # Keys are `global.index-url`, or `:env:.index-url` for PIP_INDEX_URL, which comes first and wins.
    values = {key.rpartition(".")[2]: value.strip("'") for key, value in reversed(settings.items())}
    lines = ["[global]", *(f"{key} = {values[key]}" for key in _PIP_SETTINGS if key in values)]
    flags = ["--secret", f"id=pip.conf,src={folder / 'pip.conf'}"]
    if "cert" in values:
        flags += ["--secret", f"id=ca.pem,src={values['cert']}"]
        lines.append("cert = /run/secrets/ca.pem")
    (folder / "pip.conf").write_text("\n".join(lines) + "\n")
    return flags


def _describe(docker: str, name: str) -> str:
    """The sizes of an image's layers and of its largest packages."""
    layers = _output(docker, "history", "--format", "{{.Size}}\t{{.CreatedBy}}", name).splitlines()
    sizes = [line.partition("\t") for line in layers if not line.startswith("0B")]
    bytes_ = int(_output(docker, "image", "inspect", "--format", "{{.Size}}", name))
    lines = [f"{name}: {bytes_ / 1e6:.0f} MB"]
    lines += [f"  {size:>8}  {made_by.removeprefix('/bin/sh -c ')[:80]}" for size, _, made_by in reversed(sizes)]
    script = "cd /opt/venv/lib/python3*/site-packages && du -sm -- * | sort -rn | head -8"
    parts = _output(docker, "run", "--rm", "--network", "none", name, "sh", "-c", script).splitlines()
    if parts:
        lines.append("  the largest parts, in MB: " + ", ".join(" ".join(part.split()[::-1]) for part in parts))
    return "\n".join(lines)


@reports_errors
def main(arguments: Sequence[str] | None = None) -> int:
    """Builds the images; returns the exit code."""
    options, flags = tyro.cli(Options, prog="python -m pipelines.images", args=arguments, return_unknown_args=True)
    made = {}
    for variant in [options.variant] if options.variant else OF_STEPS:
        name = "/".join(filter(None, [options.registry.rstrip("/"), f"openpose-kubeflow-{variant}:{tag()}"]))
        found = in_registry(name) if options.push and "-dirty-" not in name else None
        made[variant] = found or build(variant, name, options, flags)
        print(f"{'found' if found else 'built'} {made[variant]['image']} ({made[variant]['digest']})", flush=True)
    # Keeps the other variants if they were built from the same code.
    kept = {key: entry for key, entry in read(BUILT).items() if entry.get("code") == revision.fingerprint()}
    storage.write_json(BUILT, kept | made)
    print(f"wrote {os.path.relpath(BUILT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
