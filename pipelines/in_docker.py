"""Runs a DAG here in containers, with KFP's local DockerRunner and a Docker Engine on this machine.

KFP decides what runs when. How one step's container runs is ours, because KFP 2.17's runner lets Docker remove the
container when it ends, and calls a step that failed a success when it was removed before KFP had asked; and it leaves
the containers behind when it is stopped.
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
from kfp import local
from kfp.local import docker_task_handler

from openpose.errors import InputError
from pipelines.in_place import KFP_EXECUTOR, Outcome, Steps, follow

LABEL = "openpose-kubeflow.run"  # of every container, with the folder of its run
# In the shell's place, so that a signal reaches it, and without the executor's log, which has all of its input.
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
    """Runs the DAG to its end. Nobody else may be running it with the same root.

    Args:
        pipeline: the DAG's function.
        arguments: of the DAG.
        folder: below the root; gets KFP's copies of the small artifacts, and `kfp.log` with what KFP itself says.
        image: of all steps.
        root: the storage root, which the steps see under the same path.
        read_only: files and folders that they see too.

    Raises:
        InputError: Docker does not answer, refuses, or has no such image.
        Stopped: by Ctrl-C or a termination signal; no container is left.
    """
    try:
        client = docker.from_env()
        client.images.get(image)
    except ImageNotFound as error:
        raise InputError(f"Docker has no image {image}; run `make images` again") from error
    except DockerException as error:
        raise InputError(
            f"Docker does not answer ({str(error).splitlines()[0]}); start it, and try `docker info`"
        ) from error
    outside = [path for path in read_only if not path.is_relative_to(root)]
    mounts = [Mount(str(path), str(path), "bind", read_only=path != root) for path in (root, *outside)]
    steps = _Containers(client, image, mounts, str(root))
    with contextlib.closing(client):
        steps.remove_left()
        try:
            return follow(
                pipeline, arguments, folder, local.DockerRunner(), docker_task_handler.DockerTaskHandler, steps
            )
        except APIError as error:
            raise InputError(f"Docker refuses to run {image}: {error.explanation or error}") from error


class _Containers(Steps):
    """Steps that are containers."""

    def __init__(self, client: docker.DockerClient, image: str, mounts: list[Mount], root: str) -> None:
        super().__init__()
        self._client, self._root = client, root
        self._options = {
            "image": image,
            "mounts": mounts,
            "labels": {LABEL: root},
            "user": f"{os.getuid()}:{os.getgid()}",  # so that what they write belongs to who runs this
            "network_mode": "host",  # a source may be an address that only this machine knows
            "read_only": True,
            "tmpfs": {"/tmp": ""},
            "cap_drop": ["ALL"],
            "security_opt": ["no-new-privileges"],
        }
        self._live: set[Any] = set()

    def execute(self, command: list[str], environment: dict[str, str]) -> int:
        command = [part if "\n" not in part else part.replace(KFP_EXECUTOR, _EXECUTOR) for part in command]
        container = self._client.containers.create(command=command, environment=environment, **self._options)
        self._live.add(container)
        try:
            container.start()
            for line in _lines(container.logs(stream=True, follow=True)):
                self.terminal.write(line)
                self.terminal.flush()
            return int(container.wait()["StatusCode"])
        finally:
            with contextlib.suppress(NotFound):
                container.wait()  # a stopped step tidies up
                container.remove(force=True)
            self._live.discard(container)

    def kill(self, number: int) -> None:
        for container in list(self._live):
            with contextlib.suppress(APIError):  # it has just ended
                container.kill(signal=number)

    def remove_left(self) -> None:
        """Removes the containers of a run in the same root that was killed."""
        for container in self._client.containers.list(all=True, filters={"label": f"{LABEL}={self._root}"}):
            with contextlib.suppress(NotFound):
                container.remove(force=True)


def _lines(chunks: Iterable[bytes]) -> Iterator[str]:
    """Whole lines of a log that comes in any pieces."""
    decoder, rest = codecs.getincrementaldecoder("utf-8")("replace"), ""
    for chunk in chunks:
        *lines, rest = (rest + decoder.decode(chunk)).split("\n")
        yield from (f"{line}\n" for line in lines)
    if rest:
        yield f"{rest}\n"
