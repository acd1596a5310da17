"""Steps that find their work done, and every --help, start without TensorFlow, which takes seconds to import."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
STEPS = [
    "components.check.check",
    "components.coco_download.coco_download",
    "components.tfrecord_targets.tfrecord_targets",
    "components.train.train",
    "components.train.tf_pose",
    "components.evaluate.evaluate",
    "components.export.export",
    "components.register.register",
    "components.finish.finish",
]
COMMANDS = [
    "openpose.data_service",
    "openpose.evaluation.__main__",
    "openpose.networks.__main__",
    "openpose.predict.__main__",
    "openpose.sample",
    "pipelines.images",
    "pipelines.local",
    "pipelines.manifests",
    "pipelines.runs",
    "pipelines.schedule",
    "pipelines.submit",
    "pipelines.training",
]


@pytest.mark.parametrize("modules", [STEPS, COMMANDS], ids=["steps", "commands"])
def test_no_step_and_no_command_imports_tensorflow_at_its_start(modules: list[str]) -> None:
    code = (
        "import importlib, sys\n"
        f"for name in {modules}:\n"
        "    importlib.import_module(name)\n"
        "    assert not {'tensorflow', 'keras', 'matplotlib'} & sys.modules.keys(), name\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
