"""Runs a DAG on this machine in containers, with Docker Engine.

KFP's local runner decides the order of the steps; this module runs their containers, because KFP 2.17's DockerRunner
lets Docker remove a container at its end, reports a failed step as a success if that happens before it reads the exit
code, and leaves the containers running when it is stopped.
"""

import codecs
import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import docker
from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from docker.types import Mount

from openpose.errors import InputError
from pipelines import in_place
from pipelines.in_place import Outcome, Steps

LABEL = "openpose-kubeflow.run"  # label of every container; its value is the storage root
# `exec` replaces the shell, so that signals reach the executor. Logging is off because it would print all input.
_KFP_EXECUTOR = "python3 -m kfp.dsl.executor_main"
_EXECUTOR = (
    'exec python3 -c "import logging; logging.disable(logging.INFO); '
    'from kfp.dsl.executor_main import executor_main; executor_main()"'
)


def run(
    pipeline: Callable[..., Any],
    arguments: dict[str, Any],
    folder: Path,
    image: str,
    root: Path,
    read_only: Iterable[Path],
) -> Outcome:
    """Runs the DAG to its end. The caller must hold the root's lock (`in_place.alone`).

    Args:
        pipeline: the DAG's function.
        arguments: of the DAG.
        folder: below the root; receives KFP's copies of the small artifacts, and `kfp.log` with KFP's output.
        image: for all steps.
        root: the storage root, which has the same path in the containers.
        read_only: other files and folders that the steps may read.

    Raises:
        InputError: Docker does not answer, refuses the image, or does not have it.
        Stopped: by Ctrl-C or a termination signal, after all containers have ended.
    """
    try:
        client = docker.from_env()
        client.images.get(image)
    except ImageNotFound as error:
        raise InputError(f"Docker has no image {image}; run `make images` again") from error
    except DockerException as error:
        raise InputError(
            f"Docker does not answer ({str(error).splitlines()[0]}); start it and check it with `docker info`"
        ) from error
    outside = [path for path in read_only if not path.is_relative_to(root)]
    mounts = [Mount(str(path), str(path), "bind", read_only=path != root) for path in (root, *outside)]
    with contextlib.closing(client):
        steps = _Containers(client, image, mounts, str(root))
        steps.remove_left()
        try:
            return in_place.run(pipeline, arguments, folder, steps)
        except APIError as error:
            raise InputError(f"Docker refuses to run {image}: {error.explanation or error}") from error


class _Containers(Steps):
    """Runs steps in containers."""

    def __init__(self, client: docker.DockerClient, image: str, mounts: list[Mount], root: str) -> None:
        super().__init__()
        self._client, self._root = client, root
        self._options = {
            "image": image,
            "mounts": mounts,
            "labels": {LABEL: root},
            "user": f"{os.getuid()}:{os.getgid()}",  # so that output files belong to the caller
            "network_mode": "host",  # a source may be an address that only this machine can reach
            "read_only": True,
            "tmpfs": {"/tmp": ""},
            "cap_drop": ["ALL"],
            "security_opt": ["no-new-privileges"],
        }
        self._live: set[Any] = set()

    def execute(self, command: list[str], environment: dict[str, str]) -> int:
        command = [part.replace(_KFP_EXECUTOR, _EXECUTOR) if "\n" in part else part for part in command]
        container = self._client.containers.create(command=command, environment=environment, **self._options)
        self._live.add(container)
        try:
            container.start()
            for line in _lines(container.logs(stream=True, follow=True)):
                self.show(line)
            return int(container.wait()["StatusCode"])
        finally:
            with contextlib.suppress(NotFound):
                container.wait()  # a stopped step cleans up
                container.remove(force=True)
            self._live.discard(container)

    def kill(self, number: int) -> None:
        for container in list(self._live):
            with contextlib.suppress(APIError):  # it has just ended
                container.kill(signal=number)

    def remove_left(self) -> None:
        """Removes the containers that a killed run with the same root left behind."""
        for container in self._client.containers.list(all=True, filters={"label": f"{LABEL}={self._root}"}):
            with contextlib.suppress(NotFound):
                container.remove(force=True)


def _lines(chunks: Iterable[bytes]) -> Iterator[str]:
    """The lines of a log that arrives in chunks of any length."""
    rest = ""
    for text in codecs.iterdecode(chunks, "utf-8", "replace"):
        *lines, rest = (rest + text).split("\n")
        yield from (f"{line}\n" for line in lines)
    if rest:
        yield f"{rest}\n"
