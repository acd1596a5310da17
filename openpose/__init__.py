"""OpenPose with TensorFlow: trains networks that find people in pictures, and finds people with them.

    import openpose

    model = openpose.load("graph.pb")       # or .onnx, .tflite, model.keras, saved_model/
    people = model.predict("photo.jpg")     # people.keypoints, people.scores
    people.draw("drawn.jpg")
    openpose.train("data/", model="lightweight", epochs=30, out="runs/")

Nothing in this package knows of Kubeflow.
"""

import os
from typing import TYPE_CHECKING, Any

__all__ = ["InputError", "Model", "People", "Trained", "load", "train"]

# These must be set before any of our modules imports the library that reads them.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")  # TensorFlow's warnings and errors only; 0 shows everything
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # oneDNN; by default it is on for some CPUs only
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # ONNX Runtime otherwise reports its use to its maker


if TYPE_CHECKING:
    from openpose.api import InputError, Model, People, Trained, load, train
else:

    def __getattr__(name: str) -> Any:
        """Imports the API when a name of it is used, because every module of this package imports this one."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from openpose import api

        return getattr(api, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
