"""`python -m openpose.score`: another name of `python -m openpose.evaluation`."""

import sys

from openpose.evaluation.score_file import main

if __name__ == "__main__":
    sys.exit(main())
