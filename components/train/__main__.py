"""`python -m components.train --help`."""

import sys

from components import command
from components.train import tf_pose
from components.train.train import PROGRAM, train

NOTE = f"The flags of tf-pose-estimation's train.py (--datapath, --imgpath, …) also work: {tf_pose.PROGRAM} --help"

if __name__ == "__main__":
    sys.exit(tf_pose.main() if tf_pose.are_meant(sys.argv[1:]) else command.run(train, PROGRAM, note=NOTE))
