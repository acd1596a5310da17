"""`python -m openpose.sample`: another name of `python -m openpose.drawn_people`."""

import sys

from openpose.drawn_people.__main__ import main

if __name__ == "__main__":
    sys.exit(main())
