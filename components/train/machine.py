"""What the pod on each of several machines asks for: the settings of a cluster hand it to the training's step."""

import json
from dataclasses import asdict, dataclass
from typing import Any

MACHINE = "OPENPOSE_MACHINE"  # environment variable of the step: a `Machine` as JSON
POD = "OPENPOSE_POD"  # and the name of its own pod


@dataclass(frozen=True)
class Machine:
    """What the pod on each machine asks for.

    Attributes:
        cpu: cores, such as "16".
        memory: bytes, such as 64Gi.
        accelerator: the resource of which it asks for as many as `gpus` says, such as nvidia.com/gpu.
        wait_minutes: so long pods may wait for room or for their image, then the training is given up.
    """

    cpu: str
    memory: str
    accelerator: str
    wait_minutes: float

    @classmethod
    def read(cls, text: str) -> "Machine":
        """From what `text` gave."""
        return cls(**json.loads(text))

    def text(self) -> str:
        """For the environment variable."""
        return json.dumps(asdict(self))

    def resources(self, gpus: int) -> dict[str, Any]:
        """As a container's specification has them."""
        asked = {"cpu": self.cpu, "memory": self.memory}
        if gpus:
            asked[self.accelerator] = str(gpus)
        return {"requests": asked, "limits": dict(asked)}
