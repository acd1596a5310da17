"""Removes old results below a storage root: `python -m pipelines.prune`, or `make prune`.

A bucket or a folder of this machine is pruned from here; a cluster's volume in a pod that mounts it.
"""

import json
import subprocess
import sys
import time
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
START = 600.0  # seconds that the pod may wait for a node and its image


@dataclass(frozen=True)
class Options:
    """Lists old results that no champion and no run in progress needs, and the disk use of each kind."""

    root: str = ""
    """Storage root: a bucket (gs://bucket/prefix, s3://bucket/prefix), a folder here, or a folder of the cluster's
    volume; by default that of the settings."""
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
    kubectl = ["kubectl", "--namespace", manifests.namespace(options.namespace)]
    spec = json.dumps({"spec": pod(image, settings, command)})
    start = [*kubectl, "run", POD, f"--image={image}", "--restart=Never", "--quiet", f"--overrides={spec}"]
    try:
        if code := subprocess.run(start, stdout=subprocess.DEVNULL).returncode:
            return code
        try:
            return _followed(kubectl)
        finally:
            subprocess.run([*kubectl, "delete", "pod", POD, "--ignore-not-found"], stdout=subprocess.DEVNULL)
    except OSError as error:
        raise InputError("`kubectl`, which starts a pod with the volume, was not found; install it") from error


def _followed(kubectl: Sequence[str]) -> int:
    """Shows the pod's log until it ends; returns its exit code.

    `kubectl run --attach` and `kubectl logs --follow` may miss the end of a log, and all of a short one.

    Raises:
        InputError: the pod does not start, or was deleted.
    """
    deadline = time.monotonic() + START
    while (status := _status(kubectl))["phase"] == "Pending":
        if time.monotonic() > deadline:
            raise InputError(f"the pod {POD} has not started within {START / 60:.0f} minutes: {_why(status)}")
        time.sleep(1)
    shown = 0
    with subprocess.Popen([*kubectl, "logs", "--follow", POD], stdout=subprocess.PIPE, text=True) as log:
        for line in log.stdout or ():
            print(line, end="", flush=True)
            shown += 1
    while (status := _status(kubectl))["phase"] == "Running":
        time.sleep(1)
    whole = subprocess.run([*kubectl, "logs", POD], stdout=subprocess.PIPE, text=True).stdout
    print("".join(whole.splitlines(keepends=True)[shown:]), end="", flush=True)
    ended = [each["state"]["terminated"]["exitCode"] for each in status.get("containerStatuses", [])]
    if not ended:
        raise InputError(f"the pod {POD} was lost: {_why(status)}; run the command again")
    return int(ended[0])


def _status(kubectl: Sequence[str]) -> dict[str, Any]:
    done = subprocess.run([*kubectl, "get", "pod", POD, "-o", "json"], capture_output=True, text=True)
    if done.returncode:
        raise InputError(f"the pod {POD} cannot be seen: {' '.join(done.stderr.split())}")
    status: dict[str, Any] = json.loads(done.stdout)["status"]
    return status


def _why(status: dict[str, Any]) -> str:
    """Why a pod waits or was lost, in Kubernetes' words."""
    waiting = [each.get("state", {}).get("waiting", {}) for each in status.get("containerStatuses", [])]
    said = [part.get("message") or part.get("reason") for part in (status, *waiting, *status.get("conditions", []))]
    return next(filter(None, said), "Kubernetes does not say why").rstrip(".")


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
