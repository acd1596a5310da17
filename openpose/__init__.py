"""OpenPose with TensorFlow: skeleton, targets, networks, losses, decoding. Knows nothing of Kubeflow."""

from openpose import quiet

# Here, because it must happen before the first module that imports TensorFlow, and in every process of ours.
quiet.tensorflow_start()
