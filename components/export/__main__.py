"""`python -m components.export --help`."""

import sys

from components import command
from components.export.export import export

if __name__ == "__main__":
    sys.exit(command.run(export, "python -m components.export"))
