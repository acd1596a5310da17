"""Brings a model's files here from the storage root of a cluster: `python -m pipelines.fetch`, or `make fetch-model`.

From a bucket they come directly; from a volume through TensorBoard's pod, which sees it, with `kubectl exec`.
"""

import json
import re
import subprocess
import sys
import tarfile
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro

from openpose import storage
from openpose.errors import InputError, reports_errors
from pipelines import manifests
from pipelines import settings as cluster_settings

POD = "deployment/openpose-tensorboard"  # of manifests/base
READ = "import sys; sys.stdout.buffer.write(open(sys.argv[1], 'rb').read())"
PACK = "import sys, tarfile; tarfile.open(fileobj=sys.stdout.buffer, mode='w|').add(sys.argv[1], arcname='.')"


@dataclass(frozen=True)
class Options:
    """Brings all files of a model here: of the champion, or of a run."""

    run: str = ""
    """Identifier of the run that made the model, as make runs prints it; by default the newest champion."""
    registry: str = "openpose"
    """Registry of the champion; the drawn sample's is `sample`."""
    out: Path = Path("out")
    """Folder that gets models/NAME."""
    settings: str = "pvc"
    """Settings of the cluster: a .yaml file, or the name of one in pipelines/clusters."""
    root: str = ""
    """Storage root: a bucket (gs://bucket/prefix, s3://bucket/prefix), or a folder of the volume; by default that of
    the settings."""
    namespace: str = ""
    """Namespace of the volume; by default KF_PIPELINES_NAMESPACE, or kubeflow."""


class Source(ABC):
    """A storage root, as this machine reaches it."""

    @abstractmethod
    def read(self, place: str) -> bytes | None:
        """A file's content; None if there is no such file."""

    @abstractmethod
    def copy(self, folder: str, out: Path) -> None:
        """Copies all files of a folder into an empty one here."""


class Bucket(Source):
    """A bucket, or a folder of this machine."""

    def read(self, place: str) -> bytes | None:
        try:
            return storage.read_bytes(storage.path(place))
        except FileNotFoundError:
            return None

    def copy(self, folder: str, out: Path) -> None:
        place = storage.path(folder)
        for name in storage.sizes(place):
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            storage.download(place / name, out / name)


class Volume(Source):
    """A cluster's volume, seen by a pod with Python.

    Args:
        namespace: of the pod.
    """

    def __init__(self, namespace: str) -> None:
        self._command = ["kubectl", "--namespace", namespace, "exec", POD, "--", "python", "-c"]

    def read(self, place: str) -> bytes | None:
        done = self._start(READ, place)
        content, said = done.communicate()
        if b"FileNotFoundError" in said:
            return None
        self._check(done.returncode, said)
        return content

    def copy(self, folder: str, out: Path) -> None:
        with self._start(PACK, folder) as packing:
            assert packing.stdout is not None
            assert packing.stderr is not None
            try:
                with tarfile.open(fileobj=packing.stdout, mode="r|") as packed:
                    packed.extractall(out, filter="data")
            except tarfile.TarError as error:
                said = packing.stderr.read() or str(error).encode()
                self._check(packing.wait() or 1, said)
            self._check(packing.wait(), packing.stderr.read())

    def _start(self, program: str, place: str) -> "subprocess.Popen[bytes]":
        try:
            return subprocess.Popen([*self._command, program, place], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        except OSError as error:
            raise InputError("`kubectl`, which reads the volume, was not found; install it") from error

    def _check(self, code: int, said: bytes) -> None:
        if code:
            last = said.decode(errors="replace").strip().splitlines()[-1:]
            raise InputError(
                f"{' '.join(self._command[:5])} failed: {''.join(last)}; the pod must run (make deploy), and you need "
                "the right to `exec` in it"
            )


def fetch(source: Source, root: str, options: Options) -> Path:
    """Copies the model's files, checks them, and returns their folder.

    Raises:
        InputError: there is no such model, or a file is not what its manifest says.
    """
    folder = _of_run(source, root, options.run) if options.run else _champion(source, root, options.registry)
    out = options.out / "models" / folder.rstrip("/").rpartition("/")[2]
    with storage.atomic_folder(out.absolute()) as temporary:
        source.copy(folder, temporary)
        sums: dict[str, str] = storage.read_json(temporary / "manifest.json")["sha256"]
        for name, expected in sums.items():
            if not (temporary / name).is_file() or storage.sha256(temporary / name) != expected:
                raise InputError(f"{folder}/{name}: it is not the file that manifest.json describes; export it again")
    return out


def _champion(source: Source, root: str, registry: str) -> str:
    place = f"{root}/registry/{registry}/latest.json"
    content = source.read(place)
    if content is None:
        raise InputError(f"{place}: no model was accepted there; give another REGISTRY with ARGS=--registry, or RUN=")
    return _below(root, str(json.loads(content)["folder"]))


def _of_run(source: Source, root: str, run: str) -> str:
    if not re.fullmatch(r"[\w-]+", run):
        raise InputError(f"run {run!r}: give an identifier, as make runs prints it")
    place = f"{root}/summaries/{run}.json"
    content = source.read(place)
    if content is None:
        raise InputError(f"{place}: this run left no summary below {root}; see make runs")
    graph = json.loads(content)["graph"]
    if graph is None:
        raise InputError(f"{place}: this run exported no model; its verdict: {json.loads(content)['verdict']}")
    return _below(root, str(graph).rpartition("/")[0])


def _below(root: str, folder: str) -> str:
    """A model's folder below this root, also where the root was written under another path: copied, or moved."""
    return "/".join([root, *folder.rstrip("/").split("/")[-2:]])


@reports_errors
def main(arguments: Sequence[str] | None = None) -> int:
    """Fetches the model; returns the exit code."""
    options = tyro.cli(Options, prog="python -m pipelines.fetch", args=arguments)
    root, on_volume = cluster_settings.storage_root(options.root, cluster_settings.read(options.settings))
    source = Volume(manifests.namespace(options.namespace)) if on_volume else Bucket()
    folder = fetch(source, root, options)
    print(f"model in {folder}: {', '.join(sorted(each.name for each in folder.iterdir()))}")
    print(f"try it: python -m openpose.predict --graph {folder}/graph.pb --image photo.jpg --out drawn.jpg")
    return 0


if __name__ == "__main__":
    sys.exit(main())
