"""`python -m components.finish --help`."""

import sys

from components import command
from components.finish.finish import finish

if __name__ == "__main__":
    sys.exit(command.run(finish, "python -m components.finish"))
