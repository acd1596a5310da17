"""OpenPose with TensorFlow: skeleton, targets, networks, losses, decoding. Knows nothing of Kubeflow."""

import os

# These must be set before any of our modules imports the library that reads them.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")  # TensorFlow's warnings and errors only; 0 shows everything
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # ONNX Runtime otherwise reports its use to its maker
