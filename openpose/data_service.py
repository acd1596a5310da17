"""`python -m openpose.data_service`: another name of `python -m openpose.training.data_service`."""

import sys

from openpose.training.data_service import main

if __name__ == "__main__":
    sys.exit(main())
