"""`python -m components.evaluate --help`; the model's file may also be called `--graph`."""

import sys
from collections.abc import Sequence

from components import command
from components.evaluate.evaluate import evaluate


def main(arguments: Sequence[str]) -> int:
    """The command line; returns the exit code."""
    now = [f"--model{word[7:]}" if word == "--graph" or word.startswith("--graph=") else word for word in arguments]
    return command.run(evaluate, "python -m components.evaluate", now, "--graph FILE is the same as --model FILE.")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
