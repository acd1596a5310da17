"""`python -m openpose.drawn_people`: draws the sample data set."""

import sys

from openpose.drawn_people import main

if __name__ == "__main__":
    sys.exit(main())
