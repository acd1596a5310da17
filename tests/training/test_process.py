"""A process that trains does not ask the system again for memory that it has just freed."""

import platform
import subprocess
import sys

import pytest

CODE = """
import resource
import numpy as np
from openpose.training import process
process.settle()
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        tensors = [np.ones(8 << 20, np.uint8) for _ in range(8)]
        del tensors
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults()
print(faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's malloc has these settings")
def test_freed_memory_is_used_again() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 100, "8 MiB are 2048 pages"
