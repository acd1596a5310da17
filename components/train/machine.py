"""The pod on each machine of a training: its resources, which the cluster's settings pass to the step, and program."""

import json
from dataclasses import asdict, dataclass, field
from typing import Any

MACHINE = "OPENPOSE_MACHINE"  # environment variable of the step: a `Machine` as JSON
DATA_MACHINE = "OPENPOSE_DATA_MACHINE"  # the same for each data worker
POD = "OPENPOSE_POD"  # environment variable of the step: the name of its own pod
JOB_SET, WORKFLOW = "OPENPOSE_JOB_SET", "OPENPOSE_WORKFLOW"  # those of each machine: names of its JobSet, of its run's
DISPATCHER = "OPENPOSE_DISPATCHER"  # that of each machine with data workers: the port at which the first dispatches
NAME_LABEL = "app.kubernetes.io/name"  # by which the network policy tells our pods from other teams'
STEP, TRAIN = "openpose-step", "openpose-train"  # its values: the steps' pods, and those of several machines
WORKER_PROGRAM = "python -m components.train.worker"  # runs on each machine
REFUSED, STOPPED = 78, 143  # its exit codes: it cannot use its parameters or data; SIGTERM came


@dataclass(frozen=True)
class Machine:
    """What the pod on each machine requests.

    Attributes:
        cpu: cores, such as "16".
        memory: bytes, such as 64Gi.
        accelerator: the resource that `gpus` counts, such as nvidia.com/gpu.
        wait_minutes: how long a pod may wait for a free node or for its image before the training gives up.
        node_selector: labels that a data worker's node must have; a training's machines are like their step's.
        tolerations: of a data worker.
    """

    cpu: str
    memory: str
    accelerator: str
    wait_minutes: float
    node_selector: dict[str, str] = field(default_factory=dict)
    tolerations: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def from_json(cls, text: str) -> "Machine":
        """Reads what `to_json` wrote."""
        return cls(**json.loads(text))

    def to_json(self) -> str:
        """The value of the environment variable."""
        return json.dumps(asdict(self))

    def resources(self, gpus: int) -> dict[str, Any]:
        """The `resources` of a container."""
        amounts = {"cpu": self.cpu, "memory": self.memory}
        if gpus:
            amounts[self.accelerator] = str(gpus)
        return {"requests": amounts, "limits": dict(amounts)}
