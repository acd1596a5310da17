"""CPU time of a run that finds all its work done, relative to one `import tensorflow`.

`python -m benchmarks.startup` draws a tiny sample and runs `pipelines.local` on it twice. The figure is the CPU time,
user and system, of all processes of the second run, in which every step finds its finished work. The reference, in the
same run, is a process that only imports TensorFlow (the best of several). Starting the steps dominates, so a needless
import of TensorFlow shows at once; other load on the machine hardly matters.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from openpose import storage

BOUND = 2.5  # imports of TensorFlow
ROUNDS = 3
ROOT = Path(__file__).resolve().parent.parent
DRAW = [sys.executable, "-m", "openpose.sample", "--train", "16", "--val", "8"]
RUN = [sys.executable, "-m", "pipelines.local"]
TINY = ["--size=64", "--width=0.2", "--stages=1", "--epochs=1", "--batch-size=4", "--images-per-shard=8"]
IMPORT = [sys.executable, "-c", "import tensorflow"]


def main() -> int:
    """Prints the times; returns 0 when the bound holds."""
    with tempfile.TemporaryDirectory(prefix="startup-") as folder:
        sample, out = Path(folder) / "sample", Path(folder) / "out"
        cpu_seconds([*DRAW, "--out", str(sample)])
        run = [*RUN, *TINY, "--data", str(sample), "--out", str(out)]
        print(f"everything to do: {cpu_seconds(run):6.1f} s of CPU", flush=True)
        found = cpu_seconds(run)
        steps = storage.read_json(out / "summary.json")["steps"]
    states = {name: step["state"] for name, step in steps.items() if name != "check"}  # it has no work to find
    if set(states.values()) != {"found"}:
        print(f"error: not every step found its finished work: {states}", file=sys.stderr)
        return 1
    print(f"everything found: {found:6.1f} s of CPU", flush=True)
    reference = min(cpu_seconds(IMPORT) for _ in range(ROUNDS))
    print(f"import tensorflow: {reference:5.1f} s of CPU, the best of {ROUNDS}")
    print(f"startup: {found / reference:.2f} (bound {BOUND:.2f})")
    return 0 if found <= BOUND * reference else 1


def cpu_seconds(command: list[str]) -> float:
    """Runs a command that must succeed; the CPU time, user and system, of it and all its children."""
    before = os.times()
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    after = os.times()
    if done.returncode:
        raise SystemExit(f"{done.stdout}\nerror: {' '.join(command)} ended with exit code {done.returncode}")
    return after.children_user - before.children_user + after.children_system - before.children_system


if __name__ == "__main__":
    sys.exit(main())
