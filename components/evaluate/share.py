"""`python -m components.evaluate.share --help`: one worker's share of an evaluation, on a machine of its own."""

import sys

from components import command
from components.evaluate.evaluate import evaluate_share

if __name__ == "__main__":
    sys.exit(command.run(evaluate_share, "python -m components.evaluate.share"))
