"""`python -m components.train --help`."""

import sys

from components import command
from components.train.train import train

if __name__ == "__main__":
    sys.exit(command.run(train, "python -m components.train"))
