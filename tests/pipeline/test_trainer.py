"""The runtime for Kubeflow Trainer; tests/cluster/test_cluster.py asks a cluster whether Trainer accepts it."""

import json
import subprocess
from pathlib import Path

import yaml

RUNTIME = Path(__file__).resolve().parent.parent.parent / "manifests/trainer/tensorflow-distributed.yaml"


def test_each_node_gets_its_tf_config_and_runs_the_jobs_command() -> None:
    (job,) = yaml.safe_load(RUNTIME.read_text())["spec"]["template"]["spec"]["replicatedJobs"]
    (container,) = job["template"]["spec"]["template"]["spec"]["containers"]
    assert job["name"] == container["name"] == "node", "Trainer finds them by these names"
    given = {"JAX_COORDINATOR_ADDRESS": "pose-node-0-0.pose:29500", "JAX_NUM_PROCESSES": "3", "JAX_PROCESS_ID": "1"}
    program = ["sh", "-c", 'echo "$1" "$TF_CONFIG"', "sh", "two words:"]
    done = subprocess.run([*container["command"], *program], env=given, capture_output=True, text=True)
    words, said = done.stdout[:10], done.stdout[10:]
    assert words == "two words:", done.stderr
    workers = [f"pose-node-0-{number}.pose:2222" for number in range(3)]
    assert json.loads(said) == {"cluster": {"worker": workers}, "task": {"type": "worker", "index": 1}}
