"""`python -m openpose.evaluation`: scores a file of detections against a file of annotations."""

import sys

from openpose.evaluation.score_file import main

if __name__ == "__main__":
    sys.exit(main())
