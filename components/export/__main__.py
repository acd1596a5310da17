"""`python -m components.export --help`."""

import sys
from collections.abc import Sequence

from components import command
from components.export.export import export


def main(arguments: Sequence[str] | None = None, program: str = "python -m components.export") -> int:
    """Runs the command line; returns the exit code."""
    return command.run(export, program, arguments)


if __name__ == "__main__":
    sys.exit(main())
