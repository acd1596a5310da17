"""The process of a step on this machine: KFP's executor without its log. It ends with its parent."""

import logging
import os
import sys
import threading

from kfp.dsl import executor_main


def main() -> None:
    """Runs the step that the arguments describe, as `python -m kfp.dsl.executor_main` does."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    logging.disable(logging.INFO)  # the executor logs all its input
    try:
        executor_main.executor_main()
    except KeyboardInterrupt:
        sys.exit(130)


def _end_with_parent() -> None:
    os.read(0, 1)  # the parent never writes, so this returns only when the parent has ended or was killed
    os._exit(1)


if __name__ == "__main__":
    main()
