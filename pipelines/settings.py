"""What a cluster has and a pod may take: a small YAML file says it, and the compiled pipeline carries it.

    claim: openpose             # PersistentVolumeClaim that every pod sees at /data; left out for a gs:// root
    service_account: openpose   # of the pods
    train: {cpu: "8", memory: 32Gi, accelerator: nvidia.com/gpu, shm: 8Gi}
    parameters: {root: /data/openpose, gpus: 4}

Everything has a default; `pipelines/clusters/` holds complete examples.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml
from kfp import dsl, kubernetes

from components import status
from components.train.machine import MACHINE, POD, Machine
from openpose.errors import InputError

CLUSTERS = Path(__file__).resolve().parent / "clusters"
MOUNT = "/data"  # where the claim is seen

_QUANTITY = re.compile(r"\d+(\.\d+)?([KMGT]i?|m)?")

Kind = TypeVar("Kind", "Pod", "Settings")


@dataclass(frozen=True)
class Pod:
    """What a step's pod asks for, and where it may run.

    Attributes:
        cpu: cores, the request and the limit, such as "2" or "500m".
        memory: bytes, the request and the limit, such as 8Gi.
        hours: after so many the pod is stopped and the step has failed.
        shm: size of /dev/shm, which counts as memory; Kubernetes gives 64 MiB to a pod that does not ask.
        accelerator: the resource of which a training's pod asks for as many as the parameter `gpus` says.
        node_selector: labels that the node must have.
        tolerations: taints that the pod stands, as in a pod's specification.
        queue: Kueue's local queue that holds the pod back until there is room; empty for none. With several machines
            it holds back all of them.
        wait_minutes: of the training's pods on several machines: so long they may wait for room or for their image
            (a queue's time does not count), then they are given up.
    """

    cpu: str
    memory: str
    hours: float = 24.0
    shm: str = "64Mi"
    accelerator: str = ""
    node_selector: dict[str, str] = field(default_factory=dict)
    tolerations: list[dict[str, Any]] = field(default_factory=list)
    queue: str = ""
    wait_minutes: float = 30.0

    def __post_init__(self) -> None:
        for name in ("cpu", "memory", "shm"):
            if not _QUANTITY.fullmatch(str(getattr(self, name))):
                raise InputError(
                    f"{name} is {getattr(self, name)!r}; give a quantity such as 2, 500m or 8Gi, in quotes"
                )
        for name in ("hours", "wait_minutes"):
            if not getattr(self, name) > 0:
                raise InputError(f"{name} is {getattr(self, name)}; it must be more than 0")


@dataclass(frozen=True)
class Settings:
    """Of a cluster.

    Attributes:
        claim: PersistentVolumeClaim with the storage root, seen at /data; empty when the root is gs://….
        service_account: that the pods run as; empty for that of Kubeflow Pipelines.
        retries: how often a pod that was lost is made again; the first time after 30 s, then twice as long.
        secrets: environment variables from secrets: name of the secret -> {its key: the variable}.
        pull_secrets: secrets for the registry of the images.
        light: the steps that only look and note: check, collect_records, register, finish.
        data: coco_download and the workers that write records.
        train: the training, or each of its machines when there are several; its step is then as light as `light`.
        evaluate: evaluation and export.
        parameters: defaults of the pipeline's parameters on this cluster.
    """

    claim: str = "openpose"
    service_account: str = ""
    retries: int = 3
    secrets: dict[str, dict[str, str]] = field(default_factory=dict)
    pull_secrets: list[str] = field(default_factory=list)
    light: Pod = Pod(cpu="1", memory="2Gi", hours=1)
    data: Pod = Pod(cpu="2", memory="4Gi", hours=24)
    train: Pod = Pod(cpu="4", memory="12Gi", hours=168, shm="2Gi")
    evaluate: Pod = Pod(cpu="2", memory="8Gi", hours=12, shm="1Gi")
    parameters: dict[str, Any] = field(default_factory=dict)

    def variants(self) -> set[str]:
        """Which images the steps run in: the one for GPUs where a pod may have an accelerator."""
        return {_variant(pod) for pod in (self.light, self.data, self.train, self.evaluate)}

    def place(self, task: dsl.PipelineTask, part: str, images: dict[str, Any], retried: bool) -> None:
        """Gives a task its image, its pod's resources and its place.

        Args:
            task: of the pipeline.
            part: which of the pods it is: light, data, train or evaluate.
            images: of `pipelines.images.read`.
            retried: whether its pod is made again when it was lost.
        """
        pod: Pod = getattr(self, part)
        task.set_container_image(images[_variant(pod)]["image"])
        task.set_cpu_request(pod.cpu).set_cpu_limit(pod.cpu)
        task.set_memory_request(pod.memory).set_memory_limit(pod.memory)
        # A stock Kubeflow Pipelines 2.17 makes a lost pod again, but does not repeat a step that ended with an error.
        if retried:
            task.set_retry(self.retries, backoff_duration="30s", backoff_factor=2.0, backoff_max_duration="600s")
        kubernetes.set_timeout(task, int(pod.hours * 3600))
        kubernetes.set_security_context(task, run_as_non_root=True)
        kubernetes.empty_dir_mount(task, "shm", "/dev/shm", medium="Memory", size_limit=pod.shm)
        kubernetes.use_field_path_as_env(task, status.RUN, "metadata.labels['pipeline/runid']")
        if self.claim:
            kubernetes.mount_pvc(task, pvc_name=self.claim, mount_path=MOUNT)
        for key, value in pod.node_selector.items():
            kubernetes.add_node_selector(task, key, value)
        for toleration in pod.tolerations:
            kubernetes.add_toleration(task, **toleration)
        if pod.queue:
            kubernetes.add_pod_label(task, "kueue.x-k8s.io/queue-name", pod.queue)
        for secret, variables in self.secrets.items():
            kubernetes.use_secret_as_env(task, secret, variables)
        if self.pull_secrets:
            kubernetes.set_image_pull_secrets(task, self.pull_secrets)

    def place_training(self, task: dsl.PipelineTask, asked: Mapping[str, Any]) -> None:
        """Lets the training's pod ask for what the check's outputs say, and know what other machines' would.

        Args:
            task: of the pipeline, placed.
            asked: among them `cpu`, `memory` and `accelerators`.
        """
        pod = self.train
        task.register_pipeline_channels(list(asked.values()))  # KFP forgets them at an If's border
        task.set_cpu_request(asked["cpu"]).set_cpu_limit(asked["cpu"])
        task.set_memory_request(asked["memory"]).set_memory_limit(asked["memory"])
        if pod.accelerator:
            task.set_accelerator_type(pod.accelerator).set_accelerator_limit(asked["accelerators"])
        task.set_env_variable(MACHINE, Machine(pod.cpu, pod.memory, pod.accelerator, pod.wait_minutes).to_json())
        kubernetes.use_field_path_as_env(task, POD, "metadata.name")


def _variant(pod: Pod) -> str:
    return "gpu" if pod.accelerator else "cpu"


def read(name: str) -> Settings:
    """Settings from a file, or by the name of one of `pipelines/clusters/`.

    Raises:
        InputError: no such file, or something in it cannot be used; the message names the field.
    """
    path = Path(name) if Path(name).suffix else CLUSTERS / f"{name}.yaml"
    try:
        document = yaml.safe_load(path.read_text()) or {}
    except OSError as error:
        known = ", ".join(sorted(file.stem for file in CLUSTERS.glob("*.yaml")))
        raise InputError(f"settings {name}: no such file; give a .yaml file, or one of: {known}") from error
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not valid YAML ({' '.join(str(error).split())})") from error
    pods = {each.name: each.default for each in dataclasses.fields(Settings) if isinstance(each.default, Pod)}
    try:
        for part, pod in pods.items():
            if part in document:
                document[part] = _changed(pod, document[part], f"{part}: ")
        return _changed(Settings(), document, "")
    except (InputError, TypeError) as error:
        raise InputError(f"{path}: {error}") from error


def _changed(settings: Kind, values: Any, where: str) -> Kind:
    if not isinstance(values, dict):
        raise InputError(f"{where}{values!r} is no mapping of names to values")
    known = [each.name for each in dataclasses.fields(settings)]
    for name, value in values.items():
        if name not in known:
            raise InputError(f"{where}there is no setting {name!r}; choose from {', '.join(known)}")
        wanted = type(getattr(settings, name))
        if not isinstance(value, (int, float) if wanted is float else wanted):
            raise InputError(f"{where}{name} is {value!r}; it must be of type {wanted.__name__}")
    try:
        return dataclasses.replace(settings, **values)
    except InputError as error:
        raise InputError(f"{where}{error}") from error
