"""Builds the images of the steps, and knows which ones were built: `python -m pipelines.images`, or `make images`.

`build/images.json` says what the last build made:

    {"cpu": {"image": "openpose-kubeflow-cpu:5f1c…", "digest": "sha256:…", "code": "…"}, "gpu": {…}}

An image that was pushed is named by its digest in the registry; one of the same revision that is there already is
not built again, so that a revision is one image. One that was not pushed has a tag that no other content gets, and its
digest is that of the Docker that built it.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from components import revision
from components.revision import REPOSITORY
from openpose import storage
from openpose.errors import InputError

BUILT = REPOSITORY / "build/images.json"
VARIANTS = ("cpu", "gpu")
PLACEHOLDER = "openpose-kubeflow:dev"
_PIP_SETTINGS = ("index-url", "extra-index-url", "trusted-host", "proxy", "default-timeout", "retries")
_CONTENT = ("images/Dockerfile", ".dockerignore", "LICENSE", "requirements", "openpose", "components")


def read(path: str | Path) -> dict[str, dict[str, Any]]:
    """What each variant's image is called: {"cpu": {"image", "digest", "code"}, "gpu": {…}}.

    Where none was built, the image is PLACEHOLDER and the digest None.

    Raises:
        InputError: the file is damaged.
    """
    built = storage.read_json(path) if Path(path).exists() else {}
    return {variant: built.get(variant, {"image": PLACEHOLDER, "digest": None}) for variant in VARIANTS}


def tag() -> str:
    """The images' tag: the commit, and for a changed tree -dirty with a fingerprint of what goes into an image.

    Raises:
        InputError: this is no git checkout.
    """
    commit, changed = revision.commit(12), revision.git("status", "--porcelain")
    names = revision.git("ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *_CONTENT)
    if commit is None or changed is None or names is None:
        raise InputError(f"{REPOSITORY}: no git checkout, so there is no commit to tag the images with; use a clone")
    head = commit.removesuffix("-dirty")
    if not changed:
        return head
    files = sorted({REPOSITORY / name for name in names.split("\0") if name})
    content = [(str(file), storage.sha256(file)) for file in files if file.is_file()]
    return f"{head}-dirty-{storage.fingerprint(content)[:8]}"


def client() -> str:
    """The program `docker` that can build: the first one on PATH with BuildKit.

    Raises:
        InputError: there is none, or Docker is not running.
    """
    found = [shutil.which("docker", path=folder) for folder in os.environ.get("PATH", "").split(os.pathsep)]
    for program in filter(None, found):
        old = _says(program, "version", "--format", "{{.Client.Version}}").partition(".")[0]
        # Before version 23, BuildKit was a part of the program itself.
        if _says(program, "buildx", "version") or (old.isdigit() and int(old) < 23):
            if not _says(program, "version", "--format", "{{.Server.Version}}"):
                raise InputError("Docker does not answer; start it (on Linux `systemctl start docker`), and try again")
            return program
    if not any(found):
        raise InputError("there is no `docker`, which builds the images; install Docker Engine")
    raise InputError(f"{next(filter(None, found))} cannot build with BuildKit; install its plugin docker-buildx")


def _says(*command: str) -> str:
    """What a command prints; nothing when it fails."""
    # A client says its own version even when no server answers; its exit code is then not 0.
    return subprocess.run(command, capture_output=True, text=True).stdout.strip()


def build(variant: str, name: str, platform: str, push: bool, flags: Sequence[str]) -> dict[str, Any]:
    """Builds one image, and pushes it if asked for.

    Args:
        variant: `cpu` or `gpu`.
        name: of the image, with registry and tag.
        platform: such as linux/amd64, several with commas; nothing for Docker's own.
        push: to the registry.
        flags: any others for `docker build`.

    Returns:
        Its entry in `build/images.json`.

    Raises:
        InputError: the build or the push failed; Docker has said why.
    """
    docker, code = client(), revision.fingerprint()
    several = "," in platform
    if several and not push:
        raise InputError(f"PLATFORM={platform}: a build for several platforms goes to a registry only; add PUSH=1")
    with tempfile.TemporaryDirectory() as folder:
        secrets, result = _pip_secrets(Path(folder)), Path(folder) / "result.json"
        command = [docker, *(("buildx", "build", "--push", "--metadata-file", str(result)) if several else ("build",))]
        command += ["--file", "images/Dockerfile", "--tag", name, *secrets, *flags]
        command += ["--build-arg", f"VARIANT={variant}", "--build-arg", f"REVISION={name.rpartition(':')[2]}"]
        command += ["--platform", platform] if platform else []
        _do([*command, "."])
        if several:
            digest = json.loads(result.read_text())["containerimage.digest"]
        elif push:
            digest = push_image(docker, name)
        else:
            digest = _says(docker, "image", "inspect", "--format", "{{.Id}}", name)
    if not several:
        print(_describe(docker, name), flush=True)
    image = f"{name.rpartition(':')[0]}@{digest}" if push else name
    return {"image": image, "digest": digest, "code": code}


def _do(command: Sequence[str]) -> None:
    done = subprocess.run(command, cwd=REPOSITORY, env=os.environ | {"DOCKER_BUILDKIT": "1"})
    if done.returncode:
        words = [word for word in command[1:3] if word in ("build", "push")]
        raise InputError(f"docker {words[0]} failed with exit code {done.returncode}; what it said is above")


def push_image(docker: str, name: str) -> str:
    """Pushes a built image to its registry; returns the digest that it has there.

    Raises:
        InputError: Docker could not, and has said why.
    """
    _do([docker, "push", name])
    found: Iterable[str] = json.loads(_says(docker, "image", "inspect", "--format", "{{json .RepoDigests}}", name))
    repository = name.rpartition(":")[0]
    return next(digest.partition("@")[2] for digest in found if digest.partition("@")[0] == repository)


def found(name: str) -> dict[str, Any] | None:
    """The entry of an image that its registry has already; None when it has no such one, or does not say."""
    import docker  # most builds need none of Docker's package

    try:
        digest = docker.from_env().images.get_registry_data(name).id
    except docker.errors.DockerException:
        return None
    return {"image": f"{name.rpartition(':')[0]}@{digest}", "digest": digest, "code": revision.fingerprint()}


def _pip_secrets(folder: Path) -> list[str]:
    """Flags of `docker build` that hand this machine's settings of pip to the build, and to no layer."""
    listed = _says(sys.executable, "-m", "pip", "config", "list")
    settings = dict(line.partition("=")[::2] for line in listed.splitlines())
    # As `global.index-url='…'`, or `:env:.index-url='…'` for PIP_INDEX_URL, which comes first and counts more.
    values = {key.rpartition(".")[2]: value.strip("'") for key, value in reversed(settings.items())}
    lines = ["[global]", *(f"{key} = {values[key]}" for key in _PIP_SETTINGS if key in values)]
    flags = ["--secret", f"id=pip.conf,src={folder / 'pip.conf'}"]
    if "cert" in values:
        flags += ["--secret", f"id=ca.pem,src={values['cert']}"]
        lines.append("cert = /run/secrets/ca.pem")
    (folder / "pip.conf").write_text("\n".join(lines) + "\n")
    return flags


def _describe(docker: str, name: str) -> str:
    """Sizes of an image's layers, and the largest packages in it."""
    layers = _says(docker, "history", "--format", "{{.Size}}\t{{.CreatedBy}}", name).splitlines()
    sizes = [line.partition("\t") for line in layers if not line.startswith("0B")]
    bytes_ = int(_says(docker, "image", "inspect", "--format", "{{.Size}}", name))
    lines = [f"{name}: {bytes_ / 1e6:.0f} MB"]
    lines += [f"  {size:>8}  {made_by.removeprefix('/bin/sh -c ')[:80]}" for size, _, made_by in reversed(sizes)]
    script = "cd /opt/venv/lib/python3*/site-packages && du -sm -- * | sort -rn | head -8"
    parts = _says(docker, "run", "--rm", "--network", "none", name, "sh", "-c", script).splitlines()
    if parts:
        lines.append("  the largest parts, in MB: " + ", ".join(" ".join(part.split()[::-1]) for part in parts))
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Builds the images; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.images",
        description="Builds the images of the steps. Any other flags are those of `docker build`.",
        allow_abbrev=False,
    )
    parser.add_argument("--variant", choices=VARIANTS, help="the only one to build (default: both)")
    parser.add_argument("--registry", default="", help="where the images belong, such as europe-docker.pkg.dev/me/pose")
    parser.add_argument("--push", action="store_true", help="push them there")
    parser.add_argument("--platform", default="", help="such as linux/amd64; several with commas, which need --push")
    options, flags = parser.parse_known_args(arguments)
    try:
        made = {}
        for variant in [options.variant] if options.variant else VARIANTS:
            name = "/".join(filter(None, [options.registry.rstrip("/"), f"openpose-kubeflow-{variant}:{tag()}"]))
            there = found(name) if options.push and "-dirty-" not in name else None
            made[variant] = there or build(variant, name, options.platform, options.push, flags)
            print(f"{'found' if there else 'built'} {made[variant]['image']} ({made[variant]['digest']})", flush=True)
        # A variant that is not built now stays listed as long as it is of the same code.
        kept = {key: entry for key, entry in read(BUILT).items() if entry.get("code") == revision.fingerprint()}
        storage.write_json(BUILT, kept | made)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"wrote {os.path.relpath(BUILT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
