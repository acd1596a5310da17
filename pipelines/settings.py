"""Settings of a cluster: a small YAML file that becomes part of the compiled pipeline.

    claim: openpose             # PersistentVolumeClaim, mounted at /data in every pod; "" for a bucket
    service_account: openpose   # of the pods
    train: {cpu: "8", memory: 32Gi, accelerator: nvidia.com/gpu, shm: 8Gi}
    parameters: {root: /data/openpose, gpus: 4}

All settings have defaults; `pipelines/clusters/` has complete examples.
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
from components.register.hub import VOLUME
from components.train.machine import DATA_MACHINE, MACHINE, NAME_LABEL, POD, STEP, Machine
from openpose.errors import InputError

CLUSTERS = Path(__file__).resolve().parent / "clusters"
MOUNT = "/data"  # mount path of the claim

_QUANTITY = re.compile(r"\d+(\.\d+)?([KMGT]i?|m)?")

Kind = TypeVar("Kind", "Pod", "Settings")


@dataclass(frozen=True)
class Pod:
    """The resources of a step's pod, and the nodes on which it may run.

    Attributes:
        cpu: cores, request and limit, such as "2" or "500m".
        memory: bytes, request and limit, such as 8Gi.
        hours: time limit of the pod, after which the step fails.
        shm: size of /dev/shm, which counts as memory; Kubernetes' default is 64 MiB.
        accelerator: resource that a training's pod requests; the parameter `gpus` gives the amount.
        node_selector: labels that the node must have.
        tolerations: as in a pod's specification.
        queue: Kueue's local queue, which holds back the pod until the cluster has room (with several machines, until
            it has room for all of their pods); empty for none.
        wait_minutes: how long the pods of several machines may wait for a free node or for their image before the
            training gives up; time in a queue does not count.
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
    """Settings of a cluster.

    Attributes:
        claim: PersistentVolumeClaim with the storage root, mounted at /data; empty for a bucket.
        service_account: of the pods; empty for Kubeflow Pipelines' own.
        retries: number of restarts of a lost pod, the first after 30 s, the others after twice the last pause.
        secrets: environment variables from secrets: name of the secret -> {its key: the variable}.
        pull_secrets: secrets for the images' registry.
        light: pod of the steps that compute little: check, collect_records, register, finish.
        data: pod of coco_download, of the workers that write records, and of a training's data workers.
        train: pod of the training. With several machines or data workers, each machine has such a pod, and the step
            itself has a `light` one.
        evaluate: pod of evaluation and export.
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
        """The images that the steps need: gpu for pods with an accelerator, cpu for the others."""
        return {_variant(pod) for pod in (self.light, self.data, self.train, self.evaluate)}

    def place(self, task: dsl.PipelineTask, part: str, images: dict[str, Any], retried: bool) -> None:
        """Sets a task's image, resources, limits, volumes and node.

        Args:
            task: of the pipeline.
            part: name of its pod here: light, data, train or evaluate.
            images: from `pipelines.images.read`.
            retried: whether to restart a lost pod.
        """
        pod: Pod = getattr(self, part)
        task.set_container_image(images[_variant(pod)]["image"])
        task.set_cpu_request(pod.cpu).set_cpu_limit(pod.cpu)
        task.set_memory_request(pod.memory).set_memory_limit(pod.memory)
        # A stock Kubeflow Pipelines 2.17 restarts a lost pod, but does not retry a step that ended with an error.
        if retried:
            task.set_retry(self.retries, backoff_duration="30s", backoff_factor=2.0, backoff_max_duration="600s")
        kubernetes.set_timeout(task, int(pod.hours * 3600))
        kubernetes.set_security_context(task, run_as_non_root=True)
        kubernetes.empty_dir_mount(task, "shm", "/dev/shm", medium="Memory", size_limit=pod.shm)
        kubernetes.add_pod_label(task, NAME_LABEL, STEP)
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

    def place_training(self, task: dsl.PipelineTask, checked: Mapping[str, Any]) -> None:
        """Sets the resources of the training's pod from the check's outputs, and passes on those for other machines.

        Args:
            task: of the pipeline, after `place`.
            checked: outputs of the check, among them `cpu`, `memory` and `accelerators`.
        """
        pod, data = self.train, self.data
        channels = [checked[name] for name in ("cpu", "memory", "accelerators")]
        task.register_pipeline_channels(channels)  # otherwise KFP does not pass them into an If
        task.set_cpu_request(checked["cpu"]).set_cpu_limit(checked["cpu"])
        task.set_memory_request(checked["memory"]).set_memory_limit(checked["memory"])
        if pod.accelerator:
            task.set_accelerator_type(pod.accelerator).set_accelerator_limit(checked["accelerators"])
        task.set_env_variable(MACHINE, Machine(pod.cpu, pod.memory, pod.accelerator, pod.wait_minutes).to_json())
        of_data = Machine(data.cpu, data.memory, "", pod.wait_minutes, data.node_selector, data.tolerations)
        task.set_env_variable(DATA_MACHINE, of_data.to_json())
        kubernetes.use_field_path_as_env(task, POD, "metadata.name")

    def place_registration(self, task: dsl.PipelineTask) -> None:
        """Tells the step that registers a model which volume its files are on."""
        if self.claim:
            task.set_env_variable(VOLUME, f"{self.claim}:{MOUNT}")


def storage_root(given: str, settings: Settings) -> tuple[str, bool]:
    """The storage root, and whether it lies on the cluster's volume.

    Args:
        given: the root; empty for that of the settings.
        settings: of the cluster.

    Raises:
        InputError: neither names a root.
    """
    root = (given or str(settings.parameters.get("root", ""))).rstrip("/")
    if not root:
        raise InputError("the settings name no storage root; give one with --root gs://bucket/prefix or s3://…")
    return root, bool(settings.claim) and f"{root}/".startswith(f"{MOUNT}/")


def _variant(pod: Pod) -> str:
    return "gpu" if pod.accelerator else "cpu"


def read(name: str) -> Settings:
    """Reads settings from a file, given by its path or by its name in `pipelines/clusters/`.

    Raises:
        InputError: the file does not exist, or a field cannot be used; the message names it.
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
        raise InputError(f"{where}{values!r} must be a mapping of names to values")
    known = [each.name for each in dataclasses.fields(settings)]
    for name, value in values.items():
        if name not in known:
            raise InputError(f"{where}unknown setting {name!r}; choose one of: {', '.join(known)}")
        wanted = type(getattr(settings, name))
        if not isinstance(value, (int, float) if wanted is float else wanted):
            raise InputError(f"{where}{name} is {value!r}; it must be of type {wanted.__name__}")
    try:
        return dataclasses.replace(settings, **values)
    except InputError as error:
        raise InputError(f"{where}{error}") from error
