"""`python -m components.register --help`."""

import sys

from components import command
from components.register.register import register

if __name__ == "__main__":
    sys.exit(command.run(register, "python -m components.register"))
