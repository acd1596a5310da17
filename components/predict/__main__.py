"""`python -m components.predict --help`."""

import sys

from components import command
from components.predict.predict import predict

if __name__ == "__main__":
    sys.exit(command.run(predict, "python -m components.predict"))
