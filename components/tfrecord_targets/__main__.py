"""`python -m components.tfrecord_targets --help`."""

import sys

from components import command
from components.tfrecord_targets.tfrecord_targets import tfrecord_targets

if __name__ == "__main__":
    sys.exit(command.run(tfrecord_targets, "python -m components.tfrecord_targets"))
