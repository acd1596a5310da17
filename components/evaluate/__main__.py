"""`python -m components.evaluate --help`; the model's file may also be called `--graph`."""

import sys

from components import command
from components.evaluate.evaluate import evaluate

if __name__ == "__main__":
    sys.exit(command.run(evaluate, "python -m components.evaluate"))
