"""The step of a training on several machines, in runs on a real Kubeflow Pipelines; see test_cluster.py."""

import re
import subprocess
from pathlib import Path

import pytest

from components.finish.summary import FAILED, REJECTED
from components.train.pods import GRACE
from pipelines import follow
from pipelines.kfp_api import Api
from pipelines.pod_logs import PodLogs
from tests.cluster import runs
from tests.cluster.runs import ON_TWO, ROOT, both_training, kubectl, left_of_group, step, submit, submitted, wait

pytestmark = [*runs.NEEDS_CLUSTER, pytest.mark.usefixtures("sample_run")]


def test_nothing_is_left_of_the_machines_of_a_terminated_run(api: Api) -> None:
    with submitted(**ON_TWO, epochs=50, learning_rate="0.0043") as (process, run):
        wait(900, lambda: both_training(run))
        subprocess.run(["make", "cancel", f"RUN={run}"], cwd=ROOT, check=True)
        assert process.wait() == follow.ENDED
        wait(GRACE + 120, lambda: not left_of_group(run))


def test_training_goes_on_while_its_steps_pod_is_made_again(api: Api) -> None:
    with submitted(**ON_TWO, epochs=2, learning_rate="0.0044") as (process, run):
        wait(900, lambda: both_training(run))
        watching = step(api, run, "train", "running")
        assert watching
        kubectl("delete", "pod", watching.pod, "--force", "--grace-period=0")  # as with a node that is lost
        assert process.wait() == REJECTED
        done = step(api, run, "train", "done")
        assert done
        said = PodLogs(api, run).read(done.pod)
    assert "is there already; this step goes on watching it" in said
    assert "all machines start again" not in said
    wait(120, lambda: not left_of_group(run))


def test_machine_that_finds_no_room_is_given_up_with_the_reason(tmp_path: Path) -> None:
    settings = tmp_path / "huge.yaml"
    settings.write_text(runs.SETTINGS.read_text().replace('cpu: "400m"', 'wait_minutes: 0.5, cpu: "1000"'))
    code, said = submit("--settings", str(settings), machines=2, learning_rate="0.0045")
    assert code == FAILED
    assert re.search(r"failed: train: machine 0 has not started within 30 s \(.*Insufficient cpu", said)
