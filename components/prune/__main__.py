"""`python -m components.prune --help`."""

import sys

from components import command
from components.prune.prune import prune

if __name__ == "__main__":
    sys.exit(command.run(prune, "python -m components.prune"))
