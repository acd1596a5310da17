"""`python -m components.evaluate --help`; the model's file may also be called `--graph`."""

import sys
from collections.abc import Sequence

from components import command
from components.evaluate.evaluate import evaluate


def main(arguments: Sequence[str] | None = None, program: str = "python -m components.evaluate") -> int:
    """Runs the command line; returns the exit code."""
    return command.run(evaluate, program, arguments)


if __name__ == "__main__":
    sys.exit(main())
