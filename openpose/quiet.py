"""Silences what TensorFlow prints at start-up on every machine; its warnings and errors still reach the user.

`TF_CPP_MIN_LOG_LEVEL=1` drops TensorFlow's information lines, but not those which its libraries print while
they are being loaded, before they have read that variable (three lines, each twice: TensorFlow's issue
100442). So standard error goes through a filter while TensorFlow is imported. The filter is a process of
its own: what TensorFlow says before it aborts (on a CPU that it cannot use, say) must not be lost with it.

`TF_CPP_MIN_LOG_LEVEL=0` in the environment shows everything.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

NOISE = re.compile(
    rb"WARNING: All log messages before absl::InitializeLog\(\) is called are written to STDERR"
    rb"|I\d{4} \d\d:\d\d:\d+\.\d+ "  # any information line
    # This one is logged as an error; 303 is CUDA's code for "there is no driver", and says no more than that
    # this machine has no GPU. Any other code is a real error.
    rb"|E\d{4} .*failed call to cuInit: .*\(303\)"
    # The converter to TensorFlow Lite, about its own options; and its runtime, each time that it starts.
    rb"|W\d{4} .*(tf_tfl_flatbuffer_helpers|flatbuffer_export)\.cc:\d+\] (Ignored|Skipping)"
    rb"|fully_quantize: |INFO: Created TensorFlow Lite XNNPACK delegate"
)


def tensorflow_start() -> None:
    """Keeps start-up noise away from the first `import tensorflow` of this process, whoever does it."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
    if os.environ["TF_CPP_MIN_LOG_LEVEL"] != "0" and "tensorflow" not in sys.modules:
        sys.meta_path.insert(0, _TensorFlowFinder())


class _TensorFlowFinder(MetaPathFinder):
    """Finds TensorFlow where it is, but runs its import inside the filter."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != "tensorflow":
            return None
        sys.meta_path.remove(self)
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def execute_quietly(module: ModuleType) -> None:
                with filtered_stderr():
                    execute(module)
                    # TensorFlow looks for GPUs at its first operation; let it look, and complain, here.
                    module.config.list_physical_devices()

            spec.loader.exec_module = execute_quietly  # type: ignore[method-assign]
        return spec


@contextmanager
def filtered_stderr() -> Iterator[None]:
    """Sends file descriptor 2, where C++ writes too, through a process that drops noise."""
    if sys.stderr is None:  # closed: nothing to keep clean
        yield
        return
    sys.stderr.flush()
    kept = os.dup(2)
    reader = subprocess.Popen([sys.executable, "-I", "-S", __file__], stdin=subprocess.PIPE, stdout=kept)
    assert reader.stdin is not None
    os.dup2(reader.stdin.fileno(), 2)
    reader.stdin.close()
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, 2)
        os.close(kept)
        with suppress(subprocess.TimeoutExpired):  # a process that the import left running may hold the pipe
            reader.wait(timeout=2)


def _filter() -> None:
    for line in sys.stdin.buffer:
        if not NOISE.match(line):
            sys.stdout.buffer.write(line)
            sys.stdout.buffer.flush()


if __name__ == "__main__":
    _filter()
