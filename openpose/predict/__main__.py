"""`python -m openpose.predict`: people in files."""

import sys

from openpose.predict import files

if __name__ == "__main__":
    sys.exit(files.main())
