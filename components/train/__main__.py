"""`python -m components.train --help`."""

import sys
from collections.abc import Sequence

from components import command
from components.train import tf_pose
from components.train.train import PROGRAM, train

NOTE = f"The flags of tf-pose-estimation's train.py (--datapath, --batchsize, …) also work: {tf_pose.PROGRAM} --help"


def main(arguments: Sequence[str] | None = None, program: str = PROGRAM) -> int:
    """Runs the command line; returns the exit code."""
    words = sys.argv[1:] if arguments is None else arguments
    return tf_pose.main(words) if tf_pose.are_meant(words) else command.run(train, program, words, NOTE)


if __name__ == "__main__":
    sys.exit(main())
