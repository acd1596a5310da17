"""Removes old results below a storage root: `python -m pipelines.prune`, or `make prune`.

A bucket or a folder of this machine is pruned from here; a cluster's volume in a pod that mounts it.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from components.prune.prune import prune
from openpose.errors import InputError, reports_errors
from pipelines import images as built_images
from pipelines import manifests
from pipelines import settings as cluster_settings
from pipelines.settings import MOUNT, Settings

POD = "openpose-prune"


@dataclass(frozen=True)
class Options:
    """Lists old results that no champion and no run in progress needs, and the disk use of each kind."""

    root: str = ""
    """Storage root: gs://bucket/prefix, a folder here, or a folder of the cluster's volume; by default that of the
    settings."""
    days: float = 30.0
    """Keep everything that changed within so many days."""
    delete: tyro.conf.FlagCreatePairsOff[bool] = False
    """Remove what is listed."""
    settings: str = "pvc"
    """Settings of the cluster: a .yaml file, or the name of one in pipelines/clusters."""
    images: Path = built_images.BUILT
    """File with the built images, as make images writes it."""
    namespace: str = ""
    """Namespace of the volume; by default KF_PIPELINES_NAMESPACE, or kubeflow."""


def pod(image: str, settings: Settings, command: Sequence[str]) -> dict[str, Any]:
    """The pod that runs a command with the volume, under the restricted pod security standard."""
    container = {
        "name": POD,
        "image": image,
        "command": list(command),
        "resources": {"requests": {"cpu": "100m", "memory": "512Mi"}, "limits": {"cpu": "1", "memory": "1Gi"}},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [{"name": "data", "mountPath": MOUNT}],
    }
    return {
        "containers": [container],
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": settings.claim}}],
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "imagePullSecrets": [{"name": name} for name in settings.pull_secrets],
        "nodeSelector": settings.light.node_selector,
        "tolerations": settings.light.tolerations,
    }


def on_volume(root: str, options: Options, settings: Settings) -> int:
    """Prunes a root on the cluster's volume; returns the exit code."""
    images = built_images.read(options.images)
    if missing := built_images.missing(images, ["cpu"]):
        raise InputError(f"{options.images}: {missing}, because the volume is pruned by a pod of that image")
    image = str(images["cpu"]["image"])
    command = ["python", "-m", "components.prune", f"--root={root}", f"--days={options.days}"]
    command += ["--delete"] if options.delete else []
    namespace = manifests.namespace(options.namespace)
    spec = json.dumps({"spec": pod(image, settings, command)})
    run = ["kubectl", "--namespace", namespace, "run", POD, f"--image={image}", "--restart=Never", "--rm", "--attach"]
    try:
        return subprocess.run([*run, "--quiet", "--pod-running-timeout=10m", f"--overrides={spec}"]).returncode
    except OSError as error:
        raise InputError("`kubectl`, which starts a pod with the volume, was not found; install it") from error


@reports_errors
def main(arguments: Sequence[str] | None = None) -> int:
    """Prunes; returns the exit code."""
    options = tyro.cli(Options, prog="python -m pipelines.prune", args=arguments)
    settings = cluster_settings.read(options.settings)
    root, is_on_volume = cluster_settings.storage_root(options.root, settings)
    if is_on_volume:
        return on_volume(root, options, settings)
    prune(root, options.days, options.delete)
    return 0


if __name__ == "__main__":
    sys.exit(main())
