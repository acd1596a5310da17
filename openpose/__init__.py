"""OpenPose with TensorFlow: skeleton, targets, networks, losses, decoding. Knows nothing of Kubeflow."""

import os

from openpose import quiet

# Here, because it must happen before the first module that imports TensorFlow, and in every process of ours.
quiet.tensorflow_start()
# ONNX Runtime reports what it runs to its maker, unless it is told not to before it is imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
