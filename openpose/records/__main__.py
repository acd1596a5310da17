"""`python -m openpose.records`: what is inside of records."""

import sys

from openpose.report import show_records

if __name__ == "__main__":
    sys.exit(show_records.main())
